#include "cli/flags.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <string_view>
#include <type_traits>
#include <utility>

#include "cli/commands.h"
#include "cli/default_model.h"
#include "cli/rank_variables.h"

namespace binocle::cli {
namespace {

[[noreturn]] void Refuse(const std::string& option, const std::string& found,
                         const std::string& expected) {
  throw UsageError{option + " is " + (found.empty() ? "empty" : found) + ", expected " + expected};
}

template <typename Number>
constexpr const char* kExpected = "a number";
template <>
constexpr const char* kExpected<int64_t> = "an integer of 64 bits";
template <>
constexpr const char* kExpected<uint64_t> = "an integer from 0 to 18446744073709551615";

// Decimal digits that fit. The library alone reads 010 as eight and takes what overflows, or is below zero, for the nearest number.
template <typename Number>
CLI::Validator IsNumber(const std::string& option) {
  const auto check = [option](std::string& text) -> std::string {
    Number value = 0;
    const char* end = text.data() + text.size();
    const auto [after, error] = std::from_chars(text.data(), end, value);
    const std::string_view digits = std::string_view(text).substr(text.starts_with('-') ? 1 : 0);
    const bool octal = std::is_integral_v<Number> && digits.size() > 1 && digits.starts_with('0');
    if (error != std::errc() || after != end || octal) Refuse(option, text, kExpected<Number>);
    return "";
  };
  return CLI::Validator(check, "");
}

// A group of options in the help of a command.
class Group {
 public:
  Group(CLI::App& command, std::string name) : command_(&command), name_(std::move(name)) {}

  template <typename Number>
  void AddNumber(const std::string& option, Number& value, const std::string& what) {
    command_->add_option(option, value, what)
        ->check(IsNumber<Number>(option))
        ->capture_default_str()
        ->group(name_);
  }
  void AddText(const std::string& option, std::string& value, const std::string& what) {
    command_->add_option(option, value, what)
        ->check(NotEmpty(option, "a value"))
        ->capture_default_str()
        ->group(name_);
  }

