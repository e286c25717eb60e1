// Weights stored in blocks: 32 or 256 consecutive elements of a row as small integers q that share f16 scales.
//
//   q8_0 q4_0 q5_0          32 elements   d·q             q8_0: q signed; q4_0: q − 8; q5_0: q − 16
//   q4_1 q5_1               32            d·q + m
//   q4_k q5_k              256            d·s·q − e·t     s, t: 6 bits per 32 elements
//   q6_k                   256            d·s·(q − 32)    s: signed 8 bits per 16 elements
//
// Values are bit for bit those of llama.cpp and of the `gguf` Python package (tests/golden/gguf). That takes no care for the order of
// products: a scale has 11 significant bits, s and q have at most 12 together, so all products are exact in f32, and one rounding is
// left, that of the sum. Blocks lie at any address.
#pragma once

#include <cstdint>

#include "core/tensor.h"

namespace binocle {

// out[0 … count) = the elements of the blocks that begin at `blocks`; count is a multiple of the type's block.
void ExpandBlocks(DType dtype, const void* blocks, int64_t count, float* out);

// The same elements without the products: element i of a group of 32 is a[i / 16]·(q[i] − zero) + m. q6_k alone has two different a; m is 0 where
// a type has none.
struct BlockGroup {
  int32_t q[32];  // 0 … 63, of q8_0 0 … 255
  float a[2];
  float m;
};
// What a type's groups have in common.
struct BlockForm {
  int zero;
  bool halves;   // an a for each half of a group
  bool shifted;  // has m
};
BlockForm FormOf(DType dtype);
// groups[0 … count / 32) = those of the blocks that begin at `blocks`.
void ReadBlockGroups(DType dtype, const void* blocks, int64_t count, BlockGroup* groups);

// The first of `count` elements that is NaN or infinite, −1 when there is none. Only scales can be, and then the block's first element is
// (0 times an infinite scale is NaN), while finite scales give at most 65504·128·32, which f32 holds. So only scales are read.
int64_t FirstNonFiniteInBlocks(DType dtype, const void* blocks, int64_t count);

}  // namespace binocle
