// A part, 16 features × 32 k × 16 rows, takes 29 cycles of tiles, 16 for the product and, not beside it, 13 for the store, whatever of a tile is filled; and 35 cycles of
// vectors, which convert, scale and add 16 × 16 sums. Neither overlaps the other: 64 cycles for 8,192 products. Whole products of 128 rows are
// done in 0.45 of the time that dot products of VNNI take.
#include "core/ops/block_tiles.h"

#include <algorithm>

#include "core/simd/tiles.h"

#if defined(__x86_64__)

namespace binocle {
namespace {

// A part of a strip, 16 features × 32 k or 16, times a tile of rows.
struct TileOperands {
  const int8_t* w;
  const int8_t* x;
  int32_t* sums;
};

constexpr int64_t kTileRowBytes = kTileWidth * 4;

// Two sets of registers in turns, so that one product's loads need not wait for another's end.
template <bool kOdd>
BINOCLE_AMX_VNNI inline void PutProduct(const TileOperands& o) {
  if constexpr (kOdd) {
    _tile_zero(1);
    _tile_loadd(3, o.w, kTileStride);
    _tile_loadd(5, o.x, kTileRowBytes);
    _tile_dpbssd(1, 3, 5);
    _tile_stored(1, o.sums, kTileRowBytes);
  } else {
    _tile_zero(0);
    _tile_loadd(2, o.w, kTileStride);
    _tile_loadd(4, o.x, kTileRowBytes);
    _tile_dpbssd(0, 2, 4);
    _tile_stored(0, o.sums, kTileRowBytes);
  }
}

// What has been stored as vectors is read as tiles; the intrinsics do not say so.
BINOCLE_AMX_VNNI inline void MemoryIsRead() { __asm__ volatile("" : : : "memory"); }

// Products run so many parts ahead of the vectors that take their sums: what a tile stores is not there for a vector at once. One, three and four were no
// better.
constexpr int64_t kAhead = 2;
constexpr int64_t kRing = 4;

// Sums [16 features][16 rows] of the parts at hand.
struct SumsRing {
  alignas(64) int32_t of[kRing][kStripWidth * kTileWidth];
};

// The operands of one part after the other, all of one tile of rows and then those of the next.
template <bool kHalves>
class PartsInTurn {
 public:
  BINOCLE_AMX_VNNI PartsInTurn(const TileProduct& p, SumsRing& ring)
      : w_(p.w),
        x_(p.x.x),
        to_next_tile_((p.x.k - p.groups * kBlockGroup) * kTileWidth),
        groups_(p.groups),
        ring_(ring) {}

  BINOCLE_AMX_VNNI void Put() {
    const TileOperands o{.w = w_.v[0] + group_ * kBlockGroup + (kHalves ? half_ * kHalfGroup : 0),
                         .x = x_,
                         .sums = ring_.of[put_ % kRing]};
    put_ % 2 == 0 ? PutProduct<false>(o) : PutProduct<true>(o);
    ++put_;
    x_ += (kHalves ? kHalfGroup : kBlockGroup) * kTileWidth;
    if (kHalves) {
      half_ ^= 1;
      if (half_ != 0) return;
    }
    if (++group_ < groups_) return;
    group_ = 0;
    x_ += to_next_tile_;
  }

