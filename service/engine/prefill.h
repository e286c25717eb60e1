// The prompt through the decoder, and then token by token.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "attention/kv_pages.h"
#include "fusion/prompt.h"
#include "llm/llama_decoder.h"
#include "llm/sequence_watch.h"
#include "service/engine/image_cache.h"

namespace binocle {

// A sequence on its way: its keys and values, and who watches them.
struct RunningSequence {
  explicit RunningSequence(KvPool& pool) : kv(pool) {}

  KvSequence kv;
  std::unique_ptr<SequenceWatch> watch;  // nullptr: nobody
};

struct PrefillInput {
  const ExpandedPrompt& prompt;
  std::span<const SharedImage> images;  // by picture
};

// Where passes run and what they write into.
struct ForwardContext {
  Exec& ex;
  const LlamaDecoder& decoder;
  KvPool& pool;
  DecoderActivations& activations;
};

// Appends what the sequence lacks of the prompt, whose first positions it may hold already, in chunks of at most activations.max_rows rows, and leaves the last position's logits in
// activations.logits. `keep_going` is asked before each chunk; false stops it, and Prefill returns false. Throws RESOURCE_EXHAUSTED
// when the pages run out. How a prompt is cut does not change a bit of the result.
bool Prefill(const ForwardContext& c, const PrefillInput& input, RunningSequence& sequence,
             const std::function<bool()>& keep_going);

// Appends one token to each of `sequences`; activations.logits [sequences, V] are the logits after it, in order.
void DecodeStep(const ForwardContext& c, int32_t token,
                std::span<RunningSequence* const> sequences);

}  // namespace binocle
