// The decoder against transformers, and the properties that caching and batching rely on.
#include "llm/llama_decoder.h"

#include <gtest/gtest.h>

#include "core/ops/elementwise.h"
#include "core/weight_files.h"
#include "llm/gguf_config.h"
#include "llm/llm_config.h"
#include "tests/llm/decoder_rows.h"
#include "tests/testing/errors.h"
#include "tests/testing/golden.h"
#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using testing::GoldenCase;
using testing::Near;
using testing::SameBits;

struct Loaded {
  explicit Loaded(const std::string& name, const LayerPlan& plan = {})
      : golden(name), tensors(ReadTensors(golden.directory())) {
    const Json json = ReadJsonFile(golden.directory() / "config.json");
    config = ParseTextConfig(JsonObject(json, "config.json"));
    Load(name, plan);
  }
  // The same weights from a GGUF file.
  Loaded(const std::string& name, const std::shared_ptr<GgufFile>& file)
      : golden(name), config(ReadGgufTextConfig(*file)) {
    AddGgufTextTensors(file, "", tensors);
    Load(name, {});
  }
  void Load(const std::string& name, LayerPlan plan) {
    LlamaWeights weights;
    const auto bind = [&](WeightBinder& b) { weights = BindLlama(config, b); };
    CheckWeights(tensors, {}, name, bind);
    LoadWeights(ex, tensors, {}, bind);
    if (plan.kinds.empty()) plan = LayerPlan::Stock(config.layers);
    decoder = std::make_unique<LlamaDecoder>(ex, config, std::move(weights), plan, 256);
    pool = KvPool(config.layers, config.kv_heads, config.head_dim, 16);
    activations = std::make_unique<DecoderActivations>(config, 128, 4);
  }

  // Rows of one sequence from ids, appended to it.
  void Forward(const std::vector<int32_t>& ids, KvSequence& sequence) {
    testing::ForwardIds(*decoder, ex, ids, sequence, pool, *activations);
  }
  TensorView LogitsOf(int64_t row) {
    decoder->Logits(ex, {&row, 1}, *activations);
    return activations->logits.view().Rows(0, 1);
  }

  GoldenCase golden;
  TensorSet tensors;
  Exec ex{2};
  LlamaConfig config;
  std::unique_ptr<LlamaDecoder> decoder;
  KvPool pool;
  std::unique_ptr<DecoderActivations> activations;
};

class Decoders : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(All, Decoders,
                         ::testing::Values("llama", "llama_tied", "mistral", "qwen2", "qwen3",
                                           "granite"));

TEST_P(Decoders, SixtyFourGreedyTokensAndTheirLogitsEqualTransformers) {
  Loaded m(GetParam());
  for (size_t k = 0; k < m.golden.json()["requests"].size(); ++k) {
    const Json& request = m.golden.json()["requests"][k];
    KvSequence sequence(m.pool);
    const auto prompt = request["prompt_token_ids"].get<std::vector<int32_t>>();
    const auto expected = request["token_ids"].get<std::vector<int32_t>>();
    m.Forward(prompt, sequence);
    int64_t row = static_cast<int64_t>(prompt.size()) - 1;
    for (size_t step = 0; step < expected.size(); ++step) {
      const TensorView logits = m.LogitsOf(row);
      const std::string name = "req" + std::to_string(k) + ".logits." + std::to_string(step);
      if (m.golden.Has(name)) {
        const TensorView want = m.golden.Tensor(name);
        EXPECT_TRUE(Near(logits, want.Reshape({1, want.dim(0)}), "logits"));
      }
      const float* best = std::max_element(logits.f32(), logits.f32() + m.config.vocabulary);
      ASSERT_EQ(best - logits.f32(), expected[step]) << "request " << k << ", step " << step;
      m.Forward({expected[step]}, sequence);
      row = 0;
    }
  }
}

// Permuted rows of q and k, and of their biases; biases; norms of heads; multipliers. Six tokens, which qwen2's window, of which its file says nothing, does not part.
TEST(GgufModels, GiveTheSameBitsAsTheDirectoriesTheyWereMadeOf) {
  for (const char* name : {"llama_tied", "qwen2", "qwen3", "granite"}) {
    const std::filesystem::path path =
        std::filesystem::path(BINOCLE_TEST_DATA) / "gguf_models" / (std::string(name) + ".gguf");
    Loaded directory(name), file(name, std::make_shared<GgufFile>(path));
    EXPECT_EQ(file.config.interleaved_qk,
              std::string(name) == "llama_tied" || std::string(name) == "granite");
    const auto ids =
        directory.golden.json()["requests"][0]["prompt_token_ids"].get<std::vector<int32_t>>();
    ASSERT_LT(ids.size(), 16U);
    Tensor logits[2];
    for (Loaded* model : {&directory, &file}) {
      KvSequence sequence(model->pool);
      model->Forward(ids, sequence);
      Tensor copy = Tensor::F32({1, model->config.vocabulary});
      CopyRows(model->LogitsOf(std::ssize(ids) - 1), copy);
      logits[model == &file] = std::move(copy);
    }
    EXPECT_TRUE(SameBits(logits[0], logits[1])) << name;
  }
}

