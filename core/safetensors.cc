#include "core/safetensors.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/json.h"

namespace binocle {
namespace {

// The limit of the reference implementation.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;

std::optional<DType> ParseDType(std::string_view name) {
  if (name == "F32") return DType::kF32;
  if (name == "F16") return DType::kF16;
  if (name == "BF16") return DType::kBF16;
  if (name == "I32") return DType::kI32;
  if (name == "U8") return DType::kU8;
  return std::nullopt;
}

// Types that appear in public checkpoints for tensors no model of ours reads (position ids, for one). They are skipped, with the
// same checks on their byte range.
std::optional<int64_t> SkippedTypeSize(std::string_view name) {
  if (name == "I64" || name == "U64" || name == "F64") return 8;
  if (name == "U32") return 4;
  if (name == "I16" || name == "U16") return 2;
  if (name == "I8" || name == "BOOL" || name == "F8_E4M3" || name == "F8_E5M2") return 1;
  return std::nullopt;
}

// A non-negative integer that fits int64, from a JSON value.
std::optional<int64_t> AsSize(const Json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<uint64_t>();
    if (number <= static_cast<uint64_t>(INT64_MAX)) return static_cast<int64_t>(number);
  }
  return std::nullopt;
}

struct Entry {
  Shape shape;
  int64_t elements = 1;
  int64_t rank = 0;
  int64_t begin = 0;
  int64_t end = 0;
};

Entry ParseEntry(const JsonObject& object, int64_t data_bytes) {
  Entry entry;
  const Json& shape = object.json().value("shape", Json());
  if (!shape.is_array()) object.Fail("shape", "a list of extents");
  int64_t strides = 1;  // empty extents count as 1 in them, and they have to fit too
  for (const Json& item : shape) {
    const auto extent = AsSize(item);
    if (!extent) object.Fail("shape", "extents of 0 or more");
    if (__builtin_mul_overflow(strides, std::max<int64_t>(*extent, 1), &strides))
      object.Fail("shape", "a product that fits 63 bits");
    entry.elements *= *extent;
    if (entry.rank++ < Shape::kMaxRank) entry.shape.Append(*extent);
  }
  if (entry.rank == 0) entry.shape.Append(1);  // a scalar
  const Json& offsets = object.json().value("data_offsets", Json());
  if (!offsets.is_array() || offsets.size() != 2) object.Fail("data_offsets", "[begin, end]");
  const auto begin = AsSize(offsets[0]);
  const auto end = AsSize(offsets[1]);
  if (!begin || !end || *begin > *end || *end > data_bytes) {
    object.Fail("data_offsets", "0 ≤ begin ≤ end ≤ " + std::to_string(data_bytes) +
                                    " (the bytes after the header)");
  }
  entry.begin = *begin;
  entry.end = *end;
  return entry;
}

// Where a tensor's bytes lie in the data.
struct Range {
  int64_t begin;
  int64_t end;
  std::string name;

  std::string ToString() const {
    return internal::Concat(Printable(name, 120), " (data_offsets [", begin, ", ", end, "])");
  }
};

// Every byte of the data belongs to exactly one tensor, as the format demands.
void CheckRanges(std::vector<Range> ranges, int64_t data_bytes, const std::string& where) {
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  const auto fail_hole = [&](int64_t begin, int64_t end, const std::string& before) {
    ThrowInvalid(where, ": bytes ", begin, " to ", end,
                 " of the data belong to no tensor: a hole before ", before);
  };
  int64_t end = 0;
  for (size_t i = 0; i < ranges.size(); ++i) {
    const Range& range = ranges[i];
    // The ones before it lie end to end, so this one can only overlap the last of them.
    if (range.begin < end)
      ThrowInvalid(where, ": ", ranges[i - 1].ToString(), " and ", range.ToString(), " overlap");
    if (range.begin > end) fail_hole(end, range.begin, range.ToString());
    end = range.end;
  }
  if (end < data_bytes) fail_hole(end, data_bytes, "the end of the file");
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : file_(path) {
  const std::string_view bytes = file_.bytes();
  if (bytes.size() < 8)
    ThrowInvalid(file_.path(), ": is ", bytes.size(),
                 " bytes, expected a safetensors file of at least 8");
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), 8);
  if (header_bytes > kMaxHeaderBytes || header_bytes > bytes.size() - 8) {
    ThrowInvalid(file_.path(), ": header length ", header_bytes, ", expected at most ",
                 std::min<uint64_t>(kMaxHeaderBytes, bytes.size() - 8), " (the file has ",
                 bytes.size(), " bytes)");
  }
  ParseHeader(bytes.substr(8, header_bytes), bytes.substr(8 + header_bytes));
}

void SafetensorsFile::ParseHeader(std::string_view header, std::string_view data) {
  const Json json = ParseJson(header, file_.path() + ": header");
  const JsonObject root(json, file_.path() + ": header");
  std::vector<Range> ranges;
  for (const auto& [name, value] : json.items()) {
    if (name == "__metadata__") continue;
    const JsonObject object(value, file_.path() + ": " + Printable(name, 120));
    const std::string type = object.String("dtype");
    const Entry entry = ParseEntry(object, static_cast<int64_t>(data.size()));
    const auto dtype = ParseDType(type);
    const auto skipped = SkippedTypeSize(type);
    if (!dtype && !skipped) object.Fail("dtype", "F32, F16, BF16, I32 or U8");
    const int64_t size = dtype ? DTypeSize(*dtype) : *skipped;
    int64_t expected = 0;
    if (__builtin_mul_overflow(entry.elements, size, &expected) ||
        entry.end - entry.begin != expected) {
      object.Fail("data_offsets", "a range of " + std::to_string(expected) +
                                      " bytes = " + std::to_string(entry.elements) + " × " +
                                      std::to_string(size) + " (shape and dtype " + type + ")");
    }
    ranges.push_back({.begin = entry.begin, .end = entry.end, .name = name});
    if (!dtype) continue;
    if (entry.rank > Shape::kMaxRank) object.Fail("shape", "at most 4 dimensions");
    const char* begin = data.data() + entry.begin;
    // The map owns the name that the view points to.
    const auto [it, inserted] = tensors_.emplace(name, TensorView());
    it->second = TensorView(const_cast<char*>(begin), *dtype, entry.shape, it->first);
  }
  CheckRanges(std::move(ranges), static_cast<int64_t>(data.size()), file_.path());
}

}  // namespace binocle
