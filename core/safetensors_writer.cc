#include "core/safetensors_writer.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "core/json.h"
#include "core/output_file.h"

namespace binocle {
namespace {

constexpr size_t kLine = 64;

constexpr const char* TypeName(DType dtype) {
  switch (dtype) {
    case DType::kF32: return "F32";
    case DType::kF16: return "F16";
    case DType::kBF16: return "BF16";
    case DType::kI32: return "I32";
    case DType::kU8: return "U8";
    default: return nullptr;
  }
}

// Bytes that are whole lines of the cache first, so that each begins with one; then wider types before narrower ones.
int64_t Order(const NewTensor& tensor) {
  const bool lines = tensor.dtype == DType::kU8 && tensor.bytes() % kLine == 0;
  return lines ? 0 : 16 - DTypeSize(tensor.dtype);
}

using Shard = std::vector<const NewTensor*>;

std::vector<Shard> ShardsOf(const std::vector<NewTensor>& tensors, int64_t shard_bytes) {
  std::vector<Shard> shards(1);
  int64_t bytes = 0;
  for (const NewTensor& tensor : tensors) {
    if (!shards.back().empty() && tensor.bytes() > shard_bytes - bytes) {
      shards.emplace_back();
      bytes = 0;
    }
    shards.back().push_back(&tensor);
    bytes += tensor.bytes();
  }
  for (Shard& shard : shards) {
    std::stable_sort(shard.begin(), shard.end(),
                     [](const NewTensor* a, const NewTensor* b) { return Order(*a) < Order(*b); });
  }
  return shards;
}

// The length and the JSON, padded with blanks so that the data begin with a line.
std::string HeaderOf(const Shard& shard) {
  OrderedJson header;
  header["__metadata__"] = {{"format", "pt"}};
  int64_t end = 0;
  for (const NewTensor* tensor : shard) {
    BINOCLE_CHECK(TypeName(tensor->dtype) != nullptr, tensor->name, " ", DTypeName(tensor->dtype));
    OrderedJson shape = OrderedJson::array();
    for (int i = 0; i < tensor->shape.rank(); ++i) shape.push_back(tensor->shape[i]);
    const int64_t begin = end;
    end += tensor->bytes();
    header[tensor->name] = {{"dtype", TypeName(tensor->dtype)},
                            {"shape", std::move(shape)},
                            {"data_offsets", {begin, end}}};
  }
  std::string text = header.dump();
  text.append((kLine - (text.size() + 8) % kLine) % kLine, ' ');
  const uint64_t length = text.size();
  std::string out(8, '\0');
  std::memcpy(out.data(), &length, 8);
  return out + text;
}

void WriteShard(const std::filesystem::path& path, const Shard& shard, const TensorSource& source) {
  OutputFile file(path);
  file.Write(HeaderOf(shard));
  for (const NewTensor* tensor : shard) {
    const int64_t begin = file.bytes();
    source(*tensor, [&](std::string_view piece) { file.Write(piece); });
    BINOCLE_CHECK(file.bytes() - begin == tensor->bytes(), tensor->name);
  }
  file.Commit();
}

void WriteIndex(const std::filesystem::path& path, const std::vector<Shard>& shards,
                const std::vector<std::string>& names) {
  Json map = Json::object();
  int64_t bytes = 0;
  for (size_t i = 0; i < shards.size(); ++i) {
    for (const NewTensor* tensor : shards[i]) {
      map[tensor->name] = names[i];
      bytes += tensor->bytes();
    }
  }
  const Json index = {{"metadata", {{"total_size", bytes}}}, {"weight_map", std::move(map)}};
  OutputFile file(path);
  file.Write(index.dump(2) + "\n");
  file.Commit();
}

}  // namespace

std::vector<std::string> WriteSafetensors(const std::filesystem::path& directory,
                                          const std::vector<NewTensor>& tensors,
                                          int64_t shard_bytes, const TensorSource& source) {
  const std::vector<Shard> shards = ShardsOf(tensors, shard_bytes);
  std::vector<std::string> names;
  for (size_t i = 0; i < shards.size(); ++i) {
    char name[64] = "model.safetensors";
    if (shards.size() > 1)
      std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", i + 1, shards.size());
    names.emplace_back(name);
    WriteShard(directory / names.back(), shards[i], source);
  }
  if (shards.size() > 1) {
    WriteIndex(directory / "model.safetensors.index.json", shards, names);
    names.emplace_back("model.safetensors.index.json");
  }
  return names;
}

}  // namespace binocle
