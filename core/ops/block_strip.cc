#include "core/ops/block_strip.h"

#include <cmath>

namespace binocle {

void ReadStripScalar(DType dtype, const StripRows& rows, int64_t depth, BlockStrip& out) {
  const bool halves = FormOf(dtype).halves;
  BlockGroup groups[kStripDepth / kBlockGroup];
  for (int64_t n = 0; n < kStripWidth; ++n) {
    ReadBlockGroups(dtype, rows.row[n], depth, groups);
    for (int64_t g = 0; g < depth / kBlockGroup; ++g) {
      const BlockGroup& group = groups[g];
      for (int64_t i = 0; i < kBlockGroup; ++i)
        out.u[(g * kBlockGroup + i) / 4][n][i % 4] = static_cast<uint8_t>(group.q[i]);
      if (halves) {
        out.a[2 * g][n] = group.a[0];
        out.a[2 * g + 1][n] = group.a[1];
      } else {
        out.a[g][n] = group.a[0];
      }
      out.m[g][n] = group.m;
    }
  }
}

void MultiplyStripScalar(const StripProduct& p) {
  const int64_t parts = p.form.halves ? 2 : 1;
  const int64_t length = kBlockGroup / parts;
  for (int64_t r = 0; r < p.rows; ++r) {
    const GroupedRows x = p.x.From(r, 0);
    for (int64_t n = 0; n < kStripWidth; ++n) {
      float chain = p.add ? p.c[r * p.ldc + n] : 0.0F;
      for (int64_t g = 0; g < p.groups; ++g) {
        for (int64_t part = g * parts; part < (g + 1) * parts; ++part) {
          int32_t sum = 0;
          for (int64_t k = part * length; k < (part + 1) * length; ++k)
            sum += (p.w.u[k / 4][n][k % 4] - p.form.zero) * x.x[k];
          const float factor = p.w.a[part][n] * x.scales[g];
          chain = std::fma(factor, static_cast<float>(sum), chain);
        }
        if (p.form.shifted) chain = std::fma(p.w.m[g][n], x.shifts[g], chain);
      }
      p.c[r * p.ldc + n] = chain;
    }
  }
}

void ReadStrip(CpuLevel level, DType dtype, const StripRows& rows, int64_t depth, float scale,
               BlockStrip& out) {
#if defined(__x86_64__)
  level >= CpuLevel::kAvx2 ? ReadStripAvx2(dtype, rows, depth, out)
                           : ReadStripScalar(dtype, rows, depth, out);
#else
  static_cast<void>(level);
  ReadStripScalar(dtype, rows, depth, out);
#endif
  if (scale == 1) return;
  const BlockForm form = FormOf(dtype);
  const int64_t groups = depth / kBlockGroup;
  for (int64_t n = 0; n < kStripWidth; ++n) {
    for (int64_t part = 0; part < (form.halves ? 2 : 1) * groups; ++part) out.a[part][n] *= scale;
    for (int64_t g = 0; form.shifted && g < groups; ++g) out.m[g][n] *= scale;
  }
}

void MultiplyStrip(CpuLevel level, const StripProduct& product) {
#if defined(__x86_64__)
  if (level >= CpuLevel::kVnni) return MultiplyStripVnni(product);
  if (level >= CpuLevel::kAvx2) return MultiplyStripAvx2(product);
#else
  static_cast<void>(level);
#endif
  MultiplyStripScalar(product);
}

}  // namespace binocle
