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

// Null where there is one rank. Throws UNAVAILABLE as MeetOverTcp does: also where ranks have other orders, another kind of device, or another NCCL.
std::unique_ptr<Communicator> Meet(const TensorParallel& parallel, const LoadOptions& load);

// From here on ops of `exec` sum over the ranks, on a GPU by NCCL: UNIMPLEMENTED where that is not installed. Nothing for a null communicator.
class JoinedRanks {
 public:
  JoinedRanks(Exec& exec, Communicator* communicator);
};

// Empty where there is one rank.
std::vector<OrderTerm> TermsOf(const CheckedModel& checked, const LoadOptions& load);

struct FollowerEvents {
  // Rank 0 has said how many pages there are, whose bytes these are here; throws where they do not fit.
  std::function<void(int64_t kv_bytes)> check_room;
  std::function<void()> on_loaded;  // may be empty
};

// Of a rank that is not 0: meets the others, loads its part and does as rank 0 says until that ends.
void FollowRankZero(const TensorParallel& parallel, const LoadOptions& load, CheckedModel checked,
                    const FollowerEvents& events);

}  // namespace binocle
