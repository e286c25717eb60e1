#include "fusion/parity/tower_parity.h"

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "core/mapped_file.h"
#include "core/ops/elementwise.h"
#include "core/weight_files.h"
#include "vision/encoder.h"
#include "vision/vision_config.h"

namespace binocle {
namespace {

// How a kind of tower is loaded; nullptr while the binder is checking.
using Bind = std::unique_ptr<VisionEncoder> (*)(const JsonObject& config, FeatureSelection feature,
                                                const DumpInput& input, WeightBinder& binder);

std::unique_ptr<VisionEncoder> BindClipTower(const JsonObject& config, FeatureSelection feature,
                                             const DumpInput&, WeightBinder& b) {
  const ClipConfig clip = ParseClipConfig(config, feature);
  ClipWeights weights = BindClip(clip, b);
  return b.checking() ? nullptr : MakeClipEncoder(clip, std::move(weights));
}

std::unique_ptr<VisionEncoder> BindDinoTower(const JsonObject& config, FeatureSelection feature,
                                             const DumpInput& input, WeightBinder& b) {
  const Dinov2Config dino = ParseDinov2Config(config, feature, input.height, input.width);
  Dinov2Weights weights = BindDinov2(dino, b);
  return b.checking() ? nullptr : MakeDinov2Encoder(dino, std::move(weights));
}

std::unique_ptr<VisionEncoder> BindSiglipTower(const JsonObject& config, FeatureSelection feature,
                                               const DumpInput&, WeightBinder& b) {
  const SiglipConfig siglip = ParseSiglipConfig(config, feature);
  SiglipWeights weights = BindSiglip(siglip, b);
  return b.checking() ? nullptr : MakeSiglipEncoder(siglip, std::move(weights));
}

struct TowerKind {
  std::string_view model_type;
  Bind bind;
};
constexpr TowerKind kTowerKinds[] = {{"clip_vision_model", BindClipTower},
                                     {"dinov2", BindDinoTower},
                                     {"dinov2_with_registers", BindDinoTower},
                                     {"siglip_vision_model", BindSiglipTower}};

const TowerKind* FindTower(const Json& config) {
  const auto type = config.find("model_type");
  for (const TowerKind& kind : kTowerKinds) {
    if (type != config.end() && *type == kind.model_type) return &kind;
  }
  return nullptr;
}

// The files of a tower (IsTower), from which it is loaded once for each state that is read from it: a tower gives one.
class TowerFiles {
 public:
  explicit TowerFiles(const std::filesystem::path& directory)
      : directory_(directory.string()),
        json_(ReadJsonFile(directory / "config.json")),
        config_(json_, (directory / "config.json").string()),
        kind_(*FindTower(json_)),
        tensors_(ReadTensors(directory)) {}

  std::string model_type() const { return std::string(kind_.model_type); }
  int64_t layers() const { return config_.IntOr("num_hidden_layers", 12, 1, 1024); }
  int64_t registers() const {
    return model_type() == "dinov2_with_registers"
               ? config_.IntOr("num_register_tokens", 4, 0, 1024)
               : 0;
  }

  std::unique_ptr<VisionEncoder> Load(Exec& ex, FeatureSelection feature,
                                      const DumpInput& input) const {
    std::unique_ptr<VisionEncoder> tower;
    const auto bind = [&](WeightBinder& b) { tower = kind_.bind(config_, feature, input, b); };
    CheckWeights(tensors_, {}, directory_, bind);
    LoadWeights(ex, tensors_, {}, bind);
    return tower;
  }

 private:
  std::string directory_;
  Json json_;
  JsonObject config_;
  TowerKind kind_;
  TensorSet tensors_;
};

class TowerComparison {
 public:
  TowerComparison(Exec& ex, const TowerFiles& files, const Dump& dump, StageLog& log)
      : ex_(ex), files_(files), dump_(dump), log_(log) {}

