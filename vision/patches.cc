#include "vision/patches.h"

#include <cstring>

#include "core/ops/elementwise.h"

namespace binocle {

void PatchRows(Exec& ex, const TensorView& pixels, int64_t patch, const TensorView& rows) {
  const int64_t height = pixels.dim(1);
  const int64_t width = pixels.dim(2);
  const int64_t columns = width / patch;
  const int64_t patches = height / patch * columns;
  BINOCLE_CHECK(pixels.dim(0) * patches == 3 * rows.dim(0) && rows.dim(1) == 3 * patch * patch,
                "pixels ", pixels.shape().ToString(), " rows ", rows.shape().ToString());
  if (rows.on_cuda()) {  // cut up here: as many bytes as the pixels
    const Tensor cut = Tensor::F32(rows.shape(), "patch_rows");
    PatchRows(ex, pixels, patch, cut);
    return CopyRows(ex, cut, rows);
  }
  const float* source = pixels.f32();
  ex.ParallelRanges(rows.dim(0), 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float* out = rows.row(i);
      const float* image = source + i / patches * 3 * height * width;
      const int64_t top = i % patches / columns * patch, left = i % columns * patch;
      for (int64_t c = 0; c < 3; ++c) {
        for (int64_t y = 0; y < patch; ++y, out += patch) {
          const float* in = image + (c * height + top + y) * width + left;
          std::memcpy(out, in, static_cast<size_t>(patch) * sizeof(float));
        }
      }
    }
  });
}

}  // namespace binocle
