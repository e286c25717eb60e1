#include "service/http/openai_messages.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "service/http/data_url.h"

namespace binocle::http {
namespace {

constexpr std::string_view kMark = "<image>";

// A part of a message: a text, or the picture that the next mark stands for.
struct Part {
  bool picture = false;
  std::string_view text;  // in the body
};

struct Content {
  std::string text;
  std::vector<ImageInput> images;
};

std::string Index(const std::string& place, size_t i) {
  return place + "[" + std::to_string(i) + "]";
}

// Parts that stand together in the order picture … text or text … picture need no marks.
bool PicturesAreBetweenTexts(const std::vector<Part>& parts) {
  int64_t changes = 0;
  for (size_t i = 1; i < parts.size(); ++i) changes += parts[i].picture != parts[i - 1].picture;
  return changes > 1;
}

std::string JoinParts(const std::vector<Part>& parts, const std::string& place) {
  const bool marked = PicturesAreBetweenTexts(parts);
  size_t size = 0;
  for (const Part& part : parts) size += part.text.size() + kMark.size() + 1;
  std::string text;
  text.reserve(size);
  bool first = true;
  for (const Part& part : parts) {
    if (part.picture && !marked) continue;
    if (marked && part.text.find(kMark) != std::string_view::npos) {
      throw Error(Code::kInvalidArgument,
                  place + " has the text <image> and pictures between texts, expected one of them",
                  place);
    }
    if (!first) text += '\n';
    first = false;
    text += part.picture ? kMark : part.text;
  }
  return text;
}

Content ReadParts(const Json& list, const std::string& place, const RequestLimits& limits) {
  constexpr std::string_view kExpected = "text or image_url";
  Content content;
  std::vector<Part> parts;
  for (size_t i = 0; i < list.size(); ++i) {
    const Fields part(list[i], Index(place, i));
    const std::string type = part.RequiredText("type");
    if (type == "text") {
      const Json* text = part.Find("text");
      if (text == nullptr || !text->is_string()) part.Fail("text", "a string");
      parts.push_back({.text = text->get_ref<const std::string&>()});
    } else if (type == "image_url") {
      content.images.push_back(ReadImagePart(part, limits));
      parts.push_back({.picture = true});
    } else {
      part.Fail("type", std::string(kExpected));
    }
  }
  content.text = JoinParts(parts, place);
  return content;
}

Content ReadContent(const Fields& message, const RequestLimits& limits) {
  const Json* content = message.Find("content");
  if (content == nullptr) message.Fail("content", "a string or a list of parts");
  if (content->is_string()) return {.text = content->get<std::string>()};
  if (!content->is_array() || content->empty())
    message.Fail("content", "a string or a list of parts");
  return ReadParts(*content, message.Place("content"), limits);
}

// Clients send answers back as they got them, with these empty.
void RefuseCalls(const Fields& message) {
  for (const char* key : {"tool_calls", "function_call", "audio"}) {
    const Json* value = message.Find(key);
    if (value != nullptr && !value->empty())
      RefuseAt(message.Place(key), "is not supported: the model calls nothing and speaks no audio");
  }
}

enum class Speaker { kSystem, kUser, kAssistant };

Speaker ReadRole(const Fields& message) {
  const std::string role = message.RequiredText("role");
  if (role == "system" || role == "developer") return Speaker::kSystem;
  if (role == "user") return Speaker::kUser;
  if (role == "assistant") return Speaker::kAssistant;
  if (role == "tool" || role == "function")
    RefuseAt(message.Place("role"),
             "is " + role + ", which is not supported: the model has no tools");
  message.Fail("role", "system, developer, user or assistant");
}

void CheckTurn(const Fields& message, Speaker speaker, const Dialogue& dialogue) {
  const bool users = dialogue.messages.size() % 2 == 0;
  if (speaker == Speaker::kUser && users) return;
  if (speaker == Speaker::kAssistant && !users) return;
  if (speaker == Speaker::kSystem)
    message.Fail("role", "user or assistant: one system message, before all others");
  message.Fail("role", std::string(users ? "user" : "assistant") +
                           ": user and assistant speak in turn, user first");
}

void CheckImages(const Fields& message, int64_t images, const RequestLimits& limits) {
  if (images <= limits.max_images) return;
  throw Error(Code::kInvalidArgument,
              "messages have more than " + std::to_string(limits.max_images) +
                  " pictures, the limit (the one too many is in " + message.Place("content") + ")",
              "messages");
}

}  // namespace

ImageInput ReadImagePart(const Fields& part, const RequestLimits& limits) {
  const Json* image = part.Find("image_url");
  if (image == nullptr) part.Fail("image_url", "an object with the url of the picture");
  // Some clients leave the object out.
  if (image->is_string())
    return ImageFromUrl(image->get_ref<const std::string&>(), limits.max_image_bytes,
                        part.Place("image_url"));
  const Fields object(*image, part.Place("image_url"));
  // Every picture is seen in full; the word is checked so that a slip shows.
  const auto detail = object.Text("detail");
  if (detail && *detail != "auto" && *detail != "low" && *detail != "high" && *detail != "original")
    object.Fail("detail", "auto, low, high or original");
  const Json* url = object.Find("url");
  if (url == nullptr || !url->is_string()) object.Fail("url", "a data URL");
  return ImageFromUrl(url->get_ref<const std::string&>(), limits.max_image_bytes,
                      object.Place("url"));
}

Dialogue ReadDialogue(const Fields& body, const RequestLimits& limits) {
  const Json* list = body.Find("messages");
  if (list == nullptr || !list->is_array() || list->empty())
    body.Fail("messages", "a list of at least one message");
  Dialogue dialogue;
  int64_t images = 0;
  for (size_t i = 0; i < list->size(); ++i) {
    const Fields message((*list)[i], Index("messages", i));
    const Speaker speaker = ReadRole(message);
    RefuseCalls(message);
    Content content = ReadContent(message, limits);
    images += static_cast<int64_t>(content.images.size());
    CheckImages(message, images, limits);
    if (speaker != Speaker::kUser && !content.images.empty())
      message.Fail("content", "text: pictures belong to the user's messages");
    if (speaker == Speaker::kSystem && i == 0) {
      dialogue.system = std::move(content.text);
      continue;
    }
    CheckTurn(message, speaker, dialogue);
    dialogue.messages.push_back(
        {.role = speaker == Speaker::kUser ? MessageRole::kUser : MessageRole::kAssistant,
         .text = std::move(content.text),
         .images = std::move(content.images)});
  }
  if (dialogue.messages.size() % 2 == 0) {
    const std::string last = Index("messages", list->size() - 1) + ".role";
    throw Error(Code::kInvalidArgument, last + " ends the dialogue, expected a message of the user",
                last);
  }
  return dialogue;
}

}  // namespace binocle::http
