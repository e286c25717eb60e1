#include "core/weights.h"

#include <algorithm>
#include <cmath>

#include "core/block_types.h"
#include "core/convert.h"

namespace binocle {
namespace {

// How many problems of one kind an error line spells out.
constexpr size_t kListed = 6;

std::string Listed(const std::string& kind, const std::vector<std::string>& items) {
  if (items.empty()) return {};
  std::string out = internal::Concat("; ", items.size(), " ", kind, ": ");
  for (size_t i = 0; i < std::min(items.size(), kListed); ++i)
    out += (i ? ", " : "") + Printable(items[i], 160);
  return items.size() > kListed ? out + ", …" : out;
}

// The first element that is NaN or infinite, −1 when there is none.
int64_t FirstNonFinite(const TensorView& stored) {
  if (IsBlockType(stored.dtype()))
    return FirstNonFiniteInBlocks(stored.dtype(), stored.data(), stored.elements());
  constexpr int64_t kChunk = 4096;
  float values[kChunk];
  for (int64_t begin = 0; begin < stored.elements(); begin += kChunk) {
    const int64_t count = std::min(kChunk, stored.elements() - begin);
    ReadAsF32(stored, begin, count, values);
    float sum = 0;  // 0·x is 0 for every finite x and NaN otherwise
    for (int64_t i = 0; i < count; ++i) sum += 0.0F * values[i];
    if (sum == 0.0F) continue;
    for (int64_t i = 0; i < count; ++i) {
      if (!std::isfinite(values[i])) return begin + i;
    }
  }
  return -1;
}

// A tensor under the name it goes by here, and in its file where that is another.
std::string NameOf(const std::string& name, const TensorView& stored) {
  const std::string_view own = stored.name();
  return own == name ? name : internal::Concat(name, " (", own, " of the file)");
}

}  // namespace

void TensorSet::Add(std::string_view name, TensorView view, std::shared_ptr<const void> owner,
                    const std::string& where) {
  if (!tensors_.emplace(name, view).second)
    ThrowInvalid(where, ": ", Printable(name), " is in two files");
  owners_.insert(std::move(owner));
}

void TensorSet::Add(std::string name, Tensor tensor) {
  const auto owned = std::make_shared<Tensor>(std::move(tensor));
  const auto [it, inserted] = tensors_.emplace(std::move(name), TensorView());
  it->second = owned->view().Named(it->first);
  owners_.insert(owned);
}

const TensorView* TensorSet::Find(std::string_view name) const {
  const auto it = tensors_.find(name);
  return it == tensors_.end() ? nullptr : &it->second;
}

bool TensorSet::HasPrefix(std::string_view prefix) const {
  const auto it = tensors_.lower_bound(prefix);
  return it != tensors_.end() && it->first.starts_with(prefix);
}

std::string NameMap::Stored(std::string_view asked) const {
  for (const Entry& entry : entries) {
    if (asked.starts_with(entry.asked))
      return entry.stored + std::string(asked.substr(entry.asked.size()));
  }
  return std::string(asked);
}

struct WeightBinder::State {
  const TensorSet* tensors;
  NameMap names;
  KindsByName kinds;
  Exec* ex = nullptr;  // of the loading pass
  bool checking = true;
  std::map<std::string, WeightPlan> plan;
  std::vector<std::string> missing, mis_shaped, not_finite;
  std::set<std::string, std::less<>> used;
  std::vector<NeededWeight> needed;  // and missing
  std::set<std::string, std::less<>>
      read_in_place;  // each counts once, also a table that is a head as well
  std::vector<std::string> ignored_prefixes;

