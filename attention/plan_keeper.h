// Plans of attention on a GPU (attention_plan.h) that layers ask for one after the other. Host code; no header of CUDA's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "attention/attention_parts_cuda.h"
#include "attention/attention_plan.h"

namespace binocle {

// The last few, with what is uploaded for them.
class PlanKeeper {
 public:
  struct Kept {
    AttentionPlan plan;
    std::vector<cuda::TilePolicy> policies;
    std::vector<cuda::SinkPolicy> sink_policies;
    std::vector<cuda::SinkRow> sink_rows;
    std::vector<int32_t> sink_pages;

    // Of all runs, one after the other, each up to the page of its last key.
    std::span<const int32_t> page_table() const { return pages; }

   private:
    friend PlanKeeper;
    bool valid = false;
    int64_t heads = 0, kv_heads = 0, window = 0;
    Mask mask = Mask::kCausal;
    std::vector<QueryRun> runs;  // their pages are `pages`; variants and segments are in `effects`
    std::vector<int32_t> pages;
    std::vector<std::vector<std::byte>> effects;
  };

  // Made where none of them is for the request. There until four others were asked for.
  Kept& PlanFor(const PlanRequest& request);

 private:
  bool IsFor(const Kept& kept, const PlanRequest& request) const;
  void Remember(const PlanRequest& request, Kept& kept);

  // A pass of a decoder asks for two kinds of runs (text, and all), within and outside of an intervention's layers. Latest first.
  std::array<Kept, 4> kept_;
  std::vector<std::vector<std::byte>> effects_;  // of the call at hand
};

}  // namespace binocle
