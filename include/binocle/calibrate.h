// Finding out, once per model, what interventions need to know of it (docs/interventions.md, Calibration), and which of its layers may be
// composite (docs/composite.md).
//
//   binocle::Engine engine = binocle::Engine::Load("models/x", {});
//   const auto sinks = binocle::CalibrateSinks(engine, {.images = pictures});
//   if (!sinks.dims.empty()) std::ofstream("models/x/sink_dims.json") << sinks.Json();
//
// Every picture is asked about once, on its own, with greedy decoding and nothing intervened on. The same pictures give the same
// result. All functions throw binocle::Error: INVALID_ARGUMENT for no picture, values out of range, a model without pictures.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "binocle/attention.h"
#include "binocle/engine.h"
#include "binocle/export.h"
#include "binocle/layer_ranges.h"
#include "binocle/request.h"

namespace binocle {

struct CalibrationInput {
  std::vector<ImageInput> images;  // at least one
  std::string prompt = "Describe the picture.";
  int64_t max_new_tokens = 32;  // 1 …, of each answer
  // Called after each picture with how many are done; may be empty.
  std::function<void(int64_t)> on_picture;
};

// A dimension of the hidden states. How massive a token is in it: |x[dim]| / RMS(x).
struct SinkDimension {
  int64_t dim = 0;
  // Of the most massive token: what three quarters of the pictures reach in a quarter of the layers.
  double strength = 0;
  // Share of tokens above half of the threshold, where one is above all of it. Small for a sink.
  double tokens = 0;
  bool first_token = false;  // whether the first token of most prompts is above the threshold
  int64_t first_layer = 0;   // where three quarters of the pictures have a token above it
  int64_t last_layer = -1;   // the last such layer; −1: there is none
};

struct SinkCalibration {
  std::vector<int64_t> dims;  // D_sink, ascending; empty: no dimension stands out
  double tau = 0;             // recommended for them
  double threshold = 0;       // from which a token counted as massive
  int64_t width = 0;          // D; no token is more massive than √D
  int64_t pictures = 0;
  int64_t tokens = 0;                    // of prompts and answers
  std::vector<SinkDimension> strongest;  // those of `dims`, strongest first, then the next ones

  // What sink_dims.json holds: "dims", "tau", "width", "evidence".
  BINOCLE_EXPORT std::string Json() const;
  // Why dims is empty, in one line.
  BINOCLE_EXPORT std::string WhyNone() const;
};

// The dimensions by which sinks of this language model are known.
BINOCLE_EXPORT SinkCalibration CalibrateSinks(Engine& engine, const CalibrationInput& input);

struct HeadCalibration {
  int64_t layers = 0;  // L
  int64_t heads = 0;   // H
  std::array<double, 2> clip{};
  std::vector<double> factors;  // σ [L·H]: m over its mean over the heads of the layer, within clip
  std::vector<double>
      visual_mass;  // m [L·H]: attention on the picture, mean over the rows that gave the answers' tokens
  int64_t pictures = 0;
  int64_t tokens = 0;  // of the answers

  // What head_sensitivity.json holds: "factors", "layers", "heads", "clip", "evidence".
  BINOCLE_EXPORT std::string Json() const;
};

// How sensitive each head is to the picture. clip: 0 … 100, the low end first; {1, 1} makes every factor 1.
BINOCLE_EXPORT HeadCalibration CalibrateHeads(Engine& engine, const CalibrationInput& input,
                                              std::array<double, 2> clip = {0.25, 4});

struct CompositeOptions {
  // 0 … 100 nats: how far the next-token distribution may move, mean over the tokens of the answers. By Pinsker's inequality no more
  // than √(budget/2) of the probability then lies elsewhere, on average: a tenth at 0.02.
  double budget = 0.02;
  // Of the layers that become composite. Absent: the model's own, vo_ffn where it names none. A model that has composite layers takes
  // no other.
  std::optional<Aligner> aligner;
  // Called after each set of layers that was measured, with how many are done and how many there are; may be empty.
  std::function<void(int64_t, int64_t)> on_set;
};

// What making some layers composite does, beside the layers as the engine was loaded with them.
struct CompositeMovement {
  int64_t layer = 0;
  double movement =
      0;  // nats: KL divergence from the next-token distribution as loaded, mean over the tokens of the answers
  int64_t changed_tokens = 0;  // of the answers: another one is the most probable
  double saved = 0;  // 0 … 1: of the multiply-adds of the pictures' rows in the language model
};

struct CompositeCalibration {
  LayerRanges
      layers;  // for composite_layers: those that were composite already, and the proposed ones
  LayerRanges own_layers;  // composite as loaded
  Aligner aligner = Aligner::kVoFfn;
  double budget = 0;
  // Of the proposal, measured with all of it composite at once.
  double movement = 0;
  int64_t changed_tokens = 0;
  double saved = 0;
  std::vector<CompositeMovement> alone;  // each stock layer by itself, ascending
  // The stock layers once more, those that move least alone first, each together with all before it. The proposal is the most of them
  // whose joint movement is within the budget.
  std::vector<CompositeMovement> together;
  int64_t proposed = 0;  // so many of `together`
  int64_t pictures = 0;
  int64_t tokens = 0;  // of the answers

  // What composite_layers.json holds: "layers", "aligner", "budget", "movement", "changed_tokens", "saved", "evidence".
  BINOCLE_EXPORT std::string Json() const;
};

// Which layers of a model with stock attention may be composite (EE-MLLM-F). FAILED_PRECONDITION for a model all of whose layers are
// composite as loaded. Takes as many passes over each picture's prompt and answer as the model has stock layers, twice.
BINOCLE_EXPORT CompositeCalibration CalibrateComposite(Engine& engine,
                                                       const CalibrationInput& input,
                                                       const CompositeOptions& options = {});

}  // namespace binocle
