#include "fusion/workspace_plan.h"

#include <algorithm>

#include "attention/attention.h"

namespace binocle {
namespace {

TowerShape ShapeOfTower(const TowerConfig& tower) {
  return std::visit([](const auto& shape) { return shape.tower_shape(); }, tower.shape);
}

// Rows of x in the products of a part, at most.
int64_t RowsOfPart(const ModelConfig& c, const std::string& part, int64_t decoder_rows) {
  if (part == "language_model") return decoder_rows;
  const auto& own = part == "anchor" ? c.anchor : c.augment;
  if (part == "anchor" || part == "augment")
    return ShapeOfTower(*own).images * ShapeOfTower(*own).tokens;
  int64_t rows = 0;  // fusion and projector see one view
  for (const auto* tower : {&c.anchor, &c.augment})
    if (*tower) rows = std::max(rows, (*tower)->features().tokens);
  return rows;
}

// Pixels of the most views for each tower, and the visual tokens that they become.
int64_t PictureBytes(const ModelConfig& c) {
  if (!c.takes_pictures()) return 0;
  int64_t floats = c.visual_tokens() * c.text.width;
  const int64_t views = c.tiling ? c.tiling->max_tiles() + 1 : 1;
  for (const auto* tower : {&c.anchor, &c.augment}) {
    if (!*tower) continue;
    const TowerShape shape = ShapeOfTower(**tower);
    floats += (tower == &c.anchor ? views : 1) * shape.patches * shape.patch_width;
  }
  return floats * 4;
}

}  // namespace

int64_t WorkspaceBytes(const CheckedModel& model, int64_t decoder_rows, int threads) {
  const ModelConfig& c = model.config();
  // Neither is given back between ops, so the largest of all is what there will be.
  int64_t shared = 0;
  int64_t of_thread = AttentionThreadBytes(c.text.head_dim, c.text.kv_dtype);
  for (const auto& [part, weights] : model.plan().weights) {
    const int64_t rows = RowsOfPart(c, part, decoder_rows);
    for (const auto& [kind, k] : weights.deepest) {
      shared = std::max(shared, LinearWorkspaceBytes(rows, k, kind));
      of_thread = std::max(of_thread, LinearThreadBytes(k, kind));
    }
  }
  for (const auto* tower : {&c.anchor, &c.augment}) {
    if (!*tower) continue;
    const TowerShape shape = ShapeOfTower(**tower);
    of_thread = std::max(of_thread, AttentionThreadBytes(shape.head_dim(), shape.kv_dtype));
  }
  if (c.fusion.type == FusionType::kFtz && c.takes_pictures())
    of_thread = std::max(of_thread,
                         AttentionThreadBytes(c.fusion.width / c.fusion.heads, c.fusion.kv_dtype));
  return shared + threads * of_thread + PictureBytes(c);
}

}  // namespace binocle
