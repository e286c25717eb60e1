#include "service/engine/constraints.h"

#include <algorithm>
#include <variant>
#include <vector>

namespace binocle {

std::shared_ptr<const ConstraintVocabulary> Constraints::Vocabulary() {
  std::call_once(once_, [&] {
    const Tokenizer& tokenizer = model_.tokenizer();
    std::vector<int32_t> ends;
    for (int32_t id = 0; id < tokenizer.vocabulary_size(); ++id)
      if (model_.IsEndToken(id)) ends.push_back(id);
    vocabulary_ =
        std::make_shared<const ConstraintVocabulary>(tokenizer, tokenizer.vocabulary_size(), ends);
  });
  return vocabulary_;
}

std::shared_ptr<const CompiledConstraint> Constraints::Compile(const Constraint& constraint,
                                                               LeadingText leading) {
  if (std::holds_alternative<std::monostate>(constraint)) return nullptr;
  {
    const std::lock_guard lock(mutex_);
    const auto found = Find(constraint, leading);
    if (found != kept_.end()) {
      kept_.splice(kept_.begin(), kept_, found);
      auto compiled = found->compiled;
      Trim();
      return compiled;
    }
  }
  auto compiled = CompiledConstraint::Compile(constraint, Vocabulary(), leading);
  const std::lock_guard lock(mutex_);
  const auto found = Find(constraint, leading);
  if (found != kept_.end()) return found->compiled;  // another thread was quicker
  kept_.push_front({.constraint = constraint,
                    .leading = leading,
                    .compiled = compiled,
                    .bytes = static_cast<size_t>(ConstraintBytes(constraint))});
  Trim();
  return compiled;
}

bool Constraints::Has(const Constraint& constraint, LeadingText leading) {
  const std::lock_guard lock(mutex_);
  return Find(constraint, leading) != kept_.end();
}

std::list<Constraints::Kept>::iterator Constraints::Find(const Constraint& constraint,
                                                         LeadingText leading) {
  return std::find_if(kept_.begin(), kept_.end(), [&](const Kept& kept) {
    return kept.leading == leading && kept.constraint == constraint;
  });
}

// They grow with the masks of the places where their answers have been.
void Constraints::Trim() {
  size_t count = 0, bytes = 0;
  const auto first_dropped = std::find_if(kept_.begin(), kept_.end(), [&](const Kept& kept) {
    bytes += kept.compiled->bytes() + kept.bytes;
    return ++count > 1 && (count > kMostKept || bytes > most_bytes_);
  });
  kept_.erase(first_dropped, kept_.end());
}

}  // namespace binocle
