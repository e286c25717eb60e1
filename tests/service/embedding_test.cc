// Vectors of pictures and texts: against transformers, and beside answers that are on their way.
#include "binocle/embedding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <future>

#include "binocle/engine.h"
#include "core/json.h"
#include "core/safetensors.h"
#include "tests/service/answers.h"
#include "tests/testing/errors.h"
#include "tests/testing/golden.h"
#include "tests/testing/tensors.h"
#include "tests/testing/test_engine.h"

namespace binocle {
namespace {

using testing::ErrorOf;
using testing::GoldenModel;
using ::testing::HasSubstr;
using testing::Near;
using testing::SameAnswer;
using testing::Scene;

Tensor TensorOf(const Embedding& embedding) {
  Tensor tensor = Tensor::F32({embedding.rows, embedding.width}, "embedding");
  std::copy(embedding.values.begin(), embedding.values.end(), tensor.f32());
  return tensor;
}

// embeddings.json and embeddings.safetensors of a case.
struct Reference {
  explicit Reference(const std::string& name)
      : folder(GoldenModel(name)),
        json(ReadJsonFile(folder / "embeddings.json")),
        tensors(folder / "embeddings.safetensors") {}

  // [n, width]; a vector is one row.
  TensorView Of(const std::string& name) const {
    const TensorView& found = tensors.tensors().at(name);
    return found.rank() == 1 ? found.Reshape({1, found.dim(0)}) : found;
  }
  ImageInput Image(size_t i) const {
    return ImageInput::FromFile(folder / json["images"][i].get<std::string>());
  }

