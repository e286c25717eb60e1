// Finding out, once per model, what interventions need to know of it (docs/interventions.md, Calibration).
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
#include <string>
#include <vector>

#include "binocle/engine.h"
#include "binocle/export.h"
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

}  // namespace binocle
