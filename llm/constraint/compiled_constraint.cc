#include "llm/constraint/compiled_constraint.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "core/error.h"
#include "llm/constraint/json_schema.h"
#include "llm/utf8.h"

namespace binocle {
namespace {

void CheckLength(size_t bytes, size_t most) {
  if (bytes < 1 || bytes > most) ThrowInvalid("has ", bytes, " bytes, expected 1 to ", most);
}

void CheckSizeOf(const Choices& choices) {
  const size_t n = choices.values.size();
  if (n < 1 || n > CompiledConstraint::kMaxChoices)
    ThrowInvalid("has ", n, " texts, expected 1 to ", CompiledConstraint::kMaxChoices);
  for (size_t i = 0; i < n; ++i) {
    const std::string& text = choices.values[i];
    if (text.empty() || text.size() > CompiledConstraint::kMaxChoiceBytes) {
      ThrowInvalid("text ", i, " has ", text.size(), " bytes, expected 1 to ",
                   CompiledConstraint::kMaxChoiceBytes);
    }
  }
}

void CheckSizeOf(const Regex& regex) {
  CheckLength(regex.pattern.size(), CompiledConstraint::kMaxPatternBytes);
}

void CheckSizeOf(const JsonSchema& schema) {
  CheckLength(schema.schema.size(), CompiledConstraint::kMaxPatternBytes);
}

Automaton AutomatonOf(const Choices& choices) {
  for (size_t i = 0; i < choices.values.size(); ++i) {
    const std::string& text = choices.values[i];
    if (!IsUtf8(text)) ThrowInvalid("text ", i, " is not UTF-8: '", Printable(text, 60), "'");
  }
  return AnyOfTexts(choices.values);
}

Automaton AutomatonOf(const Regex& regex) {
  Nfa nfa;
  nfa.Accept(nfa.AddRegex(Nfa::kStart, ParseRegex(regex.pattern)));
  return Determinize(nfa);
}

Automaton AutomatonOf(const JsonSchema& schema) {
  return Determinize(ParseJsonSchema(schema.schema));
}

const char* NameOf(const Choices&) { return "choices"; }
const char* NameOf(const Regex&) { return "regex"; }
const char* NameOf(const JsonSchema&) { return "json_schema"; }

// `action` with the constraint that there is, its errors with the option's name.
template <typename Action>
void WithKind(const Constraint& constraint, const Action& action) {
  const auto named = [&]<typename Kind>(const Kind& kind) {
    if constexpr (!std::is_same_v<Kind, std::monostate>) {
      try {
        action(kind);
      } catch (const Error& e) {
        throw Error(e.code(), std::string(NameOf(kind)) + ": " + e.message(), NameOf(kind));
      }
    }
  };
  std::visit(named, constraint);
}

}  // namespace

void CompiledConstraint::CheckSize(const Constraint& constraint) {
  WithKind(constraint, [](const auto& kind) { CheckSizeOf(kind); });
}

std::shared_ptr<const CompiledConstraint> CompiledConstraint::Compile(
    const Constraint& constraint, std::shared_ptr<const ConstraintVocabulary> vocabulary,
    LeadingText leading) {
  std::shared_ptr<const CompiledConstraint> compiled;
  WithKind(constraint, [&](const auto& kind) {
    CheckSizeOf(kind);
    compiled.reset(new CompiledConstraint(AutomatonOf(kind), std::move(vocabulary), leading));
  });
  return compiled;
}

int64_t ConstraintBytes(const Constraint& constraint) {
  if (const auto* regex = std::get_if<Regex>(&constraint)) return std::ssize(regex->pattern);
  if (const auto* schema = std::get_if<JsonSchema>(&constraint)) return std::ssize(schema->schema);
  int64_t bytes = 0;
  if (const auto* choices = std::get_if<Choices>(&constraint))
    for (const std::string& text : choices->values) bytes += std::ssize(text);
  return bytes;
}

std::shared_ptr<const TokenMask> ConstrainedAnswer::Allowed() const {
  const TokenAutomaton& tokens = constraint_->tokens();
  std::shared_ptr<const TokenMask> mask = tokens.Mask(at_);
  if (!mask->text && !tokens.Accepting(at_)) tokens.ThrowDeadEnd(at_);
  if (ended_ || (!mask->text && !mask->end))
    Throw(Code::kInternal, "the constrained answer is complete already");
  return mask;
}

void ConstrainedAnswer::Restrict(std::span<float> logits) const {
  const auto usable = static_cast<size_t>(constraint_->tokens().vocabulary().usable());
  BINOCLE_CHECK(logits.size() >= usable, logits.size(), " logits, expected at least ", usable);
  const std::shared_ptr<const TokenMask> mask = Allowed();
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  for (size_t w = 0; w < mask->words.size(); ++w) {
    const uint64_t word = mask->words[w];
    const size_t first = w * 64;
    const size_t n = std::min<size_t>(64, usable - first);
    for (size_t i = 0; i < n; ++i)
      logits[first + i] = (word >> i & 1) != 0 ? logits[first + i] : kNever;
  }
  std::fill(logits.begin() + static_cast<ptrdiff_t>(usable), logits.end(), kNever);
}

void ConstrainedAnswer::Push(int32_t token) {
  const TokenAutomaton& tokens = constraint_->tokens();
  const bool end = tokens.vocabulary().IsEnd(token) && tokens.Accepting(at_);
  const auto next = ended_ || end ? std::nullopt : tokens.Advance(at_, token);
  if (ended_ || (!end && !next))
    Throw(Code::kInternal, "token ", token, " leaves the constrained answer");
  ended_ = end;
  if (next) at_ = *next;
}

bool ConstrainedAnswer::Complete() const { return ended_ || constraint_->tokens().Complete(at_); }

}  // namespace binocle
