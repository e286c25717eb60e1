#include "core/gguf.h"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <tuple>
#include <utility>

namespace binocle {
namespace {

struct StoredType {
  uint32_t number;
  std::string_view name;
  std::optional<DType> dtype;  // none: known by name only
};

constexpr StoredType kStoredTypes[] = {
    {0, "F32", DType::kF32},       {1, "F16", DType::kF16},       {30, "BF16", DType::kBF16},
    {26, "I32", DType::kI32},      {8, "Q8_0", DType::kQ80},      {2, "Q4_0", DType::kQ40},
    {3, "Q4_1", DType::kQ41},      {6, "Q5_0", DType::kQ50},      {7, "Q5_1", DType::kQ51},
    {12, "Q4_K", DType::kQ4K},     {13, "Q5_K", DType::kQ5K},     {14, "Q6_K", DType::kQ6K},
    {9, "Q8_1", std::nullopt},     {10, "Q2_K", std::nullopt},    {11, "Q3_K", std::nullopt},
    {15, "Q8_K", std::nullopt},    {16, "IQ2_XXS", std::nullopt}, {17, "IQ2_XS", std::nullopt},
    {18, "IQ3_XXS", std::nullopt}, {19, "IQ1_S", std::nullopt},   {20, "IQ4_NL", std::nullopt},
    {21, "IQ3_S", std::nullopt},   {22, "IQ2_S", std::nullopt},   {23, "IQ4_XS", std::nullopt},
    {24, "I8", std::nullopt},      {25, "I16", std::nullopt},     {27, "I64", std::nullopt},
    {28, "F64", std::nullopt},     {29, "IQ1_M", std::nullopt},   {34, "TQ1_0", std::nullopt},
    {35, "TQ2_0", std::nullopt},   {39, "MXFP4", std::nullopt},   {40, "NVFP4", std::nullopt},
    {41, "Q1_0", std::nullopt}};

// What the header says of a tensor.
struct TensorInfo {
  std::string_view name;
  DType dtype;
  Shape shape;
  int64_t bytes;
  uint64_t offset;  // in the data

  std::string ToString() const {
    return internal::Concat("tensor ", Printable(name, 120), " (bytes ", offset, " to ",
                            offset + static_cast<uint64_t>(bytes), " of the data)");
  }
};

DType ReadElementType(GgufCursor& cursor, std::string_view name) {
  const auto number = cursor.Number<uint32_t>();
  std::string_view found = "unknown";
  std::string known;
  for (const StoredType& type : kStoredTypes) {
    if (type.number == number) found = type.name;
    if (type.number == number && type.dtype) return *type.dtype;
    if (type.dtype) known += (known.empty() ? "" : ", ") + std::string(type.name);
  }
  Throw(Code::kUnimplemented, cursor.where(), ": tensor ", Printable(name, 120), " is of type ",
        found, " (", number, "), expected one of ", known);
}

Shape ReadShape(GgufCursor& cursor) {
  const auto rank = cursor.Number<uint32_t>();
  if (rank > Shape::kMaxRank)
    cursor.Fail(internal::Concat("has ", rank, " dimensions, expected at most 4"));
  int64_t extents[Shape::kMaxRank];
  int64_t strides = 1;  // empty extents count as 1 in them, and they have to fit too
  for (uint32_t i = 0; i < rank; ++i) {
    const auto extent = cursor.Number<uint64_t>();
    if (extent > static_cast<uint64_t>(INT64_MAX) ||
        __builtin_mul_overflow(strides, std::max<int64_t>(static_cast<int64_t>(extent), 1),
                               &strides)) {
      cursor.Fail(internal::Concat("has extent ", extent, " in dimension ", i,
                                   ", expected a product that fits 63 bits"));
    }
    extents[i] = static_cast<int64_t>(extent);
  }
  Shape shape;
  for (uint32_t i = rank; i > 0; --i) shape.Append(extents[i - 1]);
  if (rank == 0) shape.Append(1);  // a scalar
  return shape;
}

TensorInfo ReadTensorInfo(GgufCursor& cursor, uint64_t number) {
  cursor.About(internal::Concat("tensor ", number));
  TensorInfo info{};
  info.name = cursor.String(GgufFile::kMaxNameBytes);
  cursor.About(internal::Concat("tensor ", Printable(info.name, 120)));
  info.shape = ReadShape(cursor);
  info.dtype = ReadElementType(cursor, info.name);
  info.offset = cursor.Number<uint64_t>();
  const DTypeUnit unit = UnitOf(info.dtype);
  const int64_t row = info.shape[info.shape.rank() - 1];
  if (row % unit.elements != 0) {
    cursor.Fail(internal::Concat("is ", DTypeName(info.dtype), " ", info.shape.ToString(),
                                 ", expected a last extent of whole blocks of ", unit.elements));
  }
  if (__builtin_mul_overflow(info.shape.elements() / unit.elements, unit.bytes, &info.bytes)) {
    cursor.Fail(internal::Concat("is ", DTypeName(info.dtype), " ", info.shape.ToString(),
                                 ", expected bytes that fit 63 bits"));
  }
  return info;
}

uint64_t ReadAlignment(const GgufMetadata& metadata) {
  const int64_t alignment = metadata.IntOr("general.alignment", 32, 1, GgufFile::kMaxAlignment);
  if ((alignment & (alignment - 1)) != 0) metadata.Fail("general.alignment", "a power of two");
  return static_cast<uint64_t>(alignment);
}

// Every tensor lies in the data, at a multiple of the alignment, apart from the others. What lies between them is nobody's business:
// writers pad as they like.
void CheckPlaces(std::vector<TensorInfo>& infos, uint64_t alignment, uint64_t data_bytes,
                 const std::string& where) {
  for (const TensorInfo& info : infos) {
    if (info.offset % alignment != 0) {
      ThrowInvalid(where, ": tensor ", Printable(info.name, 120), " has offset ", info.offset,
                   ", expected a multiple of ", alignment, " (general.alignment)");
    }
    const auto bytes = static_cast<uint64_t>(info.bytes);
    if (info.offset > data_bytes || bytes > data_bytes - info.offset) {
      ThrowInvalid(where, ": tensor ", Printable(info.name, 120), " has ", bytes,
                   " bytes at offset ", info.offset, ", the data has ", data_bytes);
    }
  }
  std::sort(infos.begin(), infos.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return std::tie(a.offset, a.bytes, a.name) < std::tie(b.offset, b.bytes, b.name);
  });
  for (size_t i = 1; i < infos.size(); ++i) {
    const TensorInfo& before = infos[i - 1];
    if (before.offset + static_cast<uint64_t>(before.bytes) > infos[i].offset)
      ThrowInvalid(where, ": ", before.ToString(), " and ", infos[i].ToString(), " overlap");
  }
}

void CheckHead(GgufCursor& cursor) {
  cursor.About("header");
  if (cursor.Bytes(4) != "GGUF") ThrowInvalid(cursor.where(), ": is no GGUF file");
  const auto version = cursor.Number<uint32_t>();
  if (version == 2 || version == 3) return;
  if ((version & 0xFFFF) == 0 && version != 0)
    Throw(Code::kUnimplemented, cursor.where(), ": is big-endian, expected a little-endian file");
  Throw(Code::kUnimplemented, cursor.where(), ": is of GGUF version ", version,
        ", expected 2 or 3");
}

// "-00002-of-00003.gguf", as llama.cpp names parts.
std::string PartSuffix(int64_t part, int64_t count) {
  char suffix[48];
  std::snprintf(suffix, sizeof suffix, "-%05d-of-%05d.gguf", static_cast<int>(part + 1),
                static_cast<int>(count));
  return suffix;
}

}  // namespace

