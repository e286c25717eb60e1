#include "service/engine/loaded_model.h"

#include <vector>

namespace binocle {

std::shared_ptr<const ConstraintVocabulary> ConstraintTokens::Get() {
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

}  // namespace binocle
