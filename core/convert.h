// Reading stored elements (f32, f16, bf16 or a block type, possibly unaligned) as f32, and writing them. Every f16 and bf16 is an f32; what a block type's
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

// Rounds to nearest, ties to even; beyond 65504 to infinity; NaN stays NaN.
inline uint16_t F16FromF32(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000u);
  const uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return static_cast<uint16_t>(sign | 0x7E00u);
  if (magnitude >= 0x477FF000u) return static_cast<uint16_t>(sign | 0x7C00u);  // from 65520 on
  if (magnitude <
      0x38800000u) {  // below 2⁻¹⁴: a sum with ½ has the spacing of f16's subnormals, 2⁻²⁴
    const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3F000000u));
  }
  const uint32_t rounded = magnitude + 0xFFFu + (magnitude >> 13 & 1u);
  return static_cast<uint16_t>(sign | ((rounded >> 13) - (112u << 10)));
}

// Whether elements of this type are real numbers, which ReadAsF32 reads.
bool IsReal(DType dtype);

// out[0 … count) = elements `begin` … of a contiguous tensor of real numbers. Of a block type both are multiples of the block (checked).
void ReadAsF32(const TensorView& stored, int64_t begin, int64_t count, float* out);

// `out` = the elements, each rounded once to f32, f16 or bf16 (checked), as files have them: StoredBytes(dtype, count) bytes.
void WriteFromF32(const float* values, int64_t count, DType dtype, void* out);

}  // namespace binocle
