#include <functional>
#include <iterator>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "attention/kv_pages.h"
#include "core/ops/activation.h"
#include "core/ops/norm.h"
#include "core/ops/product_rows.h"
#include "core/ops/rope.h"
#include "service/engine/bench_op_groups.h"

namespace binocle {
namespace {

// TinyLlama's, and ViT-L's.
constexpr int64_t kTextWidth = 2048, kTextFfWidth = 5632, kTextHeadDim = 64, kTextKvHeads = 4;
constexpr int64_t kVisionWidth = 1024, kVisionFfWidth = 4096;

// In place a call reads what the one before left, and most numbers would be denormal after some hundred calls. Near these they stay as they are, to the
// last bit, and no e^x on the way is denormal.
struct InPlaceOp {
  const char* name;
  Activation f;
  float settled;
};
constexpr InPlaceOp kInPlace[] = {{"gelu", Activation::kGelu, 8},
                                  {"gelu_tanh", Activation::kGeluTanh, 8},
                                  {"quick_gelu", Activation::kQuickGelu, 12}};

// The ops that go over rows and multiply no matrix.
class RowOps {
 public:
  explicit RowOps(const OpBenchPlan& plan)
      : plan_(plan),
        x_(OpNoise({plan.most_rows(), 2 * kTextFfWidth})),
        y_(Tensor::F32({plan.most_rows(), kTextFfWidth})),
        rms_{.weight = OpNoise({kTextWidth})},
        layer_{.weight = OpNoise({kVisionWidth}), .bias = OpNoise({kVisionWidth})},
        rope_(RopeTable::Make(kTextHeadDim, {}, plan.most_rows())),
        positions_(static_cast<size_t>(plan.most_rows())),
        settled_{Tensor::F32({plan.most_rows(), kVisionFfWidth}),
                 Tensor::F32({plan.most_rows(), kVisionFfWidth}),
                 Tensor::F32({plan.most_rows(), kVisionFfWidth})} {
    std::iota(positions_.begin(), positions_.end(), 0);
    for (size_t i = 0; i < std::size(kInPlace); ++i) {
      for (int64_t j = 0; j < settled_[i].shape().elements(); ++j)
        settled_[i].f32()[j] = kInPlace[i].settled + x_.f32()[j % x_.shape().elements()];
    }
    for (const WeightKind kind : plan.page_kinds())
      pools_.emplace_back(1, kTextKvHeads, kTextHeadDim, PagesFor(plan.most_rows()), KvDType(kind));
    // Who takes a norm's rows: nothing but its kind and depth matters.
    for (const WeightKind kind : plan.row_kinds()) {
      text_takers_.push_back(Taker(kTextWidth, kind));
      vision_takers_.push_back(Taker(kVisionWidth, kind));
    }
  }

  void Time() {
    for (const int64_t rows : plan_.rows) {
      AddNorms(rows);
      AddInPlace(rows);
      AddKvWrites(rows);
    }
    plan_.timer.Time(group_);
  }

 private:
  LinearWeights Taker(int64_t depth, WeightKind kind) const {
    const Tensor weight = OpNoise({kPanelWidth, depth});
    return PackLinear(plan_.ex, {{.weight = weight, .bias = {}}}, kind);
  }
  // [rows, width], dense.
  static TensorView Dense(const Tensor& t, int64_t rows, int64_t width) {
    return {t.view().data(), DType::kF32, {rows, width}};
  }
  void Add(const OpTiming& op, WeightKind kind, int64_t floats, std::function<void()> run) {
    group_.push_back({.kind = kind,
                      .op = op,
                      .bytes = 4.0 * static_cast<double>(floats),
                      .run = std::move(run)});
  }

  void AddNorms(int64_t rows) {
    const TensorView text = Dense(x_, rows, kTextWidth), vision = Dense(x_, rows, kVisionWidth);
    const std::vector<WeightKind> kinds = plan_.row_kinds();
    for (size_t i = 0; i < kinds.size(); ++i) {
      const TensorView n = RowsInto(text_takers_[i], Dense(y_, rows, kTextWidth));
      Add({.op = "rms_norm", .rows = rows, .width = kTextWidth}, kinds[i], (rows + 1) * kTextWidth,
          [=, this] { RmsNorm(plan_.ex, text, rms_, n); });
    }
    for (size_t i = 0; i < kinds.size(); ++i) {
      const TensorView n = RowsInto(vision_takers_[i], Dense(y_, rows, kVisionWidth));
      Add({.op = "layer_norm", .rows = rows, .width = kVisionWidth}, kinds[i],
          (rows + 2) * kVisionWidth, [=, this] { LayerNorm(plan_.ex, vision, layer_, n); });
    }
  }

  void AddInPlace(int64_t rows) {
    const TensorView heads = Dense(x_, rows, kTextWidth);
    const std::span<const int32_t> positions =
        std::span(positions_).first(static_cast<size_t>(rows));
    Add({.op = "rope", .rows = rows, .width = kTextWidth}, WeightKind::kF32,
        rows * (kTextWidth + kTextHeadDim), [=, this] { Rope(plan_.ex, rope_, positions, heads); });
    const TensorView gate_up = x_.view().Rows(0, rows), ff = y_.view().Rows(0, rows);
    Add({.op = "silu_mul", .rows = rows, .width = kTextFfWidth}, WeightKind::kF32,
        rows * 2 * kTextFfWidth, [=, this] { SiluMul(plan_.ex, gate_up, ff); });
    for (size_t i = 0; i < std::size(kInPlace); ++i) {
      const TensorView settled = settled_[i].view().Rows(0, rows);
      Add({.op = kInPlace[i].name, .rows = rows, .width = kVisionFfWidth}, WeightKind::kF32,
          rows * kVisionFfWidth, [=, this] { Activate(plan_.ex, kInPlace[i].f, settled); });
    }
  }

  void AddKvWrites(int64_t rows) {
    constexpr int64_t kWidth = kTextKvHeads * kTextHeadDim;
    const TensorView kv = Dense(x_, rows, kWidth);
    const std::vector<WeightKind> kinds = plan_.page_kinds();
    // Pages of a pool that nobody else writes: a slot is a position.
    const std::span<const int32_t> slots = std::span(positions_).first(static_cast<size_t>(rows));
    for (size_t i = 0; i < kinds.size(); ++i) {
      Add({.op = "kv_write", .rows = rows, .width = kWidth}, kinds[i], 2 * rows * kWidth,
          [=, this] { WriteKv(plan_.ex, kv, kv, slots, pools_[i].layer(0)); });
    }
  }

  const OpBenchPlan& plan_;
  Tensor x_, y_;
  RmsNormWeights rms_;
  LayerNormWeights layer_;
  RopeTable rope_;
  std::vector<int32_t> positions_;
  Tensor settled_[std::size(kInPlace)];                     // [T, F] for each
  std::vector<KvPool> pools_;                               // of page_kinds
  std::vector<LinearWeights> text_takers_, vision_takers_;  // of row_kinds
  std::vector<OpContender> group_;
};

}  // namespace

void BenchRowOps(const OpBenchPlan& plan) { RowOps(plan).Time(); }

}  // namespace binocle
