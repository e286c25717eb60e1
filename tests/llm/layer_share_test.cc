// Every element of every matrix of a layer is one rank's, in order.
#include "llm/layer_share.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "binocle/error.h"
#include "core/convert.h"
#include "llm/llama_decoder.h"
#include "tests/testing/numbers.h"
#include "tests/testing/random.h"
#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using ::testing::HasSubstr;
using testing::Numbers;
using testing::RandomTensor;

LlamaConfig WholeLayers() {
  LlamaConfig c;
  c.width = 12;
  c.ff_width = 32;
  c.layers = 1;
  c.heads = 8;
  c.kv_heads = 4;
  c.head_dim = 4;
  c.vocabulary = 10;
  c.max_positions = 64;
  c.qkv_bias = c.out_bias = c.mlp_bias = true;
  return c;
}

TEST(LayerShare, HeadsAndFfnAreDividedAndNothingElse) {
  for (const int64_t ranks : {1, 2, 4}) {
    for (int64_t rank = 0; rank < ranks; ++rank) {
      const LlamaConfig own = ShareOfLayers(WholeLayers(), {rank, ranks}, "a model");
      EXPECT_EQ(own.heads, 8 / ranks);
      EXPECT_EQ(own.kv_heads, 4 / ranks);
      EXPECT_EQ(own.ff_width, 32 / ranks);
      EXPECT_EQ(own.width, 12);
      EXPECT_EQ(own.vocabulary, 10);
      EXPECT_EQ(own.share.rank, rank);
      EXPECT_EQ(own.share.ranks, ranks);
    }
  }
}

TEST(LayerShare, RanksThatDoNotDivideAreRefused) {
  for (const int64_t ranks : {3, 16}) {
    try {
      ShareOfLayers(WholeLayers(), {0, ranks}, "models/x");
      FAIL() << ranks;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInvalidArgument);
      EXPECT_EQ(error.option(), "tensor_parallel");
      EXPECT_THAT(error.what(),
                  HasSubstr("tensor_parallel is " + std::to_string(ranks) +
                            ", expected a divisor of the 8 heads and the ffn width of "
                            "32, and a divisor or a multiple of the 4 kv heads, that "
                            "the layers of models/x have"));
    }
  }
}

TEST(LayerShare, MoreRanksThanKvHeadsHaveCopiesOfThem) {
  std::vector<int64_t> kv_heads;
  for (int64_t rank = 0; rank < 8; ++rank) {
    const LlamaConfig own = ShareOfLayers(WholeLayers(), {rank, 8}, "x");
    EXPECT_EQ(own.heads, 1);
    EXPECT_EQ(own.kv_heads, 1);
    EXPECT_EQ(WholeKvHeads(own), 4);
    EXPECT_EQ(ByKvRows(own.share).parts, 4);
    kv_heads.push_back(ByKvRows(own.share).part);
  }
  EXPECT_EQ(kv_heads, (std::vector<int64_t>{0, 0, 1, 1, 2, 2, 3, 3})) << "that of the query head";
}

// Tensors whose elements are all different, so that each can be found again.
struct Numbered {
  TensorSet set;
  float next = 1;

  void Add(const std::string& name, Shape shape) {
    Tensor tensor = Tensor::F32(shape, "x");
    for (int64_t i = 0; i < tensor.view().elements(); ++i) tensor.f32()[i] = next++;
    set.Add(name, std::move(tensor));
  }
};

Numbered WholeTensors(const LlamaConfig& c) {
  Numbered tensors;
  const std::string layer = "model.layers.0.";
  const auto linear = [&](const std::string& name, int64_t n, int64_t k) {
    tensors.Add(layer + name + ".weight", {n, k});
    tensors.Add(layer + name + ".bias", {n});
  };
  linear("self_attn.q_proj", c.heads * c.head_dim, c.width);
  linear("self_attn.k_proj", c.kv_heads * c.head_dim, c.width);
  linear("self_attn.v_proj", c.kv_heads * c.head_dim, c.width);
  linear("self_attn.o_proj", c.width, c.heads * c.head_dim);
  linear("mlp.gate_proj", c.ff_width, c.width);
  linear("mlp.up_proj", c.ff_width, c.width);
  linear("mlp.down_proj", c.width, c.ff_width);
  for (const char* norm : {"input_layernorm", "post_attention_layernorm"})
    tensors.Add(layer + norm + ".weight", {c.width});
  tensors.Add("model.norm.weight", {c.width});
  tensors.Add("model.embed_tokens.weight", {c.vocabulary, c.width});
  tensors.Add("lm_head.weight", {c.vocabulary, c.width});
  return tensors;
}

