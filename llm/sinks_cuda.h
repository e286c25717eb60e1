// Sinks of sequences whose keys are on a GPU: found there (PeaksOfRows, then MarkSinks) and listed there, a byte of attention/segments.h for each
// position and layer. Host code; no header of CUDA's.
#pragma once

#include <cstdint>

#include "core/backend/cuda/command.h"
#include "core/backend/cuda/stream.h"

namespace binocle::cuda {

// Rows of scores, and the positions of a sequence that they are of.
struct SinkRange {
  int32_t first_score;
  int32_t rows;
  int32_t first_position;
  int32_t end_of_sinks;  // positions from here on are none, whatever their score
  bool visual;
  bool released;     // φ_released > τ instead of φ ≥ τ (llm/sinks.h)
  float tau;         // +∞: none is a sink
  uint8_t* classes;  // of the first layer
  int64_t layer_bytes;
};

// classes[position] ← kVisualKey | kSinkKey as the ranges say, in `layer`, or in layer l for range l where it is −1.
struct MarkSinksWork {
  const float* scores;  // [.., 2] peak and mean square, or null: no sinks
  const SinkRange* ranges;
  int32_t count;
  int32_t most_rows;  // of a range
  int32_t layer;
};
void MarkSinks(const MarkSinksWork& work, Stream stream);
inline constexpr CudaCommand<MarkSinksWork> kMarkSinks{"mark sinks"};

// Positions below `keys` with kSinkKey, ascending, and how many: all, and with kVisualKey as well.
struct SinkListing {
  const uint8_t* classes;  // of the first layer
  int64_t layer_bytes;
  int32_t keys;
  int32_t* sinks;   // [keys] at most
  int32_t* counts;  // [2]
};
struct ListSinksWork {
  const SinkListing* sequences;
  int32_t count;
  int32_t layer;
};
void ListSinks(const ListSinksWork& work, Stream stream);
inline constexpr CudaCommand<ListSinksWork> kListSinks{"list sinks"};

}  // namespace binocle::cuda
