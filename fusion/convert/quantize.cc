#include "fusion/convert/quantize.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "core/output_file.h"
#include "core/safetensors_writer.h"
#include "fusion/convert/forms.h"
#include "fusion/convert/model_folder.h"
#include "fusion/vlm_model.h"

namespace binocle {
namespace {

using MatricesByName = std::map<std::string, const AskedMatrix*>;
using ShapesByName = std::map<std::string, std::array<int32_t, 2>>;

// Tensors as they are, but for those that packed ones take the place of.
std::vector<NewTensor> KeptTensors(const TensorSet& tensors, const ModelMatrices& model) {
  std::set<std::string> replaced;
  for (const AskedMatrix& matrix : model.matrices)
    replaced.insert(matrix.stored.begin(), matrix.stored.end());
  std::vector<NewTensor> kept;
  for (const auto& [name, view] : tensors.tensors()) {
    if (!replaced.contains(name) || model.other_tensors.contains(name))
      kept.push_back({.name = name, .dtype = view.dtype(), .shape = view.shape()});
  }
  return kept;
}

void WritePacked(Exec& ex, const AskedMatrix& matrix,
                 const std::function<void(std::string_view)>& write) {
  const LinearWeights w = PackLinear(ex, matrix.parts, matrix.kind);
  const auto* bytes = static_cast<const char*>(w.compact.own.view().data());
  write({bytes, static_cast<size_t>(w.compact.bytes())});
  if (matrix.bias == Bias::kAbsent) return;
  std::vector<float> bias(static_cast<size_t>(w.panels() * kPanelWidth));
  std::copy_n(w.bias.f32(), w.n, bias.begin());
  write({reinterpret_cast<const char*>(bias.data()), bias.size() * sizeof(float)});
}

}  // namespace

QuantizeReport QuantizeDirectory(Exec& ex, const std::string& from, const std::string& out,
                                 const QuantizeOptions& options, const KindsByName& kinds) {
  CheckOption("shard_size", options.shard_bytes, int64_t{1} << 20, int64_t{1} << 50);
  CheckIsDirectory(from, "model directory");
  CheckApart(out, from);
  { const NewFolder probe(out, options.overwrite ? Replace::kOlder : Replace::kNothing); }
  const CheckedModel checked(from, {.kinds = kinds});
  if (checked.packed()) {
    Throw(Code::kFailedPrecondition, from, ": is packed already (", *checked.packed(),
          "), expected a model as it was trained");
  }
  const std::filesystem::path directory = from;
  const Json json = ReadJsonFile(directory / "config.json");
  const ModelFiles files{.directory = directory,
                         .config = JsonObject(json, (directory / "config.json").string())};
  const DirectoryForm form =
      SameForm(files, checked.config(), FindFamily(files.config).names(checked.tensors()));

  const ModelMatrices model = ListModelMatrices(checked);
  std::vector<NewTensor> tensors = KeptTensors(checked.tensors(), model);
  MatricesByName matrices;
  ShapesByName shapes;
  for (const AskedMatrix& matrix : model.matrices) {
    const std::string name = PackedName(matrix.name, matrix.kind);
    if (!matrices.emplace(name, &matrix).second) continue;
    tensors.push_back({.name = name,
                       .dtype = DType::kU8,
                       .shape = {PackedBytes(matrix.n, matrix.k, matrix.bias, matrix.kind)}});
    const std::string shape_name = PackedShapeName(matrix.name, matrix.kind);
    shapes[shape_name] = {static_cast<int32_t>(matrix.n), static_cast<int32_t>(matrix.k)};
    tensors.push_back({.name = shape_name, .dtype = DType::kI32, .shape = {2}});
  }
  QuantizeReport report{
      .path = out, .matrices = std::ssize(matrices), .tensors = std::ssize(tensors)};
  for (const NewTensor& tensor : tensors) report.bytes += tensor.bytes();
  for (const auto& [name, view] : checked.tensors().tensors()) report.from_bytes += view.bytes();
  CheckRoom(out, report.bytes);
  NewFolder folder(out, options.overwrite ? Replace::kOlder : Replace::kNothing);
  int64_t done = 0;
  WriteSafetensors(
      folder.path(), tensors, options.shard_bytes, [&](const NewTensor& tensor, const auto& write) {
        const auto tell = [&](std::string_view piece) {
          write(piece);
          done += std::ssize(piece);
          if (options.on_progress) options.on_progress(done, report.bytes);
        };
        if (const auto it = matrices.find(tensor.name); it != matrices.end())
          return WritePacked(ex, *it->second, tell);
        if (const auto it = shapes.find(tensor.name); it != shapes.end())
          return tell({reinterpret_cast<const char*>(it->second.data()), sizeof it->second});
        const TensorView& stored = *checked.tensors().Find(tensor.name);
        tell({static_cast<const char*>(stored.data()), static_cast<size_t>(stored.bytes())});
      });
  WriteJson(folder.path() / "config.json", form.config);
  WriteJson(folder.path() / "preprocessor_config.json", form.preprocessor);
  WriteJson(folder.path() / "processor_config.json", form.processor);
  if (form.processor.is_null()) CopySmallFile(directory, folder.path(), "processor_config.json");
  CopyModelFiles(directory, folder.path(), true);
  if (const auto* text = checked.config().text_path(); text && !HasTokenizer(folder.path()))
    CopyModelFiles(*text, folder.path(), false);
  const CheckedModel written(folder.path(), {});  // what was written is what is read
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    report.files.push_back(entry.path().filename().string());
  std::sort(report.files.begin(), report.files.end());
  folder.Commit();
  return report;
}

}  // namespace binocle
