// One block of query rows of one kv head; called by attention.cc after its checks.
#pragma once

#include "attention/attention.h"

namespace binocle {

// Query rows × heads computed together: they share each page of keys and values.
inline constexpr int64_t kBlockRows = 96;

struct AttentionBlock {
  const AttentionArgs* args;
  const QueryRun* run;
  int64_t begin, end;  // rows of the run; (end − begin)·heads ≤ kBlockRows
  int64_t kv_head;
  int64_t first_head, heads;  // query heads that read this kv head
  TensorView out;             // [T, H·d]
  TensorView lse;             // [T, H]
};

void AttentionBlockCpu(const AttentionBlock& block);

}  // namespace binocle
