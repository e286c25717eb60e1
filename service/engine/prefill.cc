#include "service/engine/prefill.h"

#include <algorithm>
#include <optional>
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

// The prompt from `begin` on, cut at its pictures.
std::vector<Piece> PiecesOf(const ExpandedPrompt& prompt, int64_t begin) {
  std::vector<Piece> pieces;
  int64_t at = 0;
  for (const ImageSpan& image : prompt.images) {
    if (at < image.first_position) pieces.push_back({at, image.first_position, nullptr});
    at = image.first_position + image.tokens;
    pieces.push_back({image.first_position, at, &image});
  }
  const auto total = static_cast<int64_t>(prompt.ids.size());
  if (at < total) pieces.push_back({at, total, nullptr});
  std::erase_if(pieces, [&](const Piece& piece) { return piece.end <= begin; });
  pieces.front().begin = std::max(pieces.front().begin, begin);
  return pieces;
}

// Chunks of at most `max_rows` rows, each a few pieces.
std::vector<std::vector<Piece>> ChunksOf(const std::vector<Piece>& pieces, int64_t max_rows) {
  std::vector<std::vector<Piece>> chunks;
  int64_t room = 0;
  for (Piece rest : pieces) {
    while (rest.begin < rest.end) {
      if (room == 0) {
        chunks.emplace_back();
        room = max_rows;
      }
      const int64_t end = std::min(rest.begin + room, rest.end);
      chunks.back().push_back({rest.begin, end, rest.image});
      room -= end - rest.begin;
      rest.begin = end;
    }
  }
  return chunks;
}

// A chunk of one sequence as a decoder batch: text rows first, visual rows after.
class Chunk {
 public:
  Chunk(Exec& ex, const std::vector<Piece>& pieces, const RunningSequence& sequence) {
    for (const Piece& piece : pieces) {
      if (piece.image == nullptr) Append(piece, sequence.kv);
    }
    text_rows_ = static_cast<int64_t>(positions_.size());
    text_runs_ = runs_.size();
    for (const Piece& piece : pieces) {
      if (piece.image != nullptr) Append(piece, sequence.kv);
    }
    if (sequence.watch == nullptr) return;
    SequenceWatch* watch = sequence.watch.get();
    watch_.emplace(ex, std::vector(text_runs_, watch),
                   std::vector(runs_.size() - text_runs_, watch));
  }

  DecoderBatch batch() {
    const std::span<const QueryRun> runs(runs_);
    return {.text_rows = text_rows_,
            .positions = positions_,
            .slots = slots_,
            .text_runs = runs.first(text_runs_),
            .visual_runs = runs.subspan(text_runs_),
            .runs = runs,
            .hooks = watch_ ? &*watch_ : nullptr};
  }

  // Row of the chunk that holds `position`.
  int64_t RowOf(int64_t position) const {
    return std::find(positions_.begin(), positions_.end(), static_cast<int32_t>(position)) -
           positions_.begin();
  }

  // Embeddings of the text rows and the visual tokens, into a.x.
  void Fill(const LlamaDecoder& decoder, const PrefillInput& input, DecoderActivations& a) const {
    for (size_t i = 0; i < runs_.size(); ++i) {
      const QueryRun& run = runs_[i];
      const TensorView rows = a.x.view().Rows(run.first_row, run.first_row + run.rows);
      if (images_[i] == nullptr) {
        decoder.Embed(
            std::span(input.prompt.ids)
                .subspan(static_cast<size_t>(run.first_position), static_cast<size_t>(run.rows)),
            rows);
      } else {
        const int64_t offset = run.first_position - images_[i]->first_position;
        const Tensor& visual = input.images[static_cast<size_t>(images_[i]->image)]->visual;
        CopyRows(visual.view().Rows(offset, offset + run.rows), rows);
      }
    }
  }

 private:
  void Append(const Piece& piece, const KvSequence& sequence) {
    runs_.push_back({.first_row = static_cast<int64_t>(positions_.size()),
                     .rows = piece.end - piece.begin,
                     .first_position = piece.begin,
                     .keys = piece.end,
                     .pages = sequence.pages()});
    images_.push_back(piece.image);
    for (int64_t p = piece.begin; p < piece.end; ++p) {
      positions_.push_back(static_cast<int32_t>(p));
      slots_.push_back(sequence.Slot(p));
    }
  }

