#include "fusion/convert/lora_adapter.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "core/convert.h"
#include "core/mapped_file.h"

namespace binocle {
namespace {

constexpr size_t kListedTensors = 16;

// How modules of trained models begin, and what docs/model_format.md calls them: the first that fits.
constexpr std::pair<std::string_view, std::string_view> kModuleNames[] = {
    {"model.language_model.", "language_model.model."},
    {"model.vision_tower.", "anchor."},
    {"model.multi_modal_projector.", "projector."},
    {"vision_tower.", "anchor."},
    {"multi_modal_projector.", "projector."},
    {"model.", "language_model.model."},
    {"lm_head.", "language_model.lm_head."},
};

std::string CanonicalName(std::string_view trained) {
  for (const auto& [theirs, ours] : kModuleNames)
    if (trained.starts_with(theirs))
      return std::string(ours) + std::string(trained.substr(theirs.size()));
  return std::string(trained);
}

// What a tensor of an adapter is.
enum class AdapterRole : uint8_t {
  kA,
  kB,
  kEmbeddingA,
  kEmbeddingB,
  kBias,
  kBase,
  kWhole,
  kUnused
};

struct AdapterName {
  AdapterRole role;
  std::string
      module;  // "model.layers.0.self_attn.q_proj"; of kWhole: with the tensor's own last name
};

constexpr std::string_view kFront = "base_model.model.";
constexpr std::pair<std::string_view, AdapterRole> kEndings[] = {
    {".lora_A.weight", AdapterRole::kA},
    {".lora_B.weight", AdapterRole::kB},
    {".lora_embedding_A", AdapterRole::kEmbeddingA},
    {".lora_embedding_B", AdapterRole::kEmbeddingB},
    {".base_layer.bias", AdapterRole::kBias},
    {".base_layer.weight", AdapterRole::kBase},
    // With bias all, a saved module's bias is there once more, and that of the module in whose place it is.
    {".modules_to_save.bias", AdapterRole::kBias},
    {".original_module.bias", AdapterRole::kUnused},
    {".bias", AdapterRole::kBias},
};

AdapterName Understand(std::string_view name) {
  if (name.starts_with(kFront)) name.remove_prefix(kFront.size());
  for (const auto& [ending, role] : kEndings) {
    if (name.ends_with(ending))
      return {role, std::string(name.substr(0, name.size() - ending.size()))};
  }
  return {AdapterRole::kWhole, std::string(name)};
}

bool EndsWithPart(std::string_view module, std::string_view part) {
  return module == part ||
         (module.ends_with(part) && module[module.size() - part.size() - 1] == '.');
}

int64_t FirstBad(const TensorView& view) {
  std::vector<float> row(4096);
  for (int64_t begin = 0; begin < view.elements(); begin += std::ssize(row)) {
    const int64_t count = std::min<int64_t>(std::ssize(row), view.elements() - begin);
    ReadAsF32(view, begin, count, row.data());
    for (int64_t i = 0; i < count; ++i)
      if (!std::isfinite(row[static_cast<size_t>(i)])) return begin + i;
  }
  return -1;
}

// The problems of one adapter, by kind.
class Problems {
 public:
  void Add(const char* kind, const std::string& text) { kinds_[kind].push_back(text); }
  bool empty() const { return kinds_.empty(); }
  std::string ToString() const {
    std::string out;
    for (const auto& [kind, texts] : kinds_) {
      out += internal::Concat("; ", texts.size(), " ", kind, ": ");
      for (size_t i = 0; i < std::min(texts.size(), kListedTensors); ++i)
        out += (i ? ", " : "") + Printable(texts[i], 240);
      if (texts.size() > kListedTensors) out += ", …";
    }
    return out;
  }

 private:
  std::map<std::string, std::vector<std::string>> kinds_;
};

// The matrices of one module.
struct LoraPair {
  TensorView a, b;
  bool embedding = false;
};

// One adapter on its way into edits.
class Merge {
 public:
  Merge(const LoraConfig& config, const TensorSet& tensors, const NameMap& names)
      : config_(config), tensors_(tensors), names_(names) {}

  void Take(const std::string& name, const TensorView& view) {
    if (!IsReal(view.dtype()))
      return problems_.Add("mis-shaped", name + " is " + std::string(DTypeName(view.dtype())));
    if (const int64_t at = FirstBad(view); at >= 0)
      return problems_.Add("not finite", internal::Concat(name, " element ", at));
    const AdapterName known = Understand(name);
    switch (known.role) {
      case AdapterRole::kA:
      case AdapterRole::kEmbeddingA: return Half(known, name).a = view, void();
      case AdapterRole::kB:
      case AdapterRole::kEmbeddingB: return Half(known, name).b = view, void();
      case AdapterRole::kBias: return biases_.emplace_back(known.module, view), void();
      case AdapterRole::kUnused:
        if (!config_.IsSaved(known.module)) problems_.Add("unmatched", name);
        return;
      case AdapterRole::kBase:
        if (!EndsWithPart(known.module, "embed_tokens") && !EndsWithPart(known.module, "lm_head") &&
            !config_.IsSaved(known.module))
          return problems_.Add("unmatched", name);
        return TakeWhole(name, known.module + ".weight", view);
      case AdapterRole::kWhole:
        if (!config_.IsSaved(known.module) && !EndsWithPart(known.module, "embed_tokens.weight") &&
            !EndsWithPart(known.module, "lm_head.weight"))
          return problems_.Add("unmatched", name);
        return TakeWhole(name, known.module, view);
    }
  }

