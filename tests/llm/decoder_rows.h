// A step of one sequence through a decoder, as tests take it.
#pragma once

#include <cstdint>
#include <vector>

#include "llm/llama_decoder.h"

namespace binocle::testing {

// Rows of text from `ids`, appended to the sequence; they are the activations' first.
inline void ForwardIds(const LlamaDecoder& decoder, Exec& ex, const std::vector<int32_t>& ids,
                       KvSequence& sequence, KvPool& pool, DecoderActivations& activations) {
  const auto count = static_cast<int64_t>(ids.size());
  const int64_t first = sequence.Extend(count);
  std::vector<int32_t> positions, slots;
  for (int64_t p = first; p < first + count; ++p) {
    positions.push_back(static_cast<int32_t>(p));
    slots.push_back(sequence.Slot(p));
  }
  const QueryRun run{.first_row = 0,
                     .rows = count,
                     .first_position = first,
                     .keys = first + count,
                     .pages = sequence.pages()};
  decoder.Embed(ex, ids, activations.x.view().Rows(0, count));
  decoder.Forward(ex,
                  {.text_rows = count,
                   .positions = positions,
                   .slots = slots,
                   .text_runs = {&run, 1},
                   .visual_runs = {},
                   .runs = {&run, 1}},
                  pool, activations);
}

}  // namespace binocle::testing
