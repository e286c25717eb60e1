// Kernels against their scalar definitions, in builds without GoogleTest (preset `minimal`): linear, norms, activations, rope and
// attention over awkward shapes. Prints the largest error of each op, exits 1 when one is over its tolerance.
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "attention/attention.h"
#include "attention/attention_ref.h"
#include "core/ops/activation_ref.h"
#include "core/ops/linear_ref.h"
#include "core/ops/norm_ref.h"
#include "core/ops/rope_ref.h"

namespace binocle {
namespace {

int failures = 0;

Tensor Random(Shape shape, uint32_t seed) {
  Tensor out = Tensor::F32(shape);
  uint32_t state = seed * 2654435761U + 1;
  for (int64_t i = 0; i < shape.elements(); ++i) {
    state = state * 1664525U + 1013904223U;
    out.f32()[i] = static_cast<float>(state >> 8) * 0x1p-23F - 1.0F;
  }
  return out;
}

// Tracks max |got − want| / max(1, |want|) of one op.
class Comparison {
 public:
  Comparison(std::string op, double tolerance) : op_(std::move(op)), tolerance_(tolerance) {}
  ~Comparison() {
    const bool good = worst_ <= tolerance_;
    std::printf("%-10s %8lld values, worst error %.2e, allowed %.0e: %s\n", op_.c_str(),
                static_cast<long long>(values_), worst_, tolerance_, good ? "ok" : "FAILED");
    failures += good ? 0 : 1;
  }
  Comparison(const Comparison&) = delete;
  Comparison& operator=(const Comparison&) = delete;

  void Compare(const Tensor& got, const Tensor& want) {
    for (int64_t i = 0; i < want.shape().elements(); ++i, ++values_) {
      const double g = got.f32()[i];
      const double w = want.f32()[i];
      if (g == w) continue;  // both −∞ included
      const double error = std::fabs(g - w) / std::fmax(1.0, std::fabs(w));
      worst_ = std::isnan(error) ? INFINITY : std::fmax(worst_, error);
    }
  }

 private:
  std::string op_;
  double tolerance_;
  double worst_ = 0;
  int64_t values_ = 0;
};

void CheckLinear(Exec& ex) {
  Comparison check("linear", 2e-5);  // 1100 products that round twice instead of once
  for (const int64_t rows : {1, 5, 33, 140}) {
    for (const int64_t k : {1, 17, 512, 1100}) {
      for (const int64_t n : {1, 64, 67, 200}) {
        const Tensor x = Random({rows, k}, 1);
        const Tensor weight = Random({n, k}, 2);
        const Tensor bias = Random({n}, 3);
        const LinearWeights packed = PackLinear(ex, {{.weight = weight, .bias = bias}});
        const Tensor got = Tensor::F32({rows, n});
        const Tensor want = Tensor::F32({rows, n});
        Linear(ex, x, packed, got);
        LinearRef(x, weight, bias, want);
        check.Compare(got, want);
      }
    }
  }
}

void CheckNorms(Exec& ex) {
  Comparison layer_norm("layer_norm", 1e-5);
  Comparison rms_norm("rms_norm", 1e-5);
  for (const int64_t width : {2, 17, 64, 193}) {
    const Tensor x = Random({7, width}, 4);
    const Tensor got = Tensor::F32({7, width});
    const Tensor want = Tensor::F32({7, width});
    const LayerNormWeights layer{.weight = Random({width}, 5), .bias = Random({width}, 6)};
    LayerNorm(ex, x, layer, got);
    LayerNormRef(x, layer, want);
    layer_norm.Compare(got, want);
    const RmsNormWeights rms{.weight = Random({width}, 7)};
    RmsNorm(ex, x, rms, got);
    RmsNormRef(x, rms, want);
    rms_norm.Compare(got, want);
  }
}

void CheckActivations(Exec& ex) {
  Comparison activations("activation", 5e-6);
  for (const int64_t width : {1, 17, 160}) {
    const Tensor x = Random({5, 2 * width}, 8);
    for (int64_t i = 0; i < x.shape().elements(); ++i) x.f32()[i] *= 12.0F;
    for (const Activation activation :
         {Activation::kGelu, Activation::kGeluTanh, Activation::kQuickGelu}) {
      const Tensor got = x.Clone();
      const Tensor want = x.Clone();
      Activate(ex, activation, got);
      ActivateRef(activation, want);
      activations.Compare(got, want);
    }
    const Tensor got = Tensor::F32({5, width});
    const Tensor want = Tensor::F32({5, width});
    SiluMul(ex, x, got);
    SiluMulRef(x, want);
    activations.Compare(got, want);
  }
}

void CheckRope(Exec& ex) {
  Comparison check("rope",
                   1e-4);  // angles are f32 products: at position 300 they are exact to 2e-5
  const std::vector<int32_t> positions = {0, 1, 7, 300};
  const Tensor got = Random({4, 3 * 24}, 9);
  const Tensor want = got.Clone();
  Rope(ex, RopeTable::Make(24, {}, 301), positions, got);
  RopeRef(24, 10000, positions, want);
  check.Compare(got, want);
}

// `keys` positions of one sequence; the last `rows` of them ask.
void CheckAttention(Exec& ex) {
  Comparison check("attention", 2e-5);
  for (const int64_t d : {24, 80}) {
    for (const int64_t keys : {1, 63, 64, 65, 150}) {
      const int64_t kv_heads = 2;
      const int64_t heads = 6;
      KvPool pool(1, kv_heads, d, PagesFor(keys));
      KvSequence sequence(pool);
      sequence.Extend(keys);
      std::vector<int32_t> slots;
      for (int64_t p = 0; p < keys; ++p) slots.push_back(sequence.Slot(p));
      WriteKv(ex, Random({keys, kv_heads * d}, 10), Random({keys, kv_heads * d}, 11), slots,
              pool.layer(0));
      const int64_t rows = keys < 40 ? keys : 40;
      const Tensor q = Random({rows, heads * d}, 12);
      const QueryRun run{.first_row = 0,
                         .rows = rows,
                         .first_position = keys - rows,
                         .keys = keys,
                         .pages = sequence.pages()};
      for (const Mask mask : {Mask::kCausal, Mask::kNone}) {
        const AttentionArgs args{
            .q = q, .kv = pool.layer(0), .runs = {&run, 1}, .mask = mask, .scale = 0.3F};
        const Tensor got = Tensor::F32({rows, heads * d});
        const Tensor got_lse = Tensor::F32({rows, heads});
        const Tensor want = Tensor::F32({rows, heads * d});
        const Tensor want_lse = Tensor::F32({rows, heads});
        Attention(ex, args, got, got_lse);
        AttentionRef(args, want, want_lse);
        check.Compare(got, want);
        check.Compare(got_lse, want_lse);
      }
    }
  }
}

}  // namespace
}  // namespace binocle

int main() {
  binocle::Exec ex(2);
  binocle::CheckLinear(ex);
  binocle::CheckNorms(ex);
  binocle::CheckActivations(ex);
  binocle::CheckRope(ex);
  binocle::CheckAttention(ex);
  return binocle::failures == 0 ? 0 : 1;
}
