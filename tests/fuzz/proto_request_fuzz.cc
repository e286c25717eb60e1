// Any bytes as a request of the gRPC interface: the first byte says which, the others are the message. Nothing may come out of the
// conversions but a request or a list of faults, and both must hold together.
#include <google/protobuf/stubs/logging.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "service/common/sha256.h"
#include "service/common/text.h"
#include "service/grpc/convert_infer.h"
#include "service/grpc/convert_request.h"
#include "service/grpc/status.h"

namespace {

void Require(bool condition) {
  if (!condition) __builtin_trap();
}

class NoImages : public binocle::ImageSource {
 public:
  std::string ById(const std::string& id) override {
    Require(binocle::IsSha256Hex(id));
    if (id[0] == 'a') return "a picture";
    throw binocle::Error(binocle::Code::kNotFound, "is not there");
  }
  std::string ByUri(const std::string& uri) override {
    Require(!uri.empty());
    throw binocle::Error(binocle::Code::kPermissionDenied, "is refused");
  }
};

// What every accepted request promises the engine.
void CheckRequest(const binocle::Request& request) {
  binocle::CheckOptions(request.generation, 100);
  Require(request.messages.size() % 2 == 1);
  for (const binocle::Message& message : request.messages) {
    Require(!message.text.empty());
    for (const binocle::ImageInput& image : message.images) Require(!image.bytes->empty());
  }
}

void CheckFaults(const binocle::Violations& violations) {
  const grpc::Status status = binocle::StatusOf(violations);
  Require(!status.ok() && status.error_details().size() <= 4096);
  Require(binocle::ValidUtf8(status.error_message()) == status.error_message());
}

template <typename Proto, typename Convert>
void Run(std::string_view bytes, const Convert& convert) {
  Proto proto;
  if (!proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  binocle::ModelInfo model;
  model.vocabulary = 100;
  model.attention = "mixed";
  model.aligner = "vo";
  model.composite_layers = {1, 2};
  const binocle::RequestLimits limits{
      .images = {.max_images = 4, .max_image_bytes = 100, .max_request_image_bytes = 150},
      .max_messages = 7,
      .max_prompt_bytes = 1000,
      .max_texts = 4,
      .max_id_bytes = 16};
  NoImages images;
  binocle::Violations violations;
  convert(proto, binocle::ConvertContext{model, limits, images}, violations);
  if (!violations.empty()) CheckFaults(violations);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using binocle::Violations;
  [[maybe_unused]] static const auto logged = google::protobuf::SetLogHandler(nullptr);
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto request = [](const auto& proto, const auto& context, Violations& violations) {
    const binocle::Request converted = binocle::RequestOf(proto, context, violations);
    if (violations.empty()) CheckRequest(converted);
  };
  switch (data[0] % 5) {
    case 0: Run<binocle::v1::GenerateRequest>(bytes, request); break;
    case 1: Run<binocle::v1::AskRequest>(bytes, request); break;
    case 2:
      Run<binocle::v1::ExplainRequest>(
          bytes, [](const auto& proto, const auto& context, Violations& v) {
            const binocle::ExplainInput input = binocle::ExplainInputOf(proto, context, v);
            if (v.empty()) CheckRequest(input.request);
          });
      break;
    case 3:
      Run<binocle::v1::EmbedRequest>(
          bytes, [](const auto& proto, const auto& context, Violations& v) {
            const binocle::EmbedInput input = binocle::EmbedInputOf(proto, context, v);
            Require(!v.empty() || !input.images.empty() || !input.texts.empty());
          });
      break;
    default:
      Run<inference::ModelInferRequest>(
          bytes, [&](const auto& proto, const auto& context, Violations& v) {
            const binocle::v1::AskRequest ask = binocle::AskRequestOf(proto, v);
            Violations inner;
            if (v.empty()) request(ask, context, inner);
            if (!inner.empty())
              CheckFaults(binocle::InferViolationsOf(inner.list(), binocle::InferFieldsOf(proto)));
            binocle::InferResponseOf(binocle::v1::AskResponse(), proto);
          });
  }
  return 0;
}
