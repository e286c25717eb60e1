#include "fusion/random/random_fill.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <vector>

#include "core/convert.h"

namespace binocle {
namespace {

constexpr int64_t kQuantiles = 1 << 16;
constexpr int64_t kScales = 256;
constexpr int64_t kPartElements = int64_t{1} << 16;  // of a task

uint64_t MixBits(uint64_t x) {
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
  x = (x ^ x >> 27) * 0x94D049BB133111EBu;
  return x ^ x >> 31;
}

uint64_t WordAt(uint64_t key, int64_t index) {
  return MixBits(key + (static_cast<uint64_t>(index) + 1) * 0x9E3779B97F4A7C15u);
}

// Where the normal distribution function is p: bisection, as exact as erfc.
double NormalQuantile(double p) {
  double low = -9, high = 9;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (std::erfc(-middle / std::numbers::sqrt2) / 2 < p ? low : high) = middle;
  }
  return (low + high) / 2;
}

// The middles of 65,536 equally probable ranges; the upper half mirrors the lower.
const std::vector<float>& NormalQuantiles() {
  static const std::vector<float> kTable = [] {
    std::vector<float> table(kQuantiles);
    for (int64_t i = 0; i < kQuantiles / 2; ++i) {
      const double z = NormalQuantile((static_cast<double>(i) + 0.5) / kQuantiles);
      table[static_cast<size_t>(i)] = static_cast<float>(z);
      table[static_cast<size_t>(kQuantiles - 1 - i)] = static_cast<float>(-z);
    }
    return table;
  }();
  return kTable;
}

// Quants that are all equally probable: the root of the mean of their squares.
double DeviationOfQuants(DType dtype) {
  const int low = dtype == DType::kQ80 ? -128 : -8;
  double squares = 0;
  for (int q = low; q < -low; ++q) squares += static_cast<double>(q) * q;
  return std::sqrt(squares / (-2.0 * low));
}

// Of either sign, from half to one and a half times what the deviation asks for.
float ScaleOfBlock(int64_t i, DType dtype, float deviation) {
  const double spread = 0.5 + (static_cast<double>(i / 2) + 0.5) / (kScales / 2);
  const double mean_square = 13.0 / 12;  // of `spread`
  const double scale = deviation / DeviationOfQuants(dtype) * spread / std::sqrt(mean_square);
  return static_cast<float>(i % 2 == 0 ? scale : -scale);
}

// Four elements a word.
template <typename Element>
void FillElements(const Element* table, uint64_t key, int64_t first, int64_t count, char* out) {
  const auto put = [&](int64_t at, uint64_t bits) {
    std::memcpy(out + at * static_cast<int64_t>(sizeof(Element)), table + (bits & 0xFFFFu),
                sizeof(Element));
  };
  int64_t i = 0;
  for (; i + 4 <= count; i += 4) {
    const uint64_t word = WordAt(key, (first + i) / 4);
    for (int lane = 0; lane < 4; ++lane) put(i + lane, word >> (16 * lane));
  }
  const uint64_t word = WordAt(key, (first + i) / 4);
  for (int lane = 0; i + lane < count; ++lane) put(i + lane, word >> (16 * lane));
}

// A scale and its quants, in words of their own.
template <int kQuantBytes>
void FillBlocks(const uint16_t* scales, uint64_t key, int64_t first, int64_t count, char* out) {
  constexpr int kWords = kQuantBytes / 8;
  for (int64_t block = first; block < first + count; ++block, out += 2 + kQuantBytes) {
    const int64_t word = block * (kWords + 1);
    std::memcpy(out, scales + (WordAt(key, word) & 0xFFu), 2);
    for (int i = 0; i < kWords; ++i) {
      const uint64_t quants = WordAt(key, word + 1 + i);
      std::memcpy(out + 2 + 8 * i, &quants, 8);
    }
  }
}

}  // namespace

uint64_t RandomKey(uint64_t seed, std::string_view name) {
  uint64_t hash = 0xCBF29CE484222325u;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return MixBits(hash ^ MixBits(seed + 0x9E3779B97F4A7C15u));
}

bool RandomElements::Draws(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16 ||
         dtype == DType::kQ80 || dtype == DType::kQ40;
}

RandomElements::RandomElements(DType dtype, RandomWidth width, uint64_t key)
    : dtype_(dtype), key_(key) {
  BINOCLE_CHECK(Draws(dtype), DTypeName(dtype));
  std::vector<float> values;
  if (IsBlockType(dtype)) {
    BINOCLE_CHECK(width.mean == 0, width.mean);
    for (int64_t i = 0; i < kScales; ++i) values.push_back(ScaleOfBlock(i, dtype, width.deviation));
  } else {
    for (const float z : NormalQuantiles()) values.push_back(width.mean + width.deviation * z);
  }
  const DType stored = IsBlockType(dtype) ? DType::kF16 : dtype;
  table_ = AlignedBuffer(StoredBytes(stored, std::ssize(values)));
  WriteFromF32(values.data(), std::ssize(values), stored, table_.data());
}

void RandomElements::FillPart(int64_t first, int64_t count, char* out) const {
  const auto* halves = static_cast<const uint16_t*>(static_cast<const void*>(table_.data()));
  const auto* floats = static_cast<const float*>(static_cast<const void*>(table_.data()));
  switch (dtype_) {
    case DType::kF32: return FillElements(floats, key_, first, count, out);
    case DType::kQ80: return FillBlocks<32>(halves, key_, first / 32, count / 32, out);
    case DType::kQ40: return FillBlocks<16>(halves, key_, first / 32, count / 32, out);
    default: return FillElements(halves, key_, first, count, out);
  }
}

void RandomElements::Fill(Exec& ex, int64_t first, int64_t count, void* out) const {
  BINOCLE_CHECK(first % kGrain == 0, first);
  const int64_t parts = (count + kPartElements - 1) / kPartElements;
  ex.Parallel(parts, [&](int64_t part) {
    const int64_t begin = part * kPartElements;
    FillPart(first + begin, std::min(kPartElements, count - begin),
             static_cast<char*>(out) + StoredBytes(dtype_, begin));
  });
}

}  // namespace binocle