TEST_P(Decoders, EveryLayersOutputEqualsTransformers) {
  const GoldenCase golden(GetParam());
  const auto ids = golden.json()["requests"][0]["prompt_token_ids"].get<std::vector<int32_t>>();
  // A decoder cut after `l` layers gives hidden state l.
  Loaded m(GetParam());
  for (int64_t l = 0; l < m.config.layers; ++l) {
    const std::string name = "req0.hidden." + std::to_string(l);
    if (!golden.Has(name)) continue;
    Loaded cut(GetParam());
    LlamaConfig config = cut.config;
    LlamaWeights weights;
    config.layers = l;
    const auto bind = [&](WeightBinder& b) {
      b.IgnoreUnder("model.layers.");
      weights = BindLlama(config, b);
    };
    CheckWeights(cut.tensors, {}, name, bind);
    LoadWeights(cut.ex, cut.tensors, {}, bind);
    cut.decoder = std::make_unique<LlamaDecoder>(cut.ex, config, std::move(weights),
                                                 LayerPlan::Stock(l), 256);
    KvSequence sequence(cut.pool);
    cut.Forward(ids, sequence);
    EXPECT_TRUE(Near(cut.activations->x.view().Rows(0, static_cast<int64_t>(ids.size())),
                     golden.Tensor(name), "hidden"));
  }
}

TEST_P(Decoders, ChunkedPrefillAndDecodeGiveTheSameBitsAsOneCall) {
  Loaded m(GetParam());
  testing::Numbers numbers(5);
  std::vector<int32_t> ids;
  for (int i = 0; i < 100; ++i)
    ids.push_back(static_cast<int32_t>(numbers.Int(0, m.config.vocabulary - 1)));
  KvSequence whole(m.pool);
  m.Forward(ids, whole);
  const Tensor want = [&] {
    Tensor t = Tensor::F32({1, m.config.vocabulary}, "logits");
    std::copy_n(m.LogitsOf(99).f32(), m.config.vocabulary, t.f32());
    return t;
  }();
  for (const size_t chunk : {1, 7, 63, 64, 65}) {
    KvSequence sequence(m.pool);
    size_t last = 0;
    for (size_t begin = 0; begin < ids.size(); begin += chunk) {
      const std::vector<int32_t> part(
          ids.begin() + static_cast<ptrdiff_t>(begin),
          ids.begin() + static_cast<ptrdiff_t>(std::min(begin + chunk, ids.size())));
      m.Forward(part, sequence);
      last = part.size() - 1;
    }
    EXPECT_TRUE(SameBits(m.LogitsOf(static_cast<int64_t>(last)), want)) << "chunks of " << chunk;
  }
}

// A picture's rows take the same way through composite layers with a prompt around them and without.
TEST_P(Decoders, AnImageApartComesOutAsItDoesInABatch) {
  LayerPlan plan = LayerPlan::Stock(Loaded(GetParam()).config.layers);
  plan.kinds.assign(plan.kinds.size(), LayerKind::kComposite);
  plan.aligner = Aligner::kVoFfn;
  Loaded m(GetParam(), plan);
  testing::Numbers numbers(7);
  const int64_t tokens = 9;
  const Tensor visual = testing::RandomTensor({tokens, m.config.width}, numbers);
  ImageKv image;
  m.decoder->EncodeImage(m.ex, {.visual = visual, .aligner = plan.aligner}, {}, *m.activations,
                         image);
  KvSequence sequence(m.pool);
  sequence.Extend(tokens);
  std::vector<int32_t> positions, slots;
  for (int64_t p = 0; p < tokens; ++p) {
    positions.push_back(static_cast<int32_t>(p));
    slots.push_back(sequence.Slot(p));
  }
  const QueryRun run{.first_row = 0,
                     .rows = tokens,
                     .first_position = 0,
                     .keys = tokens,
                     .pages = sequence.pages()};
  CopyRows(visual, m.activations->x.view().Rows(0, tokens));
  m.decoder->Forward(m.ex,
                     {.text_rows = 0,
                      .positions = positions,
                      .slots = slots,
                      .text_runs = {},
                      .visual_runs = {&run, 1},
                      .runs = {&run, 1}},
                     m.pool, *m.activations);
  EXPECT_TRUE(SameBits(image.last, m.activations->x.view().Rows(tokens - 1, tokens)));
}

