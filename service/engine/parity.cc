#include "binocle/parity.h"

#include <algorithm>
#include <new>
#include <vector>

#include "binocle/engine.h"
#include "core/error.h"
#include "fusion/parity/tower_parity.h"
#include "fusion/parity/vision_parity.h"
#include "service/engine/load_options.h"
#include "service/engine/memory_plan.h"
#include "service/engine/model_summary.h"
#include "service/engine/parity_request.h"

namespace binocle {
namespace {

// f32 beside f32: the worst of all goldens is 7e-5, of a real model of 30 layers 2e-6 (SmolLM2-135M).
constexpr double kTolerance = 1e-4;
// f32 beside bf16: 0.054 in that model's logits, 0.04 in its layers.
constexpr double kBf16Tolerance = 0.1;

void CheckIsOf(const Dump& dump, const ModelConfig& config) {
  if (dump.model_type() && *dump.model_type() != config.family) {
    dump.OfAnotherModel("model_type is " + Printable(*dump.model_type(), 60) + ", expected " +
                        config.family);
  }
  if (dump.requests().empty()) dump.OfAnotherModel("it has inputs of a tower, expected requests");
  if (dump.images() > 0 && !config.takes_pictures())
    dump.OfAnotherModel(internal::Concat("it has ", dump.images(), " pictures, expected none"));
}

void CompareModel(CheckedModel checked, const Dump& dump, LoadOptions load, StageLog& log) {
  CheckIsOf(dump, checked.config());
  for (int64_t i = 0; i < std::ssize(dump.requests()); ++i)
    load.context_tokens = std::max(load.context_tokens, PositionsOf(checked.config(), dump, i));
  CheckMemoryPlan(Summarize(checked, load), load.memory_limit, Engine::MachineMemory());

  const LlamaConfig text = checked.config().text;
  Exec ex = MakeExec(load);
  const int64_t rows = BufferRows(checked.config(), load);
  const int64_t pages = PoolPages(checked.config(), load);
  VlmModel model(ex, std::move(checked), text.max_positions);
  KvPool pool(text.layers, text.kv_heads, text.head_dim, pages, text.kv_dtype, ex.place());
  DecoderActivations activations(text, rows, load.max_sequences, ex.place());
  const ForwardContext forward{ex, model.decoder(), pool, activations};
  std::vector<Tensor> visual;
  for (int64_t i = 0; i < dump.images(); ++i)
    visual.push_back(CompareVision(ex, model, dump, i, log));
  for (int64_t i = 0; i < std::ssize(dump.requests()); ++i)
    CompareRequest({forward, model, dump, visual}, i, log);
}

}  // namespace

ParityReport CompareWithDump(const std::string& model, const std::string& dump,
                             const ParityOptions& options) {
  try {
    const LoadOptions load = ParseLoadOptions({.device = options.device,
                                               .compute = options.compute,
                                               .threads = options.threads,
                                               .memory_limit = options.memory_limit});
    if (options.tolerance) CheckOption("tolerance", *options.tolerance, 0, 1e6);
    const bool tower = IsTower(model);
    const Dump read(dump);
    StageLog log(options.tolerance.value_or(read.in_bf16() ? kBf16Tolerance : kTolerance),
                 options.on_stage);
    if (tower) {
      Exec ex = MakeExec(load);
      CompareTower(ex, model, read, log);
    } else {
      CompareModel(CheckedModel(model, load.overrides, MissingTokenizer::kAllowed), read, load,
                   log);
    }
    return {.model = model,
            .dump = dump,
            .stages = std::move(log).Take(),
            .device_note = load.device_note};
  } catch (const std::bad_alloc&) {
    Throw(Code::kResourceExhausted, model, ": out of memory");
  }
}

}  // namespace binocle
