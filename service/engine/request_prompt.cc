#include "service/engine/request_prompt.h"

#include <numeric>
#include <utility>

#include "core/error.h"

namespace binocle {
namespace {

// Ids of a text in which each <image> is one image token. Where the tokenizer does not know the mark, the text is cut there.
std::vector<int32_t> EncodeWithMarks(const std::string& text, AddSpecial add,
                                     const VlmModel& model) {
  const Tokenizer& tokenizer = model.tokenizer();
  const int32_t image_token = model.config().image_token;
  if (!model.config().takes_pictures() || tokenizer.IdOf(kImageMark) == image_token)
    return tokenizer.Encode(text, add);
  std::vector<int32_t> ids;
  for (size_t begin = 0;;) {
    const size_t mark = text.find(kImageMark, begin);
    const std::vector<int32_t> piece =
        tokenizer.Encode(std::string_view(text).substr(begin, mark - begin), add);
    ids.insert(ids.end(), piece.begin(), piece.end());
    if (mark == std::string::npos) return ids;
    ids.push_back(image_token);
    add = AddSpecial::kNo;
    begin = mark + kImageMark.size();
  }
}

std::string RenderRaw(const Request& request, bool takes_pictures) {
  if (request.messages.size() != 1 || request.messages[0].role != MessageRole::kUser) {
    ThrowInvalid("prompt_format raw takes one user message, found ", request.messages.size(),
                 " messages");
  }
  if (request.system)
    ThrowInvalid("system: goes with prompt_format chat: a raw prompt is the whole prompt");
  const Message& message = request.messages[0];
  if (takes_pictures)
    CheckImageMarks(message.text, static_cast<int>(message.images.size()), "prompt:");
  return message.text;
}

// A token as templates write it; empty where the model has none.
std::string TextOf(int32_t id, const Tokenizer& tokenizer) {
  return id < 0 ? std::string() : std::string(tokenizer.Spelling(id));
}

std::string RenderChat(const Request& request, const VlmModel& model) {
  if (const auto& unknown = model.config().unknown_template) {
    Throw(
        Code::kFailedPrecondition, model.config().name, ": no chat can be written: ", unknown->what,
        "; expected --prompt-format raw, or --conversation with one of ", ConversationStyleNames());
  }
  Conversation conversation{.system = request.system};
  conversation.takes_pictures = model.config().takes_pictures();
  conversation.bos = TextOf(model.tokenizer().bos_id(), model.tokenizer());
  conversation.eos = TextOf(model.tokenizer().eos_id(), model.tokenizer());
  for (const Message& message : request.messages) {
    conversation.turns.push_back(
        {.role = message.role == MessageRole::kUser ? Role::kUser : Role::kAssistant,
         .text = message.text,
         .images = static_cast<int>(message.images.size())});
  }
  if (request.messages.empty() || request.messages.back().role != MessageRole::kUser) {
    ThrowInvalid("messages: the last one is not the user's, expected a question");
  }
  return RenderConversation(model.config().conversation, conversation);
}

}  // namespace

std::vector<const ImageInput*> PicturesOf(const Request& request) {
  std::vector<const ImageInput*> pictures;
  for (const Message& message : request.messages) {
    for (const ImageInput& image : message.images) pictures.push_back(&image);
  }
  return pictures;
}

Company CompanyIn(const Request& request) {
  return PicturesOf(request).size() > 1 ? Company::kAmongOthers : Company::kAlone;
}

RenderedPrompt RenderPrompt(const Request& request, const VlmModel& model) {
  if (!request.messages.empty() && request.messages.back().text.empty())
    ThrowInvalid("prompt: is empty");
  const ConversationStyle style = model.config().conversation;
  RenderedPrompt rendered;
  std::string text;
  AddSpecial add = AddSpecial::kYes;
  if (request.prompt_format == PromptFormat::kRaw) {
    text = RenderRaw(request, model.config().takes_pictures());
  } else {
    text = RenderChat(request, model);
    add = ConversationSpecials(style, model.config().takes_pictures(), text,
                               TextOf(model.tokenizer().bos_id(), model.tokenizer()));
    rendered.stops = ConversationStops(style);
  }
  const int64_t pictures = std::ssize(PicturesOf(request));
  if (pictures > 0 && !model.config().takes_pictures()) {
    ThrowInvalid("request: has ", pictures, " pictures, expected none: ", model.config().name,
                 " is a text model");
  }
  rendered.ids = EncodeWithMarks(text, add, model);
  if (rendered.ids.empty()) ThrowInvalid("prompt: is empty");
  return rendered;
}

PreparedPrompt ExpandRendered(RenderedPrompt rendered, const VlmModel& model,
                              std::span<const int64_t> image_tokens, int64_t context_tokens) {
  PreparedPrompt prepared{
      .expanded = ExpandPrompt(rendered.ids, model.config().image_token, image_tokens),
      .stops = std::move(rendered.stops)};
  const int64_t tokens = std::ssize(prepared.expanded.ids);
  if (tokens >= context_tokens) {
    const int64_t visual = std::reduce(image_tokens.begin(), image_tokens.end(), int64_t{0});
    ThrowInvalid("prompt: has ", tokens, " tokens (", visual, " of them of ", image_tokens.size(),
                 " pictures), expected at most ", context_tokens - 1,
                 " so that an answer fits the context of ", context_tokens);
  }
  return prepared;
}

ExpandedPrompt PrepareText(const std::string& text, const VlmModel& model, int64_t context_tokens) {
  if (text.empty()) ThrowInvalid("text: is empty");
  if (model.config().takes_pictures()) CheckImageMarks(text, 0, "text:");
  ExpandedPrompt prompt{.ids = model.tokenizer().Encode(text, AddSpecial::kYes), .images = {}};
  const int64_t tokens = std::ssize(prompt.ids);
  if (tokens == 0) ThrowInvalid("text: is empty");
  if (tokens > context_tokens) {
    ThrowInvalid("text: has ", tokens, " tokens, expected at most ", context_tokens,
                 ", the context");
  }
  return prompt;
}

}  // namespace binocle
