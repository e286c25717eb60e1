#include "service/engine/load_options.h"

#include "core/error.h"
#include "core/machine.h"

namespace binocle {
namespace {

constexpr int64_t kMaxThreads = 1024;
constexpr int64_t kMaxTokens = int64_t{1} << 24;

void CheckDevice(const std::string& device) {
  if (device == "cpu") return;
  if (!device.starts_with("cuda"))
    ThrowOption("device", "is ", Printable(device, 40), ", expected cpu");
  throw Error(
      Code::kUnimplemented,
      "device is " + Printable(device, 40) + ", expected cpu: this build has no CUDA backend",
      "device");
}

void CheckCompute(const std::string& compute) {
  if (compute == "f32") return;
  if (compute != "bf16" && compute != "int8" && compute != "int4")
    ThrowOption("compute", "is ", Printable(compute, 40), ", expected f32");
  throw Error(Code::kUnimplemented,
              "compute is " + compute + ", expected f32: this version computes in nothing else",
              "compute");
}

ModelOverrides ParseOverrides(const EngineOptions& options) {
  ModelOverrides overrides;
  if (!options.fusion.empty()) {
    overrides.fusion =
        ParseOption("fusion", [&] { return ParseFusionType(options.fusion, "fusion"); });
  }
  if (!options.conversation.empty()) {
    overrides.conversation = ParseOption("conversation", [&] {
      return ParseConversationStyle(options.conversation, "conversation");
    });
  }
  if (!options.projector.empty()) overrides.projector = options.projector;
  if (!options.aligner.empty()) {
    overrides.layers.aligner =
        ParseOption("aligner", [&] { return ParseAligner(options.aligner, "aligner"); });
  }
  if (options.attention == "stock") {
    overrides.layers.attention = LayerKind::kStock;
  } else if (options.attention == "composite") {
    overrides.layers.attention = LayerKind::kComposite;
  } else if (!options.attention.empty()) {
    ThrowOption("attention", "is ", Printable(options.attention, 40),
                ", expected stock or composite");
  }
  if (!options.composite_layers.empty())
    overrides.layers.composite_layers =
        LayerRanges::Parse(options.composite_layers, "composite_layers");
  return overrides;
}

}  // namespace

LoadOptions ParseLoadOptions(const EngineOptions& options) {
  CheckDevice(options.device);
  CheckCompute(options.compute);
  CheckOption("threads", options.threads, 0, kMaxThreads);
  CheckOption("context_tokens", options.context_tokens, 0, kMaxTokens);
  CheckOption("prefill_chunk_tokens", options.prefill_chunk_tokens, 1, 65536);
  CheckOption("max_sequences", options.max_sequences, 2, 1024);
  CheckOption("kv_tokens", options.kv_tokens, 0, int64_t{1} << 31);
  CheckOption("max_queued_requests", options.max_queued_requests, 1, int64_t{1} << 20);
  CheckOption("max_queued_bytes", options.max_queued_bytes, 0, INT64_MAX);
  CheckOption("memory_limit", options.memory_limit, 0, INT64_MAX);
  CheckOption("image_cache_bytes", options.image_cache_bytes, 0, INT64_MAX);
  CheckOption("max_images", options.max_images, 0, 4096);
  CheckOption("max_image_bytes", options.max_image_bytes, 1,
              INT32_MAX);  // the decoder counts in int
  CheckOption("max_image_pixels", options.max_image_pixels, 1, int64_t{1} << 32);
  const int processors = LimitsOfThisProcess().processors;
  return {.overrides = ParseOverrides(options),
          .threads = options.threads > 0 ? static_cast<int>(options.threads) : processors,
          .context_tokens = options.context_tokens,
          .prefill_chunk_tokens = options.prefill_chunk_tokens,
          .max_sequences = options.max_sequences,
          .kv_tokens = options.kv_tokens,
          .memory_limit = options.memory_limit};
}

}  // namespace binocle
