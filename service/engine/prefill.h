// A prompt through the decoder, in chunks.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "attention/kv_pages.h"
#include "fusion/prompt.h"
#include "llm/llama_decoder.h"

namespace binocle {

struct PrefillInput {
  const ExpandedPrompt& prompt;
  std::span<const Tensor> visual;  // per picture, [n, D]
};

// Runs the prompt through all layers and leaves the logits of its last position in a.logits row 0. Chunks of at most a.max_rows rows;
// how the prompt is cut does not change the result. Returns false when `keep_going` (which may be empty) said so between chunks.
bool Prefill(Exec& ex, const LlamaDecoder& decoder, const PrefillInput& input, KvPool& pool,
             KvSequence& sequence, DecoderActivations& a, const std::function<bool()>& keep_going);

// One token at the sequence's end; its logits in a.logits row 0.
void DecodeStep(Exec& ex, const LlamaDecoder& decoder, int32_t token, KvPool& pool,
                KvSequence& sequence, DecoderActivations& a);

}  // namespace binocle
