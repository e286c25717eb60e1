#include "core/gguf_metadata.h"

#include <iterator>
#include <optional>

namespace binocle {
namespace {

struct TypeInfo {
  std::string_view name;
  uint64_t bytes;  // 0: strings and arrays have no fixed length
};

constexpr TypeInfo kTypes[] = {{"u8", 1},  {"i8", 1},  {"u16", 2},  {"i16", 2},    {"u32", 4},
                               {"i32", 4}, {"f32", 4}, {"bool", 1}, {"string", 0}, {"array", 0},
                               {"u64", 8}, {"i64", 8}, {"f64", 8}};

const TypeInfo& InfoOf(GgufType type) { return kTypes[static_cast<uint32_t>(type)]; }

GgufType ReadType(GgufCursor& cursor) {
  const auto number = cursor.Number<uint32_t>();
  if (number >= std::size(kTypes))
    cursor.Fail(internal::Concat("has value type ", number, ", expected 0 to 12"));
  return static_cast<GgufType>(number);
}

void CheckBools(GgufCursor& cursor, std::string_view values) {
  for (const char value : values) {
    if (value != 0 && value != 1)
      cursor.Fail(internal::Concat("has ", static_cast<int>(static_cast<uint8_t>(value)),
                                   " as a truth value, expected 0 or 1"));
  }
}

uint64_t ReadCount(GgufCursor& cursor) {
  const auto count = cursor.Number<uint64_t>();
  if (count > GgufMetadata::kMaxArrayElements) {
    cursor.Fail(internal::Concat("is an array of ", count, " elements, expected at most ",
                                 GgufMetadata::kMaxArrayElements));
  }
  return count;
}

// Moves over `count` values.
void Skip(GgufCursor& cursor, GgufType type, uint64_t count, int nesting) {
  if (type == GgufType::kString) {
    for (uint64_t i = 0; i < count; ++i) cursor.String(GgufMetadata::kMaxStringBytes);
  } else if (type == GgufType::kArray) {
    if (nesting == GgufMetadata::kMaxNesting)
      cursor.Fail(internal::Concat("has arrays in arrays, expected at most ", nesting, " levels"));
    for (uint64_t i = 0; i < count; ++i) {
      const GgufType element = ReadType(cursor);
      Skip(cursor, element, ReadCount(cursor), nesting + 1);
    }
  } else {
    const std::string_view values = cursor.Bytes(count * InfoOf(type).bytes);
    if (type == GgufType::kBool) CheckBools(cursor, values);
  }
}

template <typename T>
T Load(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

bool IsInteger(GgufType type) {
  switch (type) {
    case GgufType::kU8:
    case GgufType::kI8:
    case GgufType::kU16:
    case GgufType::kI16:
    case GgufType::kU32:
    case GgufType::kI32:
    case GgufType::kU64:
    case GgufType::kI64: return true;
    default: return false;
  }
}

// Nothing for an unsigned number above INT64_MAX, and for what is no integer.
std::optional<int64_t> AsInt(GgufType type, const char* at) {
  switch (type) {
    case GgufType::kU8: return Load<uint8_t>(at);
    case GgufType::kI8: return Load<int8_t>(at);
    case GgufType::kU16: return Load<uint16_t>(at);
    case GgufType::kI16: return Load<int16_t>(at);
    case GgufType::kU32: return Load<uint32_t>(at);
    case GgufType::kI32: return Load<int32_t>(at);
    case GgufType::kI64: return Load<int64_t>(at);
    case GgufType::kU64: {
      const auto value = Load<uint64_t>(at);
      if (value <= static_cast<uint64_t>(INT64_MAX)) return static_cast<int64_t>(value);
      return std::nullopt;
    }
    default: return std::nullopt;
  }
}

std::optional<double> AsNumber(GgufType type, const char* at) {
  if (type == GgufType::kF32) return Load<float>(at);
  if (type == GgufType::kF64) return Load<double>(at);
  if (type == GgufType::kU64) return static_cast<double>(Load<uint64_t>(at));
  const auto integer = AsInt(type, at);
  return integer ? std::optional<double>(*integer) : std::nullopt;
}

// The string whose length is at `at`; `next` is where it ends.
std::string_view StringAt(const char* at, const char** next = nullptr) {
  const auto length = Load<uint64_t>(at);
  if (next != nullptr) *next = at + 8 + length;
  return {at + 8, length};
}

// A single value, for messages.
std::string TextOf(GgufType type, const char* at) {
  if (type == GgufType::kString) return '"' + Printable(StringAt(at), 60) + '"';
  if (type == GgufType::kBool) return *at != 0 ? "true" : "false";
  if (type == GgufType::kU64) return std::to_string(Load<uint64_t>(at));
  if (const auto integer = AsInt(type, at)) return std::to_string(*integer);
  return internal::Concat(*AsNumber(type, at));
}

}  // namespace

GgufMetadata::GgufMetadata(GgufCursor& cursor, uint64_t entries) : where_(cursor.where()) {
  if (entries > kMaxEntries) {
    ThrowInvalid(where_, ": has ", entries, " metadata entries, expected at most ", kMaxEntries);
  }
  for (uint64_t i = 0; i < entries; ++i) {
    cursor.About(internal::Concat("metadata entry ", i));
    const std::string_view key = cursor.String(kMaxKeyBytes);
    cursor.About(internal::Concat("metadata entry ", i, " (", Printable(key, 120), ")"));
    Value value{.type = ReadType(cursor), .array = false, .count = 1, .data = nullptr};
    if (value.type == GgufType::kArray) {
      value.array = true;
      value.type = ReadType(cursor);
      value.count = ReadCount(cursor);
    }
    value.data = cursor.here();
    Skip(cursor, value.type, value.count, 1);
    if (!values_.emplace(key, value).second) cursor.Fail("is there twice");
  }
}

const GgufMetadata::Value* GgufMetadata::Find(std::string_view key) const {
  const auto it = values_.find(key);
  return it == values_.end() ? nullptr : &it->second;
}

bool GgufMetadata::IsArray(std::string_view key) const {
  const Value* value = Find(key);
  return value != nullptr && value->array;
}

std::vector<std::string_view> GgufMetadata::Keys() const {
  std::vector<std::string_view> keys;
  keys.reserve(values_.size());
  for (const auto& [key, value] : values_) keys.push_back(key);
  return keys;
}

std::string GgufMetadata::Describe(std::string_view key) const {
  const Value* value = Find(key);
  if (value == nullptr) return "missing";
  const std::string_view type = InfoOf(value->type).name;
  if (value->array)
    return internal::Concat("array of ", value->count, " ", type, value->count == 1 ? "" : "s");
  return internal::Concat(type, " ", TextOf(value->type, value->data));
}

void GgufMetadata::Fail(std::string_view key, const std::string& expected) const {
  ThrowInvalid(where_, ": ", Printable(key, 120), " is ", Describe(key), ", expected ", expected);
}

int64_t GgufMetadata::Int(std::string_view key, int64_t low, int64_t high) const {
  const Value* value = Find(key);
  const auto integer =
      value != nullptr && !value->array ? AsInt(value->type, value->data) : std::nullopt;
  if (!integer || *integer < low || *integer > high)
    Fail(key, internal::Concat("an integer from ", low, " to ", high));
  return *integer;
}

int64_t GgufMetadata::IntOr(std::string_view key, int64_t fallback, int64_t low,
                            int64_t high) const {
  return Has(key) ? Int(key, low, high) : fallback;
}

double GgufMetadata::Number(std::string_view key, double low, double high) const {
  const Value* value = Find(key);
  const auto number =
      value != nullptr && !value->array ? AsNumber(value->type, value->data) : std::nullopt;
  if (!number || !(*number >= low && *number <= high))
    Fail(key, internal::Concat("a number from ", low, " to ", high));
  return *number;
}

double GgufMetadata::NumberOr(std::string_view key, double fallback, double low,
                              double high) const {
  return Has(key) ? Number(key, low, high) : fallback;
}

bool GgufMetadata::BoolOr(std::string_view key, bool fallback) const {
  const Value* value = Find(key);
  if (value == nullptr) return fallback;
  if (value->array || value->type != GgufType::kBool) Fail(key, "true or false");
  return *value->data != 0;
}

std::string GgufMetadata::String(std::string_view key) const {
  const Value* value = Find(key);
  if (value == nullptr || value->array || value->type != GgufType::kString) Fail(key, "a string");
  return std::string(StringAt(value->data));
}

std::string GgufMetadata::StringOr(std::string_view key, std::string_view fallback) const {
  return Has(key) ? String(key) : std::string(fallback);
}

const GgufMetadata::Value& GgufMetadata::Array(std::string_view key, bool (*accepts)(GgufType),
                                               const char* expected) const {
  const Value* value = Find(key);
  if (value == nullptr || !value->array || !accepts(value->type)) Fail(key, expected);
  return *value;
}

std::vector<std::string_view> GgufMetadata::Strings(std::string_view key) const {
  const Value& value = Array(
      key, [](GgufType t) { return t == GgufType::kString; }, "an array of strings");
  std::vector<std::string_view> out(value.count);
  const char* at = value.data;
  for (std::string_view& item : out) item = StringAt(at, &at);
  return out;
}

std::vector<int64_t> GgufMetadata::Ints(std::string_view key, int64_t low, int64_t high) const {
  const Value& value = Array(key, IsInteger, "an array of integers");
  std::vector<int64_t> out(value.count);
  const uint64_t width = InfoOf(value.type).bytes;
  for (uint64_t i = 0; i < value.count; ++i) {
    const auto item = AsInt(value.type, value.data + i * width);
    if (!item || *item < low || *item > high) {
      ThrowInvalid(where_, ": ", Printable(key, 120), " element ", i, " is ",
                   TextOf(value.type, value.data + i * width), ", expected an integer from ", low,
                   " to ", high);
    }
    out[i] = *item;
  }
  return out;
}

std::vector<float> GgufMetadata::Floats(std::string_view key) const {
  const Value& value = Array(
      key, [](GgufType t) { return t == GgufType::kF32; }, "an array of f32");
  std::vector<float> out(value.count);
  if (value.count > 0) std::memcpy(out.data(), value.data, value.count * sizeof(float));
  return out;
}

std::vector<bool> GgufMetadata::Bools(std::string_view key) const {
  const Value& value = Array(
      key, [](GgufType t) { return t == GgufType::kBool; }, "an array of bools");
  return std::vector<bool>(value.data, value.data + value.count);  // each byte is 0 or 1
}

}  // namespace binocle
