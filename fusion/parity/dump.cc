#include "fusion/parity/dump.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "core/convert.h"
#include "core/mapped_file.h"
#include "vision/decode.h"

namespace binocle {
namespace {

constexpr size_t kMaxListed = 4096;                 // pictures, requests or inputs of a dump
constexpr int64_t kMaxInputSide = 4096;             // pixels of a tower's input
constexpr int64_t kMaxPicturePixels = 100'000'000;  // as of pictures in files

// FILE of FILE.json or FILE.safetensors. Other dots belong to the name.
std::filesystem::path Stem(std::filesystem::path path) {
  if (path.extension() == ".json" || path.extension() == ".safetensors") path.replace_extension();
  return path;
}

std::filesystem::path With(std::filesystem::path stem, const char* extension) {
  stem += extension;
  return stem;
}

// A file of the dump. That it is missing is said in words of the whole.
std::filesystem::path Part(const std::filesystem::path& path, const char* extension) {
  const std::filesystem::path file = With(Stem(path), extension);
  if (!IsThere(file)) {
    Throw(Code::kNotFound, file.string(),
          ": no such file, expected a dump of two files, .json and .safetensors "
          "(tools/reference/dump.py makes them)");
  }
  return file;
}

const Json& ListOf(const JsonObject& json, const char* key) {
  static const Json kNone = Json::array();
  if (!json.Has(key)) return kNone;
  const Json& list = json.json()[key];
  if (!list.is_array() || list.size() > kMaxListed)
    json.Fail(key, internal::Concat("a list of at most ", kMaxListed));
  return list;
}

std::vector<int32_t> IdsOf(const JsonObject& json, const char* key, int64_t lowest) {
  const Json* list = json.Has(key) ? &json.json()[key] : nullptr;
  if (list == nullptr || !list->is_array()) json.Fail(key, "a list of token ids");
  std::vector<int32_t> ids;
  for (const Json& id : *list) {
    const bool fits = id.is_number_integer() &&
                      (!id.is_number_unsigned() || id.get<uint64_t>() <= INT32_MAX) &&
                      id.get<int64_t>() >= lowest;
    if (!fits) json.Fail(key, internal::Concat("a list of token ids, ", lowest, " to ", INT32_MAX));
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

DumpRequest RequestOf(const JsonObject& json, const std::vector<std::string>& images) {
  DumpRequest request;
  for (const Json& name : ListOf(json, "images")) {
    const auto found = std::find_if(images.begin(), images.end(),
                                    [&](const std::string& image) { return name == image; });
    if (found == images.end()) json.Fail("images", "names of the dump's images");
    request.images.push_back(found - images.begin());
  }
  const std::string format = json.Choice("prompt_format", "raw", {"raw", "chat", "ids"});
  request.chat = format == "chat";
  if (format != "ids") request.prompt = json.String("prompt");
  if (json.Has("system")) request.system = json.String("system");
  request.prompt_ids = IdsOf(json, "prompt_token_ids", INT32_MIN);
  request.tokens = IdsOf(json, "token_ids", 0);
  if (request.prompt_ids.empty()) json.Fail("prompt_token_ids", "at least one id");
  return request;
}

std::string RowName(const std::string& where, const char* list, size_t index) {
  return internal::Concat(where, ": ", list, "[", index, "]");
}

}  // namespace

Tensor HashPixels(const DumpInput& input) {
  const auto height = static_cast<uint32_t>(input.height);
  const auto width = static_cast<uint32_t>(input.width);
  Tensor pixels = Tensor::F32({3, input.height, input.width}, "pixels");
  float* out = pixels.f32();
  for (uint32_t c = 0; c < 3; ++c) {
    for (uint32_t y = 0; y < height; ++y) {
      for (uint32_t x = 0; x < width; ++x) {
        uint32_t h = x * 374761393U + y * 668265263U + c * 2246822519U + input.seed * 3266489917U;
        h ^= h >> 15;
        h *= 2246822519U;
        h ^= h >> 13;
        h *= 3266489917U;
        h ^= h >> 16;
        *out++ = static_cast<float>(h & 65535) / 16384.0F - 2.0F;
      }
    }
  }
  return pixels;
}

Dump::Dump(const std::filesystem::path& path)
    : directory_(path.parent_path()),
      where_(Stem(path).string()),
      tensors_(Part(path, ".safetensors")) {
  const std::filesystem::path json_path = Part(path, ".json");
  const Json parsed = ReadJsonFile(json_path);
  const JsonObject json(parsed, json_path.string());
  if (json.Has("model_type")) model_type_ = json.String("model_type");
  in_bf16_ = json.Choice("dtype", "f32", {"f32", "bf16"}) == "bf16";
  for (const Json& name : ListOf(json, "images")) {
    if (!name.is_string()) json.Fail("images", "a list of names");
    images_.push_back(name.get<std::string>());
  }
  checksums_ = ListOf(json, "pixels_crc32");
  const Json& requests = ListOf(json, "requests");
  for (size_t i = 0; i < requests.size(); ++i) {
    requests_.push_back(
        RequestOf(JsonObject(requests[i], RowName(json.where(), "requests", i)), images_));
  }
  const Json& inputs = ListOf(json, "inputs");
  for (size_t i = 0; i < inputs.size(); ++i) {
    const JsonObject row(inputs[i], RowName(json.where(), "inputs", i));
    inputs_.push_back({.height = row.Int("height", 1, kMaxInputSide),
                       .width = row.Int("width", 1, kMaxInputSide),
                       .seed = static_cast<uint32_t>(row.Int("seed", 0, UINT32_MAX))});
  }
  if (requests_.empty() && inputs_.empty())
    ThrowInvalid(json.where(), ": has no requests, expected at least one");
}

Image Dump::Picture(int64_t image) const {
  const std::string name = internal::Concat("image", image, ".rgb");
  const auto found = tensors_.tensors().find(name);
  if (found == tensors_.tensors().end())
    return ReadImage(directory_ / images_[static_cast<size_t>(image)], {});
  const TensorView& rgb = found->second;
  const bool is_picture = rgb.dtype() == DType::kU8 && rgb.rank() == 3 && rgb.dim(2) == 3 &&
                          rgb.dim(0) > 0 && rgb.dim(1) > 0 &&
                          rgb.elements() / 3 <= kMaxPicturePixels;
  if (!is_picture) {
    ThrowInvalid(tensors_.path(), ": ", name, " is ", DTypeName(rgb.dtype()), " ",
                 rgb.shape().ToString(), ", expected u8 [height, width, 3] of at most ",
                 kMaxPicturePixels, " pixels");
  }
  Image picture(rgb.dim(1), rgb.dim(0));
  std::memcpy(picture.rgb.data(), rgb.data(), picture.rgb.size());
  return picture;
}

Company Dump::CompanyOf(int64_t image) const {
  std::optional<Company> company;
  for (const DumpRequest& request : requests_) {
    if (std::find(request.images.begin(), request.images.end(), image) == request.images.end())
      continue;
    const Company here = request.images.size() > 1 ? Company::kAmongOthers : Company::kAlone;
    if (company && *company != here) return Company::kAlone;
    company = here;
  }
  return company.value_or(Company::kAlone);
}

std::optional<PixelChecksums> Dump::Checksums(int64_t image, const std::string& role) const {
  const auto index = static_cast<size_t>(image);
  if (index >= checksums_.size()) return std::nullopt;
  const std::string where = RowName(where_ + ".json", "pixels_crc32", index);
  const JsonObject row(checksums_[index], where);
  if (!row.Has(role)) return std::nullopt;
  const JsonObject sums = row.Object(role);
  return PixelChecksums{.bytes = static_cast<uint32_t>(sums.Int("u8", 0, UINT32_MAX)),
                        .values = static_cast<uint32_t>(sums.Int("f32", 0, UINT32_MAX))};
}

void Dump::OfAnotherModel(const std::string& what) const {
  Throw(Code::kFailedPrecondition, where_, ": is a dump of another model: ", what);
}

const TensorView& Dump::Find(const std::string& tensor, const Shape& shape,
                             const std::string& why) const {
  const auto found = tensors_.tensors().find(tensor);
  if (found == tensors_.tensors().end()) ThrowInvalid(tensors_.path(), ": ", tensor, " is missing");
  if (!IsReal(found->second.dtype())) {
    ThrowInvalid(tensors_.path(), ": ", tensor, " is ", DTypeName(found->second.dtype()),
                 ", expected f32, f16 or bf16");
  }
  if (found->second.shape() != shape) {
    OfAnotherModel(internal::Concat(tensor, " is ", found->second.shape().ToString(), ", expected ",
                                    shape.ToString(), " (", why, ")"));
  }
  return found->second;
}

void Dump::ReadValues(const std::string& name, const TensorView& stored, int64_t begin,
                      int64_t count, float* out) const {
  ReadAsF32(stored, begin, count, out);
  const float* bad = std::find_if_not(out, out + count, [](float x) { return std::isfinite(x); });
  if (bad == out + count) return;
  ThrowInvalid(tensors_.path(), ": ", name, " has ", *bad, " at ", begin + (bad - out),
               ", expected finite numbers");
}

Tensor Dump::Read(const std::string& tensor, const Shape& shape, const std::string& why) const {
  const TensorView& stored = Find(tensor, shape, why);
  Tensor values = Tensor::F32(shape, "dump");
  ReadValues(tensor, stored, 0, stored.elements(), values.f32());
  return values;
}

void Dump::ReadRows(const std::string& tensor, int64_t rows, int64_t begin,
                    const TensorView& out) const {
  const int64_t width = out.dim(1);
  const TensorView& stored =
      Find(tensor, {rows, width}, "prompt_token_ids, and the model's hidden_size");
  for (int64_t r = 0; r < out.dim(0); ++r)
    ReadValues(tensor, stored, (begin + r) * width, width, out.row(r));
}

}  // namespace binocle
