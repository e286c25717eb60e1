#include "fusion/convert/convert.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "core/convert.h"
#include "core/mapped_file.h"
#include "core/output_file.h"
#include "core/safetensors_writer.h"
#include "fusion/convert/forms.h"
#include "fusion/convert/lora_adapter.h"
#include "fusion/convert/model_folder.h"
#include "fusion/vlm_model.h"

namespace binocle {
namespace {

std::optional<DType> DTypeOption(const std::string& name) {
  if (name.empty()) return std::nullopt;
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16})
    if (DTypeName(dtype) == name) return dtype;
  ThrowOption("dtype", "is ", Printable(name, 40), ", expected f32, f16 or bf16");
}

void CheckOptions(const ConvertOptions& options) {
  if (!options.to.empty() && options.to != "binocle" && options.to != "hf")
    ThrowOption("to", "is ", Printable(options.to, 40), ", expected binocle or hf");
  CheckOption("shard_size", options.shard_bytes, int64_t{1} << 20, int64_t{1} << 50);
}

std::vector<NewTensor> NewTensors(const TensorSet& tensors, const NameMap& old_names,
                                  const NameMap& new_names, std::optional<DType> dtype) {
  std::vector<NewTensor> out;
  for (const auto& [name, view] : tensors.tensors()) {
    out.push_back({.name = new_names.Stored(AskedName(old_names, name)),
                   .dtype = dtype && IsReal(view.dtype()) ? *dtype : view.dtype(),
                   .shape = view.shape()});
  }
  return out;
}

ModelOverrides OverridesOf(const ConvertOptions& options) {
  if (options.conversation.empty()) return {};
  if (options.to != "binocle")
    ThrowOption("conversation", "goes with the form binocle, which says how chats are written");
  return {.conversation = ParseOption("conversation", [&] {
            return ParseConversationStyle(options.conversation, "conversation");
          })};
}

// A model that is there, as files.
struct Source {
  Source(const std::string& path, const ModelOverrides& overrides)
      : checked(path, overrides),
        json(ReadJsonFile(std::filesystem::path(path) / "config.json")),
        files{.directory = path,
              .config = JsonObject(json, (std::filesystem::path(path) / "config.json").string())},
        names(FindFamily(files.config).names(checked.tensors())) {}

  CheckedModel checked;
  Json json;
  ModelFiles files;
  NameMap names;
};

DirectoryForm FormOf(const Source& source, const std::string& to) {
  if (to == "binocle") return ToBinocleForm(source.files, source.checked.config(), source.names);
  if (to == "hf") return ToHuggingFaceForm(source.files, source.checked.config(), source.names);
  return SameForm(source.files, source.checked.config(), source.names);
}

// A tied model has its head in the embedding table; a matrix of its own beside it is read by nobody.
void CheckHead(const WeightEdits& edits, const ModelConfig& config, const std::string& from) {
  if (!config.text.tied_head) return;
  for (const auto& [name, list] : edits) {
    if (name.ends_with("lm_head.weight"))
      ThrowInvalid(
          from, ": the adapter changes ", name,
          ", which the model does not read: its head is the embedding table (tie_word_embeddings)");
  }
}

WeightEdits EditsOf(const Source& source, const std::string& from,
                    const std::vector<std::unique_ptr<LoraAdapter>>& adapters) {
  WeightEdits edits;
  for (const auto& adapter : adapters)
    adapter->AddEdits(source.checked.tensors(), source.names, from, edits);
  CheckHead(edits, source.checked.config(), from);
  return edits;
}

std::vector<std::unique_ptr<LoraAdapter>> ReadAdapters(const std::vector<std::string>& paths) {
  std::vector<std::unique_ptr<LoraAdapter>> adapters;
  for (const std::string& path : paths) {
    CheckIsDirectory(path, "adapter directory");
    adapters.push_back(std::make_unique<LoraAdapter>(path));
  }
  return adapters;
}

}  // namespace

ConvertReport ConvertDirectory(Exec& ex, const std::string& from, const std::string& out,
                               const ConvertOptions& options) {
  CheckOptions(options);
  const std::optional<DType> dtype = DTypeOption(options.dtype);
  CheckIsDirectory(from, "model directory");
  CheckApart(out, from);
  for (const std::string& adapter : options.lora) CheckApart(out, adapter);
  // Said before minutes of reading, and said again by whoever came later.
  { const NewFolder probe(out, options.overwrite ? Replace::kOlder : Replace::kNothing); }
  const auto adapters = ReadAdapters(options.lora);
  const Source source(from, OverridesOf(options));
  DirectoryForm form = FormOf(source, options.to);
  if (dtype) SetDType(*dtype, form.config);
  const WeightEdits edits = EditsOf(source, from, adapters);

  const TensorSet& stored = source.checked.tensors();
  const std::vector<NewTensor> tensors = NewTensors(stored, source.names, form.names, dtype);
  ConvertReport report{.path = out,
                       .model_type = form.model_type,
                       .tensors = std::ssize(tensors),
                       .merged_tensors = std::ssize(edits),
                       .notes = std::move(form.notes)};
  std::map<std::string, std::string> old_names;
  auto name = stored.tensors().begin();
  for (const NewTensor& tensor : tensors) {
    report.bytes += tensor.bytes();
    old_names[tensor.name] = (name++)->first;
  }
  CheckRoom(out, report.bytes);
  NewFolder folder(out, options.overwrite ? Replace::kOlder : Replace::kNothing);
  int64_t done = 0;
  const auto write_tensor = [&](const NewTensor& tensor, const auto& write) {
    const std::string& old_name = old_names.at(tensor.name);
    const auto found = edits.find(old_name);
    static const std::vector<WeightEdit> kNone;
    WriteEdited(ex, *stored.Find(old_name), found == edits.end() ? kNone : found->second, tensor,
                [&](std::string_view piece) {
                  write(piece);
                  done += std::ssize(piece);
                  if (options.on_progress) options.on_progress(done, report.bytes);
                });
  };
  WriteSafetensors(folder.path(), tensors, options.shard_bytes, write_tensor);
  WriteJson(folder.path() / "config.json", form.config);
  WriteJson(folder.path() / "preprocessor_config.json", form.preprocessor);
  WriteJson(folder.path() / "processor_config.json", form.processor);
  if (options.to.empty() && form.processor.is_null())
    CopySmallFile(source.files.directory, folder.path(), "processor_config.json");
  CopyModelFiles(source.files.directory, folder.path(), adapters.empty());
  if (const auto* text = source.checked.config().text_path(); text && !HasTokenizer(folder.path()))
    CopyModelFiles(*text, folder.path(), false);
  ReadModelConfig(folder.path(), {});  // what was written is what is read
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    report.files.push_back(entry.path().filename().string());
  std::sort(report.files.begin(), report.files.end());
  folder.Commit();
  return report;
}

}  // namespace binocle
