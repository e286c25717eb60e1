// KServe's ModelInfer as a question of binocle.v1, and the answer back. proto/inference/grpc_service.proto says which tensors there are.
#pragma once

#include "binocle/v1/vision_language_service.pb.h"
#include "inference/grpc_service.pb.h"
#include "service/grpc/violations.h"

namespace binocle {

// Violations have paths such as `inputs[0].datatype` and `parameters[temperature]`.
v1::AskRequest AskRequestOf(const inference::ModelInferRequest& from, Violations& violations);

// Violations of an AskRequest that AskRequestOf made, with the paths that the client knows.
Violations InferViolationsOf(const Violations& violations);

// `request` says which outputs are wanted and how elements are written.
inference::ModelInferResponse InferResponseOf(const v1::AskResponse& answer,
                                              const inference::ModelInferRequest& request);

// The inputs and outputs that every model has.
inference::ModelMetadataResponse InferMetadataOf(const std::string& model);

}  // namespace binocle
