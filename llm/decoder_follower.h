// The other side of decoder_leader.h: what a rank that is not 0 does, from the first order to the last.
#pragma once

#include <span>

#include "attention/kv_pages.h"
#include "core/exec.h"
#include "llm/decoder_orders.h"
#include "llm/llama_decoder.h"

namespace binocle {

// A rank's own part of the model, and room for it. `pool` has pages that nobody holds: who holds which is rank 0's knowledge.
struct FollowerContext {
  Exec& ex;  // with the communicator
  const LlamaDecoder& decoder;
  KvPool& pool;
  DecoderActivations& activations;
};

// Waits until rank 0 has loaded its part; how many pages it has, which the others then make room for. Throws FAILED_PRECONDITION where its terms, which have these names, are
// others, and says which; UNAVAILABLE where it leaves.
int64_t AwaitTerms(Communicator& communicator, std::span<const OrderTerm> terms);

// After AwaitTerms. An order is checked as a whole before anything of it is done, INTERNAL where it is none. Returns when rank 0 has ended; UNAVAILABLE where it leaves without a word.
void FollowDecoder(const FollowerContext& c);

}  // namespace binocle
