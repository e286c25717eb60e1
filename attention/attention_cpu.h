// One block of query rows of one kv head; called by attention.cc after its checks.
#pragma once

#include "attention/attention.h"

namespace binocle {

// Query rows × heads computed together at most: they share each page of keys and values.
inline constexpr int64_t kBlockRows = 96;
// Tiles are so fast that what counts is where scores lie: these rows, with all that belongs to them and a page, fit into the first cache.
constexpr int64_t BlockRows(DType pages, CpuLevel level) {
  return pages != DType::kF32 && level >= CpuLevel::kAmx ? 32 : kBlockRows;
}

// Rows [begin, end) of a run; or, where `together` names some, all rows of these runs, whose first `shared_pages` pages are the same ones and
// seen whole by every row. rows·heads ≤ BlockRows.
struct AttentionBlock {
  const AttentionArgs* args;
  const QueryRun* run;
  int64_t begin, end;
  std::span<const QueryRun> together{};
  int64_t shared_pages = 0;
  CpuLevel level;  // of bf16 pages
  int64_t kv_head;
  int64_t first_head, heads;  // query heads that read this kv head
  TensorView out;             // [T, H·d]
  TensorView lse;             // [T, H]
  float* scratch;             // AttentionScratch numbers, aligned to 64 bytes
};

// What a block needs beside its operands; too much for the stack of a thread that is not ours.
int64_t AttentionScratch(int64_t head_dim, DType kv_dtype);

// Parts of a scratch, one after the other, each aligned to 64 bytes.
class Carver {
 public:
  static constexpr int64_t kMostSlack = 16 * 15;  // of up to 16 parts

  explicit Carver(float* scratch) : next_(scratch) {}
  float* Take(int64_t floats) {
    float* part = next_;
    next_ += (floats + 15) / 16 * 16;
    return part;
  }

 private:
  float* next_;
};

void AttentionBlockCpu(const AttentionBlock& block);

}  // namespace binocle
