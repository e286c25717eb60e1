// From requests of binocle.v1 to the C++ structs: pure functions of a message, a model's description, limits and a source of pictures.
//
// All faults of a request are collected, with the paths of their fields; when there are any, what is returned is not to be used.
//
//   Violations violations;
//   Request request = RequestOf(proto, {model.info(), limits, images}, violations);
//   if (!violations.empty()) return StatusOf(violations);
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "binocle/embedding.h"
#include "binocle/explain.h"
#include "binocle/model_info.h"
#include "binocle/request.h"
#include "binocle/v1/vision_language_service.pb.h"
#include "service/grpc/convert_images.h"
#include "service/grpc/violations.h"

namespace binocle {

struct RequestLimits {
  ImageConverter::Limits images;
  int64_t max_messages = 1024;                  // of a dialogue
  int64_t max_prompt_bytes = int64_t{4} << 20;  // of all texts of a prompt, or to embed
  int64_t max_texts = 1024;                     // to embed
  int64_t max_id_bytes = 256;
};

struct ConvertContext {
  const ModelInfo& model;
  const RequestLimits& limits;
  ImageSource& images;
};

// The deadline is left open: it belongs to the call.
Request RequestOf(const v1::GenerateRequest& from, const ConvertContext& context,
                  Violations& violations);
Request RequestOf(const v1::AskRequest& from, const ConvertContext& context,
                  Violations& violations);

// What the engine's errors about a whole prompt and its pictures are about, in the fields of one request.
struct RequestFields {
  std::string prompt;    // "prompt", "messages[0].text" or "messages"
  std::string longest;   // it, or "system", where that has more bytes
  std::string pictures;  // "images" or "messages"
};
RequestFields FieldsOf(const v1::GenerateRequest& request);
RequestFields FieldsOf(const v1::AskRequest& request);
RequestFields FieldsOf(const v1::ExplainRequest& request);

// The same error with a message that begins with the field, "system: …", where the engine says "prompt: " and "request: ".
Error InFields(const Error& error, const RequestFields& fields);

struct ExplainInput {
  Request request;
  ExplainOptions options;
};

ExplainInput ExplainInputOf(const v1::ExplainRequest& from, const ConvertContext& context,
                            Violations& violations);

struct EmbedInput {
  std::vector<ImageInput> images;
  std::vector<std::string> texts;
  EmbeddingOptions options;
};

EmbedInput EmbedInputOf(const v1::EmbedRequest& from, const ConvertContext& context,
                        Violations& violations);

}  // namespace binocle