  std::vector<int32_t> positions_, slots_;
  std::vector<QueryRun> runs_;
  std::vector<const ImageSpan*> images_;  // of each run; nullptr for text
  std::optional<BatchWatch> watch_;
  int64_t text_rows_ = 0;
  size_t text_runs_ = 0;
};

// Puts the prompt's pictures, which need no prompt, into the sequence.
void PlaceImages(const ForwardContext& c, const PrefillInput& input,
                 const std::vector<Piece>& pieces, RunningSequence& sequence) {
  for (const Piece& piece : pieces) {
    if (piece.image == nullptr) continue;
    const ImageSpan& span = *piece.image;
    const ImageKv& image = *input.images[static_cast<size_t>(span.image)]->kv;
    c.decoder.PlaceImage(c.ex, image, span.first_position, c.pool, sequence.kv);
    if (sequence.watch != nullptr) sequence.watch->PutImage(image, span.first_position);
  }
}

}  // namespace

bool Prefill(const ForwardContext& c, const PrefillInput& input, RunningSequence& sequence,
             const std::function<bool()>& keep_going) {
  const auto total = static_cast<int64_t>(input.prompt.ids.size());
  std::vector<Piece> pieces = PiecesOf(input.prompt, sequence.kv.length());
  const Piece last = pieces.back();
  sequence.kv.Extend(total - sequence.kv.length());
  const bool stand_alone = c.decoder.images_stand_alone();
  if (stand_alone) {
    PlaceImages(c, input, pieces, sequence);
    std::erase_if(pieces, [](const Piece& piece) { return piece.image != nullptr; });
  }
  for (const std::vector<Piece>& part : ChunksOf(pieces, c.activations.max_rows)) {
    if (keep_going && !keep_going()) return false;
    Chunk chunk(c.ex, part, sequence);
    chunk.Fill(c.decoder, input, c.activations);
    c.decoder.Forward(c.ex, chunk.batch(), c.pool, c.activations);
    if (part.back().end != total) continue;
    const int64_t row = chunk.RowOf(total - 1);
    c.decoder.Logits(c.ex, {&row, 1}, c.activations);
  }
  if (stand_alone && last.image != nullptr) {  // the prompt ends with a picture
    const int64_t row = 0;
    CopyRows(input.images[static_cast<size_t>(last.image->image)]->kv->last,
             c.activations.x.view().Rows(0, 1));
    c.decoder.Logits(c.ex, {&row, 1}, c.activations);
  }
  return true;
}

void DecodeStep(const ForwardContext& c, int32_t token,
                std::span<RunningSequence* const> sequences) {
  std::vector<int32_t> positions, slots;
  std::vector<QueryRun> runs;
  std::vector<SequenceWatch*> watches;
  std::vector<int64_t> rows;
  bool watched = false;
  for (RunningSequence* sequence : sequences) {
    const auto position = static_cast<int32_t>(sequence->kv.Extend(1));
    const auto row = static_cast<int64_t>(rows.size());
    positions.push_back(position);
    slots.push_back(sequence->kv.Slot(position));
    runs.push_back({.first_row = row,
                    .rows = 1,
                    .first_position = position,
                    .keys = position + 1,
                    .pages = sequence->kv.pages()});
    watches.push_back(sequence->watch.get());
    watched = watched || sequence->watch != nullptr;
    rows.push_back(row);
    c.decoder.Embed({&token, 1}, c.activations.x.view().Rows(row, row + 1));
  }
  BatchWatch watch(c.ex, watches, {});
  c.decoder.Forward(c.ex,
                    {.text_rows = std::ssize(rows),
                     .positions = positions,
                     .slots = slots,
                     .text_runs = runs,
                     .visual_runs = {},
                     .runs = runs,
                     .hooks = watched ? &watch : nullptr},
                    c.pool, c.activations);
  c.decoder.Logits(c.ex, rows, c.activations);
}

}  // namespace binocle
