// A step of one sequence through a decoder, as tests take it.
#pragma once

#include <cstdint>
#include <span>
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

// The rows of a sequence that has a picture within text, those of text first as a batch has them. `sequence` is `rows` long.
struct PictureRows {
  std::vector<int32_t> positions, slots;
  std::vector<QueryRun> runs;  // text before the picture, text behind it, the picture

  std::span<const QueryRun> text_runs() const { return std::span(runs).first(2); }
  std::span<const QueryRun> visual_runs() const { return std::span(runs).subspan(2); }
};

inline PictureRows RowsAroundPicture(const KvSequence& sequence, int64_t before, int64_t picture,
                                     int64_t rows) {
  PictureRows out;
  const auto add = [&](int64_t begin, int64_t end) {
    out.runs.push_back({.first_row = std::ssize(out.positions),
                        .rows = end - begin,
                        .first_position = begin,
                        .keys = end,
                        .pages = sequence.pages()});
    for (int64_t p = begin; p < end; ++p) {
      out.positions.push_back(static_cast<int32_t>(p));
      out.slots.push_back(sequence.Slot(p));
    }
  };
  add(0, before);
  add(before + picture, rows);
  add(before, before + picture);
  return out;
}

}  // namespace binocle::testing
