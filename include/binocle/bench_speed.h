// How fast a model runs on this machine, stage by stage, and against what the machine could do.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "binocle/bench.h"
#include "binocle/engine.h"
#include "binocle/export.h"

namespace binocle {

struct SpeedBenchOptions {
  int64_t prompt_tokens =
      0;  // 0 … 65536: of the text prompt; 0: 512, or what the model has room for
  int64_t text_tokens = 64;               // 8 … 65536: beside the picture
  int64_t decode_tokens = 32;             // 1 … 4096: after the text prompt, in each round
  std::vector<int64_t> batches = {1, 4};  // 1 … 64: sequences that decode at once
  std::vector<int64_t>
      visual_tokens;   // 1 … 65536: pictures of so many, for the stages that need no tower
  int64_t rounds = 5;  // 1 … 1000
  std::function<void(const std::string&)> on_step;  // called with what comes next; may be empty
};

// Time of one kind of op in a stage, over the rounds. "other" is what is left.
struct OpShare {
  std::string op;
  double milliseconds = 0;  // median
  double share = 0;         // of the stage
  int64_t calls = 0;
};

// Stages:
//   encode       a picture through towers, fusion and projector
//   prefill      prompt_tokens of text
//   decode       a token of each of `batch` sequences that have prompt_tokens behind them
//   picture      a picture and text_tokens, from pixels to the first token's logits
//   picture_again  the same behind other text: the picture's tokens, and where all layers are composite its keys and values, are there
//   second_question  another question about the picture: everything up to its end is there, as the engine's prefix index has it
// and for each of visual_tokens, with that many rows of noise in a picture's place, whatever the model:
//   language_stock, language_composite   them and text_tokens through the language model to the first token's logits, in turns: all layers stock,
//                                        or all composite with the aligner vo
//   questions      a token of each of `batch` sequences that ask about that one picture
struct StageSpeed {
  std::string stage;
  int64_t batch = 1;
  int64_t visual_tokens = 0;      // of the stages that have their own number
  int64_t tokens = 0;             // rows of the language model, or of the towers' leading one
  double first_milliseconds = 0;  // of the first call after loading; 0 where it was none
  Spread milliseconds;
  Spread tokens_per_second;
  double gigabytes_per_second = 0;  // decode: weights read once per step, over the median
  double read_gigabytes_per_second =
      0;                  // decode: what memory gave to reading alone between the rounds, median
  double read_share = 0;  // decode: the one over the other
  std::vector<OpShare> ops;
};

struct SpeedBench {
  std::string model;
  std::string device;  // ModelInfo's, as is the next
  std::string compute;
  std::string cpu_level;  // "amx", …
  int64_t threads = 0;
  int64_t rounds = 0;
  double load_milliseconds = 0;
  int64_t weight_bytes = 0;   // allocated or mapped, what a token of text reads
  int64_t planned_bytes = 0;  // ModelInfo::planned_bytes
  Spread read_rate;           // bytes per second, beside decoding, whatever the batch
  Spread f32_rate, bf16_rate,
      int8_rate;  // operations per second; 0 where the level has no such instruction
  std::vector<StageSpeed> stages;
};

// Loads `model` as an engine would and runs it without one: no sampling, no queue. Throws binocle::Error as Engine::Load, and INVALID_ARGUMENT for
// an option out of range.
BINOCLE_EXPORT SpeedBench BenchSpeed(const std::string& model, const EngineOptions& options,
                                     const SpeedBenchOptions& bench);

}  // namespace binocle
