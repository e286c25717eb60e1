// Beside the reference: a model's every stage against a dump of what transformers computes from the same files.
//
//   python tools/reference/dump.py models/x --out x.dump       # anywhere transformers runs
//   const binocle::ParityReport report = binocle::CompareWithDump("models/x", "x.dump");
//   if (const auto* stage = report.first_difference()) std::cerr << binocle::DescribeDifference(*stage) << '\n';
//
// Each stage is fed with what the dump has for the stage before it, so a difference shows where it arises and nowhere else: towers
// with the dump's pixels, the fusion with its features, the projector with its fused rows, the decoder with its visual tokens, each
// layer with its output of the layer below, each step with its tokens so far. A stage that the dump leaves out is fed with ours.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "binocle/export.h"

namespace binocle {

// One stage of a picture, of a request, or of a tower by itself.
struct ParityStage {
  // "pixels.anchor", "pixels.augment", "anchor", "augment", "fused", "projected" of a picture; "prompt" (ids), "embeddings" (with the
  // visual tokens in place), "layer", "logits", "log-probabilities", "tokens" of a request; "embeddings", "layer", "final norm" of a tower.
  std::string name;
  int64_t image = -1;    // in the order of the dump; −1: not of a picture
  int64_t request = -1;  // −1: not of a request
  int64_t input = -1;    // of a tower by itself; −1: not of one
  int64_t layer = -1;    // 0 …, of "layer"
  int64_t compared = 0;  // numbers, or ids
  // |a − b| where it is largest. Relative to the largest magnitude that the dump has in the same row; of log-probabilities, to the
  // largest logit of the step. Infinite where one of the two is no number. Of ids: how many differ, and their share.
  double absolute = 0;
  double relative = 0;
  double tolerance = 0;  // of `relative`; 0: every bit, or every id
  bool agrees = true;
  std::string
      where;  // the place of the largest difference with both values; empty where there is none
};

// "image 0, anchor", "request 1, layer 3".
BINOCLE_EXPORT std::string StageTitle(const ParityStage& stage);
// "request 1, layer 3: 3.1e-02 relative, expected at most 1e-04: [17, 403] is 0.731, expected 0.742".
BINOCLE_EXPORT std::string DescribeDifference(const ParityStage& stage);

struct ParityReport {
  std::string model;  // as they were named
  std::string dump;
  std::vector<ParityStage> stages;  // in the order in which they are computed, pictures first
  std::string device_note;          // as ModelInfo's

  // The first stage that differs, nullptr where all agree.
  BINOCLE_EXPORT const ParityStage* first_difference() const;
};

// Ranges are inclusive; a value outside them is INVALID_ARGUMENT, and Error::option() names it.
struct ParityOptions {
  std::string device = "cpu";  // as EngineOptions::device
  std::string compute;         // as EngineOptions::compute
  int64_t threads = 0;         // 0 … 1024; 0: one per processor that the process may use
  int64_t memory_limit = 0;    // bytes, 0 …; as EngineOptions::memory_limit
  // 0 … 1e6, of every stage but pixels and ids. Absent: 1e-4, and 0.1 for a dump that was computed in bf16, whose tokens may also differ
  // where its two best logits are nearer to each other than that.
  std::optional<double> tolerance;
  // Called with each stage as it is done; may be empty.
  std::function<void(const ParityStage&)> on_stage;
};

// `model`: a directory or GGUF file as Engine::Load takes it, or the directory of a vision tower; a model without tokenizer serves where
// the dump's prompts are ids. `dump`: FILE.json and FILE.safetensors, by either name or as FILE. Throws what Engine::Load throws;
// NOT_FOUND for a dump that is not there; INVALID_ARGUMENT for one that is truncated or malformed; FAILED_PRECONDITION for one of another
// model: family, shapes, ids beyond the vocabulary, prompts beyond the context.
BINOCLE_EXPORT ParityReport CompareWithDump(const std::string& model, const std::string& dump,
                                            const ParityOptions& options = {});

}  // namespace binocle
