#include "service/grpc/convert_request.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <type_traits>
#include <utility>

#include "service/common/text.h"
#include "service/grpc/convert_options.h"
#include "service/grpc/field_checks.h"

namespace binocle {
namespace {

constexpr int kMaxHeads = 4096;

// Texts of one request, whose limit counts for all of them together.
class TextBudget {
 public:
  TextBudget(int64_t limit, Violations& violations) : limit_(limit), violations_(violations) {}

  void Add(const std::string& text, const std::string& path) {
    const bool fitted = bytes_ <= limit_;
    bytes_ += static_cast<int64_t>(text.size());
    if (fitted && bytes_ > limit_) {
      violations_.Add(path, Text("brings the texts of the request to ", bytes_,
                                 " bytes, expected at most ", limit_));
    }
  }
  // A text that must not be empty.
  void Need(const std::string& text, const std::string& path) {
    if (text.empty()) violations_.Add(path, "is empty, expected at least one character");
    Add(text, path);
  }

 private:
  int64_t limit_;
  Violations& violations_;
  int64_t bytes_ = 0;
};

// The two roles by turns, the user first.
MessageRole RoleOf(const v1::Message& message, int turn, FieldChecks& checks) {
  const v1::Role expected = turn % 2 == 0 ? v1::ROLE_USER : v1::ROLE_ASSISTANT;
  const char* name = turn % 2 == 0 ? "user" : "assistant";
  if (message.role() == v1::ROLE_UNSPECIFIED) {
    checks.Add("role", "is not set, expected user or assistant");
  } else if (checks.Known("role", v1::Role_IsValid(message.role()), message.role()) &&
             message.role() != expected) {
    checks.Add("role",
               Text("is not ", name, ", as it must be here: the user is first, then by turns"));
  }
  return message.role() == v1::ROLE_ASSISTANT ? MessageRole::kAssistant : MessageRole::kUser;
}

// What GenerateRequest, AskRequest and ExplainRequest have in common, which is nearly all.
template <typename Proto>
class PromptConverter {
 public:
  PromptConverter(const Proto& from, const ConvertContext& context, Violations& violations)
      : from_(from),
        context_(context),
        violations_(violations),
        checks_("", violations),
        images_(context.limits.images, context.images, violations),
        texts_(context.limits.max_prompt_bytes, violations) {}

  Request Convert() {
    CheckUnknownFields(from_, violations_);
    Request request;
    TakeId(request);
    TakeMessages(request);
    TakeFormat(request);
    TakeOptions(request);
    CheckPictures(request);
    return request;
  }

 private:
  void TakeId(Request& request) {
    request.id = from_.id();
    if (std::ssize(from_.id()) > context_.limits.max_id_bytes) {
      checks_.Add("id", Text("has ", from_.id().size(), " bytes, expected at most ",
                             context_.limits.max_id_bytes));
    }
  }

  void TakeMessages(Request& request) {
    if (from_.has_prompt() && from_.messages_size() > 0) {
      checks_.Add("messages", "and prompt are both set, expected one of them");
      return;
    }
    std::vector<ImageInput> images = images_.Convert(from_.images(), "images");
    if (from_.has_prompt()) {
      texts_.Need(from_.prompt(), "prompt");
      request.messages.push_back({.text = from_.prompt(), .images = std::move(images)});
    } else if (from_.messages_size() == 0) {
      checks_.Add("prompt", "is not set, expected it or messages");
    } else {
      TakeDialogue(request);
      if (request.messages.empty()) return;
      std::vector<ImageInput>& first = request.messages[0].images;
      first.insert(first.begin(), std::make_move_iterator(images.begin()),
                   std::make_move_iterator(images.end()));
    }
  }