// W as products see it: column j is the product with the j-th unit vector, bias apart.
std::vector<std::vector<float>> ElementsOf(Exec& ex, const LinearWeights& w) {
  const Tensor units = Tensor::F32({w.k, w.k}), columns = Tensor::F32({w.k, w.n});
  for (int64_t j = 0; j < w.k; ++j) units.row(j)[j] = 1;
  Linear(ex, units, w, columns);
  std::vector<std::vector<float>> rows(static_cast<size_t>(w.n));
  for (int64_t n = 0; n < w.n; ++n) {
    for (int64_t k = 0; k < w.k; ++k) {
      const float bias = w.bias.empty() ? 0 : w.bias.f32()[n];
      rows[static_cast<size_t>(n)].push_back(columns.row(k)[n] - bias);
    }
  }
  return rows;
}

LlamaWeights LoadShare(Exec& ex, const TensorSet& set, const LlamaConfig& c) {
  LlamaWeights weights;
  const auto bind = [&](WeightBinder& b) { weights = BindLlama(c, b); };
  CheckWeights(set, {}, "x", bind);
  LoadWeights(ex, set, {}, bind);
  return weights;
}

// Rows of ranks one below the other, of each of `parts` stacked matrices.
std::vector<std::vector<float>> StackedRows(Exec& ex, const std::vector<const LinearWeights*>& own,
                                            size_t parts) {
  std::vector<std::vector<float>> rows;
  for (size_t part = 0; part < parts; ++part) {
    for (const LinearWeights* w : own) {
      const auto elements = ElementsOf(ex, *w);
      const size_t count = elements.size() / parts;
      rows.insert(rows.end(), elements.begin() + static_cast<std::ptrdiff_t>(part * count),
                  elements.begin() + static_cast<std::ptrdiff_t>((part + 1) * count));
    }
  }
  return rows;
}

std::vector<std::vector<float>> JoinedColumns(Exec& ex,
                                              const std::vector<const LinearWeights*>& own) {
  std::vector<std::vector<float>> rows(static_cast<size_t>(own[0]->n));
  for (const LinearWeights* w : own) {
    const auto elements = ElementsOf(ex, *w);
    for (size_t n = 0; n < rows.size(); ++n)
      rows[n].insert(rows[n].end(), elements[n].begin(), elements[n].end());
  }
  return rows;
}

class LayerShares : public ::testing::TestWithParam<int64_t> {};
INSTANTIATE_TEST_SUITE_P(Ranks, LayerShares, ::testing::Values(2, 4));

TEST_P(LayerShares, EveryElementIsOneRanksInOrder) {
  const int64_t ranks = GetParam();
  Exec ex(1);
  const Numbered tensors = WholeTensors(WholeLayers());
  const LlamaWeights whole = LoadShare(ex, tensors.set, WholeLayers());
  std::vector<LlamaWeights> shares;
  for (int64_t rank = 0; rank < ranks; ++rank)
    shares.push_back(LoadShare(ex, tensors.set, ShareOfLayers(WholeLayers(), {rank, ranks}, "x")));
  const auto of_all = [&](LinearWeights LlamaBlockWeights::*matrix) {
    std::vector<const LinearWeights*> own;
    for (const LlamaWeights& share : shares) own.push_back(&(share.blocks[0].*matrix));
    return own;
  };
  const LlamaBlockWeights& block = whole.blocks[0];
  EXPECT_EQ(StackedRows(ex, of_all(&LlamaBlockWeights::q), 1), ElementsOf(ex, block.q));
  EXPECT_EQ(StackedRows(ex, of_all(&LlamaBlockWeights::kv), 2), ElementsOf(ex, block.kv));
  EXPECT_EQ(StackedRows(ex, of_all(&LlamaBlockWeights::gate_up), 2), ElementsOf(ex, block.gate_up));
  EXPECT_EQ(JoinedColumns(ex, of_all(&LlamaBlockWeights::out)), ElementsOf(ex, block.out));
  EXPECT_EQ(JoinedColumns(ex, of_all(&LlamaBlockWeights::down)), ElementsOf(ex, block.down));
  for (int64_t rank = 0; rank < ranks; ++rank) {
    const LlamaWeights& share = shares[static_cast<size_t>(rank)];
    EXPECT_FALSE(share.blocks[0].q.bias.empty());
    EXPECT_EQ(share.blocks[0].out.bias.empty(), rank > 0) << "counted once";
    EXPECT_EQ(share.blocks[0].down.bias.empty(), rank > 0) << "counted once";
    EXPECT_EQ(share.embeddings.view.empty(), rank > 0) << "rank 0 has the rest";
  }
}

// Of each of `parts` stacked matrices those of the ranks one behind the other.
std::vector<float> StackedBiases(const std::vector<const LinearWeights*>& own, size_t parts) {
  std::vector<float> biases;
  for (size_t part = 0; part < parts; ++part) {
    for (const LinearWeights* w : own) {
      const size_t count = static_cast<size_t>(w->n) / parts;
      const float* begin = w->bias.f32() + part * count;
      biases.insert(biases.end(), begin, begin + count);
    }
  }
  return biases;
}