  std::vector<std::string> Unexpected() const {
    std::vector<std::string> extra;
    for (const auto& [name, view] : tensors->tensors()) {
      if (used.contains(name)) continue;
      bool ignored = false;
      for (const std::string& prefix : ignored_prefixes)
        ignored = ignored || name.starts_with(prefix);
      if (!ignored) extra.push_back(name);
    }
    return extra;
  }
};

bool WeightBinder::checking() const { return state_->checking; }

WeightBinder WeightBinder::Under(std::string_view prefix) const {
  return {state_, prefix_ + std::string(prefix)};
}

bool WeightBinder::Has(std::string_view name) const {
  return state_->tensors->Find(state_->names.Stored(prefix_ + std::string(name))) != nullptr;
}

const TensorView* WeightBinder::Require(std::string_view name, const Shape& shape,
                                        std::string_view why) {
  const std::string full = state_->names.Stored(prefix_ + std::string(name));
  const TensorView* found = state_->tensors->Find(full);
  if (!state_->checking) return found;
  if (found == nullptr) {
    state_->missing.push_back(full);
    state_->needed.push_back({full, shape});
    return nullptr;
  }
  state_->used.insert(full);
  if (!IsReal(found->dtype()) || !(found->shape() == shape)) {
    state_->mis_shaped.push_back(internal::Concat(
        NameOf(full, *found), " is ", DTypeName(found->dtype()), " ", found->shape().ToString(),
        ", expected ", shape.ToString(), " of real numbers (", why, ")"));
  } else if (const int64_t at = FirstNonFinite(*found); at >= 0) {
    state_->not_finite.push_back(internal::Concat(NameOf(full, *found), " element ", at));
  }
  return nullptr;
}

void WeightBinder::Count(std::string_view name, int64_t parameters, int64_t bytes) {
  if (!state_->checking) return;
  const std::string full = prefix_ + std::string(name);
  WeightPlan& part = state_->plan[full.substr(0, full.find('.'))];
  part.parameters += parameters;
  part.bytes += bytes;
}

Tensor WeightBinder::F32(std::string_view name, const Shape& shape, std::string_view why) {
  Count(name, shape.elements(), shape.elements() * 4);
  const TensorView* found = Require(name, shape, why);
  if (found == nullptr) return {};
  Tensor out = Tensor::F32(shape, found->name());
  ReadAsF32(*found, 0, found->elements(), out.f32());
  return out;
}

TensorView WeightBinder::View(std::string_view name, const Shape& shape, std::string_view why) {
  const TensorView* found = Require(name, shape, why);
  return found == nullptr ? TensorView() : *found;
}

TensorView WeightBinder::Stored(std::string_view name, const Shape& shape, std::string_view why) {
  CountInPlace(name);
  return View(name, shape, why);
}

void WeightBinder::CountInPlace(std::string_view name) {
  if (!state_->checking) return;
  const std::string full = prefix_ + std::string(name);
  const TensorView* found = state_->tensors->Find(state_->names.Stored(full));
  if (found == nullptr || !state_->read_in_place.insert(full).second) return;
  state_->plan[full.substr(0, full.find('.'))].in_place_bytes += found->bytes();
}

bool WeightBinder::IsInBlocks(const std::string& name) const {
  const TensorView* found = state_->tensors->Find(state_->names.Stored(prefix_ + name));
  return found != nullptr && IsBlockType(found->dtype());
}

WeightKind WeightBinder::KindOf(std::string_view name, int64_t k) const {
  const WeightKind kind = state_->kinds.Of(prefix_ + std::string(name));
  return k <= kMaxCompactDepth ? kind : WeightKind::kF32;
}

LinearWeights WeightBinder::Linear(std::initializer_list<Rows> parts, int64_t k, Bias bias,
                                   std::string_view why) {
  std::vector<StoredLinear> stored;
  int64_t rows = 0;
  bool in_place = false;
  const WeightKind kind = KindOf(parts.begin()->name, k);
  for (const Rows& part : parts) {
    rows += part.n;
    in_place =
        in_place || (kind == WeightKind::kF32 && IsInBlocks(std::string(part.name) + ".weight"));
  }
  const int64_t bias_rows = bias == Bias::kPresent ? rows : 0;
  Count(parts.begin()->name, rows * k + bias_rows,
        in_place ? 4 * bias_rows
                 : PackedLinearBytes(rows, k, kind) - (bias_rows == 0 ? 4 * rows : 0));
  for (const Rows& part : parts) {
    const std::string name(part.name);
    if (in_place) CountInPlace(name + ".weight");
    StoredLinear linear{.weight = View(name + ".weight", {part.n, k}, why),
                        .bias = {},
                        .order = part.order,
                        .scale = part.scale};
    if (bias == Bias::kPresent) linear.bias = View(name + ".bias", {part.n}, why);
    stored.push_back(linear);
  }
  return state_->checking ? LinearWeights{} : PackLinear(*state_->ex, stored, kind);
}

LinearWeights WeightBinder::LinearNamed(std::string_view weight, std::string_view bias, int64_t n,
                                        int64_t k, std::string_view why) {
  const WeightKind kind = KindOf(weight, k);
  const bool in_place = kind == WeightKind::kF32 && IsInBlocks(std::string(weight));
  if (in_place) CountInPlace(weight);
  Count(weight, n * k + n, in_place ? 4 * n : PackedLinearBytes(n, k, kind));
  const StoredLinear linear{.weight = View(weight, {n, k}, why), .bias = View(bias, {n}, why)};
  return state_->checking ? LinearWeights{} : PackLinear(*state_->ex, {linear}, kind);
}

LinearWeights WeightBinder::Convolution(std::string_view name, const Shape& shape, Bias bias,
                                        std::string_view why) {
  const std::string prefix(name);
  const int64_t k = shape.elements() / shape[0];
  const int64_t bias_rows = bias == Bias::kPresent ? shape[0] : 0;
  const WeightKind kind = std::min(KindOf(name, k), WeightKind::kBf16);
  const bool in_place = kind == WeightKind::kF32 && IsInBlocks(prefix + ".weight");
  if (in_place) CountInPlace(prefix + ".weight");
  Count(name, shape[0] * k + bias_rows,
        in_place ? 4 * bias_rows
                 : PackedLinearBytes(shape[0], k, kind) - (bias_rows == 0 ? 4 * shape[0] : 0));
  StoredLinear linear{.weight = View(prefix + ".weight", shape, why), .bias = {}};
  if (bias == Bias::kPresent) linear.bias = View(prefix + ".bias", {shape[0]}, why);
  if (state_->checking) return {};
  linear.weight = linear.weight.Reshape({shape[0], k});
  return PackLinear(*state_->ex, {linear}, kind);
}

LayerNormWeights WeightBinder::LayerNorm(std::string_view name, int64_t width, float epsilon,
                                         std::string_view why) {
  const std::string prefix(name);
  return {.weight = F32(prefix + ".weight", {width}, why),
          .bias = F32(prefix + ".bias", {width}, why),
          .epsilon = epsilon};
}

RmsNormWeights WeightBinder::RmsNorm(std::string_view name, int64_t width, float epsilon,
                                     std::string_view why) {
  return {.weight = F32(std::string(name) + ".weight", {width}, why), .epsilon = epsilon};
}

void WeightBinder::Ignore(std::string_view name) {
  state_->used.insert(state_->names.Stored(prefix_ + std::string(name)));
}

void WeightBinder::IgnoreUnder(std::string_view prefix) {
  state_->ignored_prefixes.push_back(state_->names.Stored(prefix_ + std::string(prefix)));
}

std::map<std::string, WeightPlan> CheckWeights(const TensorSet& tensors, const NameMap& names,
                                               const std::string& where,
                                               const std::function<void(WeightBinder&)>& bind) {
  return CheckWeights(tensors, names, {}, where, bind);
}

std::map<std::string, WeightPlan> CheckWeights(const TensorSet& tensors, const NameMap& names,
                                               const KindsByName& kinds, const std::string& where,
                                               const std::function<void(WeightBinder&)>& bind) {
  const auto state = std::make_shared<WeightBinder::State>();
  state->tensors = &tensors;
  state->names = names;
  state->kinds = kinds;
  WeightBinder binder(state, "");
  bind(binder);
  const std::string problems =
      Listed("missing", state->missing) + Listed("mis-shaped", state->mis_shaped) +
      Listed("not finite", state->not_finite) + Listed("unexpected", state->Unexpected());
  if (!problems.empty())
    ThrowInvalid(where, ": the weights do not fit the configuration", problems);
  return state->plan;
}

std::vector<NeededWeight> ListWeights(const NameMap& names,
                                      const std::function<void(WeightBinder&)>& bind) {
  static const TensorSet kNothing;
  const auto state = std::make_shared<WeightBinder::State>();
  state->tensors = &kNothing;
  state->names = names;
  WeightBinder binder(state, "");
  bind(binder);
  std::vector<NeededWeight> needed;
  std::set<std::string> seen;
  for (NeededWeight& weight : state->needed)
    if (seen.insert(weight.name).second) needed.push_back(std::move(weight));
  return needed;
}

void LoadWeights(Exec& ex, const TensorSet& tensors, const NameMap& names,
                 const std::function<void(WeightBinder&)>& bind) {
  LoadWeights(ex, tensors, names, {}, bind);
}

void LoadWeights(Exec& ex, const TensorSet& tensors, const NameMap& names, const KindsByName& kinds,
                 const std::function<void(WeightBinder&)>& bind) {
  const auto state = std::make_shared<WeightBinder::State>();
  state->tensors = &tensors;
  state->names = names;
  state->kinds = kinds;
  state->ex = &ex;
  state->checking = false;
  WeightBinder binder(state, "");
  bind(binder);
}

}  // namespace binocle
