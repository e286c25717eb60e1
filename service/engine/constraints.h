// The constraints of a model's requests: what they need to know of its tokens, made when the first of them comes, and those compiled last,
// since programs ask for the same one again and again. From any thread.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>

#include "fusion/vlm_model.h"
#include "llm/constraint/compiled_constraint.h"

namespace binocle {

class Constraints {
 public:
  static constexpr size_t kMostKept = 512;

  // Keeps constraints of so many bytes together, and the last one whatever it takes.
  explicit Constraints(const VlmModel& model, size_t most_bytes = size_t{64} << 20)
      : model_(model), most_bytes_(most_bytes) {}

  // Null for none. Throws what CompiledConstraint::Compile throws.
  std::shared_ptr<const CompiledConstraint> Compile(const Constraint& constraint,
                                                    LeadingText leading);
  // Compile would give it at once.
  bool Has(const Constraint& constraint, LeadingText leading);

 private:
  struct Kept {
    Constraint constraint;
    LeadingText leading;
    std::shared_ptr<const CompiledConstraint> compiled;  // with the answers
    size_t bytes;                                        // of `constraint`
  };

  std::shared_ptr<const ConstraintVocabulary> Vocabulary();
  // With `mutex_` held.
  std::list<Kept>::iterator Find(const Constraint& constraint, LeadingText leading);
  void Trim();

  const VlmModel& model_;
  const size_t most_bytes_;
  std::once_flag once_;
  std::shared_ptr<const ConstraintVocabulary> vocabulary_;  // with the constraints compiled for it
  std::mutex mutex_;                                        // guards what follows
  std::list<Kept> kept_;                                    // the last one asked for first
};

}  // namespace binocle
