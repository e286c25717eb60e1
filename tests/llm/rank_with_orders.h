// A rank of a small decoder whose communicator is a list of what is said.
#pragma once

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/backend/cuda_backend.h"
#include "core/error.h"
#include "core/parallel/communicator.h"
#include "llm/layer_share.h"
#include "llm/llama_decoder.h"
#include "tests/testing/numbers.h"

namespace binocle::testing {

// As rank 0: keeps what it broadcasts. As another: hears it. Its sums are those of a rank whose others have nothing.
class Recording : public Communicator {
 public:
  explicit Recording(int64_t rank) : rank_(rank) {}
  int64_t rank() const override { return rank_; }
  int64_t size() const override { return 2; }
  void Sum(std::span<float>) override {}
  void Broadcast(std::span<std::byte> bytes, Patience) override {
    if (rank_ == 0) {
      said.emplace_back(bytes.begin(), bytes.end());
    } else if (said.empty()) {
      Throw(Code::kUnavailable, "rank 0 has left");
    } else if (said.front().size() == bytes.size()) {
      std::ranges::copy(said.front(), bytes.begin());
      said.pop_front();
    } else {
      Throw(Code::kUnavailable, "out of step");
    }
  }
  void Barrier(Patience) override {}
  void Check() override {}
  void Leave(const std::string& why) noexcept override { over_ = why; }
  const std::string& over() const override { return over_; }
  std::chrono::milliseconds to_answer() const override { return std::chrono::milliseconds(1); }

  std::deque<std::vector<std::byte>> said;

 private:
  int64_t rank_;
  std::string over_;
};

inline LlamaConfig SmallDecoder() {
  LlamaConfig c;
  c.width = 8;
  c.ff_width = 16;
  c.layers = 2;
  c.heads = 2;
  c.kv_heads = 2;
  c.head_dim = 4;
  c.vocabulary = 10;
  c.max_positions = 256;
  return c;
}

inline TensorSet TensorsOf(const LlamaConfig& c) {
  Numbers numbers(1);
  TensorSet set;
  const auto add = [&](const std::string& name, Shape shape) {
    set.Add(name + ".weight", RandomTensor(shape, numbers));
  };
  for (int64_t l = 0; l < c.layers; ++l) {
    const std::string layer = "model.layers." + std::to_string(l) + ".";
    for (const char* norm : {"input_layernorm", "post_attention_layernorm"})
      add(layer + norm, {c.width});
    for (const char* matrix : {"q_proj", "k_proj", "v_proj", "o_proj"})
      add(layer + "self_attn." + matrix, {c.width, c.width});
    for (const char* matrix : {"gate_proj", "up_proj"})
      add(layer + "mlp." + matrix, {c.ff_width, c.width});
    add(layer + "mlp.down_proj", {c.width, c.ff_width});
  }
  add("model.norm", {c.width});
  add("model.embed_tokens", {c.vocabulary, c.width});
  add("lm_head", {c.vocabulary, c.width});
  return set;
}

inline constexpr int64_t kPagesOfRank = 6;

// A rank of two of a small decoder, all of whose layers are composite.
struct RankWithOrders {
  explicit RankWithOrders(int64_t rank, std::unique_ptr<CudaBackend> cuda = nullptr)
      : communicator(rank), ex(1, std::move(cuda)) {
    const LlamaConfig whole = SmallDecoder();
    config = ShareOfLayers(whole, {rank, 2}, "x");
    const TensorSet set = TensorsOf(whole);
    LlamaWeights weights;
    const auto bind = [&](WeightBinder& b) { weights = BindLlama(config, b); };
    CheckWeights(set, {}, "x", bind);
    LoadWeights(ex, set, {}, bind);
    LayerPlan plan{.kinds = {LayerKind::kComposite, LayerKind::kComposite}};
    decoder = std::make_unique<LlamaDecoder>(ex, config, std::move(weights), plan, 256);
    pool = KvPool(config.layers, config.kv_heads, config.head_dim, kPagesOfRank, DType::kF32,
                  ex.place());
    activations = std::make_unique<DecoderActivations>(config, 32, 2, ex.place());
    ex.set_communicator(&communicator);
  }

  Recording communicator;
  Exec ex;
  LlamaConfig config;
  std::unique_ptr<LlamaDecoder> decoder;
  KvPool pool;
  std::unique_ptr<DecoderActivations> activations;
};

}  // namespace binocle::testing
