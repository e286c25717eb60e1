// From a request to the positions a decoder sees.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "binocle/request.h"
#include "fusion/prompt.h"
#include "fusion/vlm_model.h"

namespace binocle {

// A request's pictures, in the order of their marks.
std::vector<const ImageInput*> PicturesOf(const Request& request);
Company CompanyIn(const Request& request);

struct RenderedPrompt {
  std::vector<int32_t> ids;        // the image token once per picture
  std::vector<std::string> stops;  // the template's
};

// Renders and encodes. Throws FAILED_PRECONDITION for a chat where the model's own template is unknown; INVALID_ARGUMENT for roles out of
// order, a number of marks in a message that is not its number of pictures, pictures for a text model, and an empty prompt.
RenderedPrompt RenderPrompt(const Request& request, const VlmModel& model);

struct PreparedPrompt {
  ExpandedPrompt expanded;
  std::vector<std::string> stops;
};

// `image_tokens`: visual tokens of each picture. Throws INVALID_ARGUMENT for a prompt that does not fit `context_tokens` with one new token,
// and where there are more or fewer image tokens than pictures.
PreparedPrompt ExpandRendered(RenderedPrompt rendered, const VlmModel& model,
                              std::span<const int64_t> image_tokens, int64_t context_tokens);

// Ids of a text by itself. Throws INVALID_ARGUMENT for an empty one, one with a picture's mark, and one that does not fit
// `context_tokens`.
ExpandedPrompt PrepareText(const std::string& text, const VlmModel& model, int64_t context_tokens);

}  // namespace binocle
