#include "cli/flags.h"

#include <cmath>

#include "cli/default_model.h"

namespace binocle::cli {

void ModelFlags::Add(CLI::App& command) {
  const std::string group = "Model";
  command.add_option("--model", model, "model directory (default: the small model that comes with Binocle)")->group(group);
  command.add_option("--device", options.device, "cpu")->group(group);
  command.add_option("--compute", options.compute, "f32")->group(group);
  command.add_option("--threads", options.threads, "threads (0: one per processor)")->group(group);
  command.add_option("--memory-limit", memory_limit, "refuse to load a model whose plan is larger, e.g. 4GiB")->group(group);
  command.add_option("--context-tokens", options.context_tokens, "prompt and answer together (0: the model's limit)")->group(group);
  command.add_option("--prefill-chunk-tokens", options.prefill_chunk_tokens, "prompt tokens computed at a time")->group(group);
  command.add_option("--fusion", options.fusion, "override: ftz, anchor, augment, add, channel_concat, token_concat, interleave")->group(group);
  command.add_option("--attention", options.attention, "override: stock or composite")->group(group);
  command.add_option("--composite-layers", options.composite_layers, "override: layers with composite attention, e.g. 0-31")->group(group);
  command.add_option("--aligner", options.aligner, "override: vo, vo_ffn or none")->group(group);
  command.add_option("--max-images", options.max_images, "pictures in a request")->group(group);
  command.add_option("--max-image-bytes", options.max_image_bytes, "bytes of a picture's file")->group(group);
  command.add_option("--max-image-pixels", options.max_image_pixels, "pixels of a decoded picture")->group(group);
}

std::string ModelFlags::Path() const { return model.empty() ? DefaultModelPath() : model; }

EngineOptions ModelFlags::Options() const {
  EngineOptions result = options;
  if (!memory_limit.empty()) result.memory_limit = ParseBytes(memory_limit, "--memory-limit");
  return result;
}

void GenerationFlags::Add(CLI::App& command) {
  const std::string group = "Generation";
  command.add_option("--prompt-format", prompt_format, "chat: the model's template; raw: the text is the whole prompt")->group(group);
  command.add_option("--system", system, "system text (default: the template's)")->group(group);
  command.add_option("--max-new-tokens", generation.max_new_tokens, "longest answer")->group(group);
  command.add_option("--temperature", generation.temperature, "0: always the most probable token")->group(group);
  command.add_option("--top-k", generation.top_k, "sample from the K most probable (0: all)")->group(group);
  command.add_option("--top-p", generation.top_p, "sample from the smallest set of this mass")->group(group);
  command.add_option("--min-p", generation.min_p, "drop tokens below this share of the best one's probability")->group(group);
  command.add_option("--repetition-penalty", generation.repetition_penalty, "above 1: repeat less")->group(group);
  command.add_option("--seed", generation.seed, "same seed, same answer")->group(group);
  command.add_option("--stop", generation.stop, "end the answer before this text (repeatable)")->group(group)->allow_extra_args(false);
  command.add_option("--n", generation.n, "answers to a request")->group(group);
  command.add_option("--logprobs", generation.logprobs, "report the K most probable tokens at each step (with --json)")->group(group);
  command.add_flag("--no-exif", no_exif, "leave pictures as stored, whatever their EXIF orientation")->group(group);
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
  const auto fail = [&] { throw Error(Code::kInvalidArgument, option + " is " + text + ", expected bytes such as 512M or 4GiB"); };
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
