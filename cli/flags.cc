#include "cli/flags.h"

#include <charconv>
#include <cmath>
#include <string_view>
#include <type_traits>

#include "cli/default_model.h"

namespace binocle::cli {
namespace {

// Decimal digits that fit. The library alone reads 010 as eight and takes what overflows, or is below zero, for the nearest number.
template <typename Integer>
CLI::Validator Whole() {
  const auto check = [](std::string& text) -> std::string {
    Integer value = 0;
    const char* end = text.data() + text.size();
    const auto [after, error] = std::from_chars(text.data(), end, value);
    const std::string_view digits = std::string_view(text).substr(text.starts_with('-') ? 1 : 0);
    const bool leading_zero = digits.size() > 1 && digits[0] == '0';
    if (error == std::errc() && after == end && !leading_zero) return "";
    return text + " is no integer " +
           (std::is_signed_v<Integer> ? "of 64 bits" : "from 0 to 18446744073709551615");
  };
  return CLI::Validator(check, "");
}

}  // namespace

void ModelFlags::Add(CLI::App& command) {
  const std::string group = "Model";
  command
      .add_option("--model", model,
                  "model directory (default: the small model that comes with Binocle)")
      ->group(group);
  command.add_option("--device", options.device, "cpu")->capture_default_str()->group(group);
  command.add_option("--compute", options.compute, "f32")->capture_default_str()->group(group);
  command.add_option("--threads", options.threads, "threads (0: one per processor)")
      ->check(Whole<int64_t>())
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--memory-limit", memory_limit,
                  "refuse to load a model whose plan is larger, e.g. 4GiB")
      ->group(group);
  command
      .add_option("--context-tokens", options.context_tokens,
                  "prompt and answer together (0: the model's limit)")
      ->check(Whole<int64_t>())
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--prefill-chunk-tokens", options.prefill_chunk_tokens,
                  "prompt tokens computed at a time")
      ->check(Whole<int64_t>())
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--fusion", options.fusion,
                  "override: ftz, anchor, augment, add, channel_concat, token_concat, interleave")
      ->group(group);
  command.add_option("--attention", options.attention, "override: stock or composite")
      ->group(group);
  command
      .add_option("--composite-layers", options.composite_layers,
                  "override: layers with composite attention, e.g. 0-31")
      ->group(group);
  command.add_option("--aligner", options.aligner, "override: vo, vo_ffn or none")->group(group);
  command.add_option("--max-images", options.max_images, "pictures in a request")
      ->check(Whole<int64_t>())
      ->capture_default_str()
      ->group(group);
  command.add_option("--max-image-bytes", options.max_image_bytes, "bytes of a picture's file")
      ->check(Whole<int64_t>())
      ->capture_default_str()
      ->group(group);
  command.add_option("--max-image-pixels", options.max_image_pixels, "pixels of a decoded picture")
      ->check(Whole<int64_t>())
      ->capture_default_str()
      ->group(group);
}

std::string ModelFlags::Path() const { return model.empty() ? DefaultModelPath() : model; }

EngineOptions ModelFlags::Options() const {
  EngineOptions result = options;
  if (!memory_limit.empty()) result.memory_limit = ParseBytes(memory_limit, "--memory-limit");
  return result;
}

void GenerationFlags::Add(CLI::App& command) {
  const std::string group = "Generation";
  command
      .add_option("--prompt-format", prompt_format,
                  "chat: the model's template; raw: the text is the whole prompt")
      ->capture_default_str()
      ->group(group);
  command.add_option("--system", system, "system text (default: the template's)")->group(group);
  command.add_option("--max-new-tokens", generation.max_new_tokens, "longest answer")
      ->check(Whole<int64_t>())
      ->capture_default_str()
      ->group(group);
  command.add_option("--temperature", generation.temperature, "0: always the most probable token")
      ->capture_default_str()
      ->group(group);
  command.add_option("--top-k", generation.top_k, "sample from the K most probable (0: all)")
      ->check(Whole<int64_t>())
      ->capture_default_str()
      ->group(group);
  command.add_option("--top-p", generation.top_p, "sample from the smallest set of this mass")
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--min-p", generation.min_p,
                  "drop tokens below this share of the best one's probability")
      ->capture_default_str()
      ->group(group);
  command.add_option("--repetition-penalty", generation.repetition_penalty, "above 1: repeat less")
      ->capture_default_str()
      ->group(group);
  command.add_option("--seed", generation.seed, "same seed, same answer")
      ->check(Whole<uint64_t>())
      ->capture_default_str()
      ->group(group);
  command.add_option("--stop", generation.stop, "end the answer before this text (repeatable)")
      ->group(group)
      ->allow_extra_args(false);
  command.add_option("--n", generation.n, "answers to a request")
      ->check(Whole<int64_t>())
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--logprobs", generation.logprobs,
                  "report the K most probable tokens at each step (with --json)")
      ->check(Whole<int64_t>())
      ->capture_default_str()
      ->group(group);
  command
      .add_flag("--no-exif", no_exif, "leave pictures as stored, whatever their EXIF orientation")
      ->group(group);
}

void GenerationFlags::Apply(Request& request) const {
  request.generation = generation;
  request.prompt_format = ParsePromptFormat(prompt_format);
  request.system = system;
  request.exif = !no_exif;
}

PromptFormat ParsePromptFormat(const std::string& name) {
  if (name == "chat") return PromptFormat::kChat;
  if (name == "raw") return PromptFormat::kRaw;
  throw Error(Code::kInvalidArgument, "--prompt-format is " + name + ", expected chat or raw");
}

int64_t ParseBytes(const std::string& text, const std::string& option) {
  const auto fail = [&] {
    throw Error(Code::kInvalidArgument,
                option + " is " + text + ", expected bytes such as 512M or 4GiB");
  };
  size_t used = 0;
  double number = 0;
  try {
    number = std::stod(text, &used);
  } catch (const std::exception&) {
    fail();
  }
  std::string unit = text.substr(used);
  if (unit.ends_with("iB")) {
    unit.resize(unit.size() - 2);
  } else if (unit.ends_with("B")) {
    unit.resize(unit.size() - 1);
  }
  const std::string units = "KMGT";
  double scale = 1;
  if (unit.size() == 1 && units.find(unit[0]) != std::string::npos) {
    scale = std::pow(1024.0, static_cast<double>(units.find(unit[0]) + 1));
  } else if (!unit.empty()) {
    fail();
  }
  const double bytes = number * scale;
  if (!(bytes >= 1 && bytes < 9e18)) fail();
  return static_cast<int64_t>(bytes);
}

}  // namespace binocle::cli
