// One panel of a product of bfloat16 with f32 sums.
//
//   c[r, n] (+)= Σ_k x[r, k]·w[k, n]      n < 64
//
// A sum is one chain over k, begun at zero or at what c holds. How its links are formed depends on the level alone, never on the other rows:
//   kScalar … kVnni   c ← fma(x₀, w₀, c), then fma(x₁, w₁, c), for each pair of k
//   kBf16             VDPBF16PS: the same, rounding to nearest and taking subnormal numbers as zero
//   kAmx              TDPBF16PS: 16 pairs at a time, even and odd k summed apart, their sum added to c
// Panels lie as [depth / 2][64][2].
#pragma once

#include <cstdint>

#include "core/convert.h"
#include "core/cpu_level.h"
#include "core/ops/int8_block.h"

namespace binocle {

inline constexpr int64_t kBf16Depth = 32;  // depths are multiples of it: the k of a tile

struct Bf16Block {
  const Bf16* x;  // [rows, depth], leading dimension ldx
  int64_t ldx;
  const Bf16* w;  // [depth / 2][64][2]
  float* c;       // [rows][64], leading dimension ldc
  int64_t ldc;
  int64_t rows;
  int64_t depth;
  bool add;                  // to what c holds
  bool from_memory = false;  // w is far: it is read once, in order
};

void MultiplyBf16Block(CpuLevel level, const Bf16Block& block);

// While one lives, products of its thread begin sooner: for many small ones in a row.
class Bf16Products {
 public:
  explicit Bf16Products(CpuLevel level);
  ~Bf16Products();
  Bf16Products(const Bf16Products&) = delete;
  Bf16Products& operator=(const Bf16Products&) = delete;

 private:
  bool keeps_tiles_;
};

// The versions. Of each the processor has to have the level that its name says.
void Bf16BlockScalar(const Bf16Block& block);
void Bf16BlockAvx2(const Bf16Block& block);
void Bf16BlockAvx512(const Bf16Block& block);
void Bf16BlockNative(const Bf16Block& block);  // kBf16
void Bf16BlockAmx(const Bf16Block& block);

}  // namespace binocle