GgufFile::Part GgufFile::ReadPart(const std::filesystem::path& path) {
  MappedFile file(path);
  GgufCursor cursor(file.bytes(), file.path());
  CheckHead(cursor);
  const auto tensors = cursor.Number<uint64_t>();
  const auto entries = cursor.Number<uint64_t>();
  if (tensors > kMaxTensors)
    ThrowInvalid(file.path(), ": has ", tensors, " tensors, expected at most ", kMaxTensors);
  GgufMetadata metadata(cursor, entries);
  std::vector<TensorInfo> infos;
  for (uint64_t i = 0; i < tensors; ++i) infos.push_back(ReadTensorInfo(cursor, i));
  const uint64_t alignment = ReadAlignment(metadata);
  const uint64_t begin = (cursor.position() + alignment - 1) & ~(alignment - 1);
  const uint64_t data_bytes = file.size() - std::min<uint64_t>(begin, file.size());
  CheckPlaces(infos, alignment, data_bytes, file.path());
  std::vector<TensorView> views;
  views.reserve(infos.size());
  for (const TensorInfo& info : infos) {
    char* data = const_cast<char*>(file.data()) + std::min<uint64_t>(begin, file.size());
    views.emplace_back(data + info.offset, info.dtype, info.shape, info.name);
  }
  return {.file = std::move(file), .metadata = std::move(metadata), .tensors = std::move(views)};
}

void GgufFile::ReadOtherParts(const std::filesystem::path& first, int64_t count) {
  if (metadata().Int("split.no", 0, count - 1) != 0)
    metadata().Fail("split.no", "0: the first of " + std::to_string(count) + " parts is opened");
  const std::string name = first.filename().string();
  const std::string suffix = PartSuffix(0, count);
  if (!name.ends_with(suffix)) metadata().Fail("split.count", "a file name that ends in " + suffix);
  const std::string stem = name.substr(0, name.size() - suffix.size());
  for (int64_t i = 1; i < count; ++i) {
    try {
      parts_.push_back(ReadPart(first.parent_path() / (stem + PartSuffix(i, count))));
    } catch (const Error& error) {
      throw WithContext(error, internal::Concat(path(), ": part ", i + 1, " of ", count));
    }
    const GgufMetadata& part = parts_.back().metadata;
    part.Int("split.count", count, count);
    part.Int("split.no", i, i);
  }
}

GgufFile::GgufFile(const std::filesystem::path& path) {
  parts_.push_back(ReadPart(path));
  // Writers that split nothing leave it out, or write 0 or 1.
  const int64_t count = metadata().IntOr("split.count", 1, 0, kMaxParts);
  if (count > 1) ReadOtherParts(path, count);
  for (const Part& part : parts_) {
    for (const TensorView& tensor : part.tensors) {
      if (!tensors_.emplace(tensor.name(), tensor).second) {
        ThrowInvalid(part.file.path(), ": tensor ", Printable(tensor.name(), 120),
                     " is there twice", parts_.size() > 1 ? ", here or in another part" : "");
      }
    }
  }
  const auto total = static_cast<int64_t>(tensors_.size());
  if (count > 1) {
    for (const Part& part : parts_) part.metadata.IntOr("split.tensors.count", total, total, total);
  }
}

}  // namespace binocle
