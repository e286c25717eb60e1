// Reading stored elements (f32, f16, bf16 or a block type, possibly unaligned) as f32. Every f16 and bf16 is an f32; what a block type's
// elements are, core/block_types.h says.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "core/tensor.h"

namespace binocle {

// A stored bfloat16.
struct Bf16 {
  uint16_t bits;
};

inline float F32FromBf16(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

// Rounds to nearest, ties to even; NaN stays NaN.
inline Bf16 Bf16FromF32(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return {static_cast<uint16_t>(bits >> 16 | 0x40u)};
  return {static_cast<uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16)};
}

inline float F32FromF16(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1Fu;
  const uint32_t mantissa = bits & 0x3FFu;
  if (exponent == 0) {  // zero and subnormals: mantissa · 2⁻²⁴
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  const uint32_t wide = exponent == 31 ? 0xFFu : exponent + 112;
  return std::bit_cast<float>(sign | (wide << 23) | (mantissa << 13));
}

// Whether elements of this type are real numbers, which ReadAsF32 reads.
bool IsReal(DType dtype);

// out[0 … count) = elements `begin` … of a contiguous tensor of real numbers. Of a block type both are multiples of the block (checked).
void ReadAsF32(const TensorView& stored, int64_t begin, int64_t count, float* out);

}  // namespace binocle
