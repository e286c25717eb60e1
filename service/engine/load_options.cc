#include "service/engine/load_options.h"

#include <algorithm>
#include <array>
#include <memory>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "core/backend/cuda_backend.h"
#include "core/backend/devices.h"
#include "core/error.h"
#include "core/machine.h"

namespace binocle {
namespace {

constexpr int64_t kMaxThreads = 1024;
constexpr int64_t kMaxRanks = 1024;
constexpr int64_t kMaxTokens = int64_t{1} << 24;

struct ChosenDevice {
  std::optional<int32_t> cuda;
  std::string note;
};

// `local_rank`: ranks of a machine take one GPU each where no other is asked for. A launcher may show each of them its own alone.
ChosenDevice ChooseDevice(const std::string& name, int64_t local_rank) {
  DeviceName asked = ParseDevice(name);
  if (!asked.cuda) return {};
  const CudaDevices found = FindCudaDevices();
  if (found.devices.empty()) return {std::nullopt, found.why_none + ": running on the CPU"};
  if (name == "cuda") asked.index = static_cast<int32_t>(local_rank % std::ssize(found.devices));
  ParseOption("device", [&] { return SupportedDevice(found, asked.index); });
  return {asked.index, {}};
}

void CheckKindsOnCuda(const KindsByName& kinds) {
  for (const KindsByName::Entry& entry : kinds.entries) {
    if (entry.kind != WeightKind::kBlocks) continue;
    throw Error(Code::kUnimplemented,
                "compute is blocks, which the CPU alone multiplies, expected f32, bf16, int8 or "
                "int4 on a GPU",
                "compute");
  }
}

WeightKind ParseKind(const std::string& name, const char* option) {
  for (const WeightKind kind : WeightKinds())
    if (WeightKindName(kind) == name) return kind;
  ThrowOption(option, "is ", Printable(name, 40), ", expected f32, bf16, int8, int4 or blocks");
}

// What users name, and the names of the weights. A tied head goes by the table's name.
struct ComputePart {
  std::string_view name;
  std::vector<std::string> prefixes;
};

const std::array<ComputePart, 5>& ComputeParts() {
  static const std::array<ComputePart, 5> parts = {
      {{"vision", {"anchor.", "augment."}},
       {"fusion", {"fusion."}},
       {"projector", {"projector."}},
       {"language", {"language_model."}},
       {"head", {"language_model.lm_head", "language_model.model.embed_tokens"}}}};
  return parts;
}

void SetKind(std::string_view part, WeightKind kind, KindsByName& kinds) {
  for (const ComputePart& known : ComputeParts()) {
    if (known.name != part) continue;
    for (const std::string& prefix : known.prefixes) {
      std::erase_if(kinds.entries, [&](const auto& entry) { return entry.prefix == prefix; });
      kinds.entries.push_back({prefix, kind});
    }
    return;
  }
  ThrowOption("compute_parts", "names ", Printable(std::string(part), 40),
              ", expected vision, fusion, projector, language or head");
}

const char* OptionWithBlocks(const EngineOptions& options) {
  if (options.compute == "blocks") return "compute";
  return options.compute_parts.find("=blocks") != std::string::npos ? "compute_parts" : nullptr;
}

ModelOverrides ParseOverrides(const EngineOptions& options) {
  ModelOverrides overrides{.kinds = ParseKinds(options.compute, options.compute_parts)};
  if (!options.fusion.empty()) {
    overrides.fusion =
        ParseOption("fusion", [&] { return ParseFusionType(options.fusion, "fusion"); });
  }
  if (!options.conversation.empty()) {
    overrides.conversation = ParseOption("conversation", [&] {
      return ParseConversationStyle(options.conversation, "conversation");
    });
  }
  if (!options.projector.empty()) overrides.projector = options.projector;
  if (!options.aligner.empty()) {
    overrides.layers.aligner =
        ParseOption("aligner", [&] { return ParseAligner(options.aligner, "aligner"); });
  }
  if (options.attention == "stock") {
    overrides.layers.attention = LayerKind::kStock;
  } else if (options.attention == "composite") {
    overrides.layers.attention = LayerKind::kComposite;
  } else if (!options.attention.empty()) {
    ThrowOption("attention", "is ", Printable(options.attention, 40),
                ", expected stock or composite");
  }
  if (!options.composite_layers.empty())
    overrides.layers.composite_layers =
        LayerRanges::Parse(options.composite_layers, "composite_layers");
  return overrides;
}

}  // namespace

// Four bits are for the layers of the language model, most of the weights and the only ones that every token reads; what sees a picture or
// chooses a word keeps eight. What is in blocks has the bits that whoever made the file gave it.
KindsByName ParseKinds(const std::string& compute, const std::string& by_part) {
  const WeightKind kind = compute.empty() ? WeightKind::kF32 : ParseKind(compute, "compute");
  KindsByName kinds;
  const WeightKind others = kind == WeightKind::kInt4 ? WeightKind::kInt8 : kind;
  for (const ComputePart& part : ComputeParts())
    SetKind(part.name, part.name == "language" ? kind : others, kinds);
  std::set<std::string> named;
  for (size_t begin = 0; !by_part.empty() && begin <= by_part.size();) {
    const size_t end = std::min(by_part.find(',', begin), by_part.size());
    const std::string item = by_part.substr(begin, end - begin);
    const size_t equals = item.find('=');
    if (equals == std::string::npos || equals + 1 == item.size())
      ThrowOption("compute_parts", "has ", item.empty() ? "an empty entry" : Printable(item, 40),
                  ", expected PART=KIND, …");
    const std::string part = item.substr(0, equals);
    if (!named.insert(part).second)
      ThrowOption("compute_parts", "names ", Printable(part, 40), " twice, expected once");
    SetKind(part, ParseKind(item.substr(equals + 1), "compute_parts"), kinds);
    begin = end + 1;
  }
  return kinds;
}

void CheckPackedKind(const std::string& packed, const EngineOptions& options) {
  if (!options.compute.empty() && options.compute != packed) {
    ThrowOption("compute", "is ", options.compute, ", but the model is packed as ", packed,
                " (binocle quantize), expected that or nothing");
  }
  if (!options.compute_parts.empty())
    ThrowOption("compute_parts", "is for models that are not packed, and this one is (binocle ",
                "quantize), expected nothing");
}

LoadOptions ParseLoadOptions(const EngineOptions& options) {
  const TensorParallel& parallel = options.tensor_parallel;
  CheckOption("tensor_parallel", parallel.ranks, 1, kMaxRanks);
  CheckOption("rank", parallel.rank, 0, parallel.ranks - 1);
  CheckOption("local_ranks", parallel.local_ranks, 0, parallel.ranks);
  CheckOption("local_rank", parallel.local_rank, 0, kMaxRanks);
  ChosenDevice device = ChooseDevice(options.device, parallel.local_rank);
  CheckOption("port", parallel.port, 1, 65535);
  CheckOption("threads", options.threads, 0, kMaxThreads);
  CheckOption("context_tokens", options.context_tokens, 0, kMaxTokens);
  CheckOption("prefill_chunk_tokens", options.prefill_chunk_tokens, 1, 65536);
  CheckOption("max_sequences", options.max_sequences, 2, 1024);
  CheckOption("kv_tokens", options.kv_tokens, 0, int64_t{1} << 31);
  CheckOption("max_queued_requests", options.max_queued_requests, 1, int64_t{1} << 20);
  CheckOption("max_queued_bytes", options.max_queued_bytes, 0, INT64_MAX);
  CheckOption("memory_limit", options.memory_limit, 0, INT64_MAX);
  CheckOption("image_cache_bytes", options.image_cache_bytes, 0, INT64_MAX);
  CheckOption("max_images", options.max_images, 0, 4096);
  CheckOption("max_image_bytes", options.max_image_bytes, 1,
              INT32_MAX);  // the decoder counts in int
  CheckOption("max_image_pixels", options.max_image_pixels, 1, int64_t{1} << 32);
  const int64_t sharing = parallel.local_ranks > 0 ? parallel.local_ranks : parallel.ranks;
  const auto processors =
      static_cast<int>(std::max<int64_t>(LimitsOfThisProcess().processors / sharing, 1));
  ModelOverrides overrides = ParseOverrides(options);
  if (device.cuda) CheckKindsOnCuda(overrides.kinds);
  overrides.kinds.on_cuda = device.cuda.has_value();
  overrides.share = {.rank = parallel.rank, .ranks = parallel.ranks};
  return {.overrides = std::move(overrides),
          .threads = options.threads > 0 ? static_cast<int>(options.threads) : processors,
          .context_tokens = options.context_tokens,
          .prefill_chunk_tokens = options.prefill_chunk_tokens,
          .max_sequences = options.max_sequences,
          .kv_tokens = options.kv_tokens,
          .memory_limit = options.memory_limit,
          .cuda = device.cuda,
          .device_note = std::move(device.note),
          .asks_for_blocks = OptionWithBlocks(options)};
}

Exec MakeExec(const LoadOptions& load) {
  if (!load.cuda) return Exec(load.threads);
  return Exec(load.threads, std::make_unique<CudaBackend>(*load.cuda));
}

}  // namespace binocle
