#include "core/block_types.h"

#include <cmath>
#include <cstring>

#include "core/convert.h"

namespace binocle {
namespace {

constexpr int kGroup =
    32;  // elements that q4_k and q5_k give one scale, and the block of the others

float HalfAt(const uint8_t* at) {
  uint16_t bits;
  std::memcpy(&bits, at, 2);
  return F32FromF16(bits);
}

// The elements of a block of 32 as integers. Of a byte, the low half is one of the block's first 16 elements, the high half one of the
// last 16.
void Nibbles(const uint8_t* packed, int32_t* q) {
  for (int i = 0; i < 16; ++i) {
    q[i] = packed[i] & 15;
    q[i + 16] = packed[i] >> 4;
  }
}

// Adds 16 to the elements whose bit is set in the four bytes. A byte's bits are spread over eight bytes at once: with each
// shifted out by itself a block takes twice as long (q5_0: 1.6 ns an element for 0.8, GCC 12 at -O2).
void AddFifthBits(const uint8_t* bits, int32_t* q) {
  for (int byte = 0; byte < 4; ++byte) {
    const uint64_t chosen = bits[byte] * 0x0101010101010101u & 0x8040201008040201u;
    const uint64_t sixteens = (chosen + 0x7F7F7F7F7F7F7F7Fu) >> 3 & 0x1010101010101010u;
    uint8_t spread[8];
    std::memcpy(spread, &sixteens, 8);
    for (int i = 0; i < 8; ++i) q[byte * 8 + i] += spread[i];
  }
}

using Group = BlockGroup;

void SetFactor(Group& out, float a) { out.a[0] = out.a[1] = a; }

void ReadQ80(const uint8_t* block, int /*g*/, Group& out) {  // d, int8[32]
  for (int i = 0; i < kGroup; ++i) out.q[i] = static_cast<int8_t>(block[2 + i]) + 128;
  SetFactor(out, HalfAt(block));
  out.m = 0;
}

void ReadQ40(const uint8_t* block, int /*g*/, Group& out) {  // d, nibbles
  Nibbles(block + 2, out.q);
  SetFactor(out, HalfAt(block));
  out.m = 0;
}

void ReadQ41(const uint8_t* block, int /*g*/, Group& out) {  // d, m, nibbles
  Nibbles(block + 4, out.q);
  SetFactor(out, HalfAt(block));
  out.m = HalfAt(block + 2);
}

void ReadQ50(const uint8_t* block, int /*g*/, Group& out) {  // d, fifth bits, nibbles
  Nibbles(block + 6, out.q);
  AddFifthBits(block + 2, out.q);
  SetFactor(out, HalfAt(block));
  out.m = 0;
}

void ReadQ51(const uint8_t* block, int /*g*/, Group& out) {  // d, m, fifth bits, nibbles
  Nibbles(block + 8, out.q);
  AddFifthBits(block + 4, out.q);
  SetFactor(out, HalfAt(block));
  out.m = HalfAt(block + 2);
}

// The factors of group g of q4_k and q5_k, 6 bits each, eight of either kind in 12 bytes: the first four groups have the low bits of
// bytes 0 … 3 (s) and 4 … 7 (t), the last four a half of a byte in 8 … 11 below the two bits that were left there.
struct GroupFactors {
  GroupFactors(const uint8_t* packed, int g)
      : s(g < 4 ? packed[g] & 63 : (packed[g + 4] & 15) | (packed[g - 4] >> 6 << 4)),
        t(g < 4 ? packed[g + 4] & 63 : (packed[g + 4] >> 4) | (packed[g] >> 6 << 4)) {}
  int s;
  int t;
};

// d, e, 12 bytes of factors, fifth bits (q5_k: bit g of byte i is that of element i of group g), then per pair of groups 32 bytes: the
// low halves are the first group.
void ReadOfPair(const uint8_t* block, const uint8_t* packed, int g, Group& out) {
  const uint8_t* bytes = packed + g / 2 * kGroup;
  const int shift = g % 2 * 4;
  for (int i = 0; i < kGroup; ++i) out.q[i] = bytes[i] >> shift & 15;
  const GroupFactors factors(block + 4, g);
  SetFactor(out, HalfAt(block) * static_cast<float>(factors.s));
  out.m = -(HalfAt(block + 2) * static_cast<float>(factors.t));
}

void ReadQ4K(const uint8_t* block, int g, Group& out) { ReadOfPair(block, block + 16, g, out); }

void ReadQ5K(const uint8_t* block, int g, Group& out) {
  ReadOfPair(block, block + 48, g, out);
  const uint8_t* fifth = block + 16;
  for (int i = 0; i < kGroup; ++i) out.q[i] |= (fifth[i] >> g & 1) << 4;
}

// 128 bytes of low halves, 64 of upper pairs of bits, 16 int8 factors, d. Each half of the block has a half of each; in it, group g has the
// low (g < 2) or high halves of 32 bytes, and pair g of the bytes of upper bits.
void ReadQ6K(const uint8_t* block, int of_block, Group& out) {
  const int half = of_block / 4, g = of_block % 4;
  const uint8_t* low = block + half * 64 + g % 2 * kGroup;
  const uint8_t* high = block + 128 + half * 32;
  const int shift = g / 2 * 4;
  for (int i = 0; i < kGroup; ++i) out.q[i] = (low[i] >> shift & 15) | (high[i] >> 2 * g & 3) << 4;
  for (int part = 0; part < 2; ++part) {
    const int s = static_cast<int8_t>(block[192 + 2 * of_block + part]);
    out.a[part] = HalfAt(block + 208) * static_cast<float>(s);
  }
  out.m = 0;
}

// How a type is read, for loops that are compiled for each of them.
template <void (*kRead)(const uint8_t*, int, Group&), int kZero, bool kHalves, bool kShifted>
struct BlockReader {
  static constexpr BlockForm kForm{.zero = kZero, .halves = kHalves, .shifted = kShifted};
  static void Read(const uint8_t* block, int g, Group& out) { kRead(block, g, out); }
};

template <typename F>
auto WithReader(DType dtype, const F& f) {
  BINOCLE_CHECK(IsBlockType(dtype), DTypeName(dtype));
  switch (dtype) {
    case DType::kQ80: return f(BlockReader<ReadQ80, 128, false, false>());
    case DType::kQ40: return f(BlockReader<ReadQ40, 8, false, false>());
    case DType::kQ41: return f(BlockReader<ReadQ41, 0, false, true>());
    case DType::kQ50: return f(BlockReader<ReadQ50, 16, false, false>());
    case DType::kQ51: return f(BlockReader<ReadQ51, 0, false, true>());
    case DType::kQ4K: return f(BlockReader<ReadQ4K, 0, false, true>());
    case DType::kQ5K: return f(BlockReader<ReadQ5K, 0, false, true>());
    default: return f(BlockReader<ReadQ6K, 32, true, false>());
  }
}

// f(block, group of the block) for all groups, in order.
template <typename F>
void ForGroups(DType dtype, const void* blocks, int64_t count, const F& f) {
  const DTypeUnit unit = UnitOf(dtype);
  BINOCLE_CHECK(count % unit.elements == 0, count, " elements of ", DTypeName(dtype));
  const auto* block = static_cast<const uint8_t*>(blocks);
  for (int64_t i = 0; i < count; i += unit.elements, block += unit.bytes) {
    for (int g = 0; g < unit.elements / kGroup; ++g) f(block, g);
  }
}

// Where a block has its f16 scales.
struct ScalePlace {
  int64_t first;
  int64_t count;
};

ScalePlace ScalesOf(DType dtype) {
  switch (dtype) {
    case DType::kQ41:
    case DType::kQ51:
    case DType::kQ4K:
    case DType::kQ5K: return {0, 2};
    case DType::kQ6K: return {208, 1};
    default: return {0, 1};
  }
}

}  // namespace

BlockForm FormOf(DType dtype) {
  return WithReader(dtype, [](auto reader) { return decltype(reader)::kForm; });
}

void ReadBlockGroups(DType dtype, const void* blocks, int64_t count, BlockGroup* groups) {
  WithReader(dtype, [&](auto reader) {
    ForGroups(dtype, blocks, count,
              [&](const uint8_t* block, int g) { decltype(reader)::Read(block, g, *groups++); });
  });
}

void ExpandBlocks(DType dtype, const void* blocks, int64_t count, float* out) {
  WithReader(dtype, [&](auto reader) {
    constexpr BlockForm kForm = decltype(reader)::kForm;
    ForGroups(dtype, blocks, count, [&](const uint8_t* block, int g) {
      Group group;
      decltype(reader)::Read(block, g, group);
      for (int i = 0; i < kGroup; ++i) {
        const float a = group.a[kForm.halves ? i / 16 : 0];
        const float value = a * static_cast<float>(group.q[i] - kForm.zero);
        out[i] = kForm.shifted ? value + group.m : value;
      }
      out += kGroup;
    });
  });
}

int64_t FirstNonFiniteInBlocks(DType dtype, const void* blocks, int64_t count) {
  BINOCLE_CHECK(IsBlockType(dtype), DTypeName(dtype));
  const DTypeUnit unit = UnitOf(dtype);
  const ScalePlace scales = ScalesOf(dtype);
  const auto* block = static_cast<const uint8_t*>(blocks) + scales.first;
  for (int64_t i = 0; i < count; i += unit.elements, block += unit.bytes) {
    for (int64_t s = 0; s < scales.count; ++s) {
      if (!std::isfinite(HalfAt(block + 2 * s))) return i;
    }
  }
  return -1;
}

}  // namespace binocle
