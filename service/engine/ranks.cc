#include "service/engine/ranks.h"

#include <utility>

#include "attention/kv_pages.h"
#include "core/backend/cuda_backend.h"
#include "core/parallel/tcp_communicator.h"
#include "llm/decoder_follower.h"
#include "llm/layer_share.h"
#include "service/engine/model_summary.h"

namespace binocle {

std::unique_ptr<Communicator> Meet(const TensorParallel& parallel) {
  if (parallel.ranks == 1) return nullptr;
  return MeetOverTcp({.rank = parallel.rank,
                      .size = parallel.ranks,
                      .address = parallel.address,
                      .port = parallel.port});
}

JoinedRanks::JoinedRanks(Exec& exec, Communicator* communicator) {
  if (communicator == nullptr) return;
  if (exec.place().cuda != nullptr) exec.cuda().JoinRanks(*communicator);
  exec.set_communicator(communicator);
}

std::vector<OrderTerm> TermsOf(const ModelConfig& config, const LoadOptions& load) {
  const LlamaConfig& c = config.text;
  const int64_t ranks = c.share.ranks;
  return {{"the number of layers", c.layers},
          {"the width", c.width},
          {"the number of heads", ranks * c.heads},
          {"the number of kv heads", WholeKvHeads(c)},
          {"the width of a head", c.head_dim},
          {"the ffn width", ranks * c.ff_width},
          {"the kind of weights (compute)", static_cast<int64_t>(c.layer_kind)},
          {"whether the device is a GPU", load.cuda ? 1 : 0},
          {"the context", ContextTokens(config, load)},
          {"the rows of a pass (prefill_chunk_tokens, max_sequences)", BufferRows(config, load)}};
}

void FollowRankZero(const TensorParallel& parallel, const LoadOptions& load, CheckedModel checked,
                    const std::function<void()>& on_loaded) {
  const std::unique_ptr<Communicator> communicator = Meet(parallel);
  if (communicator == nullptr || parallel.rank == 0)
    ThrowOption("rank", "is ", parallel.rank, " of ", parallel.ranks,
                ", expected a rank that is not 0");
  Exec exec = MakeExec(load);
  const JoinedRanks together(exec, communicator.get());
  const int64_t context = ContextTokens(checked.config(), load);
  const VlmModel model(exec, std::move(checked), context);
  const LlamaConfig& c = model.config().text;
  const int64_t pages = AwaitTerms(*communicator, TermsOf(model.config(), load));
  KvPool pool(c.layers, c.kv_heads, c.head_dim, pages, c.kv_dtype, exec.place());
  DecoderActivations activations(c, BufferRows(model.config(), load), load.max_sequences,
                                 exec.place());
  if (on_loaded) on_loaded();
  FollowDecoder({exec, model.decoder(), pool, activations});
}

}  // namespace binocle
