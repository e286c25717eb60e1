// A decoder's layers among processes: which part of every matrix is whose, as a function of the configuration, rank and number of ranks alone.
//
//   q                    by rows       H/R heads each, in order
//   k, v                 by rows       K/R kv heads: those that the rank's query heads look at; of R > K ranks R/K have the same one
//   gate, up             by rows       F/R
//   out                  by columns    what the rank's heads made; the sum over ranks is the layer's
//   down                 by columns    what the rank's gate and up made; likewise
//   biases               of q, k, v, gate, up with their rows; of out and down with rank 0
//   norms of a layer     whole, everywhere: their rows are the same everywhere
//   embeddings, last norm, head, towers, fusion, projector    rank 0's alone
#pragma once

#include <string>

#include "core/weights.h"
#include "llm/llama_config.h"

namespace binocle {

// The configuration of one rank: heads, kv heads and ffn width are its own, everything else that of the whole, which has one rank. Throws INVALID_ARGUMENT about
// tensor_parallel where the ranks do not divide them; `where` names the model.
LlamaConfig ShareOfLayers(const LlamaConfig& whole, const RankShare& share,
                          const std::string& where);

// Divided so, for WeightBinder. Of a model that is not shared: not at all.
Division ByRows(const RankShare& share);
Division ByKvRows(const RankShare& share);
Division ByColumns(const RankShare& share);

// Of all ranks.
int64_t WholeKvHeads(const LlamaConfig& c);

}  // namespace binocle
