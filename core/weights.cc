#include "core/weights.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "core/block_types.h"
#include "core/convert.h"
#include "core/mapped_file.h"
#include "core/non_finite.h"
#include "core/ops/elementwise.h"
#include "core/ops/linear_kernels.h"

namespace binocle {
namespace {

constexpr int64_t kPopulateBytes = int64_t{1} << 20;  // at least, by a thread at a time
constexpr uintptr_t kPackedAlignment = 64;  // within the file, whose mapping begins with a page

bool IsShapeOf(const TensorView& stored, int64_t n, int64_t k) {
  std::array<int32_t, 2> shape;
  if (stored.dtype() != DType::kI32 || stored.bytes() != sizeof shape) return false;
  std::memcpy(shape.data(), stored.data(), sizeof shape);
  return shape[0] == n && shape[1] == k;
}

// How many problems of one kind an error line spells out.
constexpr size_t kListed = 6;

std::string Listed(const std::string& kind, const std::vector<std::string>& items) {
  if (items.empty()) return {};
  std::string out = internal::Concat("; ", items.size(), " ", kind, ": ");
  for (size_t i = 0; i < std::min(items.size(), kListed); ++i)
    out += (i ? ", " : "") + Printable(items[i], 160);
  return items.size() > kListed ? out + ", …" : out;
}

// Of a packed matrix, what is no integer: its scales, and the bias behind its views, where it has them.
void CheckPackedNumbers(const TensorView& scales, const TensorView& bias, const std::string& name,
                        std::vector<std::string>& not_finite) {
  for (const auto& [what, numbers] : {std::pair(" scale ", scales), std::pair(" bias ", bias)}) {
    if (numbers.empty()) continue;
    if (const int64_t at = FirstNonFinite(numbers); at >= 0)
      not_finite.push_back(internal::Concat(name, what, at));
  }
}

// Of what is summed over the parts a bias is counted once.
bool HasBias(const Division& division) {
  return division.by != Division::By::kColumns || division.part == 0;
}

// A tensor under the name it goes by here, and in its file where that is another.
std::string NameOf(const std::string& name, const TensorView& stored) {
  const std::string_view own = stored.name();
  return own == name ? name : internal::Concat(name, " (", own, " of the file)");
}

}  // namespace

struct WeightBinder::State {
  const TensorSet* tensors;
  NameMap names;
  KindsByName kinds;
  Exec* ex = nullptr;               // of the loading pass
  ModelMatrices* listed = nullptr;  // of ListMatrices
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

TensorView Division::OfWeight(const TensorView& weight) const {
  if (by == By::kNothing || weight.empty()) return weight;
  const int64_t extent = weight.dim(by == By::kRows ? 0 : 1);
  BINOCLE_CHECK(extent % parts == 0, weight.name(), " ", weight.shape().ToString(), " in ", parts);
  const int64_t count = extent / parts, begin = part * count;
  return by == By::kRows ? weight.Rows(begin, begin + count) : weight.Columns(begin, begin + count);
}

TensorView Division::OfBias(const TensorView& bias) const {
  if (by == By::kNothing || bias.empty()) return bias;
  if (by == By::kColumns) return part == 0 ? bias : TensorView();
  const int64_t count = bias.dim(0) / parts;
  return bias.Rows(part * count, (part + 1) * count);
}

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
  return Placed(HostF32(name, shape, why));
}

Tensor WeightBinder::Placed(Tensor tensor) const {
  return state_->ex == nullptr ? std::move(tensor) : ToPlace(*state_->ex, std::move(tensor));
}

Tensor WeightBinder::HostF32(std::string_view name, const Shape& shape, std::string_view why) {
  Count(name, shape.elements(), shape.elements() * 4);
  const TensorView* found = Require(name, shape, why);
  NoteOther(name);
  if (found == nullptr) return {};
  Tensor out = Tensor::F32(shape, found->name());
  ReadAsF32(*found, 0, found->elements(), out.f32());
  return out;
}

TensorView WeightBinder::View(std::string_view name, const Shape& shape, std::string_view why) {
  const TensorView* found = Require(name, shape, why);
  return found == nullptr ? TensorView() : *found;
}

WeightBinder::Table WeightBinder::Stored(std::string_view name, const Shape& shape,
                                         std::string_view why) {
  CountInPlace(name);
  if (state_->kinds.on_cuda) {
    const std::string full = state_->names.Stored(prefix_ + std::string(name));
    const TensorView* found = state_->tensors->Find(full);
    const bool bf16 = found != nullptr && found->dtype() == DType::kBF16;
    Count(name, 0, shape.elements() * (bf16 ? 2 : 4));
  }
  NoteOther(name);
  const TensorView view = View(name, shape, why);
  if (state_->ex == nullptr || state_->ex->place().cuda == nullptr) return {view, {}};
  Tensor own(view.dtype() == DType::kBF16 ? DType::kBF16 : DType::kF32, shape, view.name());
  if (own.view().dtype() == DType::kBF16) {
    CopyRows(view, own);
  } else {
    ReadAsF32(view, 0, view.elements(), own.f32());
  }
  own = Placed(std::move(own));
  return {own.view(), std::move(own)};
}

void WeightBinder::NoteOther(std::string_view name) {
  if (state_->listed != nullptr)
    state_->listed->other_tensors.insert(state_->names.Stored(prefix_ + std::string(name)));
}

void WeightBinder::CountInPlace(std::string_view name, int64_t parts) {
  if (!state_->checking || state_->kinds.on_cuda) return;
  const std::string full = prefix_ + std::string(name);
  const TensorView* found = state_->tensors->Find(state_->names.Stored(full));
  if (found == nullptr || !state_->read_in_place.insert(full).second) return;
  state_->plan[full.substr(0, full.find('.'))].in_place_bytes += found->bytes() / parts;
}

void WeightBinder::CountDepth(std::string_view name, int64_t k, WeightKind kind) {
  if (!state_->checking) return;
  const std::string full = prefix_ + std::string(name);
  int64_t& deepest = state_->plan[full.substr(0, full.find('.'))].deepest[kind];
  deepest = std::max(deepest, k);
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
  return DividedLinear({}, parts, k, bias, why);
}

LinearWeights WeightBinder::DividedLinear(const Division& division,
                                          std::initializer_list<Rows> parts, int64_t k, Bias bias,
                                          std::string_view why) {
  std::vector<Part> named;
  for (const Rows& rows : parts) {
    const std::string name(rows.name);
    named.push_back({.weight = name + ".weight",
                     .bias = name + ".bias",
                     .shape = {rows.n, k},
                     .order = rows.order,
                     .scale = rows.scale,
                     .division = division});
  }
  const std::string_view first = parts.begin()->name;
  const int64_t own_k = division.Columns(k);
  return Matrix(first, named, own_k, bias, KindOf(first, own_k), why);
}

LinearWeights WeightBinder::LinearNamed(std::string_view weight, std::string_view bias, int64_t n,
                                        int64_t k, std::string_view why) {
  return Matrix(weight,
                {{.weight = std::string(weight), .bias = std::string(bias), .shape = {n, k}}}, k,
                Bias::kPresent, KindOf(weight, k), why);
}

LinearWeights WeightBinder::Convolution(std::string_view name, const Shape& shape, Bias bias,
                                        std::string_view why) {
  const std::string prefix(name);
  const int64_t k = shape.elements() / shape[0];
  return Matrix(name, {{.weight = prefix + ".weight", .bias = prefix + ".bias", .shape = shape}}, k,
                bias, std::min(KindOf(name, k), WeightKind::kBf16), why);
}

void WeightBinder::CheckDivision(const Part& part, WeightKind kind) const {
  const Division& division = part.division;
  if (division.by == Division::By::kNothing) return;
  const int64_t extent = division.by == Division::By::kRows ? part.shape[0] : part.shape[1];
  BINOCLE_CHECK(extent % division.parts == 0, part.weight, " ", part.shape.ToString(), " in ",
                division.parts);
  const std::string stored = state_->names.Stored(prefix_ + part.weight);
  const TensorView* found = state_->tensors->Find(stored);
  if (division.by == Division::By::kRows || found == nullptr || !IsBlockType(found->dtype()))
    return;
  const int64_t columns = extent / division.parts, block = UnitOf(found->dtype()).elements;
  if (kind == WeightKind::kBlocks)
    Throw(Code::kUnimplemented, stored, " is to be multiplied as the blocks that it is stored in, ",
          "which only a whole matrix can be; expected compute f32, bf16, int8 or int4");
  if (columns % block != 0)
    Throw(Code::kUnimplemented, stored, " is ", DTypeName(found->dtype()), " ",
          part.shape.ToString(), ", and a part of ", columns,
          " columns (tensor_parallel=", division.parts, ") is not a multiple of a block's ", block);
}

LinearWeights WeightBinder::Matrix(std::string_view name, const std::vector<Part>& parts, int64_t k,
                                   Bias bias, WeightKind kind, std::string_view why) {
  int64_t n = 0;
  size_t in_blocks = 0;
  for (const Part& part : parts) {
    n += part.division.Rows(part.shape[0]);
    in_blocks += IsInBlocks(part.weight) ? 1 : 0;
  }
  if (kind == WeightKind::kBlocks && in_blocks < parts.size()) kind = WeightKind::kInt8;
  const bool in_place = kind == WeightKind::kBlocks || (kind == WeightKind::kF32 && in_blocks > 0);
  for (const Part& part : parts) CheckDivision(part, kind);
  if (auto packed = Packed(name, parts, n, k, bias)) return std::move(*packed);
  const bool own_bias = bias == Bias::kPresent && HasBias(parts[0].division);
  const int64_t bias_rows = own_bias ? n : 0;
  CountDepth(name, k, kind);
  const int64_t bytes = state_->kinds.on_cuda
                            ? DeviceLinearBytes(n, k, in_place ? WeightKind::kF32 : kind)
                        : in_place ? 4 * n
                                   : PackedLinearBytes(n, k, kind);
  Count(parts[0].weight, n * k + bias_rows, bytes - 4 * (n - bias_rows));
  AskedMatrix asked{.name = prefix_ + std::string(name),
                    .n = n,
                    .k = k,
                    .bias = own_bias ? Bias::kPresent : Bias::kAbsent,
                    .kind = kind};
  for (const Part& part : parts) {
    if (in_place) CountInPlace(part.weight, part.division.parts);
    StoredLinear stored{.weight = View(part.weight, part.shape, why),
                        .bias = {},
                        .order = part.order,
                        .scale = part.scale};
    if (part.shape.rank() > 2 && !state_->checking)
      stored.weight = stored.weight.Reshape({part.shape[0], k});
    if (bias == Bias::kPresent) stored.bias = View(part.bias, {part.shape[0]}, why);
    if (!state_->checking) {
      stored.weight = part.division.OfWeight(stored.weight);
      stored.bias = part.division.OfBias(stored.bias);
    }
    asked.parts.push_back(stored);
    asked.stored.push_back(state_->names.Stored(prefix_ + part.weight));
    if (bias == Bias::kPresent) asked.stored.push_back(state_->names.Stored(prefix_ + part.bias));
  }
  // What is copied is done with, also after it was checked: or files and copies would be in memory together.
  const auto release = [&] {
    if (in_place) return;
    for (const std::string& tensor : asked.stored) state_->tensors->Release(tensor);
  };
  if (state_->checking) {
    release();
    return {};
  }
  if (state_->listed != nullptr) {
    if (kind != WeightKind::kF32) {
      state_->listed->matrices.push_back(std::move(asked));
    } else {
      state_->listed->other_tensors.insert(asked.stored.begin(), asked.stored.end());
    }
    return {};
  }
  LinearWeights packed = PackLinear(*state_->ex, asked.parts, kind);
  release();
  return packed;
}

// The matrix as a packed file has it: mapped, but for its bias. The kind is the file's.
std::optional<LinearWeights> WeightBinder::Packed(std::string_view name,
                                                  const std::vector<Part>& parts, int64_t n,
                                                  int64_t k, Bias bias) {
  const std::string asked = prefix_ + std::string(name);
  for (const WeightKind kind : PackedKinds()) {
    if (k > kMaxCompactDepth) continue;
    const std::string stored_name = PackedName(asked, kind);
    const TensorView* found = state_->tensors->Find(stored_name);
    if (found == nullptr) continue;
    if (parts[0].division.by != Division::By::kNothing)
      Throw(Code::kUnimplemented, stored_name, " is a packed matrix (binocle quantize), which ",
            "tensor_parallel cannot divide; expected the model that it was packed from, with ",
            "compute ", WeightKindName(kind));
    state_->used.insert(stored_name);
    CountDepth(name, k, kind);
    const std::string shape_name = PackedShapeName(asked, kind);
    state_->used.insert(shape_name);
    if (state_->checking) {
      const int64_t bytes = PackedBytes(n, k, bias, kind);
      const TensorView* shape = state_->tensors->Find(shape_name);
      if (shape != nullptr && !IsShapeOf(*shape, n, k)) {
        state_->mis_shaped.push_back(internal::Concat(stored_name,
                                                      " was packed with another shape (",
                                                      shape_name, "), expected ", n, " × ", k));
      } else if (found->dtype() != DType::kU8 || found->bytes() != bytes) {
        state_->mis_shaped.push_back(internal::Concat(
            stored_name, " is ", DTypeName(found->dtype()), " ", found->shape().ToString(),
            ", expected u8 [", bytes, "] (", n, " × ", k, " as ", WeightKindName(kind), ")"));
      } else if (reinterpret_cast<uintptr_t>(found->data()) % kPackedAlignment != 0) {
        state_->mis_shaped.push_back(internal::Concat(stored_name,
                                                      " does not begin at a multiple of ",
                                                      kPackedAlignment, " bytes of its file"));
      } else {
        auto* behind = static_cast<char*>(found->data()) + CompactBytes(n, k, kind);
        const TensorView stored_bias =
            bias == Bias::kPresent ? TensorView(behind, DType::kF32, {n}) : TensorView();
        CheckPackedNumbers(CompactViews(found->data(), n, k, kind).scales, stored_bias, stored_name,
                           state_->not_finite);
      }
      for (const Part& part : parts)
        state_->used.insert(state_->names.Stored(prefix_ + part.weight));
      const int64_t bias_rows = bias == Bias::kPresent ? n : 0;
      if (state_->kinds.on_cuda) {
        Count(parts[0].weight, n * k + bias_rows,
              DeviceLinearBytes(n, k, kind) - 4 * (n - bias_rows));
      } else {
        Count(parts[0].weight, n * k + bias_rows, 4 * bias_rows);
        state_->plan[asked.substr(0, asked.find('.'))].in_place_bytes += found->bytes();
      }
      return LinearWeights{};
    }
    LinearWeights w{.packed = {}, .bias = {}, .n = n, .k = k};
    if (state_->ex != nullptr) {
      const auto* bytes = static_cast<const char*>(found->data());
      state_->ex->ParallelRanges(found->bytes(), kPopulateBytes, [&](int64_t begin, int64_t end) {
        PopulateMapped(bytes + begin, static_cast<size_t>(end - begin));
      });
    }
    w.compact = CompactViews(found->data(), n, k, kind);
    if (bias == Bias::kPresent) {
      w.bias = Tensor::F32({n});
      const auto* at = static_cast<const char*>(found->data()) + CompactBytes(n, k, kind);
      std::memcpy(w.bias.f32(), at, static_cast<size_t>(n) * 4);
    }
    if (state_->ex != nullptr && state_->ex->place().cuda != nullptr)
      return OnDevice(*state_->ex, std::move(w));
    return w;
  }
  return std::nullopt;
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

ModelMatrices ListMatrices(const TensorSet& tensors, const NameMap& names, const KindsByName& kinds,
                           const std::function<void(WeightBinder&)>& bind) {
  ModelMatrices listed;
  const auto state = std::make_shared<WeightBinder::State>();
  state->tensors = &tensors;
  state->names = names;
  state->kinds = kinds;
  state->checking = false;
  state->listed = &listed;
  WeightBinder binder(state, "");
  bind(binder);
  return listed;
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
