#include "llm/sinks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace binocle {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

LlamaConfig Extents(int64_t width, int64_t ff_width, int64_t layers, int64_t heads,
                    int64_t kv_heads, int64_t vocabulary) {
  LlamaConfig c;
  c.width = width;
  c.ff_width = ff_width;
  c.layers = layers;
  c.heads = heads;
  c.kv_heads = kv_heads;
  c.vocabulary = vocabulary;
  return c;
}

TEST(KnownSinkDims, OfPublicModelsByExtentsAndVocabulary) {
  EXPECT_THAT(KnownSinkDims(Extents(4096, 11008, 32, 32, 32, 32064)), ElementsAre(1415, 2533));
  EXPECT_THAT(KnownSinkDims(Extents(5120, 13824, 40, 40, 40, 32000)), ElementsAre(2100, 4743));
  EXPECT_THAT(KnownSinkDims(Extents(3584, 18944, 28, 28, 4, 152064)), ElementsAre(458, 2570));
  EXPECT_THAT(KnownSinkDims(Extents(4096, 14336, 32, 32, 8, 92553)), ElementsAre(3584));
}

TEST(KnownSinkDims, OfOthersAreUnknown) {
  EXPECT_THAT(KnownSinkDims(Extents(4096, 14336, 32, 32, 8, 128256)), IsEmpty()) << "LLaMA 3 8B";
  EXPECT_THAT(KnownSinkDims(Extents(4096, 14336, 32, 32, 8, 32000)), IsEmpty()) << "Mistral 7B";
  EXPECT_THAT(KnownSinkDims(Extents(2048, 5632, 22, 32, 4, 32000)), IsEmpty()) << "TinyLlama";
}

TEST(ScoreSinks, PhiIsTheLargestDimensionOverTheRootMeanSquare) {
  Tensor x = Tensor::F32({2, 4});
  const float values[] = {3, -4, 0, 0, 0, 0, 0, 0};
  std::copy_n(values, 8, x.f32());
  Exec ex(1);
  const Tensor scores = Tensor::F32({2, 2});
  ScoreSinks(ex, x, {0, 1}, scores);
  EXPECT_FLOAT_EQ(ScoreAt(scores, 0).phi(), 4 / 2.5F);
  EXPECT_FLOAT_EQ(ScoreAt(scores, 0).released_phi(), 4 / std::sqrt(6.25F + 1e-6F));
  EXPECT_EQ(ScoreAt(scores, 1).phi(), 0) << "a row of zeros is no sink";
  ScoreSinks(ex, x, {2}, scores);
  EXPECT_EQ(ScoreAt(scores, 0).phi(), 0) << "massive elsewhere";
}

}  // namespace
}  // namespace binocle
