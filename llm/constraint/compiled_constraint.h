// Answers that stay within a Constraint (binocle/request.h, docs/constraints.md).
//
// A constraint is compiled once and shared by the answers of its requests. Each answer keeps a small state of its own:
//
//   const auto vocabulary = std::make_shared<const ConstraintVocabulary>(tokenizer, usable, end_tokens);     // once per model
//   const auto compiled = CompiledConstraint::Compile(request.constraint, vocabulary, LeadingText::kDropSpace);
//   ConstrainedAnswer answer(compiled);
//   while (!answer.Complete()) {
//     answer.Restrict(logits);
//     answer.Push(sampler.Sample(logits));
//   }
//
// The texts of the constraint are what StreamingDecoder gives for the tokens, less one leading space with LeadingText::kDropSpace.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "binocle/request.h"
#include "llm/constraint/token_automaton.h"

namespace binocle {

// May be used from several threads.
class CompiledConstraint {
 public:
  static constexpr size_t kMaxChoices = 1024;
  static constexpr size_t kMaxChoiceBytes = 1024;
  static constexpr size_t kMaxPatternBytes = 65536;  // of a regex or a schema

  // Null for no constraint. Throws INVALID_ARGUMENT, UNIMPLEMENTED or RESOURCE_EXHAUSTED; Error::option() is "choices", "regex" or
  // "json_schema". The limits of nfa.h and automaton.h bound time and memory: 0.2 s and 50 MB for the worst patterns of the tests.
  static std::shared_ptr<const CompiledConstraint> Compile(
      const Constraint& constraint, std::shared_ptr<const ConstraintVocabulary> vocabulary,
      LeadingText leading);

  // Throws what Compile throws for what has too many texts or bytes, without compiling.
  static void CheckSize(const Constraint& constraint);

  const TokenAutomaton& tokens() const { return tokens_; }
  // Grows with the places where answers have been.
  size_t bytes() const { return tokens_.bytes(); }

 private:
  CompiledConstraint(Automaton automaton, std::shared_ptr<const ConstraintVocabulary> vocabulary,
                     LeadingText leading)
      : tokens_(std::move(automaton), std::move(vocabulary), leading) {}

  TokenAutomaton tokens_;
};

// Of its texts.
int64_t ConstraintBytes(const Constraint& constraint);

// Where one answer stands. A copy goes on by itself; the same tokens lead to the same state.
class ConstrainedAnswer {
 public:
  explicit ConstrainedAnswer(std::shared_ptr<const CompiledConstraint> constraint)
      : constraint_(std::move(constraint)) {}

  // Sets the logits of all ids that may not come next to −∞, those from `usable` on included. At least one id stays. End tokens stay
  // where the text is complete. Not to be called when Complete(). Throws INVALID_ARGUMENT when no token of the vocabulary goes
  // on; with byte fallback that does not happen, and without it mostly Compile finds out.
  // logits: at least `usable` long.
  void Restrict(std::span<float> logits) const;

  // The ids that Restrict leaves, a bit each, for as long as it is held. Throws as Restrict does.
  std::shared_ptr<const TokenMask> Allowed() const;

  // Takes a token that Restrict left. Throws INTERNAL for any other, and changes nothing then.
  void Push(int32_t token);

  // The answer ends here: an end token has come, or the text is complete and no token goes on.
  bool Complete() const;

 private:
  std::shared_ptr<const CompiledConstraint> constraint_;  // with the other answers of the request
  TokenAutomaton::Position at_;
  bool ended_ = false;
};

}  // namespace binocle