  void Run(int64_t input) {
    const std::string prefix = internal::Concat("input", input, ".");
    for (int64_t state = 0; state <= files_.layers(); ++state) {
      const bool embeddings = state == 0;
      Compare(input, prefix + "hidden." + std::to_string(state), {.layer = state},
              {.name = embeddings ? "embeddings" : "layer",
               .input = input,
               .layer = embeddings ? -1 : state - 1});
    }
    if (files_.model_type() == "clip_vision_model") return;  // normed nowhere but in its pooler
    Compare(input, prefix + "normed", {.layer = -1, .final_norm = true},
            {.name = "final norm", .input = input});
    ComparePooled(input, prefix + "pooled");
  }

 private:
  void Compare(int64_t index, const std::string& tensor, FeatureSelection feature,
               ParityStage stage) {
    if (!dump_.Has(tensor)) return;
    feature.keep_class_token = true;
    const DumpInput& input = dump_.inputs()[static_cast<size_t>(index)];
    const auto tower = files_.Load(ex_, feature, input);
    if (tower->image_height() != input.height || tower->image_width() != input.width) {
      dump_.OfAnotherModel(internal::Concat("input ", index, " is ", input.height, "×", input.width,
                                            ", expected ", tower->image_height(), "×",
                                            tower->image_width(), " (config.json: image_size)"));
    }
    const int64_t rows = tower->tokens();
    const int64_t registers = files_.registers();
    Tensor got = Tensor::F32({rows, tower->width()}, "features");
    tower->Encode(ex_, HashPixels(input), got, nullptr);
    // Registers lie between the class token and the patches.
    const Tensor stored =
        dump_.Read(tensor, {rows + registers, tower->width()}, "config.json: [tokens, width]");
    Tensor want = Tensor::F32({rows, tower->width()}, "dump");
    for (int64_t r = 0; r < rows; ++r)
      std::copy_n(stored.row(r == 0 ? 0 : r + registers), tower->width(), want.row(r));
    log_.AddNear(std::move(stage), CompareRows(got, want));
  }

  void ComparePooled(int64_t index, const std::string& tensor) {
    if (!dump_.Has(tensor)) return;
    const DumpInput& input = dump_.inputs()[static_cast<size_t>(index)];
    const auto tower = files_.Load(ex_, {.layer = -1}, input);
    if (!tower->Has(ClassOutput::kPooled)) {
      dump_.OfAnotherModel(
          internal::Concat("input ", index, " has a pooled output, and the tower has no head"));
    }
    const Tensor got = Tensor::F32({1, tower->width()}, "pooled", ex_.place());
    tower->EncodeWhole(ex_, HashPixels(input), ClassOutput::kPooled, got);
    Tensor on_host;
    Tensor want = dump_.Read(tensor, {tower->width()}, "config.json: hidden_size");
    log_.AddNear(
        {.name = "pooled", .input = index},
        CompareRows(OnHost(ex_, got, on_host), std::move(want).Reshaped({1, tower->width()})));
  }

  Exec& ex_;
  const TowerFiles& files_;
  const Dump& dump_;
  StageLog& log_;
};

}  // namespace

bool IsTower(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "config.json";
  if (directory.extension() == ".gguf" || !IsThere(path)) return false;
  return FindTower(ReadJsonFile(path)) != nullptr;
}

void CompareTower(Exec& ex, const std::filesystem::path& directory, const Dump& dump,
                  StageLog& log) {
  const TowerFiles files(directory);
  if (dump.model_type() && *dump.model_type() != files.model_type()) {
    dump.OfAnotherModel("model_type is " + Printable(*dump.model_type(), 60) + ", expected " +
                        files.model_type());
  }
  if (dump.inputs().empty()) dump.OfAnotherModel("it has no inputs of a tower");
  TowerComparison comparison(ex, files, dump, log);
  for (int64_t i = 0; i < std::ssize(dump.inputs()); ++i) comparison.Run(i);
}

}  // namespace binocle
