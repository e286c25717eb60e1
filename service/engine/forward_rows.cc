#include "service/engine/forward_rows.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "core/backend/cuda_backend.h"
#include "core/ops/elementwise.h"

namespace binocle {
namespace {

// Positions [begin, end) that are all text or all of one picture.
struct Piece {
  int64_t begin;
  int64_t end;
  const ImageSpan* image;  // nullptr for text
};

// Positions [begin, end), cut at pictures.
std::vector<Piece> PiecesOf(const SequenceTokens& tokens, int64_t begin, int64_t end) {
  std::vector<Piece> pieces;
  const auto add = [&](int64_t from, int64_t to, const ImageSpan* image) {
    const Piece piece{std::max(from, begin), std::min(to, end), image};
    if (piece.begin < piece.end) pieces.push_back(piece);
  };
  int64_t at = 0;
  for (const ImageSpan& image : tokens.prompt.images) {
    add(at, image.first_position, nullptr);
    at = image.first_position + image.tokens;
    add(image.first_position, at, &image);
  }
  add(at, tokens.size(), nullptr);
  return pieces;
}

// Ids of a text piece: of the prompt, of the answer, or of both.
void CopyIds(const SequenceTokens& tokens, int64_t begin, int64_t end, std::vector<int32_t>& ids) {
  const auto prompt = std::ssize(tokens.prompt.ids);
  for (int64_t p = begin; p < end; ++p) {
    ids.push_back(p < prompt ? tokens.prompt.ids[static_cast<size_t>(p)]
                             : tokens.answer[static_cast<size_t>(p - prompt)]);
  }
}

// Puts pictures that need no prompt into the sequence, whole, and takes them out of `pieces`. Where a shared prefix ends within a picture
// its first part is written once more, with the same bits.
void PlaceImages(const ForwardContext& c, const SequenceRows& rows, std::vector<Piece>& pieces) {
  for (const Piece& piece : pieces) {
    if (piece.image == nullptr) continue;
    const int64_t first = piece.image->first_position;
    const ImageKv& image = *rows.tokens.images[static_cast<size_t>(piece.image->image)]->kv;
    c.decoder.PlaceImage(c.ex, image, first, c.pool, rows.sequence.kv);
    if (rows.sequence.watch != nullptr) rows.sequence.watch->PutImage(c.ex, image, first);
  }
  std::erase_if(pieces, [](const Piece& piece) { return piece.image != nullptr; });
}

// A decoder batch: the text rows of all sequences, then their visual rows.
class Pass {
 public:
  explicit Pass(const ForwardContext& c, std::span<const SequenceRows> sequences)
      : c_(c), sequences_(sequences), logit_rows_(sequences.size(), -1) {
    std::vector<std::vector<Piece>> pieces;
    for (const SequenceRows& s : sequences) {
      const bool stand_alone = s.tokens.plan.images_stand_alone();
      pieces.push_back(PiecesOf(s.tokens, s.sequence.computed, s.end));
      ends_with_image_.push_back(stand_alone ? pieces.back().back().image : nullptr);
      if (stand_alone) PlaceImages(c, s, pieces.back());
      const bool visual = std::any_of(pieces.back().begin(), pieces.back().end(),
                                      [](const Piece& piece) { return piece.image != nullptr; });
      if (!visual) continue;
      BINOCLE_CHECK(plan_ == nullptr || *plan_ == s.tokens.plan, "visual rows under two plans");
      plan_ = &s.tokens.plan;
    }
    for (const bool visual : {false, true}) {
      for (size_t s = 0; s < pieces.size(); ++s) {
        for (const Piece& piece : pieces[s])
          if ((piece.image != nullptr) == visual) Append(s, piece);
      }
      if (visual) continue;
      text_rows_ = std::ssize(positions_);
      text_runs_ = runs_.size();
    }
  }

  void Run(LogitsTo to) {
    Fill();
    if (!positions_.empty()) Forward();
    WriteStates();
    std::vector<int64_t> rows;
    int64_t extra = std::ssize(positions_);
    for (size_t s = 0; s < sequences_.size(); ++s) {
      if (sequences_[s].end < sequences_[s].tokens.size()) continue;
      if (const ImageSpan* image = ends_with_image_[s]) {
        CopyRows(c_.ex, sequences_[s].tokens.images[static_cast<size_t>(image->image)]->kv->last,
                 c_.activations.x.view().Rows(extra, extra + 1));
        rows.push_back(extra++);
      } else {
        rows.push_back(logit_rows_[s]);
      }
    }
    if (!rows.empty()) {
      const TensorView logits = c_.decoder.Logits(c_.ex, rows, c_.activations);
      if (logits.on_cuda() && to == LogitsTo::kHost)
        CopyRows(c_.ex, logits, c_.activations.logits.view().Rows(0, std::ssize(rows)));
    }
    for (const SequenceRows& s : sequences_) s.sequence.computed = s.end;
    // A prompt's next chunk is prepared while this one is computed.
    if (c_.activations.x.on_cuda()) c_.ex.cuda().Flush();
  }

 private:
  void Append(size_t s, const Piece& piece) {
    const KvSequence& kv = sequences_[s].sequence.kv;
    runs_.push_back({.first_row = std::ssize(positions_),
                     .rows = piece.end - piece.begin,
                     .first_position = piece.begin,
                     .keys = piece.end,
                     .pages = kv.pages(),
                     .shared_end = SharedEnd(sequences_[s].tokens.prompt, piece.begin)});
    images_.push_back(piece.image);
    of_runs_.push_back(s);
    watches_.push_back(sequences_[s].sequence.watch.get());
    for (int64_t p = piece.begin; p < piece.end; ++p) {
      positions_.push_back(static_cast<int32_t>(p));
      slots_.push_back(kv.Slot(p));
    }
    if (piece.end == sequences_[s].tokens.size()) logit_rows_[s] = std::ssize(positions_) - 1;
  }

