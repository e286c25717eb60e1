#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

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
        far_(Tensor::F32({plan.most_rows(), kVisionFfWidth})) {
    std::iota(positions_.begin(), positions_.end(), 0);
    // Where a nonlinearity leaves a number as it is, nearly: other numbers would be denormal after some hundred calls in place.
    const Tensor noise = OpNoise(far_.shape());
    for (int64_t i = 0; i < noise.shape().elements(); ++i) far_.f32()[i] = 12 + noise.f32()[i];
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
    const TensorView far = far_.view().Rows(0, rows);
    for (const auto& [name, f] : {std::pair("gelu", Activation::kGelu),
                                  {"gelu_tanh", Activation::kGeluTanh},
                                  {"quick_gelu", Activation::kQuickGelu}}) {
      Add({.op = name, .rows = rows, .width = kVisionFfWidth}, WeightKind::kF32,
          rows * kVisionFfWidth, [=, this, f = f] { Activate(plan_.ex, f, far); });
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
  Tensor far_;
  std::vector<KvPool> pools_;                               // of page_kinds
  std::vector<LinearWeights> text_takers_, vision_takers_;  // of row_kinds
  std::vector<OpContender> group_;
};

}  // namespace

void BenchRowOps(const OpBenchPlan& plan) { RowOps(plan).Time(); }

}  // namespace binocle
