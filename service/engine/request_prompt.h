// From a request to the positions a decoder sees.
#pragma once

#include <vector>

#include "binocle/request.h"
#include "fusion/prompt.h"
#include "fusion/vlm_model.h"

namespace binocle {

// A request's pictures, in the order of their marks.
std::vector<const ImageInput*> PicturesOf(const Request& request);

struct PreparedPrompt {
  ExpandedPrompt expanded;
  std::vector<std::string> stops;  // the template's
};

// Renders, encodes and expands. Throws FAILED_PRECONDITION for a chat where the model's own template is unknown; INVALID_ARGUMENT for roles
// out of order, a number of marks that is not the number of pictures, an empty prompt, and a prompt that does not fit `context_tokens` with
// one new token.
PreparedPrompt PreparePrompt(const Request& request, const VlmModel& model, int64_t context_tokens);

// Ids of a text by itself. Throws INVALID_ARGUMENT for an empty one, one with a picture's mark, and one that does not fit
// `context_tokens`.
ExpandedPrompt PrepareText(const std::string& text, const VlmModel& model, int64_t context_tokens);

}  // namespace binocle
