#include "fusion/workspace_plan.h"

#include <algorithm>

#include "attention/attention.h"
#include "attention/attention_plan.h"
#include "attention/place_kv.h"
#include "core/ops/gemm_cuda.h"

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

// Pixels of the most views for each tower, and the visual tokens that they become; where these stand alone, also their keys and values in all layers,
// which are made before any sequence has room for them.
int64_t PictureBytes(const ModelConfig& c) {
  if (!c.takes_pictures()) return 0;
  int64_t floats = c.visual_tokens() * c.text.width;
  const int64_t views = c.tiling ? c.tiling->max_tiles() + 1 : 1;
  for (const auto* tower : {&c.anchor, &c.augment}) {
    if (!*tower) continue;
    const TowerShape shape = ShapeOfTower(**tower);
    floats += (tower == &c.anchor ? views : 1) * shape.patches * shape.patch_width;
  }
  if (c.layers.images_stand_alone())
    floats += c.text.layers * KeptKv::Floats(c.text.kv_heads, c.text.head_dim, c.visual_tokens());
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

// Of CudaBackend::Scratch each grows to the most that an op asks for, and by half of it.
int64_t DeviceWorkspaceBytes(const CheckedModel& model, int64_t decoder_rows, int64_t sequences,
                             int64_t context) {
  const ModelConfig& c = model.config();
  const int64_t q_width = c.text.heads * c.text.head_dim;
  const int64_t widest = std::max({c.text.ff_width, c.text.width, q_width});
  int64_t rows = decoder_rows * widest * 2;  // bf16
  int64_t queries = decoder_rows * q_width * 2;
  int64_t hidden = 0, whole = 0;
  const bool of_bytes =
      c.text.layer_kind == WeightKind::kInt8 || c.text.layer_kind == WeightKind::kInt4;
  int64_t sums = 4 * std::max(decoder_rows * 2 * c.text.ff_width, sequences * c.text.vocabulary);
  const int64_t expanded =
      c.text.layer_kind == WeightKind::kInt4 ? 2 * c.text.ff_width * c.text.width : 0;
  for (const auto* tower : {&c.anchor, &c.augment}) {
    if (!*tower) continue;
    const TowerShape shape = ShapeOfTower(**tower);
    const int64_t tokens = shape.images * shape.tokens;
    rows = std::max(rows, tokens * std::max(shape.ff_width, shape.width) * 2);
    hidden = std::max(hidden, tokens * shape.ff_width * 4);
    sums = std::max(sums, tokens * shape.ff_width * 4);
    queries = std::max(queries, tokens * shape.width * 2);
    whole = std::max(whole, tokens * (shape.width * 2 + shape.heads * 4) + 256);
  }
  sums = of_bytes ? std::min(sums, kDeviceSumsBytes) : 0;
  const int64_t of_row = (q_width + c.text.heads) * 4;  // what attention says, and its LSE
  // Text between two pictures is a run of its own.
  const int64_t runs =
      sequences *
      (1 + (c.takes_pictures() ? context / std::max<int64_t>(1, c.visual_tokens()) : 0));
  const int64_t parts =
      std::min(decoder_rows, runs * MostRowsInParts(c.text.heads, c.text.kv_heads)) *
      MostParts(context, c.text.kv_heads);
  // Twice where VAR tells what the content of a picture gives: the plan does not know who will ask for it.
  const int64_t attention = 2 * parts * of_row + decoder_rows * of_row;
  const int64_t scratch = rows + hidden + expanded + sums + queries + whole + attention;
  return scratch * 3 / 2 + cuda::kProductWorkspaceBytes + PictureBytes(c);
}

}  // namespace binocle
