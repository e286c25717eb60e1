#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/ops/linear_activate.h"
#include "core/ops/swiglu.h"
#include "service/engine/bench_op_groups.h"

namespace binocle {
namespace {

constexpr MatrixShape kActivateShape{.n = 4096, .k = 1024};  // ViT-L's

int64_t CopiesFor(int64_t bytes) { return (kFromMemoryBytes + bytes - 1) / bytes; }

LinearWeights CopyOf(const LinearWeights& w) {
  LinearWeights copy{.packed = w.packed.Clone(), .bias = {}, .n = w.n, .k = w.k};
  if (w.compact.empty()) return copy;
  Tensor own = w.compact.own.Clone();
  copy.compact = CompactViews(own.view().data(), w.n, w.k, w.compact.kind);
  copy.compact.own = std::move(own);
  return copy;
}

// The same matrix several times over.
class TurningMatrices {
 public:
  TurningMatrices(Exec& ex, const MatrixShape& shape, WeightKind kind) {
    // A matrix of few rows, stacked as often as it takes: packing asks for all of it as f32 otherwise.
    constexpr int64_t kNoiseRows = 256;
    const Tensor noise = OpNoise({std::min(shape.n, kNoiseRows), shape.k});
    std::vector<StoredLinear> parts;
    for (int64_t r = 0; r < shape.n; r += kNoiseRows)
      parts.push_back(
          {.weight = noise.view().Rows(0, std::min(kNoiseRows, shape.n - r)), .bias = {}});
    matrices_.push_back(PackLinear(ex, parts, kind));
    const int64_t copies = CopiesFor(bytes());
    while (std::ssize(matrices_) < copies) matrices_.push_back(CopyOf(matrices_[0]));
  }

  int64_t bytes() const { return matrices_[0].bytes(); }  // of one
  const LinearWeights& Next() { return matrices_[turn_++ % matrices_.size()]; }

 private:
  std::vector<LinearWeights> matrices_;
  size_t turn_ = 0;
};

using ProductCall = std::function<void(const TensorView& x, const LinearWeights& w)>;

void BenchProduct(const OpBenchPlan& plan, const std::string& op, const MatrixShape& shape,
                  const ProductCall& call) {
  const Tensor x = OpNoise({plan.most_rows(), shape.k});
  std::vector<std::shared_ptr<TurningMatrices>> matrices;
  for (const WeightKind kind : plan.kinds)
    matrices.push_back(std::make_shared<TurningMatrices>(plan.ex, shape, kind));
  std::vector<OpContender> group;
  for (const int64_t rows : plan.rows) {
    for (size_t i = 0; i < plan.kinds.size(); ++i) {
      const auto product = [=, &call, w = matrices[i], some = x.view().Rows(0, rows)] {
        call(some, w->Next());
      };
      const double row_bytes = 4.0 * static_cast<double>(rows * shape.k);
      group.push_back({.kind = plan.kinds[i],
                       .op = {.op = op, .rows = rows, .n = shape.n, .k = shape.k},
                       .operations = 2.0 * static_cast<double>(rows * shape.n * shape.k),
                       .bytes = static_cast<double>(matrices[i]->bytes()) + row_bytes,
                       .run = product});
    }
  }
  plan.timer.Time(group);
}

}  // namespace

int64_t ProductBenchBytes(const MatrixShape& shape, const std::vector<WeightKind>& kinds,
                          int64_t rows) {
  int64_t bytes = 4 * rows * (shape.k + 2 * shape.n);
  for (const WeightKind kind : kinds) {
    const int64_t one = PackedLinearBytes(shape.n, shape.k, kind);
    bytes += CopiesFor(one) * one;
  }
  return bytes;
}

void BenchLinearOp(const OpBenchPlan& plan, const MatrixShape& shape) {
  const Tensor y = Tensor::F32({plan.most_rows(), shape.n});
  BenchProduct(plan, "linear", shape, [&](const TensorView& x, const LinearWeights& w) {
    Linear(plan.ex, x, w, y.view().Rows(0, x.dim(0)));
  });
}

void BenchSwiGluOp(const OpBenchPlan& plan) {
  const Tensor gate_up = Tensor::F32({plan.most_rows(), kSwiGluShape.n});
  const Tensor y = Tensor::F32({plan.most_rows(), kSwiGluShape.n / 2});
  BenchProduct(plan, "swiglu", kSwiGluShape, [&](const TensorView& x, const LinearWeights& w) {
    SwiGlu(plan.ex, x, w, gate_up.view().Rows(0, x.dim(0)), y.view().Rows(0, x.dim(0)));
  });
}

void BenchLinearActivateOp(const OpBenchPlan& plan) {
  const Tensor y = Tensor::F32({plan.most_rows(), kActivateShape.n});
  BenchProduct(plan, "linear_activate", kActivateShape,
               [&](const TensorView& x, const LinearWeights& w) {
                 LinearActivate(plan.ex, x, w, Activation::kQuickGelu, y.view().Rows(0, x.dim(0)));
               });
}

}  // namespace binocle