// Those of rows go with their rows; of what is summed up one rank has all, once.
TEST_P(LayerShares, EveryBiasIsAddedOnce) {
  Exec ex(1);
  const Numbered tensors = WholeTensors(WholeLayers());
  const LlamaWeights whole = LoadShare(ex, tensors.set, WholeLayers());
  std::vector<LlamaWeights> shares;
  for (int64_t rank = 0; rank < GetParam(); ++rank)
    shares.push_back(
        LoadShare(ex, tensors.set, ShareOfLayers(WholeLayers(), {rank, GetParam()}, "x")));
  const auto equal = [&](LinearWeights LlamaBlockWeights::*matrix, size_t parts) {
    std::vector<const LinearWeights*> own;
    for (const LlamaWeights& share : shares) own.push_back(&(share.blocks[0].*matrix));
    EXPECT_EQ(StackedBiases(own, parts), StackedBiases({&(whole.blocks[0].*matrix)}, parts));
  };
  equal(&LlamaBlockWeights::q, 1);
  equal(&LlamaBlockWeights::kv, 2);
  equal(&LlamaBlockWeights::gate_up, 2);
  for (const auto matrix : {&LlamaBlockWeights::out, &LlamaBlockWeights::down}) {
    EXPECT_EQ(StackedBiases({&(shares[0].blocks[0].*matrix)}, 1),
              StackedBiases({&(whole.blocks[0].*matrix)}, 1));
    for (size_t rank = 1; rank < shares.size(); ++rank)
      EXPECT_TRUE((shares[rank].blocks[0].*matrix).bias.empty());
  }
}

TEST_P(LayerShares, ThePlanIsARanksShare) {
  const Numbered tensors = WholeTensors(WholeLayers());
  int64_t parameters = 0;
  const auto plan = [&](const LlamaConfig& c) {
    return CheckWeights(tensors.set, {}, "x", [&](WeightBinder& b) { BindLlama(c, b); })
        .at("model");
  };
  for (int64_t rank = 0; rank < GetParam(); ++rank)
    parameters += plan(ShareOfLayers(WholeLayers(), {rank, GetParam()}, "x")).parameters;
  // The norms of the layer are everywhere.
  EXPECT_EQ(parameters,
            plan(WholeLayers()).parameters + (GetParam() - 1) * 2 * WholeLayers().width);
}

// Of every kind and type a part is what it would be if the file held it alone.
TEST(LayerShare, PartsOfEveryKindAreThoseOfTheDividedMatrix) {
  Exec ex(1);
  Numbers numbers(3);
  TensorSet set;
  set.Add("m.weight", RandomTensor({128, 256}, numbers));
  set.Add("b.weight", testing::RandomBlocks(DType::kQ80, {128, 256}, numbers));
  for (const char* name : {"m", "b"}) {
    for (const WeightKind kind :
         {WeightKind::kF32, WeightKind::kBf16, WeightKind::kInt8, WeightKind::kInt4}) {
      for (const Division::By by : {Division::By::kRows, Division::By::kColumns}) {
        const Division second{.by = by, .part = 1, .parts = 2};
        const TensorView stored = *set.Find(std::string(name) + ".weight");
        const TensorView part = second.OfWeight(stored);
        const Tensor alone = Tensor::F32(part.shape());
        for (int64_t r = 0; r < part.dim(0); ++r)
          ReadAsF32(part.Rows(r, r + 1), 0, part.dim(1), alone.row(r));
        const LinearWeights want = PackLinear(ex, {{.weight = alone, .bias = {}}}, kind);
        LinearWeights got;
        LoadWeights(ex, set, {}, {{{"", kind}}}, [&](WeightBinder& b) {
          got = b.DividedLinear(second, {{name, 128}}, 256, Bias::kAbsent, "");
        });
        ASSERT_EQ(got.n, want.n);
        ASSERT_EQ(got.k, want.k);
        const Tensor x = RandomTensor({3, got.k}, numbers);
        const Tensor y = Tensor::F32({3, got.n}), z = Tensor::F32({3, got.n});
        Linear(ex, x, got, y);
        Linear(ex, x, want, z);
        for (int64_t i = 0; i < y.view().elements(); ++i)
          ASSERT_EQ(y.f32()[i], z.f32()[i]) << name << " " << WeightKindName(kind) << " " << i;
      }
    }
  }
}

TEST(LayerShare, WhatCannotBeDividedIsRefused) {
  Numbers numbers(5);
  TensorSet set;
  set.Add("b.weight", testing::RandomBlocks(DType::kQ4K, {4, 256}, numbers));
  const auto refusal = [&](const KindsByName& kinds, const Division& division) -> std::string {
    try {
      CheckWeights(set, {}, kinds, "x", [&](WeightBinder& b) {
        b.DividedLinear(division, {{"b", 4}}, 256, Bias::kAbsent, "");
      });
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  const Division half{.by = Division::By::kColumns, .part = 0, .parts = 2};
  EXPECT_THAT(refusal({}, half),
              HasSubstr("UNIMPLEMENTED: b.weight is q4_k [4, 256], and a part of 128 columns"));
  EXPECT_THAT(refusal({{{"", WeightKind::kBlocks}}}, half), HasSubstr("expected compute f32"));
}

}  // namespace
}  // namespace binocle
