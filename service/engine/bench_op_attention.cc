#include <cmath>
#include <memory>
#include <vector>

#include "attention/attention.h"
#include "service/engine/bench_kernels.h"
#include "service/engine/bench_op_groups.h"

namespace binocle {
namespace {

// Of TinyLlama 1.1B and of LLaMA 7B.
constexpr LayerShape kAskedLayers[] = {{.heads = 32, .kv_heads = 4, .head_dim = 64},
                                       {.heads = 32, .kv_heads = 32, .head_dim = 128}};

struct AskedRows {
  int64_t rows;  // the last ones
  int64_t keys;
};
constexpr AskedRows kAskedRows[] = {
    {.rows = 512, .keys = 512}, {.rows = 1, .keys = 576}, {.rows = 1, .keys = 2880}};

// Layers with the same keys and values, which take turns.
class TurningLayers {
 public:
  TurningLayers(Exec& ex, const LayerShape& shape, const AskedRows& asked, WeightKind kind)
      : ex_(ex),
        asked_(asked),
        bytes_(2 * asked.keys * shape.kv_heads * shape.head_dim * DTypeSize(KvDType(kind))),
        layers_((kFromMemoryBytes + bytes_ - 1) / bytes_),
        pool_(layers_, shape.kv_heads, shape.head_dim, PagesFor(asked.keys), KvDType(kind)),
        sequence_(pool_),
        scale_(1 / std::sqrt(static_cast<float>(shape.head_dim))),
        q_(OpNoise({asked.rows, shape.heads * shape.head_dim})),
        out_(Tensor::F32({asked.rows, shape.heads * shape.head_dim})),
        lse_(Tensor::F32({asked.rows, shape.heads})) {
    sequence_.Extend(asked.keys);
    const Tensor rows = OpNoise({asked.keys, shape.kv_heads * shape.head_dim});
    std::vector<int32_t> slots;
    for (int64_t p = 0; p < asked.keys; ++p) slots.push_back(sequence_.Slot(p));
    for (int64_t l = 0; l < layers_; ++l) WriteKv(ex, rows, rows, slots, pool_.layer(l));
  }

  int64_t bytes() const { return bytes_ + q_.bytes(); }  // that a call reads

  void Attend() {
    const QueryRun run{.first_row = 0,
                       .rows = asked_.rows,
                       .first_position = asked_.keys - asked_.rows,
                       .keys = asked_.keys,
                       .pages = sequence_.pages()};
    const AttentionArgs args{
        .q = q_, .kv = pool_.layer(turn_++ % layers_), .runs = {&run, 1}, .scale = scale_};
    Attention(ex_, args, out_, lse_);
  }

 private:
  Exec& ex_;
  AskedRows asked_;
  int64_t bytes_;  // of a layer
  int64_t layers_;
  KvPool pool_;
  KvSequence sequence_;
  float scale_;
  Tensor q_, out_, lse_;
  int64_t turn_ = 0;
};

}  // namespace

void BenchAttentionOps(const OpBenchPlan& plan) {
  for (const LayerShape& shape : kAskedLayers) {
    for (const AskedRows& asked : kAskedRows) {
      std::vector<OpContender> group;
      const auto rows = static_cast<double>(asked.rows), keys = static_cast<double>(asked.keys);
      const double pairs = rows * (keys - (rows - 1) / 2);
      for (const WeightKind kind : plan.page_kinds()) {
        const auto layers = std::make_shared<TurningLayers>(plan.ex, shape, asked, kind);
        group.push_back(
            {.kind = kind,
             .op = {.op = "attention",
                    .rows = asked.rows,
                    .width = shape.heads * shape.head_dim,
                    .keys = asked.keys,
                    .heads = shape.heads,
                    .kv_heads = shape.kv_heads,
                    .head_dim = shape.head_dim},
             .operations = 4.0 * pairs * static_cast<double>(shape.heads * shape.head_dim),
             .bytes = static_cast<double>(layers->bytes()),
             .run = [layers] { layers->Attend(); }});
      }
      plan.timer.Time(group);
    }
  }
}

}  // namespace binocle
