// Attention problems for tests: ragged sequences over shuffled pages.
#pragma once

#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "attention/attention.h"
#include "tests/testing/tensors.h"

namespace binocle {

using testing::Numbers;
using testing::RandomTensor;

// Several sequences with their keys and values in shuffled pages, and queries at their ends.
struct Problem {
  struct Shapes {
    int64_t heads = 1, kv_heads = 1, d = 1;
    float scale = 1;  // of queries and keys
    DType kv_dtype = DType::kF32;
  };
  Problem(int64_t heads, int64_t kv_heads, int64_t d,
          const std::vector<std::pair<int64_t, int64_t>>& rows_and_keys, uint64_t seed,
          float scale = 1)
      : Problem({heads, kv_heads, d, scale}, rows_and_keys, seed) {}
  Problem(const Shapes& s, const std::vector<std::pair<int64_t, int64_t>>& rows_and_keys,
          uint64_t seed)
      : numbers(seed), heads(s.heads), d(s.d), pool(1, s.kv_heads, s.d, 120, s.kv_dtype) {
    const int64_t kv_heads = s.kv_heads;
    const float scale = s.scale;
    Exec ex(1);
    int64_t rows = 0;
    for (const auto& [r, keys] : rows_and_keys) {
      sequences.push_back(std::make_unique<KvSequence>(pool));
      const auto spare = std::make_unique<KvSequence>(pool);  // so that pages are not in order
      spare->Extend(1);
      sequences.back()->Extend(keys);
      std::vector<int32_t> slots;
      for (int64_t p = 0; p < keys; ++p) slots.push_back(sequences.back()->Slot(p));
      const Tensor k = RandomTensor({keys, kv_heads * d}, numbers, scale);
      const Tensor v = RandomTensor({keys, kv_heads * d}, numbers);
      WriteKv(ex, k, v, slots, pool.layer(0));
      runs.push_back({.first_row = rows,
                      .rows = r,
                      .first_position = keys - r,
                      .keys = keys,
                      .pages = sequences.back()->pages()});
      rows += r;
    }
    q = RandomTensor({rows, heads * d}, numbers, scale);
    out = Tensor::F32({rows, heads * d}, "out");
    lse = Tensor::F32({rows, heads}, "lse");
  }
  AttentionArgs args(Mask mask) const {
    return {.q = q,
            .kv = pool.layer(0),
            .runs = runs,
            .mask = mask,
            .scale = 1.0F / std::sqrt(static_cast<float>(d))};
  }

  Numbers numbers;
  int64_t heads, d;
  KvPool pool;
  std::vector<std::unique_ptr<KvSequence>> sequences;
  std::vector<QueryRun> runs;
  Tensor q, out, lse;
};

}  // namespace binocle