  std::filesystem::path folder;
  Json json;
  SafetensorsFile tensors;
};

class TextEmbedding : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Models, TextEmbedding,
                         ::testing::Values("llava", "binocle_anchor", "binocle_mixed_vo"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(TextEmbedding, StatesEqualTransformers) {
  const Reference reference(GetParam());
  for (const int64_t chunk : {512, 7, 1}) {
    Engine engine = testing::LoadEngine(reference.folder.string(), {.prefill_chunk_tokens = chunk});
    for (size_t i = 0; i < reference.json["texts"].size(); ++i) {
      const Json& text = reference.json["texts"][i];
      const auto words = text["text"].get<std::string>();
      const TensorView want = reference.Of("text" + std::to_string(i));
      const Embedding all = engine.EmbedText(words, {.pooling = Pooling::kTokens});
      EXPECT_EQ(all.tokens, std::ssize(text["ids"]));
      EXPECT_TRUE(Near(TensorOf(all), want, "stage"));
      const Embedding last = engine.EmbedText(words, {.pooling = Pooling::kPooled});
      EXPECT_EQ(last.rows, 1);
      EXPECT_EQ(last.tokens, all.tokens);
      EXPECT_TRUE(Near(TensorOf(last), want.Rows(want.dim(0) - 1, want.dim(0)), "stage"));
    }
  }
}

TEST_P(TextEmbedding, ChunksThreadsAndWhatWasAskedBeforeChangeNoBit) {
  const std::string model = GoldenModel(GetParam());
  const std::string text(150, 'a');
  Engine whole = testing::LoadEngine(model, {});
  const auto want = whole.EmbedText(text, {.pooling = Pooling::kTokens}).values;
  for (const int64_t chunk : {1, 5, 64}) {
    Engine engine = testing::LoadEngine(model, {.threads = 1, .prefill_chunk_tokens = chunk});
    Request request = testing::Raw(text, {}, 2);
    engine.Generate(request);  // the prefix index has the text
    EXPECT_EQ(engine.EmbedText(text, {.pooling = Pooling::kTokens}).values, want);
    EXPECT_EQ(engine.stats().free_pages + engine.stats().prefix_pages, engine.stats().pages);
  }
}

TEST(Embedding, MeansAndLengthsAreThoseOfTheTokens) {
  Engine engine = testing::LoadEngine(GoldenModel("binocle_ftz"), {});
  const auto check = [](const Embedding& tokens, const Embedding& mean, const Embedding& unit) {
    ASSERT_EQ(mean.rows, 1);
    ASSERT_EQ(mean.width, tokens.width);
    double squares = 0;
    for (int64_t d = 0; d < mean.width; ++d) {
      double sum = 0;
      for (int64_t r = 0; r < tokens.rows; ++r)
        sum += tokens.values[static_cast<size_t>(r * tokens.width + d)];
      EXPECT_NEAR(mean.values[static_cast<size_t>(d)], sum / static_cast<double>(tokens.rows),
                  1e-6);
      squares += std::pow(mean.values[static_cast<size_t>(d)], 2);
    }
    for (size_t d = 0; d < mean.values.size(); ++d)
      EXPECT_NEAR(unit.values[d] * std::sqrt(squares), mean.values[d], 1e-6);
  };
  const auto all = [&](const auto& embed) {
    check(embed({.pooling = Pooling::kTokens}), embed({}), embed({.normalize = true}));
    const Embedding rows = embed({.pooling = Pooling::kTokens, .normalize = true});
    for (int64_t r = 0; r < rows.rows; ++r) {
      double squares = 0;
      for (int64_t d = 0; d < rows.width; ++d)
        squares += std::pow(rows.values[static_cast<size_t>(r * rows.width + d)], 2);
      EXPECT_NEAR(squares, 1, 1e-5);
    }
  };
  all([&](const EmbeddingOptions& options) { return engine.EmbedImage(Scene("61x83"), options); });
  all([&](const EmbeddingOptions& options) { return engine.EmbedText("the cat", options); });
}

TEST(Embedding, APictureGivesItsVisualTokens) {
  const testing::GoldenCase golden("binocle_ftz");
  Engine engine = testing::LoadEngine(golden.directory().string(), {});
  const auto path = golden.json()["images"][0].get<std::string>();
  const Embedding tokens = engine.EmbedImage(ImageInput::FromFile(golden.directory() / path),
                                             {.pooling = Pooling::kTokens});
  EXPECT_EQ(tokens.tokens, engine.info().image_tokens);
  EXPECT_EQ(tokens.rows, tokens.tokens);
  EXPECT_TRUE(Near(TensorOf(tokens), golden.Tensor("image0.projected"), "stage"));
  EXPECT_EQ(engine.EmbedImage(Scene("61x83")).tokens, tokens.tokens) << "of the input, not rows";
}

// A copy of a model whose leading tower is read after its last layer.
class LastLayer : public ::testing::Test {
 protected:
  explicit LastLayer() : reference_("binocle_anchor") {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    for (const auto& entry : std::filesystem::directory_iterator(reference_.folder))
      std::filesystem::create_symlink(std::filesystem::canonical(entry.path()),
                                      folder_ / entry.path().filename());
  }
  ~LastLayer() override { std::filesystem::remove_all(folder_); }

  Engine Load(bool final_norm) {
    Json config = ReadJsonFile(reference_.folder / "config.json");
    config["anchor_config"]["vision_feature_layer"] = -1;
    config["anchor_config"]["vision_feature_norm"] = final_norm;
    std::filesystem::remove(folder_ / "config.json");
    std::ofstream(folder_ / "config.json") << config.dump();
    return testing::LoadEngine(folder_.string(), {});
  }

  Reference reference_;
  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("binocle_last_layer_" + std::to_string(getpid()));
};

void ExpectClassTokens(Engine& engine, const Reference& reference) {
  for (size_t i = 0; i < 2; ++i) {
    const std::string name = "image" + std::to_string(i);
    const auto embed = [&](Pooling pooling) {
      return engine.EmbedImage(reference.Image(i), {.pooling = pooling});
    };
    const Embedding token = embed(Pooling::kClassToken);
    EXPECT_EQ(token.tokens, engine.info().image_tokens);
    EXPECT_TRUE(Near(TensorOf(token), reference.Of(name + ".class_token"), "tower"));
    EXPECT_TRUE(Near(TensorOf(embed(Pooling::kPooled)), reference.Of(name + ".pooled"), "tower"));
  }
}

TEST_F(LastLayer, OfClipEqualsTransformers) {
  for (const bool final_norm : {false, true}) {
    Engine engine = Load(final_norm);
    ExpectClassTokens(engine, reference_);
  }
}

TEST(Embedding, OfDinov2EqualsTransformers) {
  const Reference reference("binocle_augment");
  Engine engine = testing::LoadEngine(reference.folder.string(), {});
  ExpectClassTokens(engine, reference);
}

TEST(Embedding, WhatAModelDoesNotHaveIsRefused) {
  Engine engine = testing::LoadEngine(GoldenModel("llava"), {});
  for (const auto& [pooling, name] :
       {std::pair(Pooling::kClassToken, "class_token"), std::pair(Pooling::kPooled, "pooled")}) {
    EXPECT_EQ(ErrorOf([&] { engine.EmbedImage(Scene("61x83"), {.pooling = pooling}); }),
              "UNIMPLEMENTED: pooling is " + std::string(name) +
                  ", expected mean or tokens: llava reads its clip_vision_model after 2 of 3 "
                  "layers, and the last ones are not loaded (vision_feature_layer)");
  }
  EXPECT_THAT(ErrorOf([&] { engine.EmbedText("cat", {.pooling = Pooling::kClassToken}); }),
              HasSubstr("UNIMPLEMENTED: pooling is class_token"));
  EXPECT_EQ(ErrorOf([&] { engine.EmbedText(""); }), "INVALID_ARGUMENT: text: is empty");
  EXPECT_THAT(ErrorOf([&] { engine.EmbedText("a <image>"); }),
              HasSubstr("INVALID_ARGUMENT: text: has 1 <image> mark"));
}

TEST(Embedding, TheContextBoundsTexts) {
  Engine engine = testing::LoadEngine(GoldenModel("binocle_vo"), {.context_tokens = 64});
  const Embedding full = engine.EmbedText(std::string(62, 'x'));
  EXPECT_EQ(full.tokens, 64) << "<s>, the space, and 62 of x";
  EXPECT_EQ(ErrorOf([&] { engine.EmbedText(std::string(63, 'x')); }),
            "INVALID_ARGUMENT: text: has 65 tokens, expected at most 64, the context");
  EXPECT_EQ(engine.EmbedText(std::string(62, 'x')).values, full.values);
}

TEST(Embedding, CallersMayEndIt) {
  Engine engine = testing::LoadEngine(GoldenModel("binocle_vo"), {});
  const Observer no{.on_delta = {}, .keep_going = [] { return false; }};
  EXPECT_THAT(ErrorOf([&] { engine.EmbedText("cat", {}, no); }), HasSubstr("CANCELLED"));
  EXPECT_THAT(ErrorOf([&] { engine.EmbedImage(Scene("61x83"), {}, no); }), HasSubstr("CANCELLED"));
  const Observer bad{.on_delta = {}, .keep_going = []() -> bool { throw std::runtime_error("x"); }};
  EXPECT_THROW(engine.EmbedText("cat", {}, bad), std::runtime_error);
  EXPECT_EQ(engine.stats().running, 0);
  EXPECT_EQ(engine.EmbedText("cat").rows, 1) << "the engine goes on";
}

// Answers and embeddings side by side, with few rows a pass and few pages, so that they share passes and some are sent back.
TEST(Embedding, NeighboursChangeNothing) {
  const std::string model = GoldenModel("binocle_mixed_vo");
  const auto text_of = [](int i) { return std::string(static_cast<size_t>(20 + 13 * i), 'b'); };
  const auto request_of = [](int i) {
    return testing::Raw("<image>What" + std::string(static_cast<size_t>(i), '?'),
                        {Scene(i % 2 == 0 ? "61x83" : "70x70")}, 40);
  };
  constexpr int kEach = 6;
  Engine alone = testing::LoadEngine(model, {});
  std::vector<Response> answers;
  std::vector<std::vector<float>> texts, pictures;
  for (int i = 0; i < kEach; ++i) {
    answers.push_back(alone.Generate(request_of(i)));
    texts.push_back(alone.EmbedText(text_of(i)).values);
    pictures.push_back(alone.EmbedImage(Scene(i % 2 == 0 ? "61x83" : "70x70")).values);
  }
  Engine engine = testing::LoadEngine(
      model,
      {.context_tokens = 192, .prefill_chunk_tokens = 16, .max_sequences = 6, .kv_tokens = 448});
  std::vector<std::future<Response>> asked;
  std::vector<std::future<Embedding>> embedded, seen;
  for (int i = 0; i < kEach; ++i) {
    asked.push_back(
        std::async(std::launch::async, [&, i] { return engine.Generate(request_of(i)); }));
    embedded.push_back(
        std::async(std::launch::async, [&, i] { return engine.EmbedText(text_of(i)); }));
    seen.push_back(std::async(std::launch::async, [&, i] {
      return engine.EmbedImage(Scene(i % 2 == 0 ? "61x83" : "70x70"));
    }));
  }
  for (size_t i = 0; i < kEach; ++i) {
    EXPECT_TRUE(SameAnswer(asked[i].get(), answers[i]));
    EXPECT_EQ(embedded[i].get().values, texts[i]);
    EXPECT_EQ(seen[i].get().values, pictures[i]);
  }
  EXPECT_EQ(engine.stats().free_pages + engine.stats().prefix_pages, engine.stats().pages);
}

}  // namespace
}  // namespace binocle
