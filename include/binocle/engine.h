// The engine: a loaded model that answers requests.
//
//   binocle::Engine engine = binocle::Engine::Load("models/binocle-tiny", {});
//   binocle::Response r = engine.Generate(
//       binocle::Ask("What is in the top left?", {binocle::ImageInput::FromFile("scene.png")}),
//       {.on_delta = [](const binocle::Delta& d) { std::cout << d.text << std::flush; }});
//
// All functions throw binocle::Error.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "binocle/error.h"
#include "binocle/export.h"
#include "binocle/model_info.h"
#include "binocle/request.h"
#include "binocle/version.h"

namespace binocle {

struct EngineOptions {
  std::string device = "cpu";   // "cpu"
  std::string compute = "f32";  // "f32"
  int threads = 0;              // 0: one per processor
  int64_t context_tokens = 0;   // 0: the model's own limit
  int64_t prefill_chunk_tokens =
      512;  // rows of the language model at a time, 1 … 65536; changes memory and speed, never results
  int64_t memory_limit = 0;  // bytes; loading is refused when the plan is larger. 0: none
  int64_t max_images = 64;   // per request
  int64_t max_image_bytes = int64_t{64} << 20;
  int64_t max_image_pixels = 100'000'000;

  // Override the model's configuration; empty leaves it. Names as in docs/model_format.md.
  std::string fusion;            // "ftz", "anchor", …
  std::string attention;         // "stock", "composite"
  std::string composite_layers;  // "0-5", inclusive
  std::string aligner;           // "vo", "vo_ffn", "none"
};

// Visual tokens as the language model receives them.
struct ImageEmbedding {
  int64_t tokens = 0;         // n
  int64_t width = 0;          // D
  std::vector<float> values;  // [n, D] row-major
};

class BINOCLE_EXPORT Engine {
 public:
  // Reads and checks a model directory. NOT_FOUND, INVALID_ARGUMENT (what does not fit, and why), UNIMPLEMENTED (a kind of model that
  // is not supported), RESOURCE_EXHAUSTED (the memory limit).
  static Engine Load(const std::string& path, const EngineOptions& options);
  // The same checks and the memory plan, with nothing loaded.
  static ModelInfo Inspect(const std::string& path, const EngineOptions& options);

  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;
  ~Engine();

  const ModelInfo& info() const;

  // Answers one request; the observer is called on the calling thread. Calls from several threads take turns.
  Response Generate(const Request& request, const Observer& observer = {});

  // The picture's visual tokens, after fusion and projector.
  ImageEmbedding EmbedImage(const ImageInput& image);

 private:
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace binocle