  // Embeddings of the text rows and the visual tokens, into activations.x.
  void Fill() {
    std::vector<int32_t> ids;  // of the text rows, which come first
    for (size_t i = 0; i < runs_.size(); ++i) {
      const QueryRun& run = runs_[i];
      const SequenceTokens& tokens = sequences_[of_runs_[i]].tokens;
      const TensorView rows = c_.activations.x.view().Rows(run.first_row, run.first_row + run.rows);
      if (images_[i] == nullptr) {
        CopyIds(tokens, run.first_position, run.first_position + run.rows, ids);
      } else {
        const int64_t offset = run.first_position - images_[i]->first_position;
        const Tensor& visual = tokens.images[static_cast<size_t>(images_[i]->image)]->visual;
        CopyRows(c_.ex, visual.view().Rows(offset, offset + run.rows), rows);
      }
    }
    if (!ids.empty())
      c_.decoder.Embed(c_.ex, ids, c_.activations.x.view().Rows(0, std::ssize(ids)));
  }

  void Forward() {
    const std::span<const QueryRun> runs(runs_);
    const bool watched = std::any_of(watches_.begin(), watches_.end(),
                                     [](const SequenceWatch* w) { return w != nullptr; });
    std::optional<BatchWatch> watch;
    if (watched) {
      const auto visual = watches_.begin() + static_cast<std::ptrdiff_t>(text_runs_);
      watch.emplace(c_.ex, std::vector(watches_.begin(), visual),
                    std::vector(visual, watches_.end()));
    }
    c_.decoder.Forward(c_.ex,
                       {.text_rows = text_rows_,
                        .positions = positions_,
                        .slots = slots_,
                        .text_runs = runs.first(text_runs_),
                        .visual_runs = runs.subspan(text_runs_),
                        .runs = runs,
                        .hooks = watch ? &*watch : nullptr,
                        .plan = plan_},
                       c_.pool, c_.activations);
  }

  void WriteStates() const {
    for (size_t i = 0; i < runs_.size(); ++i) {
      const Tensor* states = sequences_[of_runs_[i]].sequence.states;
      if (states == nullptr) continue;
      const QueryRun& run = runs_[i];
      c_.decoder.FinalNorm(c_.ex,
                           c_.activations.x.view().Rows(run.first_row, run.first_row + run.rows),
                           states->view().Rows(run.first_position, run.first_position + run.rows));
    }
  }

  const ForwardContext& c_;
  std::span<const SequenceRows> sequences_;
  const LayerPlan* plan_ = nullptr;                // of the visual rows; nullptr: there are none
  std::vector<const ImageSpan*> ends_with_image_;  // [sequences] where it stands alone
  std::vector<int64_t> logit_rows_;                // [sequences]
  std::vector<int32_t> positions_, slots_;         // [T]
  std::vector<QueryRun> runs_;
  std::vector<const ImageSpan*> images_;  // of each run; nullptr for text
  std::vector<size_t> of_runs_;           // the sequence of each run
  std::vector<SequenceWatch*> watches_;   // of each run
  int64_t text_rows_ = 0;
  size_t text_runs_ = 0;
};

}  // namespace

int64_t SharedEnd(const ExpandedPrompt& prompt, int64_t begin) {
  int64_t shared = 0;
  for (const ImageSpan& image : prompt.images) {
    const int64_t end = image.first_position + image.tokens;
    if (end <= begin) shared = end;
  }
  return shared;
}

int64_t RowsIn(const SequenceTokens& tokens, int64_t begin, int64_t end) {
  if (begin >= end) return 0;
  int64_t rows = end - begin;
  if (tokens.plan.images_stand_alone()) {
    for (const ImageSpan& image : tokens.prompt.images) {
      const int64_t first = std::max(begin, image.first_position);
      rows -= std::max<int64_t>(0, std::min(end, image.first_position + image.tokens) - first);
    }
  }
  return std::max<int64_t>(rows, 1);
}

int64_t EndWithin(const SequenceTokens& tokens, int64_t begin, int64_t rows) {
  if (!tokens.plan.images_stand_alone()) return std::min(begin + rows, tokens.size());
  int64_t at = begin;
  int64_t left = rows;
  for (const ImageSpan& image : tokens.prompt.images) {
    const int64_t image_end = image.first_position + image.tokens;
    if (image_end <= at) continue;
    const int64_t text = std::max<int64_t>(image.first_position - at, 0);
    // A picture comes with the text before it: its place in the sequence costs no row.
    if (text > left) return at + left;
    left -= text;
    at = image_end;
  }
  return std::min(at + left, tokens.size());
}

bool HasVisualRows(const SequenceRows& rows) {
  if (rows.tokens.plan.images_stand_alone()) return false;
  const auto& images = rows.tokens.prompt.images;
  return std::any_of(images.begin(), images.end(), [&](const ImageSpan& image) {
    return image.first_position < rows.end &&
           image.first_position + image.tokens > rows.sequence.computed;
  });
}

void ForwardRows(const ForwardContext& c, std::span<const SequenceRows> sequences, LogitsTo to) {
  if (!sequences.empty()) Pass(c, sequences).Run(to);
}

void ForwardAll(const ForwardContext& c, const SequenceTokens& tokens, RunningSequence& sequence) {
  sequence.kv.Extend(tokens.size() - sequence.kv.length());
  while (sequence.computed < tokens.size()) {
    const SequenceRows rows[] = {
        {sequence, tokens, EndWithin(tokens, sequence.computed, c.activations.max_rows)}};
    ForwardRows(c, rows);
  }
}

}  // namespace binocle
