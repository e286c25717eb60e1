#include <algorithm>
#include <string>

#include "binocle/bench.h"
#include "core/error.h"
#include "core/machine.h"
#include "core/vector_rate.h"
#include "service/engine/bench_kernels.h"
#include "service/engine/bench_model.h"
#include "service/engine/bench_rounds.h"

namespace binocle {
namespace {

// The layers of TinyLlama 1.1B and of LLaMA 7B.
constexpr LayerShape kLayers[] = {{.heads = 32, .kv_heads = 4, .head_dim = 64},
                                  {.heads = 32, .kv_heads = 32, .head_dim = 128}};

[[noreturn]] void Refuse(const char* option, const std::string& rest) {
  throw Error(Code::kInvalidArgument, option + (" " + rest), option);
}

void CheckRange(const char* option, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return;
  Refuse(option, internal::Concat("is ", value, ", expected ", low, " to ", high));
}

void Check(const AttentionBenchOptions& o) {
  for (const int64_t tokens : o.visual_tokens) CheckRange("tokens", tokens, 16, 65536);
  if (o.visual_tokens.empty()) Refuse("tokens", "is empty, expected at least one number");
  CheckRange("text_tokens", o.text_tokens, 8, 65536);
  CheckRange("rounds", o.rounds, 1, 1000);
  CheckRange("threads", o.threads, 0, 1024);
  if (o.model_shape != "1.1b" && o.model_shape != "tiny" && o.model_shape != "none")
    Refuse("model_shape", "is " + o.model_shape + ", expected 1.1b, tiny or none");
}

}  // namespace

AttentionBench BenchAttention(const AttentionBenchOptions& options) {
  Check(options);
  const int64_t processors = LimitsOfThisProcess().processors;
  const auto threads = static_cast<int>(options.threads > 0 ? options.threads : processors);
  const ModelBenchPlan model{.shape = options.model_shape,
                             .visual_tokens = options.visual_tokens.front(),
                             .text_tokens = options.text_tokens,
                             .rounds = options.rounds};
  if (model.shape != "none" && model.bytes() > LimitsOfThisProcess().memory) {
    Throw(Code::kResourceExhausted, "bench: the model of shape ", model.shape, " takes ",
          model.bytes(), " bytes, this machine has ", LimitsOfThisProcess().memory);
  }
  Exec ex(threads);
  AttentionBench out{.simd = SimdName(), .threads = threads, .rounds = options.rounds};
  std::vector<double> rates;
  for (const LayerShape& shape : kLayers) {
    for (const int64_t visual : options.visual_tokens) {
      if (options.on_step) {
        options.on_step(internal::Concat("attention: ", shape.heads, "/", shape.kv_heads,
                                         " heads of ", shape.head_dim, ", ", visual,
                                         " visual tokens"));
      }
      const KernelBench bench{.shape = shape,
                              .visual_tokens = visual,
                              .text_tokens = options.text_tokens,
                              .rounds = options.rounds};
      for (AttentionTiming& t : BenchKernels(ex, bench, rates))
        out.attention.push_back(std::move(t));
    }
  }
  out.f32_rate = SpreadOf(std::move(rates));
  if (model.shape != "none") out.models.push_back(BenchModel(ex, model, options.on_step));
  return out;
}

}  // namespace binocle
