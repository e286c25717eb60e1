// From the C++ structs to messages of binocle.v1. Nothing here fails.
//
// `model` is what the server calls the model, which need not be what its files say.
#pragma once

#include <string>

#include "binocle/embedding.h"
#include "binocle/explain.h"
#include "binocle/model_info.h"
#include "binocle/request.h"
#include "binocle/v1/model.pb.h"
#include "binocle/v1/vision_language_service.pb.h"

namespace binocle {

// Counts and ids of a message, all of which fit.
inline int32_t Int32(int64_t value) { return static_cast<int32_t>(value); }

v1::AskResponse AskResponseOf(const Response& response, const std::string& model);

// The three kinds of a stream's messages.
v1::GenerateResponse StartedOf(const Started& started, const std::string& id,
                               const std::string& model);
v1::GenerateResponse DeltaOf(const Delta& delta);
v1::GenerateResponse FinishedOf(const Response& response);

v1::Embedding EmbeddingToProto(const Embedding& embedding);

v1::ModelSummary ModelSummaryOf(const ModelInfo& info, const std::string& model);

enum class WithTensors : bool { kNo, kYes };
// Without the path: where files lie is the operator's business.
v1::Model ModelOf(const ModelInfo& info, const std::string& model, WithTensors tensors);

// convert_explanation.cc
v1::ExplainResponse ExplainResponseOf(const Explanation& explanation, const std::string& model);

}  // namespace binocle