TEST(LlamaDecoder, AllTextThroughCompositeLayersIsStock) {
  Loaded stock("llama");
  LayerPlan plan = LayerPlan::Stock(stock.config.layers);
  plan.kinds.assign(plan.kinds.size(), LayerKind::kComposite);
  Loaded composite("llama", plan);
  const std::vector<int32_t> ids = {1, 5, 9, 200, 33};
  KvSequence a(stock.pool), b(composite.pool);
  stock.Forward(ids, a);
  composite.Forward(ids, b);
  EXPECT_TRUE(
      SameBits(composite.activations->x.view().Rows(0, 5), stock.activations->x.view().Rows(0, 5)));
}

TEST(LlamaConfig, RefusesWhatItDoesNotRunByName) {
  const auto error_of = [](const char* text) {
    const Json json = Json::parse(text);
    return testing::ErrorOf([&] { ParseTextConfig(JsonObject(json, "config.json")); });
  };
  EXPECT_EQ(error_of(R"({"rope_scaling": {"rope_type": "yarn", "factor": 4}})"),
            "UNIMPLEMENTED: config.json: rope_scaling: rope_type is yarn, expected one of default, "
            "linear, dynamic, llama3");
  EXPECT_EQ(error_of(R"({"rope_scaling": {"type": "linear"}})"),
            "INVALID_ARGUMENT: config.json: rope_scaling: factor is missing, expected a number "
            "from 1 to 1e+06");
  EXPECT_EQ(error_of(R"({"rope_scaling": {"rope_type": "default"}})"), "no error");
  EXPECT_NE(error_of(R"({"num_attention_heads": 6, "num_key_value_heads": 4, "head_dim": 8})")
                .find("a divisor of num_attention_heads=6"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"hidden_size": -4})").find("hidden_size is -4"), std::string::npos);
  EXPECT_NE(
      error_of(R"({"hidden_act": "gelu"})").find("hidden_act is \"gelu\", expected one of silu"),
      std::string::npos);
  EXPECT_NE(error_of(R"({"head_dim": 7})").find("head_dim is 7, expected an even number"),
            std::string::npos);
}

TEST(LlamaConfig, MultipliersAreThoseOfGraniteAndOneWhereItsFileSaysNothing) {
  const auto parsed = [](const char* text) {
    const Json json = Json::parse(text);
    return ParseTextConfig(JsonObject(json, "config.json"));
  };
  const LlamaConfig silent = parsed(R"({"model_type": "granite"})");
  EXPECT_EQ(silent.embedding_multiplier, 1);
  EXPECT_EQ(silent.attention_multiplier, 1) << "not 1/√d";
  EXPECT_EQ(silent.residual_multiplier, 1);
  EXPECT_EQ(silent.logits_scaling, 1);
  const LlamaConfig llama = parsed(
      R"({"attention_multiplier": 2, "embedding_multiplier": 2, "residual_multiplier": 2, "logits_scaling": 2})");
  EXPECT_EQ(llama.attention_multiplier, std::nullopt) << "LLaMA has no such keys";
  EXPECT_EQ(llama.embedding_multiplier, 1);
  EXPECT_EQ(llama.residual_multiplier, 1);
  EXPECT_EQ(llama.logits_scaling, 1);
  EXPECT_EQ(
      testing::ErrorOf([&] { parsed(R"({"model_type": "granite", "logits_scaling": 0})"); }),
      "INVALID_ARGUMENT: config.json: logits_scaling is 0, expected a number from 1e-06 to 1e+06");
}

TEST(DecoderActivations, TheMemoryPlanIsWhatIsAllocated) {
  const LlamaConfig c{.width = 28,
                      .ff_width = 36,
                      .layers = 2,
                      .heads = 6,
                      .kv_heads = 2,
                      .head_dim = 10,
                      .vocabulary = 331,
                      .max_positions = 64};
  const DecoderActivations a(c, 100, 3);
  int64_t bytes = 0;
  for (const Tensor* t :
       {&a.x, &a.n, &a.q, &a.kv, &a.attn, &a.lse, &a.gate_up, &a.ff, &a.logit_rows, &a.logits})
    bytes += t->bytes();
  EXPECT_EQ(DecoderActivations::Bytes(c, 100, 3), bytes);
}

}  // namespace
}  // namespace binocle
