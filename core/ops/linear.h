// y = x·Wᵀ + b
//
//   x [T, K] f32 or rounded already (product_rows.h), rows may be strided    W [N, K], packed    b [N] or absent    y [T, N] f32, rows may be strided; not aliasing x
//
// The order of summation is part of the contract. k is cut into blocks of kDepthBlock; inside a block each output element is one
// chain of fused multiply-adds in ascending k starting at zero; blocks are added in order, then the bias. So an output row depends
// on its own input row alone: not on T, not on the other rows, not on the number of threads. (On processors without FMA the
// product rounds before it is added.) Reference: linear_ref.cc; torch.nn.Linear up to rounding.
//
// A matrix with a part in a block type (core/block_types.h) is not copied: its rows stay where they are stored, in the mapped file, and
// are expanded to f32 panel by panel during the product, each panel once a call. The result is bit for bit that of a packed matrix of
// the expanded values.
//
// Of kind kBlocks such parts stay where they are too, but are multiplied as the bytes that they are stored as, by rows of x in bytes with a scale per 32 k:
// block_strip.h says what is rounded, and in which order what is summed. It is the same at every level.
//
// On a GPU the order is cuBLASLt's, and may change with T; a row's last bits with it. There products with weights of bytes or half bytes are those below of up to
// 16 rows; of more both sides are rounded to bfloat16, and a row differs by what that rounds.
//
// Of the compact kinds (core/weight_kind.h: bf16, int8, int4) a row of x is rounded first, and what is computed is exact in the rounded numbers but for f32 sums
// (bf16_block.h); again an output row depends on its own input row alone, on the processor's level (core/cpu_level.h), and on nothing else.
//
//   LinearWeights w = PackLinear(ex, {{.weight = q, .bias = {}}, {.weight = k, .bias = {}}});   // rows stacked: [Nq + Nk, K]
//   Linear(ex, x, w, y);
#pragma once

#include <vector>

#include "core/exec.h"
#include "core/tensor.h"
#include "core/weight_kind.h"

namespace binocle {

inline constexpr int64_t kPanelWidth = 64;  // output features per panel
// k per block. Rounding errors of a chain grow with the square root of its length: 128 halves what 512 gives, and is still long
// enough for oneDNN, which keeps one chain up to 512.
inline constexpr int64_t kDepthBlock = 128;

// Which stored row is which row of a part. GGUF files of architecture llama have the rows of q and k, and their biases, in an order of
// their own: the rows j and d/2 + j of a head, which RoPE turns together, lie side by side (rows 2j and 2j + 1).
struct RowOrder {
  int64_t interleaved_head = 0;  // d; 0: the rows are stored in their order

  int64_t Stored(int64_t row) const {
    if (interleaved_head == 0) return row;
    const int64_t in_head = row % interleaved_head;
    const int64_t half = interleaved_head / 2;
    return row - in_head + in_head % half * 2 + in_head / half;
  }
};

// A stored matrix [N, K] of real numbers, whose rows may be apart unless it is kept as blocks, and its bias [N], which may be absent. `order` is that of
// both; both are multiplied by `scale`, in f32, when they are packed or expanded.
struct StoredLinear {
  TensorView weight;
  TensorView bias;
  RowOrder order = {};
  float scale = 1;
};

// Panels of a compact kind, one after the other: those of bf16_block.h, int8_block.h and int4_block.h, each of PaddedDepth(kind, K) rows. A weight
// of int8 is scales[n]·w, of int4 scales[n]·(q − 8)·m.
struct CompactWeights {
  WeightKind kind = WeightKind::kF32;  // none
  TensorView panels;                   // bytes
  TensorView scales;                   // [panels·64] f32; empty for bf16
  TensorView
      starts;  // [panels·64] i32: 128·Σ_k w, what is too much in sums over offset activations; empty for bf16
  Tensor own;  // what the views lie in, one after the other; empty where a mapped file holds them

  bool empty() const { return kind == WeightKind::kF32; }
  int64_t bytes() const { return own.bytes(); }
};

// On a GPU: rows of weights, as core/ops/gemm_cuda.h and compact_cuda.h read them. The numbers are those of the packed kinds.
struct DeviceMatrix {
  WeightKind kind = WeightKind::kF32;
  Tensor weight;   // [N, K] f32 or bf16; bytes or half bytes, K padded
  Tensor factors;  // of int4
  Tensor scales;   // [N], of int8 and int4

  bool empty() const { return weight.empty(); }
  int64_t bytes() const { return weight.bytes() + factors.bytes() + scales.bytes(); }
};

// Weights packed once at load: [K / kDepthBlock] blocks of [N / kPanelWidth] panels of [block depth rounded up to 16][kPanelWidth],
// zero-padded. One copy serves our own kernel and oneDNN (whose name for a block is BA16a64b). Or the parts themselves.
struct LinearWeights {
  Tensor packed;  // empty when the rows are read in place, or compact
  Tensor bias;    // [N], empty when absent
  int64_t n = 0;
  int64_t k = 0;
  std::vector<StoredLinear> in_place =
      {};  // stacked; empty when packed. Whoever owns the file outlives this.
  WeightKind in_place_kind = WeightKind::kF32;  // or kBlocks
  CompactWeights compact = {};
  DeviceMatrix device = {};  // instead of all these

  Place place() const { return device.weight.place(); }
  int64_t panels() const { return (n + kPanelWidth - 1) / kPanelWidth; }
  int64_t parameters() const { return n * k + bias.view().elements(); }
  // allocated
  int64_t bytes() const { return packed.bytes() + compact.bytes() + device.bytes() + bias.bytes(); }
  // Start of the block that covers k in [k0, …), first panel.
  const float* block(int64_t k0) const { return packed.f32() + k0 * panels() * kPanelWidth; }
};

// Stacks the rows of `parts`, which share K and whether they have a bias, into one matrix: packed, unless the kind is kF32 and a part is of
// a block type, or it is kBlocks and all are (checked). An interleaved head divides its part's rows and is even (checked).
LinearWeights PackLinear(Exec& ex, const std::vector<StoredLinear>& parts,
                         WeightKind kind = WeightKind::kF32);

// Bytes that PackLinear will take for an [n, k] matrix with bias when it packs (any kind but kBlocks). In place it takes 4·n for a bias and nothing else.
int64_t PackedLinearBytes(int64_t n, int64_t k, WeightKind kind = WeightKind::kF32);

// The same on a GPU, where nothing is read in place.
int64_t DeviceLinearBytes(int64_t n, int64_t k, WeightKind kind);
// At most, of whole sums that products of int8 and int4 have under way there.
inline constexpr int64_t kDeviceSumsBytes = int64_t{64} << 20;

// Bytes of the views of an [n, k] matrix: a multiple of 64.
int64_t CompactBytes(int64_t n, int64_t k, WeightKind kind);
// The views into such bytes, aligned to 4.
CompactWeights CompactViews(void* bytes, int64_t n, int64_t k, WeightKind kind);

// What products take beside their operands, with a matrix of rows of k: of Exec::Workspace for x of at most so many rows, and of each thread, its
// scratch and, of kF32, its stack. At most, whatever else is known of the matrix.
int64_t LinearWorkspaceBytes(int64_t rows, int64_t k, WeightKind kind);
int64_t LinearThreadBytes(int64_t k, WeightKind kind);

// The longest k of the compact kinds: sums of bytes stay below 2³¹.
inline constexpr int64_t kMaxCompactDepth = 65536;

void Linear(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y);
// y += x·Wᵀ + b. The additions happen in the order ((y + block₀) + block₁) + … + b.
void LinearAdd(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y);

}  // namespace binocle
