#include "core/ops/linear_block_panels.h"

#include <algorithm>
#include <cstring>

namespace binocle {
namespace {

int64_t PanelsOfPart(const StoredLinear& part) {
  return (part.weight.dim(0) + kPanelWidth - 1) / kPanelWidth;
}

}  // namespace

int64_t BlockPanels(const LinearWeights& w) {
  int64_t panels = 0;
  for (const StoredLinear& part : w.in_place) panels += PanelsOfPart(part);
  return panels;
}

PlacedPanel BlockPanelAt(const LinearWeights& w, int64_t panel) {
  int64_t n0 = 0;
  const StoredLinear* part = w.in_place.data();
  for (; panel >= PanelsOfPart(*part); ++part) {
    panel -= PanelsOfPart(*part);
    n0 += part->weight.dim(0);
  }
  const int64_t row = panel * kPanelWidth;
  return {.part = part,
          .row = row,
          .n0 = n0 + row,
          .columns = std::min(kPanelWidth, part->weight.dim(0) - row)};
}

StripRows RowsOfStrip(const PlacedPanel& panel, int64_t strip) {
  const TensorView& weight = panel.part->weight;
  const int64_t row_bytes = StoredBytes(weight.dtype(), weight.dim(1));
  const auto* base = static_cast<const uint8_t*>(weight.data());
  StripRows rows;
  for (int64_t n = 0; n < kStripWidth; ++n) {
    const int64_t row = std::min(panel.row + strip * kStripWidth + n, weight.dim(0) - 1);
    rows.row[n] = base + panel.part->order.Stored(row) * row_bytes;
  }
  return rows;
}

EvenedRows::EvenedRows(const StripRows& rows, Copies& copies)
    : rows_(rows), copies_(copies), stride_(rows.row[1] - rows.row[0]) {
  for (int64_t n = 2; n < kStripWidth; ++n)
    if (rows.row[n] - rows.row[n - 1] != stride_) stride_ = 0;
}

EvenRows EvenedRows::At(int64_t begin, int64_t end) const {
  if (even()) return {.first = rows_.row[0] + begin, .stride = stride_};
  for (int64_t n = 0; n < kStripWidth; ++n)
    std::memcpy(copies_.of[n], rows_.row[n] + begin, static_cast<size_t>(end - begin));
  return {.first = copies_.of[0], .stride = Copies::kStride};
}

}  // namespace binocle
