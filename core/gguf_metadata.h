// The metadata of a GGUF file: typed values by key, and lookups whose errors name the file, the key, what was found and what was expected.
//
//   const GgufMetadata& m = file.metadata();
//   const int64_t layers = m.Int("llama.block_count", 1, 1024);
//   const std::vector<std::string_view> tokens = m.Strings("tokenizer.ggml.tokens");
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/gguf_cursor.h"

namespace binocle {

// As files number them.
enum class GgufType : uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64,
};

// Keys and values are views into the mapped file, which outlives this: 100 bytes are allocated a key, whatever its value is. Lookups throw
// INVALID_ARGUMENT for a missing key (where there is no fallback), another type and a value outside the bounds, which are inclusive.
class GgufMetadata {
 public:
  static constexpr uint64_t kMaxEntries = 65'536;
  static constexpr uint64_t kMaxKeyBytes = 65'535;
  static constexpr uint64_t kMaxStringBytes = 64 << 20;  // some files carry a whole tokenizer.json
  static constexpr uint64_t kMaxArrayElements = 16 << 20;
  static constexpr int kMaxNesting =
      4;  // arrays in arrays, which may be there and are not looked up

  // Reads `entries` keys and values. Throws INVALID_ARGUMENT for more than the limits, unknown types, truth values other than 0 and 1, a
  // key that is there twice, and what is cut off.
  GgufMetadata(GgufCursor& cursor, uint64_t entries);

  bool Has(std::string_view key) const { return values_.contains(key); }
  bool IsArray(std::string_view key) const;
  // `u32 7`, `string "llama"`, `array of 32000 strings`, `missing`.
  std::string Describe(std::string_view key) const;
  std::vector<std::string_view> Keys() const;  // in alphabetical order

  // Integers of every width; floats are none.
  int64_t Int(std::string_view key, int64_t low, int64_t high) const;
  int64_t IntOr(std::string_view key, int64_t fallback, int64_t low, int64_t high) const;
  // Floats, and integers as such.
  double Number(std::string_view key, double low, double high) const;
  double NumberOr(std::string_view key, double fallback, double low, double high) const;
  bool BoolOr(std::string_view key, bool fallback) const;
  // Bytes as stored: nobody has checked that they are UTF-8.
  std::string String(std::string_view key) const;
  std::string StringOr(std::string_view key, std::string_view fallback) const;

  // Whole arrays: 16 bytes are allocated a string, 8 an integer (of any width), 4 a float (f32), 1 a truth value.
  std::vector<std::string_view> Strings(std::string_view key) const;
  std::vector<int64_t> Ints(std::string_view key, int64_t low, int64_t high) const;
  std::vector<float> Floats(std::string_view key) const;
  std::vector<bool> Bools(std::string_view key) const;

  [[noreturn]] void Fail(std::string_view key, const std::string& expected) const;

 private:
  struct Value {
    GgufType type;  // of an array: of its elements
    bool array;
    uint64_t count;    // 1 of a value that is no array
    const char* data;  // the first element
  };

  const Value* Find(std::string_view key) const;
  // The array of that key if its elements pass `accepts`; else the error.
  const Value& Array(std::string_view key, bool (*accepts)(GgufType), const char* expected) const;

  std::string where_;
  std::map<std::string_view, Value> values_;
};

}  // namespace binocle
