#include "service/engine/prefill.h"

#include <algorithm>
#include <vector>

#include "core/ops/elementwise.h"

namespace binocle {
namespace {

// Positions [begin, end) of the prompt that are all text or all of one picture.
struct Piece {
  int64_t begin;
  int64_t end;
  const ImageSpan* image;  // nullptr for text
};

std::vector<Piece> PiecesOf(const ExpandedPrompt& prompt, int64_t begin, int64_t end) {
  std::vector<Piece> pieces;
  int64_t at = begin;
  for (const ImageSpan& image : prompt.images) {
    const int64_t first = std::max(image.first_position, begin);
    const int64_t last = std::min(image.first_position + image.tokens, end);
    if (first >= last) continue;
    if (at < first) pieces.push_back({at, first, nullptr});
    pieces.push_back({first, last, &image});
    at = last;
  }
  if (at < end) pieces.push_back({at, end, nullptr});
  return pieces;
}

// A chunk of one sequence as a decoder batch: text rows first, visual rows after.
class Chunk {
 public:
  Chunk(const PrefillInput& input, int64_t begin, int64_t end, const KvSequence& sequence) {
    const std::vector<Piece> pieces = PiecesOf(input.prompt, begin, end);
    for (const Piece& piece : pieces) {
      if (piece.image == nullptr) Append(piece, sequence);
    }
    text_rows_ = static_cast<int64_t>(positions_.size());
    text_runs_ = runs_.size();
    for (const Piece& piece : pieces) {
      if (piece.image != nullptr) Append(piece, sequence);
    }
  }

  DecoderBatch batch() const {
    const std::span<const QueryRun> runs(runs_);
    return {.text_rows = text_rows_,
            .positions = positions_,
            .slots = slots_,
            .text_runs = runs.first(text_runs_),
            .visual_runs = runs.subspan(text_runs_),
            .runs = runs};
  }

  // Row of the chunk that holds `position`.
  int64_t RowOf(int64_t position) const {
    return std::find(positions_.begin(), positions_.end(), static_cast<int32_t>(position)) -
           positions_.begin();
  }

  // Embeddings of the text rows and the visual tokens, into a.x.
  void Fill(const LlamaDecoder& decoder, const PrefillInput& input, DecoderActivations& a) const {
    for (const QueryRun& run : runs_) {
      const TensorView rows = a.x.view().Rows(run.first_row, run.first_row + run.rows);
      const ImageSpan* image = ImageAt(input.prompt, run.first_position);
      if (image == nullptr) {
        decoder.Embed(
            std::span(input.prompt.ids)
                .subspan(static_cast<size_t>(run.first_position), static_cast<size_t>(run.rows)),
            rows);
      } else {
        const int64_t offset = run.first_position - image->first_position;
        CopyRows(
            input.visual[static_cast<size_t>(image->image)].view().Rows(offset, offset + run.rows),
            rows);
      }
    }
  }

 private:
  static const ImageSpan* ImageAt(const ExpandedPrompt& prompt, int64_t position) {
    for (const ImageSpan& image : prompt.images) {
      if (position >= image.first_position && position < image.first_position + image.tokens)
        return &image;
    }
    return nullptr;
  }

  void Append(const Piece& piece, const KvSequence& sequence) {
    runs_.push_back({.first_row = static_cast<int64_t>(positions_.size()),
                     .rows = piece.end - piece.begin,
                     .first_position = piece.begin,
                     .keys = piece.end,
                     .pages = sequence.pages()});
    for (int64_t p = piece.begin; p < piece.end; ++p) {
      positions_.push_back(static_cast<int32_t>(p));
      slots_.push_back(sequence.Slot(p));
    }
  }

  std::vector<int32_t> positions_, slots_;
  std::vector<QueryRun> runs_;
  int64_t text_rows_ = 0;
  size_t text_runs_ = 0;
};

}  // namespace

bool Prefill(Exec& ex, const LlamaDecoder& decoder, const PrefillInput& input, KvPool& pool,
             KvSequence& sequence, DecoderActivations& a, const std::function<bool()>& keep_going) {
  const auto total = static_cast<int64_t>(input.prompt.ids.size());
  while (sequence.length() < total) {
    if (keep_going && !keep_going()) return false;
    const int64_t begin = sequence.Extend(std::min(a.max_rows, total - sequence.length()));
    const int64_t end = sequence.length();
    const Chunk chunk(input, begin, end, sequence);
    chunk.Fill(decoder, input, a);
    decoder.Forward(ex, chunk.batch(), pool, a);
    if (end == total) {
      const int64_t last_row = chunk.RowOf(total - 1);
      decoder.Logits(ex, {&last_row, 1}, a);
    }
  }
  return true;
}

void DecodeStep(Exec& ex, const LlamaDecoder& decoder, int32_t token, KvPool& pool,
                KvSequence& sequence, DecoderActivations& a) {
  const auto position = static_cast<int32_t>(sequence.Extend(1));
  const int32_t slot = sequence.Slot(position);
  const QueryRun run{.first_row = 0,
                     .rows = 1,
                     .first_position = position,
                     .keys = position + 1,
                     .pages = sequence.pages()};
  decoder.Embed({&token, 1}, a.x.view().Rows(0, 1));
  decoder.Forward(ex,
                  {.text_rows = 1,
                   .positions = {&position, 1},
                   .slots = {&slot, 1},
                   .text_runs = {&run, 1},
                   .visual_runs = {},
                   .runs = {&run, 1}},
                  pool, a);
  const int64_t row = 0;
  decoder.Logits(ex, {&row, 1}, a);
}

}  // namespace binocle
