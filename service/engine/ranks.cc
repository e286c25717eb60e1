#include "service/engine/ranks.h"

#include <utility>

#include "attention/kv_pages.h"
#include "core/backend/cuda_backend.h"
#include "core/backend/devices.h"
#include "core/parallel/tcp_communicator.h"
#include "llm/decoder_follower.h"
#include "llm/layer_share.h"
#include "service/engine/checkpoint_number.h"
#include "service/engine/model_summary.h"

namespace binocle {

namespace {

int32_t NcclVersionHere() {
  std::string why_none;
  const CudaModule* module = FindCudaModule(why_none);
  return module == nullptr ? 0 : module->ranks_version();
}

}  // namespace

std::unique_ptr<Communicator> Meet(const TensorParallel& parallel, const LoadOptions& load) {
  if (parallel.ranks == 1) return nullptr;
  return MeetOverTcp(
      {.rank = parallel.rank,
       .size = parallel.ranks,
       .address = parallel.address,
       .port = parallel.port,
       .terms = {{"the version of what ranks say to each other", Order::kVersion},
                 {"the kind of device (0: CPU, 1: GPU)", load.cuda ? 1 : 0},
                 {"the version of NCCL (0: none)", load.cuda ? NcclVersionHere() : 0}},
       .note = parallel.note});
}

JoinedRanks::JoinedRanks(Exec& exec, Communicator* communicator) {
  if (communicator == nullptr) return;
  if (exec.place().cuda != nullptr) exec.cuda().JoinRanks(*communicator);
  exec.set_communicator(communicator);
}

// As the terms below count them.
static_assert(static_cast<int>(WeightKind::kF32) == 0 && static_cast<int>(WeightKind::kBf16) == 1 &&
              static_cast<int>(WeightKind::kInt8) == 2 && static_cast<int>(WeightKind::kInt4) == 3);

std::vector<OrderTerm> TermsOf(const CheckedModel& checked, const LoadOptions& load) {
  const ModelConfig& config = checked.config();
  const LlamaConfig& c = config.text;
  const int64_t ranks = c.share.ranks;
  if (ranks == 1) return {};
  return {{"the number of layers", c.layers},
          {"the width", c.width},
          {"the number of heads", ranks * c.heads},
          {"the number of kv heads", WholeKvHeads(c)},
          {"the width of a head", c.head_dim},
          {"the ffn width", ranks * c.ff_width},
          {"the kind of weights (compute; 0: f32, 1: bf16, 2: int8, 3: int4)",
           static_cast<int64_t>(c.layer_kind)},
          {"the context", ContextTokens(config, load)},
          {"the rows of a pass (prefill_chunk_tokens, max_sequences)", BufferRows(config, load)},
          {"the checkpoint (a number made of its configuration and tensors)",
           CheckpointNumber(checked)}};
}

void FollowRankZero(const TensorParallel& parallel, const LoadOptions& load, CheckedModel checked,
                    const FollowerEvents& events) {
  const std::unique_ptr<Communicator> communicator = Meet(parallel, load);
  if (communicator == nullptr || parallel.rank == 0)
    ThrowOption("rank", "is ", parallel.rank, " of ", parallel.ranks,
                ", expected a rank that is not 0");
  Exec exec = MakeExec(load);
  const JoinedRanks together(exec, communicator.get());
  const std::vector<OrderTerm> terms = TermsOf(checked, load);
  const int64_t context = ContextTokens(checked.config(), load);
  const VlmModel model(exec, std::move(checked), context);
  const LlamaConfig& c = model.config().text;
  const int64_t pages = AwaitTerms(*communicator, terms);
  events.check_room(KvPool::Bytes(c.layers, c.kv_heads, c.head_dim, pages, c.kv_dtype,
                                  load.cuda ? Device::kCuda : Device::kCpu));
  KvPool pool(c.layers, c.kv_heads, c.head_dim, pages, c.kv_dtype, exec.place());
  DecoderActivations activations(c, BufferRows(model.config(), load), load.max_sequences,
                                 exec.place());
  if (events.on_loaded) events.on_loaded();
  FollowDecoder({exec, model.decoder(), pool, activations});
}

}  // namespace binocle
