#include "service/engine/generation_options.h"

#include "core/error.h"
#include "llm/stop_matcher.h"

namespace binocle {
namespace {

// The context ends an answer before this; it bounds what a caller may ask for.
constexpr int64_t kMaxNewTokens = int64_t{1} << 20;
constexpr int64_t kMaxAnswers = 64;
constexpr size_t kMaxStops = 64;

}  // namespace

SamplingParams SamplingOf(const GenerationOptions& options, int64_t answer) {
  return {.temperature = options.temperature,
          .top_k = options.top_k,
          .top_p = options.top_p,
          .min_p = options.min_p,
          .repetition_penalty = options.repetition_penalty,
          .seed = options.seed + static_cast<uint64_t>(answer)};
}

void CheckOptions(const GenerationOptions& options, std::optional<int64_t> vocabulary) {
  CheckOption("max_new_tokens", options.max_new_tokens, 1, kMaxNewTokens);
  CheckOption("n", options.n, 1, kMaxAnswers);
  CheckOption("logprobs", options.logprobs, 0, vocabulary.value_or(INT32_MAX));
  CheckSamplingParams(SamplingOf(options, 0));
  if (options.stop.size() > kMaxStops)
    ThrowOption("stop", "is given ", options.stop.size(), " times, expected at most ", kMaxStops);
  const StopMatcher checked(options.stop);
}

}  // namespace binocle
