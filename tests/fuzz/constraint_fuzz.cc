// Any bytes as a constraint: the first byte chooses a regular expression or a JSON schema, the rest is its text. Nothing but binocle::Error
// may come out of compiling it, and a compiled one must lead an answer only to whole texts: UTF-8, and JSON for a schema.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/json.h"
#include "llm/constraint/compiled_constraint.h"
#include "llm/streaming_decoder.h"
#include "llm/tokenizer_sentencepiece.h"
#include "llm/utf8.h"

namespace {

using binocle::CompiledConstraint;
using binocle::Constraint;

struct Model {
  std::unique_ptr<binocle::Tokenizer> tokenizer =
      binocle::LoadSentencePieceTokenizer(BINOCLE_TEST_DATA "/tokenizer/legacy");
  std::shared_ptr<const binocle::ConstraintVocabulary> vocabulary =
      std::make_shared<const binocle::ConstraintVocabulary>(
          *tokenizer, tokenizer->vocabulary_size(), std::vector<int32_t>{tokenizer->eos_id()});
};

// A short answer whose tokens a generator chooses among those allowed. Empty unless it became complete.
std::string Answer(const Model& model, const std::shared_ptr<const CompiledConstraint>& compiled,
                   uint32_t seed) {
  binocle::ConstrainedAnswer answer(compiled);
  binocle::StreamingDecoder decoder(*model.tokenizer);
  std::string text;
  std::vector<float> logits(static_cast<size_t>(model.vocabulary->usable()));
  for (int step = 0; step < 24 && !answer.Complete(); ++step) {
    for (float& logit : logits)
      logit = static_cast<float>((seed = seed * 1664525 + 1013904223) >> 8);
    answer.Restrict(logits);
    size_t best = 0;
    for (size_t i = 1; i < logits.size(); ++i) best = logits[i] > logits[best] ? i : best;
    answer.Push(static_cast<int32_t>(best));
    text += decoder.Push(static_cast<int32_t>(best));
  }
  return answer.Complete() ? text + decoder.Finish() : "";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Model model;
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const bool schema = data[0] == 'j';
  try {
    const auto compiled = CompiledConstraint::Compile(
        schema ? Constraint(binocle::JsonSchema{text}) : Constraint(binocle::Regex{text}),
        model.vocabulary, binocle::LeadingText::kKeep);
    for (uint32_t seed = 0; seed < 3; ++seed) {
      const std::string answer = Answer(model, compiled, seed);
      if (answer.empty()) continue;
      BINOCLE_CHECK(binocle::IsUtf8(answer), answer);
      BINOCLE_CHECK(compiled->tokens().automaton().Accepts(answer), answer);
      BINOCLE_CHECK(!schema || binocle::Json::accept(answer), answer);
    }
  } catch (const binocle::Error&) {
  }
  return 0;
}
