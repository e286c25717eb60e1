// One panel of a product of bytes: exact, so that how it is computed never shows.
//
//   c[r, n] (+)= Σ_k x[r, k]·w[k, n]      x unsigned, w signed, c int32; n < 64
//
// Activations are unsigned because the instructions want it: they are stored with 128 added, and 128·Σ_k w[k, n] is taken off afterwards
// (core/ops/linear_compact.cc). Panels lie as [depth / 4][64][4]: a vector holds four k of 16 columns, and sixteen such rows are a tile.
#pragma once

#include <cstdint>

#include "core/cpu_level.h"

namespace binocle {

inline constexpr int64_t kInt8Depth = 64;  // depths are multiples of it: the k of a tile

struct Int8Block {
  const uint8_t* x;  // [rows, depth], leading dimension ldx
  int64_t ldx;
  const int8_t* w;  // [depth / 4][64][4]
  int32_t* c;       // [rows][64]
  int64_t rows;
  int64_t depth;
  bool add;                  // to what c holds
  bool from_memory = false;  // w is far: it is read once, in order
};

void MultiplyInt8Block(CpuLevel level, const Int8Block& block);

// The versions. Of each the processor has to have the level that its name says.
void Int8BlockScalar(const Int8Block& block);
void Int8BlockAvx2(const Int8Block& block);
void Int8BlockVnni(const Int8Block& block);
void Int8BlockAmx(const Int8Block& block);

}  // namespace binocle