 private:
  const TileStrip& w_;
  const int8_t* x_;
  int64_t to_next_tile_;
  int64_t groups_;
  SumsRing& ring_;
  int64_t put_ = 0, group_ = 0, half_ = 0;
};

template <bool kHalves, bool kShifted>
BINOCLE_AMX_VNNI void MultiplyTilesOf(const TileProduct& p) {
  constexpr int kParts = kHalves ? 2 : 1;
  const int64_t all = p.tiles * p.groups * kParts;
  SumsRing ring;
  MemoryIsRead();
  PartsInTurn<kHalves> parts(p, ring);
  for (int64_t i = 0; i < std::min(kAhead, all); ++i) parts.Put();
  int64_t taken = 0;
  for (int64_t t = 0; t < p.tiles; ++t) {
    float* c = p.c + t * kStripWidth * kTileWidth;
    const TileRows x = p.x.From(t, 0);
    __m512 chain[16];
#pragma GCC unroll 16
    for (int n = 0; n < 16; ++n)
      chain[n] = p.add ? _mm512_load_ps(c + 16 * n) : _mm512_setzero_ps();
    for (int64_t g = 0; g < p.groups; ++g) {
      const __m512 s = _mm512_loadu_ps(x.scales + g * kTileWidth);
#pragma GCC unroll 2
      for (int part = 0; part < kParts; ++part, ++taken) {
        if (taken + kAhead < all) parts.Put();
        const int32_t* sum = ring.of[taken % kRing];
        const float* a = p.w.a[g * kParts + part];
#pragma GCC unroll 16
        for (int n = 0; n < 16; ++n)
          chain[n] = _mm512_fmadd_ps(_mm512_mul_ps(s, _mm512_set1_ps(a[n])),
                                     _mm512_cvtepi32_ps(_mm512_load_si512(sum + 16 * n)), chain[n]);
      }
      if (!kShifted) continue;
      const __m512 shift = _mm512_loadu_ps(x.shifts + g * kTileWidth);
#pragma GCC unroll 16
      for (int n = 0; n < 16; ++n)
        chain[n] = _mm512_fmadd_ps(shift, _mm512_set1_ps(p.w.m[g][n]), chain[n]);
    }
#pragma GCC unroll 16
    for (int n = 0; n < 16; ++n) _mm512_store_ps(c + 16 * n, chain[n]);
  }
}

BINOCLE_AMX_VNNI void Configure(const void* shapes) {
  MemoryIsRead();
  _tile_loadconfig(shapes);
}
BINOCLE_AMX_VNNI void ReleaseTiles() { _tile_release(); }

// out[r][n] = c[n][r]
BINOCLE_AMX_VNNI void TransposeTile(const float* c, float* out, int64_t ldo) {
  __m512 v[16], t[16];
#pragma GCC unroll 16
  for (int n = 0; n < 16; ++n) v[n] = _mm512_load_ps(c + 16 * n);
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(v[i], v[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(v[i], v[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16;
       i += 4) {  // v[i + j]: of features i … i + 3, rows j, 4 + j, 8 + j, 12 + j
    v[i] = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
    v[i + 1] = _mm512_shuffle_ps(t[i], t[i + 2], 0xEE);
    v[i + 2] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    v[i + 3] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xEE);
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const __m512 low0 = _mm512_shuffle_f32x4(v[j], v[j + 4], 0x44);
    const __m512 high0 = _mm512_shuffle_f32x4(v[j], v[j + 4], 0xEE);
    const __m512 low1 = _mm512_shuffle_f32x4(v[j + 8], v[j + 12], 0x44);
    const __m512 high1 = _mm512_shuffle_f32x4(v[j + 8], v[j + 12], 0xEE);
    _mm512_storeu_ps(out + j * ldo, _mm512_shuffle_f32x4(low0, low1, 0x88));
    _mm512_storeu_ps(out + (4 + j) * ldo, _mm512_shuffle_f32x4(low0, low1, 0xDD));
    _mm512_storeu_ps(out + (8 + j) * ldo, _mm512_shuffle_f32x4(high0, high1, 0x88));
    _mm512_storeu_ps(out + (12 + j) * ldo, _mm512_shuffle_f32x4(high0, high1, 0xDD));
  }
}

}  // namespace

StripTiles::StripTiles(const BlockForm& form) {
  struct alignas(64) Configuration {
    uint8_t palette = 1;
    uint8_t start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
  } shapes;
  const auto depth = static_cast<uint8_t>(form.halves ? kHalfGroup : kBlockGroup);
  for (int i = 0; i < 2; ++i) {
    shapes.row_bytes[i] = kTileWidth * 4;  // sums
    shapes.rows[i] = kStripWidth;
    shapes.row_bytes[2 + i] = depth;  // w
    shapes.rows[2 + i] = kStripWidth;
    shapes.row_bytes[4 + i] = kTileWidth * 4;  // x
    shapes.rows[4 + i] = depth / 4;
  }
  ThisThreadsTiles().first = 0;  // no TileShapes is configured
  Configure(&shapes);
}

StripTiles::~StripTiles() { ReleaseTiles(); }

void MultiplyTiles(const TileProduct& p) {
  if (p.form.halves) return MultiplyTilesOf<true, false>(p);
  p.form.shifted ? MultiplyTilesOf<false, true>(p) : MultiplyTilesOf<false, false>(p);
}

void RowsOfTiles(const float* c, int64_t tiles, float* out, int64_t ldo) {
  for (int64_t t = 0; t < tiles; ++t)
    TransposeTile(c + t * kStripWidth * kTileWidth, out + t * kTileWidth * ldo, ldo);
}

}  // namespace binocle

#endif
