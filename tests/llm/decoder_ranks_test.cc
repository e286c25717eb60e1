// A decoder whose layers several ranks share, against transformers: as threads of this program and, where mpirun has started several of it (tests/cli/tensor_parallel_mpi_test.py), as processes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/parallel/tcp_communicator.h"
#include "core/weight_files.h"
#include "llm/decoder_follower.h"
#include "llm/decoder_leader.h"
#include "llm/layer_share.h"
#include "llm/llm_config.h"
#include "tests/llm/decoder_rows.h"
#include "tests/testing/free_port.h"
#include "tests/testing/golden.h"
#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using testing::GoldenCase;
using testing::Near;

constexpr int64_t kPagesOfAll = 8;

// A rank's part of a golden decoder.
struct RankOfDecoder {
  RankOfDecoder(const std::string& name, Communicator& communicator)
      : golden(name), tensors(ReadTensors(golden.directory())) {
    const Json json = ReadJsonFile(golden.directory() / "config.json");
    config = ShareOfLayers(ParseTextConfig(JsonObject(json, "config.json")),
                           {communicator.rank(), communicator.size()}, name);
    LlamaWeights weights;
    const auto bind = [&](WeightBinder& b) { weights = BindLlama(config, b); };
    CheckWeights(tensors, {}, name, bind);
    LoadWeights(ex, tensors, {}, bind);
    decoder = std::make_unique<LlamaDecoder>(ex, config, std::move(weights),
                                             LayerPlan::Stock(config.layers), 256);
    pool = KvPool(config.layers, config.kv_heads, config.head_dim, kPagesOfAll);
    activations = std::make_unique<DecoderActivations>(config, 128, 4);
    ex.set_communicator(&communicator);
  }

  GoldenCase golden;
  TensorSet tensors;
  Exec ex{1};
  LlamaConfig config;
  std::unique_ptr<LlamaDecoder> decoder;
  KvPool pool;
  std::unique_ptr<DecoderActivations> activations;
};

// Logits of the last of `ids`, appended to the sequence.
TensorView LogitsAfter(RankOfDecoder& m, const std::vector<int32_t>& ids, KvSequence& sequence) {
  testing::ForwardIds(*m.decoder, m.ex, ids, sequence, m.pool, *m.activations);
  const int64_t row = std::ssize(ids) - 1;
  m.decoder->Logits(m.ex, {&row, 1}, *m.activations);
  return m.activations->logits.view().Rows(0, 1);
}

// Rank 0's part: the first of the golden's requests, a few tokens of it.
void CompareWithTransformers(RankOfDecoder& m) {
  const Json& request = m.golden.json()["requests"][0];
  const auto expected = request["token_ids"].get<std::vector<int32_t>>();
  std::vector<int32_t> ids = request["prompt_token_ids"].get<std::vector<int32_t>>();
  KvSequence sequence(m.pool);
  for (size_t step = 0; step < 16; ++step) {
    const TensorView logits = LogitsAfter(m, ids, sequence);
    const std::string name = "req0.logits." + std::to_string(step);
    if (m.golden.Has(name)) {
      const TensorView want = m.golden.Tensor(name);
      EXPECT_TRUE(Near(logits, want.Reshape({1, want.dim(0)}), "logits"));
    }
    const float* best = std::max_element(logits.f32(), logits.f32() + m.config.vocabulary);
    ASSERT_EQ(best - logits.f32(), expected[step]) << "step " << step;
    ids = {expected[step]};
  }
}

void SumsAndBroadcasts(Communicator& communicator) {
  std::vector<float> values(1000, static_cast<float>(1 + communicator.rank()));
  communicator.Sum(values);
  const auto size = static_cast<float>(communicator.size());
  EXPECT_EQ(values, std::vector<float>(1000, size * (size + 1) / 2));
  std::vector<std::byte> bytes(5000, std::byte(communicator.rank()));
  communicator.Broadcast(bytes);
  EXPECT_EQ(bytes, std::vector<std::byte>(5000, std::byte(0)));
}

void DivideDecoder(const std::string& name, const Meeting& meeting) {
  const std::unique_ptr<Communicator> communicator = MeetOverTcp(meeting);
  SumsAndBroadcasts(*communicator);
  RankOfDecoder m(name, *communicator);
  if (meeting.rank == 0) {
    DecoderLeader leader(*communicator, kPagesOfAll, {});
    m.decoder->Lead(&leader);
    return CompareWithTransformers(m);
  }
  EXPECT_EQ(AwaitTerms(*communicator, {}), kPagesOfAll);
  FollowDecoder({m.ex, *m.decoder, m.pool, *m.activations});
}

struct DividedDecoder {
  const char* name;
  int64_t ranks;
};
class DividedDecoders : public ::testing::TestWithParam<DividedDecoder> {};
// Biases, norms of heads, multipliers; of two kv heads four ranks have copies.
INSTANTIATE_TEST_SUITE_P(All, DividedDecoders,
                         ::testing::Values(DividedDecoder{"llama", 2}, DividedDecoder{"qwen2", 2},
                                           DividedDecoder{"qwen2", 4}, DividedDecoder{"qwen3", 2},
                                           DividedDecoder{"granite", 2}));

TEST_P(DividedDecoders, AnswerAsTransformersDoes) {
  const auto& [name, ranks] = GetParam();
  const int64_t port = testing::FreePort();
  std::vector<std::jthread> threads;
  for (int64_t rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([=] {
      try {
        DivideDecoder(name, {.rank = rank, .size = ranks, .port = port});
      } catch (const Error& error) {
        ADD_FAILURE() << "rank " << rank << ": " << error.what();
      }
    });
  }
}

int64_t VariableOf(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? -1 : std::atoll(value);
}

TEST(MpiRanks, AnswerAsTransformersDoes) {
  const int64_t rank = VariableOf("OMPI_COMM_WORLD_RANK");
  const int64_t size = VariableOf("OMPI_COMM_WORLD_SIZE");
  const int64_t port = VariableOf("MASTER_PORT");
  if (rank < 0 || size < 2 || port < 0) GTEST_SKIP() << "mpirun has not started this program";
  for (const char* name : {"qwen2", "granite"})
    DivideDecoder(name, {.rank = rank, .size = size, .port = port});
}

}  // namespace
}  // namespace binocle
