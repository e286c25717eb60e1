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
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "binocle/embedding.h"
#include "binocle/engine_stats.h"
#include "binocle/error.h"
#include "binocle/export.h"
#include "binocle/model_info.h"
#include "binocle/request.h"
#include "binocle/version.h"

namespace binocle {

// Several processes that compute one model, each of them a part of every layer (docs/cuda.md). Rank 0 is an engine; the others follow it (Engine::Follow).
struct TensorParallel {
  // 1 … 1024. They divide the heads and the ffn width, and divide the kv heads or are a multiple of them.
  int64_t ranks = 1;
  int64_t rank = 0;  // 0 … ranks − 1: this process
  // What the others know rank 0's machine as. Rank 0 listens on the loopback where that is written as such (127.0.0.1, ::1, localhost), on every interface otherwise; nobody who connects is
  // asked to prove who it is, so the port is for a network that only the ranks use.
  std::string address = "127.0.0.1";
  int64_t port = 29500;  // 1 … 65535
  // 0 … ranks: how many of them are on this machine, whose processors and memory they share; 0: all of them.
  int64_t local_ranks = 0;
  // 0 …: which of these it is. "cuda" is then that GPU, modulo those that the process sees.
  int64_t local_rank = 0;
  // Of rank 0, while ranks meet: a line about each process that came to the port and was turned away. May be empty.
  std::function<void(const std::string&)> note = {};
};

// Ranges are inclusive; a value outside them is INVALID_ARGUMENT, and Error::option() names it.
struct EngineOptions {
  // "cpu", "cuda" (the first GPU) or "cuda:N". Where there is no GPU the CPU is taken; ModelInfo::device_note says why.
  std::string device = "cpu";
  // "f32", "bf16", "int8", "int4", "blocks": how weights are kept and products computed. Of int4 the towers, the fusion, the projector and the head are
  // int8. "blocks" is for GGUF files: matrices in block types (Q8_0, Q4_K, …) stay in the file and are multiplied as stored; others are int8.
  // Empty: as the model is packed (binocle/quantize.h), f32 where it is not. ModelInfo::compute says what it came to.
  std::string compute;
  // Otherwise for parts, "vision=bf16,head=f32": vision, fusion, projector, language (its layers), head.
  std::string compute_parts;
  TensorParallel tensor_parallel;
  int64_t threads = 0;  // 0 … 1024; 0: one per processor that the process may use
  // 0 … 16777216: prompt and answer together; 0, or more than the model's own limit, is that limit.
  int64_t context_tokens = 0;
  // 1 … 65536: rows of the language model at a time. Changes memory and speed, never results.
  int64_t prefill_chunk_tokens = 512;
  // 2 … 1024: answers computed side by side; an answer under guidance or VCD counts twice.
  int64_t max_sequences = 16;
  // 0 … 2147483648: tokens whose keys and values there is room for, over all requests, at least the context; 0 is room for two contexts.
  int64_t kv_tokens = 0;
  int64_t max_queued_requests = 256;  // 1 … 1048576 that wait to start; more are refused
  int64_t max_queued_bytes = int64_t{1} << 30;  // 0 …, of their texts and pictures
  // Bytes, 0 …: loading is refused when the plan (ModelInfo::planned_bytes) is larger. 0: MachineMemory.
  int64_t memory_limit = 0;
  // Bytes, 0 …: pictures that have been through the towers are kept up to this, the least recently used go first. 0: none are.
  int64_t image_cache_bytes = int64_t{512} << 20;
  int64_t max_images = 64;                      // 0 … 4096, per request
  int64_t max_image_bytes = int64_t{64} << 20;  // 1 … 2147483647, of a picture's file
  int64_t max_image_pixels = 100'000'000;       // 1 … 4294967296, of a decoded picture

  // Override the model's configuration; empty leaves it. Names as in docs/model_format.md.
  std::string fusion;            // "ftz", "anchor", …
  std::string attention;         // "stock", "composite"
  std::string composite_layers;  // "0-5,7", inclusive (layer_ranges.h)
  std::string aligner;           // "vo", "vo_ffn", "none"
  std::string conversation;      // "vicuna_v1", "qwen2_5", …: how a chat is written
  std::string projector;  // a GGUF file with a tower and a projector, for a text model that is one
};

struct ExplainOptions;  // binocle/explain.h
struct Explanation;

// What the image cache holds and has done.
struct ImageCacheInfo {
  int64_t hits = 0;
  int64_t misses = 0;
  int64_t evictions = 0;
  int64_t entries = 0;
  int64_t bytes = 0;
};

// A request on its way through an engine. Destroying it neither waits nor cancels.
class BINOCLE_EXPORT Submission {
 public:
  Submission() = default;
  // The request ends at the next step, with what it has. From any thread, also after the end.
  void Cancel();

