#include "service/engine/load_options.h"

#include <charconv>
#include <thread>

#include "core/error.h"

namespace binocle {
namespace {

constexpr int kMaxThreads = 1024;
constexpr int64_t kMaxTokens = int64_t{1} << 24;

void CheckRange(const char* option, int64_t value, int64_t low, int64_t high) {
  if (value < low || value > high)
    ThrowInvalid(option, " is ", value, ", expected ", low, " to ", high);
}

// "3-7" or "5", inclusive.
std::pair<int64_t, int64_t> ParseRange(const std::string& text) {
  int64_t first = 0;
  int64_t last = 0;
  const char* end = text.data() + text.size();
  auto [after, error] = std::from_chars(text.data(), end, first);
  if (error == std::errc() && after == end) return {first, first};
  if (error == std::errc() && *after == '-') {
    const auto second = std::from_chars(after + 1, end, last);
    if (second.ec == std::errc() && second.ptr == end) return {first, last};
  }
  ThrowInvalid("composite_layers is ", Printable(text, 40), ", expected a range such as 0-31");
}

ModelOverrides ParseOverrides(const EngineOptions& options) {
  ModelOverrides overrides;
  if (!options.fusion.empty()) overrides.fusion = ParseFusionType(options.fusion, "fusion");
  if (!options.aligner.empty()) overrides.aligner = ParseAligner(options.aligner, "aligner");
  if (options.attention == "stock") {
    overrides.attention = LayerKind::kStock;
  } else if (options.attention == "composite") {
    overrides.attention = LayerKind::kComposite;
  } else if (!options.attention.empty()) {
    ThrowInvalid("attention is ", Printable(options.attention, 40),
                 ", expected stock or composite");
  }
  if (!options.composite_layers.empty())
    overrides.composite_layers = ParseRange(options.composite_layers);
  return overrides;
}

}  // namespace

LoadOptions ParseLoadOptions(const EngineOptions& options) {
  if (options.device != "cpu") {
    if (options.device.starts_with("cuda")) {
      Throw(Code::kUnimplemented, "device is ", Printable(options.device, 40),
            ": this build has no CUDA backend, expected cpu");
    }
    ThrowInvalid("device is ", Printable(options.device, 40), ", expected cpu");
  }
  if (options.compute != "f32") {
    const bool known =
        options.compute == "bf16" || options.compute == "int8" || options.compute == "int4";
    if (known)
      Throw(Code::kUnimplemented, "compute is ", options.compute,
            ": this version computes in f32 only");
    ThrowInvalid("compute is ", Printable(options.compute, 40), ", expected f32");
  }
  CheckRange("threads", options.threads, 0, kMaxThreads);
  CheckRange("context_tokens", options.context_tokens, 0, kMaxTokens);
  CheckRange("prefill_chunk_tokens", options.prefill_chunk_tokens, 1, 65536);
  CheckRange("memory_limit", options.memory_limit, 0, INT64_MAX);
  CheckRange("max_images", options.max_images, 0, 4096);
  CheckRange("max_image_bytes", options.max_image_bytes, 1,
             INT32_MAX);  // the decoder counts in int
  CheckRange("max_image_pixels", options.max_image_pixels, 1, int64_t{1} << 32);
  const int processors = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  return {.overrides = ParseOverrides(options),
          .threads = options.threads > 0 ? options.threads : processors,
          .context_tokens = options.context_tokens,
          .prefill_chunk_tokens = options.prefill_chunk_tokens,
          .memory_limit = options.memory_limit};
}

}  // namespace binocle
