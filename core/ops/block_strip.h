// Weights in block types (core/block_types.h), multiplied as the bytes that they are: 16 output features and 256 k at a time, a strip.
//
//   w[n, k] = a[p, n]·(u[k, n] − zero) + m[g, n]      u of 8 bits at most; g: 32 k; p: a group, or, where the type has a factor for each, its halves
//   x[r, k] = s[r, g]·b[r, k]                         b: −127 … 127
//
//   c[r, n] (+)= Σ_g ( Σ_{p of g} (a·s)·Σ_{k of p} (u − zero)·b  +  m·(s·Σ_{k of g} b) )
//
// Sums over k are sums of integers, exact in f32. What they are summed to is one chain of fused multiply-adds, in ascending order, whose factors
// a·s and s·Σ b are rounded. So c has the same bits at every level, and a row's do not depend on what is computed beside it.
//
// A strip is read from the stored rows once and multiplied by all rows of x while it is in the first cache.
#pragma once

#include <cstdint>

#include "core/block_types.h"
#include "core/cpu_level.h"

namespace binocle {

inline constexpr int64_t kStripWidth = 16;   // output features
inline constexpr int64_t kStripDepth = 256;  // k at most: the longest block of any type
inline constexpr int64_t kBlockGroup = 32;
inline constexpr int64_t kHalfGroup = kBlockGroup / 2;

struct BlockStrip {
  alignas(64)
      uint8_t u[kStripDepth / 4][kStripWidth][4];  // four k side by side, as instructions take them
  float a[kStripDepth / kHalfGroup][kStripWidth];  // a factor per group, or per half of one
  float m[kStripDepth / kBlockGroup][kStripWidth];  // where the type has it
};

// Where the rows of a strip are stored: the block that holds its first k.
struct StripRows {
  const uint8_t* row[kStripWidth];
};

// The same where they are a fixed number of bytes apart.
struct EvenRows {
  const uint8_t* first;
  int64_t stride;
};

// `depth` k, a multiple of the type's block and at most kStripDepth; a and m times `scale`.
void ReadStrip(CpuLevel level, DType dtype, const StripRows& rows, int64_t depth, float scale,
               BlockStrip& out);

// Rows of x as RowAsGroups (compact_rows.h) leaves them.
struct GroupedRows {
  const int8_t* x;      // [rows, depth], leading dimension ldx
  const float* scales;  // [rows, groups]: s; leading dimension ldg
  const float* shifts;  // [rows, groups]: s·Σ b; leading dimension ldg
  const int32_t* sums;  // [rows, 2·groups]: Σ b of halves; leading dimension 2·ldg
  int64_t ldx;
  int64_t ldg;

  // From a row and a group on.
  GroupedRows From(int64_t row, int64_t group) const {
    return {.x = x + row * ldx + group * kBlockGroup,
            .scales = scales + row * ldg + group,
            .shifts = shifts + row * ldg + group,
            .sums = sums + 2 * (row * ldg + group),
            .ldx = ldx,
            .ldg = ldg};
  }
};

struct StripProduct {
  const BlockStrip& w;
  BlockForm form;
  GroupedRows x;
  int64_t rows;
  int64_t groups;  // of the strip
  float* c;        // [rows][16], leading dimension ldc
  int64_t ldc;
  bool add;  // to what c holds
};

void MultiplyStrip(CpuLevel level, const StripProduct& product);

// The versions. Of each the processor has to have the level that its name says.
void ReadStripScalar(DType dtype, const StripRows& rows, int64_t depth, BlockStrip& out);
void ReadStripAvx2(DType dtype, const StripRows& rows, int64_t depth, BlockStrip& out);
void MultiplyStripScalar(const StripProduct& product);
void MultiplyStripAvx2(const StripProduct& product);
void MultiplyStripVnni(const StripProduct& product);

}  // namespace binocle
