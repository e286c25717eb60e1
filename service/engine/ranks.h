// An engine whose layers several processes share: how they meet, and what those do that have no requests.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "binocle/engine.h"
#include "core/exec.h"
#include "core/parallel/communicator.h"
#include "fusion/vlm_model.h"
#include "llm/decoder_orders.h"
#include "service/engine/load_options.h"

namespace binocle {

// Null where there is one rank. Throws UNAVAILABLE as MeetOverTcp does.
std::unique_ptr<Communicator> Meet(const TensorParallel& parallel);

// From here on ops of `exec` sum over the ranks, on a GPU by NCCL: UNIMPLEMENTED where that is not installed. Nothing for a null communicator.
class JoinedRanks {
 public:
  JoinedRanks(Exec& exec, Communicator* communicator);
};

std::vector<OrderTerm> TermsOf(const ModelConfig& config, const LoadOptions& load);

// Of a rank that is not 0: meets the others, loads its part and does as rank 0 says until that ends.
void FollowRankZero(const TensorParallel& parallel, const LoadOptions& load, CheckedModel checked,
                    const std::function<void()>& on_loaded);

}  // namespace binocle