 private:
  friend class Engine;
  struct State;
  // Owned together with the engine, which drops it when the request ends.
  std::shared_ptr<State> state_;
};

// Functions may be called from any thread, also at the same time, but for moving and destroying. Destroying an engine cancels what is on
// it; events tell.
class BINOCLE_EXPORT Engine {
 public:
  // Reads and checks a model directory. NOT_FOUND, INVALID_ARGUMENT (what does not fit, and why), UNIMPLEMENTED (a kind of model that
  // is not supported), RESOURCE_EXHAUSTED (the plan is larger than the memory limit).
  // With several ranks it returns when all of them have loaded their part; UNAVAILABLE where one does not come within five minutes.
  static Engine Load(const std::string& path, const EngineOptions& options);
  // What ranks other than 0 do instead, with the same path and options but for their rank: returns when rank 0's engine is destroyed. As Load throws; UNAVAILABLE where
  // another rank leaves in between, FAILED_PRECONDITION where rank 0 has another model or other options.
  // `on_loaded` is called when it has its part: from then on rank 0 says when to end, and signals that end rank 0 may as well be ignored.
  static void Follow(const std::string& path, const EngineOptions& options,
                     const std::function<void()>& on_loaded = {});
  // The same checks but that of memory, and the memory plan, with nothing loaded.
  static ModelInfo Inspect(const std::string& path, const EngineOptions& options);
  // The same with the check of memory: what Load would refuse before it reads any weight.
  static ModelInfo Check(const std::string& path, const EngineOptions& options);
  // Bytes that this process may use: the machine's memory, or the least limit of its control groups.
  static int64_t MachineMemory();

  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;
  ~Engine();

  const ModelInfo& info() const;
  const EngineOptions& options() const;

  // The bytes that a token adds to an answer: "▁cat" is " cat", "<0x0A>" one byte, which need not be whole characters. Empty for tokens
  // that end an answer, special and control tokens, and ids that no token has. An answer begins without the space of its first token
  // where its template or tokenizer takes it. INVALID_ARGUMENT unless 0 ≤ id < ModelInfo::vocabulary.
  std::string TokenText(int32_t id) const;

  // Answers one request. The observer is called on the engine's thread while this one waits; what it throws, this throws. Calls from
  // several threads run side by side.
  Response Generate(const Request& request, const Observer& observer = {});

  // Queues one request and returns; `events` tell how it goes. Throws what can be seen at once: options out of range, and RESOURCE_EXHAUSTED
  // when the queue is full. Everything else comes to events.on_error. Requests run side by side and share passes through the model; no
  // request's tokens depend on its neighbours.
  Submission Submit(Request request, SubmissionEvents events);

  // Answers a request about at least one picture and tells what the answer looked at (binocle/explain.h). Throws what Generate throws;
  // INVALID_ARGUMENT for a request without a picture or with n above 1, and for options out of range, which Error::option() names.
  Explanation Explain(const Request& request, const ExplainOptions& options,
                      const Observer& observer = {});

  // Reads and decodes a picture as Generate does and throws what Generate would; no tower runs. Does not wait for other calls.
  void CheckImage(const ImageInput& image) const;

  // Vectors of a picture (binocle/embedding.h). Runs between two steps of what else is on the engine. INVALID_ARGUMENT for a model that
  // takes no pictures; UNIMPLEMENTED, with the option "pooling", where the leading tower's last layers or its pooler are not loaded: a
  // model that reads layer −2, as LLaVA's do, has neither. Otherwise throws what CheckImage throws, and CANCELLED when
  // observer.keep_going says no.
  Embedding EmbedImage(const ImageInput& image, const EmbeddingOptions& options = {},
                       const Observer& observer = {});
  // Vectors of a text, encoded like the beginning of a prompt (with <s> where the tokenizer adds it), without a template. Shares passes
  // through the model with what else is on the engine and changes nobody's tokens. INVALID_ARGUMENT for an empty text, one with the mark
  // of a picture, and one that has more tokens than the context; UNIMPLEMENTED, with the option "pooling", for kClassToken;
  // RESOURCE_EXHAUSTED when keys and values do not fit; CANCELLED when observer.keep_going says no.
  Embedding EmbedText(const std::string& text, const EmbeddingOptions& options = {},
                      const Observer& observer = {});

  // Why this engine can answer nothing any more, however often it is asked: its GPU is lost, or a rank that computed a part of the model has left. Nothing while it can. What it is to
  // do then is to end, so that whoever started the process starts it anew.
  std::optional<std::string> Failure() const;

  ImageCacheInfo image_cache() const;
  EngineStats stats() const;

 private:
  friend class EngineAccess;  // other functions of this library
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace binocle
