#include "fusion/random/make_random.h"

#include <algorithm>
#include <map>

#include "core/output_file.h"
#include "core/safetensors_writer.h"
#include "fusion/convert/forms.h"
#include "fusion/random/random_gguf.h"
#include "fusion/random/random_weights.h"
#include "fusion/random/tokenizer_files.h"
#include "fusion/vlm_model.h"
#include "llm/gguf_config.h"
#include "llm/llm_config.h"

namespace binocle {
namespace {

constexpr std::string_view kTextPrefix = "language_model.";

DType MatrixType(const std::string& name, bool gguf) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kQ80, DType::kQ40})
    if (DTypeName(dtype) == name && (gguf || !IsBlockType(dtype))) return dtype;
  ThrowOption("dtype", "is ", Printable(name, 40), ", expected ",
              gguf ? "f32, f16, bf16, q8_0 or q4_0" : "f32, f16 or bf16 (block types go in .gguf)");
}

// Tensors of a random model, and what is drawn for each.
struct RandomTensors {
  std::vector<NewTensor> tensors;
  std::map<std::string, std::string> asked;  // docs/model_format.md's name of each
  int64_t parameters = 0;
  int64_t bytes = 0;

  void Add(std::string name, std::string asked_name, const Shape& shape, DType dtype) {
    tensors.push_back({.name = std::move(name), .dtype = dtype, .shape = shape});
    asked[tensors.back().name] = std::move(asked_name);
    parameters += shape.elements();
    bytes += tensors.back().bytes();
  }
};

TensorSource SourceOf(Exec& ex, const RandomTensors& all, const ModelConfig& config,
                      const RandomModelOptions& options, int64_t& done) {
  return [&](const NewTensor& tensor, const std::function<void(std::string_view)>& write) {
    const std::string& asked = all.asked.at(tensor.name);
    WriteRandom(ex, tensor, WidthOf(asked, tensor.shape, config), options.seed, asked,
                [&](std::string_view piece) {
                  write(piece);
                  done += std::ssize(piece);
                  if (options.on_progress) options.on_progress(done, all.bytes);
                });
  };
}

RandomModelReport Report(const ModelPreset& preset, const std::string& out,
                         const RandomTensors& all) {
  return {.path = out,
          .preset = preset.name,
          .tensors = std::ssize(all.tensors),
          .parameters = all.parameters,
          .bytes = all.bytes};
}

void WriteRandomJson(const std::filesystem::path& path, const Json& json) {
  if (json.is_null()) return;
  OutputFile file(path);
  file.Write(json.dump(2) + "\n");
  file.Commit();
}

Replace ReplaceBy(const RandomModelOptions& options) {
  return options.overwrite ? Replace::kOlder : Replace::kNothing;
}

RandomModelReport MakeDirectory(Exec& ex, ModelPreset preset, const std::string& out, DType dtype,
                                const RandomModelOptions& options) {
  preset.config["torch_dtype"] = "";
  SetDType(dtype, preset.config);
  NewFolder folder(out, ReplaceBy(options));
  WriteRandomJson(folder.path() / "config.json", preset.config);
  WriteRandomJson(folder.path() / "preprocessor_config.json", preset.processors);
  WriteTokenizerFiles(folder.path(), preset.special, preset.text()["vocab_size"].get<int64_t>());
  // The files say what the weights have to be.
  const ModelConfig config = ReadModelConfig(folder.path(), {});
  const NameMap names =
      FindFamily(JsonObject(preset.config, (folder.path() / "config.json").string())).names({});
  RandomTensors all;
  for (const NeededWeight& weight : ListModelWeights(config, names))
    all.Add(weight.name, AskedName(names, weight.name), weight.shape, dtype);
  CheckRoom(out, all.bytes);
  int64_t done = 0;
  WriteSafetensors(folder.path(), all.tensors, options.shard_bytes,
                   SourceOf(ex, all, config, options, done));
  folder.Commit();
  return Report(preset, out, all);
}

RandomModelReport MakeGguf(Exec& ex, const ModelPreset& preset, const std::string& out, DType dtype,
                           const RandomModelOptions& options) {
  if (!preset.text_only()) {
    ThrowOption("preset", "is ", preset.name, ", expected a text model: ", out,
                " is a GGUF file, which has no towers here");
  }
  ModelConfig config;
  config.text = ParseTextConfig(JsonObject(preset.config, preset.name));
  RandomTensors all;
  const auto needed =
      ListWeights({}, [&](WeightBinder& b) { BindLlama(config.text, b.Under(kTextPrefix)); });
  for (const NeededWeight& weight : needed) {
    all.Add(GgufTextName(std::string_view(weight.name).substr(kTextPrefix.size())), weight.name,
            weight.shape, weight.shape.rank() == 1 ? DType::kF32 : dtype);
  }
  CheckRoom(out, all.bytes);
  OutputFile file(out, ReplaceBy(options));
  int64_t done = 0;
  WriteGguf(file, GgufEntriesOf(preset, config.text, dtype), all.tensors,
            SourceOf(ex, all, config, options, done));
  file.Commit();
  return Report(preset, out, all);
}

}  // namespace

std::vector<RandomPreset> ListRandomPresets() {
  std::vector<RandomPreset> out;
  for (const ModelPreset& preset : ModelPresets())
    out.push_back({.name = preset.name, .about = preset.about, .text_only = preset.text_only()});
  return out;
}

RandomModelReport MakeRandom(Exec& ex, const std::string& preset, const std::string& out,
                             const RandomModelOptions& options) {
  const bool gguf = std::filesystem::path(out).extension() == ".gguf";
  CheckOption("shard_size", options.shard_bytes, int64_t{1} << 20, int64_t{1} << 50);
  ModelPreset found = FindPreset(preset);
  const DType dtype = MatrixType(options.dtype, gguf);
  return gguf ? MakeGguf(ex, found, out, dtype, options)
              : MakeDirectory(ex, std::move(found), out, dtype, options);
}

}  // namespace binocle
