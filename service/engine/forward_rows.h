// Passes through the decoder: the next positions of any number of sequences, in one batch.
//
// Prompts and answers are alike here: a sequence is a list of tokens and pictures, of which so many are computed; decoding is a pass
// over one more. A row's result does not depend, to the last bit, on how a sequence is cut into passes nor on who shares them.
#pragma once

#include <memory>
#include <span>
#include <utility>

#include "attention/kv_pages.h"
#include "fusion/prompt.h"
#include "llm/llama_decoder.h"
#include "llm/sequence_watch.h"
#include "service/engine/image_cache.h"

namespace binocle {

// A sequence on its way: its keys and values, and who watches them.
struct RunningSequence {
  explicit RunningSequence(KvPool& pool) : kv(pool) {}
  explicit RunningSequence(KvSequence sequence) : kv(std::move(sequence)) {}

  KvSequence kv;
  int64_t computed = 0;  // positions whose keys and values are there, at most kv.length()
  std::unique_ptr<SequenceWatch> watch;  // nullptr: nobody
  Tensor* states =
      nullptr;  // [n, D] where every position's state goes after the final norm; nullptr: nowhere
};

// What is at a sequence's positions: a prompt with its pictures, then the tokens of an answer.
struct SequenceTokens {
  const ExpandedPrompt& prompt;
  std::span<const SharedImage> images;  // by picture, encoded for `plan`
  std::span<const int32_t> answer;
  const LayerPlan& plan;

  int64_t size() const { return std::ssize(prompt.ids) + std::ssize(answer); }
};

// Where passes run and what they write into.
struct ForwardContext {
  Exec& ex;
  const LlamaDecoder& decoder;
  KvPool& pool;
  DecoderActivations& activations;
};

// Positions [sequence.computed, end) of one sequence, whose pages it holds.
struct SequenceRows {
  RunningSequence& sequence;
  SequenceTokens tokens;
  int64_t end;
};

// Rows that positions [begin, end) take in a pass, at least 1 where there are positions. Where pictures stand alone theirs take none.
int64_t RowsIn(const SequenceTokens& tokens, int64_t begin, int64_t end);
// The furthest end of positions from `begin` on that take at most `rows` rows, rows ≥ 1.
int64_t EndWithin(const SequenceTokens& tokens, int64_t begin, int64_t rows);
// Whether some of the rows are visual. Those of one pass are under one plan.
bool HasVisualRows(const SequenceRows& rows);

// QueryRun::shared_end of rows from position `begin` on: where the last picture before them ends, or 0.
int64_t SharedEnd(const ExpandedPrompt& prompt, int64_t begin);

// Computes them. Sequences that are computed to their end get a row of activations.logits each, in order; of a model on a GPU also of
// activations.device_logits, or of those alone. All rows together are at most activations.max_rows, sequences at most activations.max_logit_rows.
enum class LogitsTo : uint8_t { kHost, kStay };
void ForwardRows(const ForwardContext& c, std::span<const SequenceRows> sequences,
                 LogitsTo to = LogitsTo::kHost);

// One sequence to its end, in as many passes as it takes; activations.logits row 0 is what comes next. Takes the pages that are missing.
void ForwardAll(const ForwardContext& c, const SequenceTokens& tokens, RunningSequence& sequence);

}  // namespace binocle
