// How fast the ops are that models spend their time in, one by one, and against what the machine could do in the same rounds.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "binocle/bench.h"
#include "binocle/bench_machine.h"
#include "binocle/export.h"

namespace binocle {

// Of y = x·Wᵀ, W [n, k].
struct MatrixShape {
  int64_t n = 0;  // 1 … 262144
  int64_t k = 0;  // 1 … 65536

  bool operator==(const MatrixShape&) const = default;
};

struct OpBenchOptions {
  std::vector<int64_t> rows = {1, 4, 16, 512};  // each 1 … 8192; attention has its own
  // Of "linear": by default k and v, q and out, gate and up, down, head of TinyLlama 1.1B.
  std::vector<MatrixShape> shapes = {
      {512, 2048}, {2048, 2048}, {11264, 2048}, {2048, 5632}, {32000, 2048}};
  std::vector<std::string> compute = {"f32", "bf16", "int8", "int4"};  // each once is enough
  int64_t threads = 0;  // 0 … 1024; 0: one per processor
  int64_t rounds = 5;   // 1 … 1000
  // Called with what comes next; may be empty.
  std::function<void(const std::string&)> on_step;
};

// Ops, each with `rows` rows of f32, which products of fewer bits round first:
//   linear           x·Wᵀ with W of each shape
//   swiglu           SiLU(g) ⊙ u, [g | u] = x·Wᵀ, with TinyLlama's W
//   linear_activate  QuickGELU(x·Wᵀ), with the W of ViT-L
//   attention        causal, over pages of f32 or bf16; of 32/4 heads of 64 (TinyLlama) and 32/32 of 128 (LLaMA 7B): 512 rows that are all there is,
//                    and a row behind 575 or 2,879
//   rms_norm, layer_norm   into rows of f32 or as a product of `compute` takes them, of TinyLlama's and ViT-L's width
//   rope, silu_mul, kv_write   of TinyLlama's widths; kv_write: a layer's keys and values into pages
//   gelu, gelu_tanh, quick_gelu   of ViT-L's width inside the feed-forward network
// Matrices, and keys and values that are asked about, are there several times over and take turns, so that they come from memory as a model's do. Rows
// are where the op before would have left them, in a cache if they fit: `read_share` may be above 1 then.
struct OpTiming {
  std::string op;
  std::string compute;   // "f32", "bf16", "int8" or "int4"
  int64_t rows = 0;      // T
  int64_t n = 0, k = 0;  // of the matrix, where there is one
  int64_t width = 0;  // of a row, where there is no matrix: of keys in kv_write, H·d in attention
  int64_t keys = 0, heads = 0, kv_heads = 0, head_dim = 0;  // of attention
  Spread milliseconds;
  // Multiplications and additions of the products alone: 2·T·n·k, and 4·d per visible (row, key, head). 0 for ops without products, which are bound by
  // what they read and write.
  Spread operations_per_second;
  Spread
      arithmetic_share;  // of the rate of `compute` (int4: of int8) in the same round; 0 where either is 0
  Spread bytes_per_second;  // of operands read, each once: matrices, keys and values, rows
  Spread read_share;        // of the read rate of the same round
};

struct OpBench {
  MachineBench machine;  // over all rounds of all ops; `rounds` are those of each op
  std::vector<OpTiming> ops;
};

// Ops of one kind take turns, all rows and compute kinds of them. Throws binocle::Error: INVALID_ARGUMENT for an option out of range (Error::option() names
// it), RESOURCE_EXHAUSTED where the machine has less memory than the matrices take.
BINOCLE_EXPORT OpBench BenchOps(const OpBenchOptions& options);

}  // namespace binocle