  // Everything is there: biases are those of matrices or not, and halves have met. What an adapter replaces comes first.
  WeightEdits Finish() {
    for (const auto& [module, view] : biases_) TakeBias(module, view);
    for (const auto& [module, pair] : pairs_) TakePair(module, pair);
    return std::move(edits_);
  }

  const Problems& problems() const { return problems_; }

 private:
  LoraPair& Half(const AdapterName& known, const std::string& name) {
    LoraPair& pair = pairs_[known.module];
    const bool embedding =
        known.role == AdapterRole::kEmbeddingA || known.role == AdapterRole::kEmbeddingB;
    const bool other = !pair.a.empty() || !pair.b.empty();
    if (other && pair.embedding != embedding)
      problems_.Add("unmatched", name + ", beside matrices of another kind");
    pair.embedding = embedding;
    return pair;
  }

  // The model's tensor, and its name in the files.
  const TensorView* FindBase(const std::string& trained, std::string& stored) const {
    stored = names_.Stored(CanonicalName(trained));
    return tensors_.Find(stored);
  }

  void TakeWhole(const std::string& name, const std::string& trained, const TensorView& view) {
    std::string stored;
    const TensorView* base = FindBase(trained, stored);
    if (base == nullptr || !IsReal(base->dtype())) return problems_.Add("unmatched", name);
    if (!(base->shape() == view.shape())) {
      return problems_.Add("mis-shaped",
                           internal::Concat(name, " is ", view.shape().ToString(), ", expected ",
                                            base->shape().ToString(), " (", stored, ")"));
    }
    edits_[stored].push_back({.kind = WeightEdit::Kind::kReplace, .a = view});
  }

  void TakeBias(const std::string& module, const TensorView& view) {
    const bool allowed =
        config_.biases == LoraConfig::Biases::kAll || config_.IsSaved(module) ||
        (config_.biases == LoraConfig::Biases::kOfMatrices && pairs_.contains(module));
    if (!allowed) return problems_.Add("unmatched", module + ".bias");
    TakeWhole(module + ".bias", module + ".bias", view);
  }

  void TakePair(const std::string& module, const LoraPair& pair) {
    if (pair.a.empty() || pair.b.empty())
      return problems_.Add("without a partner",
                           module + (pair.a.empty() ? ": lora_B" : ": lora_A"));
    std::string stored;
    const TensorView* base = FindBase(module + ".weight", stored);
    if (base == nullptr || !IsReal(base->dtype()) || base->rank() < 2)
      return problems_.Add("unmatched", module);
    const int64_t r = config_.RankOf(module);
    Shape a = base->shape(), b = base->shape();
    if (pair.embedding) {
      a = {r, base->dim(0)};
      b = {base->dim(1), r};
    } else {
      a[0] = r;
      b[1] = r;
      for (int axis = 2; axis < b.rank(); ++axis) b[axis] = 1;
    }
    if (!(pair.a.shape() == a) || !(pair.b.shape() == b)) {
      return problems_.Add("mis-shaped",
                           internal::Concat(module, ": A is ", pair.a.shape().ToString(), " and B ",
                                            pair.b.shape().ToString(), ", expected ", a.ToString(),
                                            " and ", b.ToString(), " (rank ", r, ", ", stored, " ",
                                            base->shape().ToString(), ")"));
    }
    edits_[stored].push_back(
        {.kind = pair.embedding ? WeightEdit::Kind::kAddTransposed : WeightEdit::Kind::kAddProduct,
         .a = pair.a,
         .b = pair.b,
         .scale = static_cast<float>(config_.ScaleOf(module))});
  }

  const LoraConfig& config_;
  const TensorSet& tensors_;
  const NameMap& names_;
  std::map<std::string, LoraPair> pairs_;
  std::vector<std::pair<std::string, TensorView>> biases_;
  WeightEdits edits_;
  Problems problems_;
};

std::filesystem::path WeightsOf(const std::filesystem::path& adapter) {
  const std::filesystem::path path = adapter / "adapter_model.safetensors";
  if (!IsThere(path) && IsThere(adapter / "adapter_model.bin")) {
    Throw(Code::kUnimplemented, (adapter / "adapter_model.bin").string(),
          ": is a pickle, which may run any program; expected adapter_model.safetensors "
          "(save_pretrained of PEFT writes it)");
  }
  return path;
}

}  // namespace

LoraAdapter::LoraAdapter(const std::filesystem::path& directory)
    : config_(ReadLoraConfig(directory)), file_(WeightsOf(directory)) {
  if (file_.tensors().empty()) ThrowInvalid(file_.path(), ": has no tensors");
}

void LoraAdapter::AddEdits(const TensorSet& tensors, const NameMap& names, const std::string& model,
                           WeightEdits& edits) const {
  Merge merge(config_, tensors, names);
  for (const auto& [name, view] : file_.tensors()) merge.Take(name, view);
  WeightEdits mine = merge.Finish();
  if (!merge.problems().empty())
    ThrowInvalid(file_.path(), ": the adapter does not fit ", model, merge.problems().ToString());
  for (auto& [name, list] : mine) {
    auto& all = edits[name];
    all.insert(all.end(), list.begin(), list.end());
  }
}

}  // namespace binocle
