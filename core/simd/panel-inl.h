// The one inner loop of matrix products: a few rows of A times one 64-wide panel of B.
//
//   c[r, 0…64) (+)= Σ_k a[r, k] · b[k, 0…64)        r < R, k < depth
//
// Each element is one chain of multiply-adds in ascending k from zero. R × V accumulators live in registers; per k that is V loads
// of B and R broadcasts for R·V multiply-adds. Serves Linear (panels of W), and attention twice (panels of Kᵀ, panels of V).
// Rows of B are read in whole vectors, so they must be readable up to the used columns rounded up to 16.
//
// Include after hwy/highway.h, once per target (Highway's foreach_target pattern).

#if defined(BINOCLE_CORE_SIMD_PANEL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BINOCLE_CORE_SIMD_PANEL_INL_H_
#undef BINOCLE_CORE_SIMD_PANEL_INL_H_
#else
#define BINOCLE_CORE_SIMD_PANEL_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace binocle::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

inline constexpr int64_t kPanel = 64;

inline constexpr int kPanelRows = 6;

// Vectors of a strip for so many rows. The accumulators, as much of a row of B and an element of A have to fit into the registers: of
// AVX-512's 32 they take 6·4 + 4 + 1; of 16, 6·2 + 2 + 1. One row or two take four vectors there, for few accumulators wait for each other.
constexpr int StripVectors([[maybe_unused]] int rows) {
#if HWY_TARGET <= HWY_AVX3
  return 4;
#else
  return rows <= 2 ? 4 : 2;
#endif
}

enum class Store { kOverwrite, kAdd };

struct PanelArgs {
  const float* a;
  int64_t lda;
  const float* b;  // [depth][64]
  int64_t ldb;     // distance between rows of b, usually 64
  float* c;
  int64_t ldc;
  int64_t depth;
  int64_t columns;  // used columns of the panel, 1 … 64
};

enum class Columns { kWhole, kTail };  // kTail: some vectors hold fewer than `lanes` used columns

// V vectors' worth of columns starting at `column`.
template <int R, int V, Store kStore, Columns kColumns>
HWY_INLINE void PanelStrip(const PanelArgs& p, int64_t column) {
  const hn::ScalableTag<float> d;
  using Vec = hn::Vec<decltype(d)>;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  Vec acc[R][V];
#pragma GCC unroll 8  // at -O2 the compiler would keep the accumulators in memory otherwise
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) acc[r][v] = hn::Zero(d);
  }
  const float* b = p.b + column;
#pragma GCC unroll 4
  for (int64_t k = 0; k < p.depth; ++k, b += p.ldb) {
    Vec bk[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) bk[v] = hn::LoadU(d, b + v * lanes);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const Vec a = hn::Set(d, p.a[r * p.lda + k]);
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) acc[r][v] = hn::MulAdd(a, bk[v], acc[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    float* c = p.c + r * p.ldc;
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      const int64_t at = column + v * lanes;
      if (kColumns == Columns::kWhole || at + lanes <= p.columns) {
        hn::StoreU(kStore == Store::kAdd ? hn::Add(hn::LoadU(d, c + at), acc[r][v]) : acc[r][v], d,
                   c + at);
      } else {
        HWY_ALIGN float tail[HWY_MAX_BYTES / sizeof(float)];
        hn::Store(acc[r][v], d, tail);
        for (int64_t i = 0; at + i < p.columns; ++i)
          c[at + i] = kStore == Store::kAdd ? c[at + i] + tail[i] : tail[i];
      }
    }
  }
}

template <int R, Store kStore>
HWY_INLINE void PanelRowsOf(const PanelArgs& p) {
  constexpr int kMost = StripVectors(R);
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t column = 0; column < p.columns; column += kMost * lanes) {
    switch (HWY_MIN(kMost, (p.columns - column + lanes - 1) / lanes)) {
      case 1: PanelStrip<R, 1, kStore, Columns::kTail>(p, column); break;
      case 2: PanelStrip<R, 2, kStore, Columns::kTail>(p, column); break;
      case 3: PanelStrip<R, HWY_MIN(3, kMost), kStore, Columns::kTail>(p, column); break;
      default: PanelStrip<R, kMost, kStore, Columns::kTail>(p, column); break;
    }
  }
}

template <Store kStore>
HWY_NOINLINE void PanelTail(PanelArgs p, int64_t rows) {
  while (rows >= kPanelRows) {
    PanelRowsOf<kPanelRows, kStore>(p);
    p.a += kPanelRows * p.lda;
    p.c += kPanelRows * p.ldc;
    rows -= kPanelRows;
  }
  switch (rows) {
    case 1: PanelRowsOf<1, kStore>(p); break;
    case 2: PanelRowsOf<2, kStore>(p); break;
    case 3: PanelRowsOf<3, kStore>(p); break;
    case 4: PanelRowsOf<4, kStore>(p); break;
    case 5: PanelRowsOf<5, kStore>(p); break;
    default: break;
  }
}

// What PanelRowsOf does where all strips are of whole vectors, as many as fit. Without the choices in between the compiler keeps addresses in
// registers: 6 % of a product of depth 64.
template <int R, Store kStore>
HWY_INLINE void WholeRowsOf(const PanelArgs& p) {
  constexpr int kVectors = StripVectors(R);
  const int64_t width = kVectors * static_cast<int64_t>(hn::Lanes(hn::ScalableTag<float>()));
  int64_t column = 0;
  if constexpr (R == 1 && StripVectors(kPanelRows) == 4) {
    // Rows of 128 columns are read in the order of memory, which counts where memory is what bounds.
    for (; column + 2 * width <= p.columns; column += 2 * width)
      PanelStrip<R, 8, kStore, Columns::kWhole>(p, column);
  }
  for (; column < p.columns; column += width)
    PanelStrip<R, kVectors, kStore, Columns::kWhole>(p, column);
}

template <Store kStore>
HWY_NOINLINE void PanelWhole(PanelArgs p, int64_t rows) {
  while (rows >= kPanelRows) {
    WholeRowsOf<kPanelRows, kStore>(p);
    p.a += kPanelRows * p.lda;
    p.c += kPanelRows * p.ldc;
    rows -= kPanelRows;
  }
  for (; rows >= 2; rows -= 2) {
    WholeRowsOf<2, kStore>(p);
    p.a += 2 * p.lda;
    p.c += 2 * p.ldc;
  }
  if (rows == 1) WholeRowsOf<1, kStore>(p);
}

// All `rows` rows of A against one panel.
template <Store kStore>
HWY_INLINE void Panel(const PanelArgs& p, int64_t rows) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<float>()));
  const bool whole = p.columns % (4 * lanes) == 0 && (rows == 1 || rows >= kPanelRows);
  whole ? PanelWhole<kStore>(p, rows) : PanelTail<kStore>(p, rows);
}

}  // namespace binocle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // BINOCLE_CORE_SIMD_PANEL_INL_H_