  void TakeDialogue(Request& request) {
    if (from_.messages_size() > context_.limits.max_messages) {
      checks_.Add("messages", Text("has ", from_.messages_size(), " of them, expected at most ",
                                   context_.limits.max_messages));
      return;
    }
    for (int i = 0; i < from_.messages_size(); ++i) {
      const v1::Message& message = from_.messages(i);
      const std::string path = Text("messages[", i, "]");
      FieldChecks checks(path, violations_);
      const MessageRole role = RoleOf(message, i, checks);
      texts_.Need(message.text(), checks.PathOf("text"));
      if (role == MessageRole::kAssistant && message.images_size() > 0)
        checks.Add("images", "belong to messages of the user");
      request.messages.push_back({.role = role,
                                  .text = message.text(),
                                  .images = images_.Convert(message.images(), path + ".images")});
    }
    if (request.messages.size() % 2 == 0 && request.messages.back().role != MessageRole::kUser)
      checks_.Add("messages", "end with the assistant's, expected a last one of the user");
  }

  void TakeFormat(Request& request) {
    checks_.Known("prompt_format", v1::PromptFormat_IsValid(from_.prompt_format()),
                  from_.prompt_format());
    if (from_.has_system()) {
      texts_.Add(from_.system(), "system");
      request.system = from_.system();
    }
    if (from_.prompt_format() != v1::PROMPT_FORMAT_RAW) return;
    request.prompt_format = PromptFormat::kRaw;
    if (from_.has_system())
      checks_.Add("system", "goes with prompt_format chat: a raw prompt is the whole prompt");
    if (from_.messages_size() > 1) {
      checks_.Add("messages", Text("has ", from_.messages_size(),
                                   " of them, expected one: prompt_format is raw"));
    }
  }

  void TakeOptions(Request& request) {
    if (from_.has_sampling()) request.generation = GenerationOf(from_.sampling(), violations_);
    if (from_.has_interventions())
      request.interventions = InterventionsOf(from_.interventions(), violations_);
    if (from_.has_attention()) request.attention = AttentionOf(from_.attention(), violations_);
    if (from_.has_constraint()) request.constraint = ConstraintOf(from_.constraint(), violations_);
    if (from_.has_logprobs()) {
      request.generation.logprobs =
          LogprobsOf(from_.logprobs(), context_.model.vocabulary, violations_);
    }
    if constexpr (requires { from_.priority(); }) {
      checks_.Take("priority", If(from_.has_priority(), from_.priority()), {-100, 100},
                   request.priority);
    }
    if constexpr (requires { from_.grounding(); }) request.grounding = from_.grounding();
  }

  void CheckPictures(const Request& request) {
    const Interventions& i = request.interventions;
    if (images_.images() > 0) return;
    if (i.guidance) checks_.Add("interventions.guidance", "needs a picture, the request has none");
    if (i.vcd) checks_.Add("interventions.vcd", "needs a picture, the request has none");
    if constexpr (std::is_same_v<Proto, v1::ExplainRequest>)
      checks_.Add("images", "is empty, expected at least one picture to explain");
  }

