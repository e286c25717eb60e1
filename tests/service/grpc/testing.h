// What tests of service/grpc share.
#pragma once

#include <google/protobuf/text_format.h>
#include <grpcpp/support/status.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "binocle/model_info.h"
#include "google/rpc/error_details.pb.h"
#include "service/grpc/convert_images.h"

namespace binocle::testing {

// A message from protobuf's text format.
template <typename Proto>
Proto Parse(const std::string& text) {
  Proto proto;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &proto)) << text;
  return proto;
}

// The details of one kind in a status; a default one when there are none.
template <typename Detail>
Detail DetailOf(const grpc::Status& status) {
  google::rpc::Status details;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
  Detail detail;
  for (const auto& any : details.details()) {
    if (any.UnpackTo(&detail)) return detail;
  }
  return {};
}

// A model of the kind that most requests fit.
inline ModelInfo SmallModel() {
  ModelInfo info;
  info.name = "small";
  info.family = "binocle";
  info.vocabulary = 100;
  info.context_tokens = 512;
  info.image_tokens = 16;
  info.attention = "mixed";
  info.aligner = "vo";
  info.composite_layers = {1, 2, 3};
  info.parts.push_back(
      {.name = "anchor", .type = "clip_vision_model", .properties = {{"width", "8"}}});
  info.tensors.push_back({.name = "a.weight", .dtype = "f32", .shape = {2, 3}});
  return info;
}

// Pictures by id; URIs are refused.
class MapImages : public ImageSource {
 public:
  std::string ById(const std::string& id) override {
    const auto found = images.find(id);
    if (found == images.end()) throw Error(Code::kNotFound, "is not there");
    return found->second;
  }
  std::string ByUri(const std::string& uri) override {
    throw Error(Code::kPermissionDenied, "is refused: " + uri);
  }

  std::map<std::string, std::string> images;
};

}  // namespace binocle::testing
