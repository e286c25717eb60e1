// KServe's ModelInfer as a question of binocle.v1, and the answer back. proto/inference/grpc_service.proto says which tensors there are.
#pragma once

#include <string>
#include <vector>

#include "binocle/v1/vision_language_service.pb.h"
#include "inference/grpc_service.pb.h"
#include "service/grpc/violations.h"

namespace binocle {

// Violations have paths such as `inputs[0].datatype` and `parameters[temperature]`.
v1::AskRequest AskRequestOf(const inference::ModelInferRequest& from, Violations& violations);

// Where the client has what AskRequestOf made a prompt and pictures of.
struct InferFields {
  std::string prompt = "inputs";
  std::vector<std::string>
      images;  // "inputs[1].contents.bytes_contents[0]", or "raw_input_contents[1]"
};
InferFields InferFieldsOf(const inference::ModelInferRequest& from);

// Violations of an AskRequest that AskRequestOf made, with the paths that the client knows.
Violations InferViolationsOf(const std::vector<FieldViolation>& violations,
                             const InferFields& fields);

// `request` says which outputs are wanted and how elements are written.
inference::ModelInferResponse InferResponseOf(const v1::AskResponse& answer,
                                              const inference::ModelInferRequest& request);

// The inputs and outputs that every model has.
inference::ModelMetadataResponse InferMetadataOf(const std::string& model);

}  // namespace binocle