 private:
  CLI::App* command_;
  std::string name_;
};

}  // namespace

CLI::Validator NotEmpty(const std::string& name, const std::string& expected) {
  const auto check = [=](std::string& text) -> std::string {
    if (text.empty()) Refuse(name, text, expected);
    return "";
  };
  return CLI::Validator(check, "");
}

std::string AsTyped(const Error& error) {
  std::string name = error.option();
  const std::string rest = error.message().substr(name.size());
  std::replace(name.begin(), name.end(), '_', '-');
  return "--" + name + rest;
}

CLI::Validator IsInteger(const std::string& option) { return IsNumber<int64_t>(option); }

CLI::Validator IsReal(const std::string& option) { return IsNumber<double>(option); }

CLI::Validator IsSeed(const std::string& option) { return IsNumber<uint64_t>(option); }

void ModelFlags::Add(CLI::App& command) {
  Group group(command, "Model");
  group.AddText("--model", model,
                "model directory or GGUF file (default: the small model that comes with Binocle)");
  group.AddText("--projector", options.projector,
                "GGUF file with a tower and a projector, beside a GGUF text model");
  group.AddText("--device", options.device, "cpu, cuda or cuda:N (the CPU where there is no GPU)");
  group.AddText(
      "--compute", options.compute,
      "f32, bf16, int8, int4 or blocks: how weights are kept (default: as packed, or f32)");
  group.AddText("--compute-parts", options.compute_parts,
                "otherwise for parts, e.g. vision=bf16,head=f32 (vision, fusion, projector, "
                "language, head)");
  group.AddNumber("--tensor-parallel", tensor_parallel,
                  "processes that compute the model together, as torchrun, mpirun or srun starts "
                  "them; each\ntakes a part of every layer, and cuda is the GPU of its LOCAL_RANK");
  group.AddNumber("--threads", options.threads, "threads (0: one per processor)");
  group.AddText("--memory-limit", memory_limit,
                "largest memory plan that is loaded, e.g. 4GiB (default: the machine's memory)");
  group.AddNumber("--context-tokens", options.context_tokens,
                  "prompt and answer together (0: the model's limit)");
  group.AddNumber("--prefill-chunk-tokens", options.prefill_chunk_tokens,
                  "prompt tokens computed at a time");
  group.AddText("--fusion", options.fusion,
                "override: ftz, anchor, augment, add, channel_concat, token_concat, interleave");
  group.AddText("--attention", options.attention, "override: stock or composite");
  group.AddText("--composite-layers", options.composite_layers,
                "override: layers with composite attention, e.g. 0-3,7,12-15");
  group.AddText("--aligner", options.aligner, "override: vo, vo_ffn or none");
  group.AddText(
      "--conversation", options.conversation,
      "override: how a chat is written, e.g. chatml (docs/model_format.md has the names)");
  group.AddText("--image-cache", image_cache,
                "how much of pictures seen before is kept, e.g. 512M, or 0 (default: 512M)");
  group.AddNumber("--max-images", options.max_images, "pictures in a request");
  group.AddNumber("--max-image-bytes", options.max_image_bytes, "bytes of a picture's file");
  group.AddNumber("--max-image-pixels", options.max_image_pixels, "pixels of a decoded picture");
}

void ModelFlags::AddBatching(CLI::App& command) {
  Group group(command, "Batching");
  group.AddNumber("--max-sequences", options.max_sequences,
                  "answers computed side by side, 2 to 1024; one under guidance or VCD counts "
                  "twice");
  group.AddNumber("--kv-tokens", options.kv_tokens,
                  "tokens whose keys and values there is room for (0: two contexts; serve: as many "
                  "as requests and memory allow)");
  group.AddNumber("--max-queued-requests", options.max_queued_requests,
                  "requests that wait to start; more are refused");
  group.AddText("--max-queued-bytes", max_queued_bytes,
                "of their texts and pictures (default: 1G)");
}

std::string ModelFlags::Path() const { return model.empty() ? DefaultModelPath() : model; }

EngineOptions ModelFlags::OfOneProcess() const {
  EngineOptions result = options;
  if (!image_cache.empty())
    result.image_cache_bytes = image_cache == "0" ? 0 : ParseBytes(image_cache, "--image-cache");
  if (!memory_limit.empty()) result.memory_limit = ParseBytes(memory_limit, "--memory-limit");
  if (!max_queued_bytes.empty())
    result.max_queued_bytes = ParseBytes(max_queued_bytes, "--max-queued-bytes");
  result.tensor_parallel.ranks = tensor_parallel;
  return result;
}

EngineOptions ModelFlags::PlannedOptions() const {
  return StartedAsRank() ? Options() : OfOneProcess();
}

EngineOptions ModelFlags::Options() const {
  EngineOptions result = OfOneProcess();
  if (tensor_parallel <= 1) return result;  // below 1 the engine refuses it
  result.tensor_parallel = ChooseRank(tensor_parallel);
  return result;
}

void GenerationFlags::Add(CLI::App& command) {
  const std::string name = "Generation";
  Group group(command, name);
  group.AddText("--prompt-format", prompt_format,
                "chat: the model's template; raw: the text is the whole prompt");
  command.add_option("--system", system, "system text (default: the template's)")->group(name);
  group.AddNumber("--max-new-tokens", generation.max_new_tokens, "longest answer");
  group.AddNumber("--temperature", generation.temperature, "0: always the most probable token");
  group.AddNumber("--top-k", generation.top_k, "sample from the K most probable (0: all)");
  group.AddNumber("--top-p", generation.top_p, "sample from the smallest set of this mass");
  group.AddNumber("--min-p", generation.min_p,
                  "drop tokens below this share of the best one's probability");
  group.AddNumber("--repetition-penalty", generation.repetition_penalty, "above 1: repeat less");
  group.AddNumber("--seed", generation.seed, "same seed, same answer");
  command.add_option("--stop", generation.stop, "end the answer before this text (repeatable)")
      ->group(name)
      ->allow_extra_args(false);
  group.AddNumber("--n", generation.n, "answers to a request");
  group.AddNumber("--logprobs", generation.logprobs,
                  "natural logarithms of the K most probable tokens at each step, before sampling\n"
                  "filters (with --json or --requests)");
  command
      .add_flag("--no-exif", no_exif, "leave pictures as stored, whatever their EXIF orientation")
      ->group(name);
  command
      .add_flag("--grounding", grounding,
                "report how much attention lay on the picture's content at each token (with\n"
                "--json or --requests)")
      ->group(name);
  constraint.Add(command);
  interventions.Add(command);
}

Request GenerationFlags::Defaults() const {
  const auto format = ParsePromptFormat(prompt_format);
  if (!format) Refuse("--prompt-format", prompt_format, "chat or raw");
  if (format == PromptFormat::kRaw && system) {
    throw UsageError{"--system goes with --prompt-format chat: a raw prompt is the whole prompt"};
  }
  CheckOptions(generation);
  Request request;
  request.generation = generation;
  request.prompt_format = *format;
  request.system = system;
  request.constraint = constraint.Get();
  request.interventions = interventions.interventions;
  request.grounding = grounding;
  return request;
}

ImageInput GenerationFlags::Picture(const std::string& path) const {
  ImageInput picture = ImageInput::FromFile(path);
  picture.exif = !no_exif;
  return picture;
}

std::optional<PromptFormat> ParsePromptFormat(const std::string& name) {
  if (name == "chat") return PromptFormat::kChat;
  if (name == "raw") return PromptFormat::kRaw;
  return std::nullopt;
}

int64_t ParseBytes(const std::string& text, const std::string& option) {
  const auto fail = [&] { Refuse(option, text, "bytes such as 512M or 4GiB"); };
  // Digits and a point: 0x40, 1e9 and blanks are more often a slip than a size.
  double number = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (parsed.ec != std::errc()) fail();
  std::string unit(parsed.ptr, end);
  if (unit.ends_with("iB")) {
    unit.resize(unit.size() - 2);
  } else if (unit.ends_with("B")) {
    unit.resize(unit.size() - 1);
  }
  double scale = 1;
  if (!unit.empty()) {
    const char letter = static_cast<char>(std::toupper(static_cast<unsigned char>(unit[0])));
    const size_t power = std::string_view("KMGT").find(letter);
    if (unit.size() > 1 || power == std::string_view::npos) fail();
    scale = std::pow(1024.0, static_cast<double>(power + 1));
  }
  const double bytes = number * scale;
  if (!(bytes >= 1 && bytes < 9e18)) fail();
  return static_cast<int64_t>(bytes);
}

}  // namespace binocle::cli