  const Proto& from_;
  const ConvertContext& context_;
  Violations& violations_;
  FieldChecks checks_;
  ImageConverter images_;
  TextBudget texts_;
};

template <typename Proto>
RequestFields FieldsOfProto(const Proto& request) {
  size_t bytes = request.prompt().size();
  for (const v1::Message& message : request.messages()) bytes += message.text().size();
  RequestFields fields;
  fields.prompt = request.has_prompt()           ? "prompt"
                  : request.messages_size() == 1 ? "messages[0].text"
                                                 : "messages";
  fields.longest = request.system().size() > bytes ? "system" : fields.prompt;
  fields.pictures = request.has_prompt() || request.images_size() > 0 ? "images" : "messages";
  return fields;
}

FaithfulnessOptions FaithfulnessOf(const v1::FaithfulnessOptions& from, Violations& violations) {
  FieldChecks checks("faithfulness", violations);
  FaithfulnessOptions options;
  checks.Take("blocks", If(from.has_blocks(), from.blocks()), {4, 1024}, options.blocks);
  checks.Take("curve_points", If(from.has_curve_points(), from.curve_points()), {2, 1024},
              options.curve_points);
  options.word_curves = from.word_curves();
  options.seed = from.seed();
  return options;
}

Pooling PoolingOf(v1::Pooling pooling) {
  switch (pooling) {
    case v1::POOLING_CLASS_TOKEN: return Pooling::kClassToken;
    case v1::POOLING_POOLED: return Pooling::kPooled;
    case v1::POOLING_TOKENS: return Pooling::kTokens;
    default: return Pooling::kMean;
  }
}

}  // namespace

Request RequestOf(const v1::GenerateRequest& from, const ConvertContext& context,
                  Violations& violations) {
  return PromptConverter(from, context, violations).Convert();
}

Request RequestOf(const v1::AskRequest& from, const ConvertContext& context,
                  Violations& violations) {
  return PromptConverter(from, context, violations).Convert();
}

RequestFields FieldsOf(const v1::GenerateRequest& request) { return FieldsOfProto(request); }
RequestFields FieldsOf(const v1::AskRequest& request) { return FieldsOfProto(request); }
RequestFields FieldsOf(const v1::ExplainRequest& request) { return FieldsOfProto(request); }

Error InFields(const Error& error, const RequestFields& fields) {
  const std::string& message = error.message();
  if (!error.option().empty()) return error;
  const std::string rest = message.substr(std::min(message.size(), message.find(": ") + 2));
  const auto about = [&](const std::string& field, const char* join = "") {
    return Error(error.code(), Text(field, ": ", join, rest));
  };
  if (message.starts_with("guidance: ")) return Error(error.code(), message, "guidance");
  if (message.starts_with("request: has ")) return about(fields.pictures);
  if (!message.starts_with("prompt: ")) return error;
  // Of a length, which is that of all texts together.
  const bool length =
      rest.find(" tokens") != std::string::npos || rest.find(" bytes") != std::string::npos;
  const std::string& field = length ? fields.longest : fields.prompt;
  const bool one_of_several = length && (field == "system" || field == "messages");
  return about(field, one_of_several ? "with the rest of the prompt " : "");
}

ExplainInput ExplainInputOf(const v1::ExplainRequest& from, const ConvertContext& context,
                            Violations& violations) {
  ExplainInput input{.request = PromptConverter(from, context, violations).Convert(),
                     .options = {}};
  FieldChecks checks("", violations);
  ExplainOptions& options = input.options;
  if (input.request.generation.n != 1) {
    checks.Add("sampling.n",
               Text("is ", input.request.generation.n, ", expected 1: one answer is explained"));
  }
  if (from.has_layers()) options.layers = LayersOf(from.layers(), "layers", violations);
  if (from.heads_size() > kMaxHeads)
    checks.Add("heads", Text("has ", from.heads_size(), " entries, expected at most ", kMaxHeads));
  for (int i = 0; i < std::min(from.heads_size(), kMaxHeads); ++i) {
    if (from.heads(i) < 0)
      checks.Add(Text("heads[", i, "]"), Text("is ", from.heads(i), ", expected 0 and up"));
    options.heads.push_back(from.heads(i));
  }
  checks.Take("cosine", If(from.has_cosine(), from.cosine()), {0, 1}, options.cosine);
  if (from.has_faithfulness())
    options.faithfulness = FaithfulnessOf(from.faithfulness(), violations);
  return input;
}

EmbedInput EmbedInputOf(const v1::EmbedRequest& from, const ConvertContext& context,
                        Violations& violations) {
  CheckUnknownFields(from, violations);
  FieldChecks checks("", violations);
  ImageConverter images(context.limits.images, context.images, violations);
  TextBudget texts(context.limits.max_prompt_bytes, violations);
  EmbedInput input{
      .images = images.Convert(from.images(), "images"),
      .texts = {},
      .options = {.pooling = PoolingOf(from.pooling()), .normalize = from.normalize()}};
  checks.Known("pooling", v1::Pooling_IsValid(from.pooling()), from.pooling());
  if (from.images_size() == 0 && from.texts_size() == 0)
    checks.Add("images", "and texts are empty, expected at least one picture or text");
  if (from.texts_size() > context.limits.max_texts) {
    checks.Add("texts", Text("has ", from.texts_size(), " of them, expected at most ",
                             context.limits.max_texts));
    return input;
  }
  for (int i = 0; i < from.texts_size(); ++i) {
    texts.Need(from.texts(i), Text("texts[", i, "]"));
    input.texts.push_back(from.texts(i));
  }
  if (input.options.pooling == Pooling::kClassToken && from.texts_size() > 0)
    checks.Add("pooling", "is class_token, which texts do not have");
  return input;
}

}  // namespace binocle
