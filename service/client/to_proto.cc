#include "service/client/to_proto.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <type_traits>
#include <variant>

#include "binocle/error.h"
#include "service/common/text.h"
#include "service/grpc/convert_interventions.h"

namespace binocle {
namespace {

constexpr std::string_view kUpload = "upload:";
constexpr std::string_view kFile = "file:";

std::string ReadPicture(const std::string& path, int64_t max_bytes) {
  if (path.empty())
    throw Error(Code::kInvalidArgument,
                "image: its path is empty, expected a JPEG, PNG or WebP file");
  std::error_code failure;
  const std::filesystem::file_status status = std::filesystem::status(path, failure);
  if (status.type() == std::filesystem::file_type::not_found)
    throw Error(Code::kNotFound, path + ": no such file");
  if (status.type() == std::filesystem::file_type::directory)
    throw Error(Code::kInvalidArgument, path + ": is a directory, expected a file");
  if (!failure && status.type() != std::filesystem::file_type::regular)
    throw Error(Code::kInvalidArgument, path + ": is not a regular file, expected a file");
  const auto size = static_cast<int64_t>(std::filesystem::file_size(path, failure));
  std::ifstream file(path, std::ios::binary);
  if (failure || !file) {
    throw Error(errno == EACCES ? Code::kPermissionDenied : Code::kUnknown,
                path + ": cannot be read: " + std::strerror(errno));
  }
  if (size > max_bytes) {
    throw Error(Code::kResourceExhausted,
                Text(path, ": is ", size, " bytes, the limit of a message is ", max_bytes));
  }
  std::string bytes(static_cast<size_t>(size), '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(size));
  bytes.resize(static_cast<size_t>(file.gcount()));
  return bytes;
}

// What an answer is held to must be what was asked, so nothing is replaced.
std::string Utf8Of(const char* option, const std::string& text) {
  if (ValidUtf8(text) == text) return text;
  throw Error(Code::kInvalidArgument, Text(option, " is not UTF-8: ", ValidUtf8(text, 80)), option);
}

void SetLayers(const Layers& from, v1::Layers& to) {
  to.set_first(Int32Of(from.first));
  to.set_last(Int32Of(from.last));
}

v1::Sampling SamplingOf(const GenerationOptions& from) {
  v1::Sampling to;
  to.set_max_new_tokens(Int32Of(from.max_new_tokens));
  to.set_temperature(from.temperature);
  to.set_top_k(Int32Of(from.top_k));
  to.set_top_p(from.top_p);
  to.set_min_p(from.min_p);
  to.set_repetition_penalty(from.repetition_penalty);
  to.set_seed(from.seed);
  for (const std::string& stop : from.stop) to.add_stop(ValidUtf8(stop));
  to.set_n(Int32Of(from.n));
  return to;
}

v1::Attention AttentionOf(const AttentionOptions& from) {
  v1::Attention to;
  if (from.kind) {
    to.set_kind(*from.kind == AttentionKind::kStock ? v1::ATTENTION_KIND_STOCK
                                                    : v1::ATTENTION_KIND_COMPOSITE);
  }
  if (from.composite_layers) {
    for (const Layers& layers : from.composite_layers->ranges())
      SetLayers(layers, *to.add_composite_layers());
  }
  if (from.aligner) {
    switch (*from.aligner) {
      case Aligner::kNone: to.set_aligner(v1::ALIGNER_NONE); break;
      case Aligner::kVo: to.set_aligner(v1::ALIGNER_VO); break;
      case Aligner::kVoFfn: to.set_aligner(v1::ALIGNER_VO_FFN); break;
    }
  }
  return to;
}

bool IsSet(const AttentionOptions& o) { return o.kind || o.composite_layers || o.aligner; }

void SetConstraint(const Constraint& from, v1::Constraint& to) {
  if (const auto* choices = std::get_if<Choices>(&from)) {
    for (const std::string& value : choices->values)
      to.mutable_choices()->add_values(Utf8Of("choices", value));
    to.mutable_choices();
  } else if (const auto* regex = std::get_if<Regex>(&from)) {
    to.set_regex(Utf8Of("regex", regex->pattern));
  } else if (const auto* schema = std::get_if<JsonSchema>(&from)) {
    to.set_json_schema(Utf8Of("json_schema", schema->schema));
  }
}

// `path`: of the field that has them.
void AddImages(const std::vector<ImageInput>& from, const std::string& path,
               const ImageReader& images, google::protobuf::RepeatedPtrField<v1::Image>& to,
               PictureNames& names) {
  for (const ImageInput& image : from) {
    names.emplace_back(Text(path, "[", to.size(), "]"), image.path);
    *to.Add() = images.Read(image);
  }
}

template <typename Proto>
void SetMessages(const Request& from, const ImageReader& images, PictureNames& names, Proto& to) {
  if (from.messages.size() == 1 && from.messages[0].role == MessageRole::kUser) {
    to.set_prompt(ValidUtf8(from.messages[0].text));
    AddImages(from.messages[0].images, "images", images, *to.mutable_images(), names);
    return;
  }
  for (const Message& message : from.messages) {
    const std::string path = Text("messages[", to.messages_size(), "].images");
    v1::Message& added = *to.add_messages();
    added.set_role(message.role == MessageRole::kUser ? v1::ROLE_USER : v1::ROLE_ASSISTANT);
    added.set_text(ValidUtf8(message.text));
    AddImages(message.images, path, images, *added.mutable_images(), names);
  }
}

template <typename Proto>
Proto RequestTo(const Request& from, const ImageReader& images, PictureNames& names) {
  Proto to;
  to.set_id(ValidUtf8(from.id));
  SetMessages(from, images, names, to);
  to.set_prompt_format(from.prompt_format == PromptFormat::kRaw ? v1::PROMPT_FORMAT_RAW
                                                                : v1::PROMPT_FORMAT_CHAT);
  if (from.system) to.set_system(ValidUtf8(*from.system));
  *to.mutable_sampling() = SamplingOf(from.generation);
  *to.mutable_interventions() = InterventionsToProto(from.interventions);
  if (IsSet(from.attention)) *to.mutable_attention() = AttentionOf(from.attention);
  if (!std::holds_alternative<std::monostate>(from.constraint))
    SetConstraint(from.constraint, *to.mutable_constraint());
  if (from.generation.logprobs != 0) to.set_logprobs(Int32Of(from.generation.logprobs));
  if constexpr (!std::is_same_v<Proto, v1::ExplainRequest>) {
    if (from.priority != 0) to.set_priority(Int32Of(from.priority));
    to.set_grounding(from.grounding);
  }
  return to;
}

}  // namespace

v1::Image ImageReader::Read(const ImageInput& image) const {
  v1::Image to;
  if (image.bytes) {
    to.set_data(*image.bytes);
  } else if (image.path.starts_with(kUpload)) {
    to.set_id(ValidUtf8(image.path.substr(kUpload.size())));
  } else if (image.path.starts_with(kFile)) {
    to.set_uri(ValidUtf8(image.path));
  } else {
    to.set_data(ReadPicture(image.path, max_bytes));
  }
  to.set_exif(image.exif);
  return to;
}

v1::AskRequest AskRequestOf(const Request& request, const ImageReader& images,
                            PictureNames& names) {
  return RequestTo<v1::AskRequest>(request, images, names);
}

v1::GenerateRequest GenerateRequestOf(const Request& request, const ImageReader& images,
                                      PictureNames& names) {
  return RequestTo<v1::GenerateRequest>(request, images, names);
}

v1::ExplainRequest ExplainRequestOf(const Request& request, const ExplainOptions& options,
                                    const ImageReader& images, PictureNames& names) {
  auto to = RequestTo<v1::ExplainRequest>(request, images, names);
  if (options.layers) SetLayers(*options.layers, *to.mutable_layers());
  for (const int64_t head : options.heads) to.add_heads(Int32Of(head));
  to.set_cosine(options.cosine);
  if (const auto& f = options.faithfulness) {
    to.mutable_faithfulness()->set_blocks(Int32Of(f->blocks));
    to.mutable_faithfulness()->set_curve_points(Int32Of(f->curve_points));
    to.mutable_faithfulness()->set_word_curves(f->word_curves);
    to.mutable_faithfulness()->set_seed(f->seed);
  }
  return to;
}

v1::Pooling PoolingToProto(Pooling pooling) {
  switch (pooling) {
    case Pooling::kMean: return v1::POOLING_MEAN;
    case Pooling::kClassToken: return v1::POOLING_CLASS_TOKEN;
    case Pooling::kPooled: return v1::POOLING_POOLED;
    case Pooling::kTokens: return v1::POOLING_TOKENS;
  }
  return v1::POOLING_UNSPECIFIED;
}

}  // namespace binocle
