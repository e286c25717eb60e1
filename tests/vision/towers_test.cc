// The towers against transformers, hidden state by hidden state.
#include <gtest/gtest.h>

#include "core/ops/elementwise.h"
#include "core/weight_files.h"
#include "tests/testing/golden.h"
#include "tests/testing/tensors.h"
#include "vision/position_embedding.h"
#include "vision/vision_config.h"

namespace binocle {
namespace {

using testing::GoldenCase;
using testing::Near;

// Beside its files.
struct TowerOptions {
  WeightKind kind = WeightKind::kF32;
  int64_t images = 1;
};

// A tower that returns hidden state `layer`, class token and patches.
std::unique_ptr<VisionEncoder> LoadTower(Exec& ex, const GoldenCase& golden,
                                         FeatureSelection feature, int64_t height, int64_t width,
                                         TowerOptions options = {}) {
  const Json json = ReadJsonFile(golden.directory() / "config.json");
  const JsonObject config(json, "config.json");
  const TensorSet tensors = ReadTensors(golden.directory());
  std::unique_ptr<VisionEncoder> tower;
  const KindsByName kinds{.entries = {{"", options.kind}}};
  const auto optioned = [&](auto shape) {
    shape.kv_dtype = KvDType(options.kind);
    shape.images = options.images;
    return shape;
  };
  const auto bind = [&](WeightBinder& b) {
    if (config.String("model_type") == "clip_vision_model") {
      const ClipConfig clip = optioned(ParseClipConfig(config, feature));
      ClipWeights weights = BindClip(clip, b);
      if (!b.checking()) tower = MakeClipEncoder(clip, std::move(weights));
    } else if (config.String("model_type") == "siglip_vision_model") {
      const SiglipConfig siglip = optioned(ParseSiglipConfig(config, feature));
      SiglipWeights weights = BindSiglip(siglip, b);
      if (!b.checking()) tower = MakeSiglipEncoder(siglip, std::move(weights));
    } else {
      const Dinov2Config dino = optioned(ParseDinov2Config(config, feature, height, width));
      Dinov2Weights weights = BindDinov2(dino, b);
      if (!b.checking()) tower = MakeDinov2Encoder(dino, std::move(weights));
    }
  };
  CheckWeights(tensors, {}, kinds, golden.directory().string(), bind);
  LoadWeights(ex, tensors, {}, kinds, bind);
  return tower;
}

// Class token and patches of a reference state; its registers lie between them.
Tensor ClassAndPatches(const TensorView& hidden, int64_t rows) {
  Tensor kept = Tensor::F32({rows, hidden.dim(1)}, hidden.name());
  const int64_t registers = hidden.dim(0) - rows;
  for (int64_t r = 0; r < rows; ++r)
    std::copy_n(hidden.row(r == 0 ? 0 : r + registers), hidden.dim(1), kept.row(r));
  return kept;
}

class Towers : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(All, Towers,
                         ::testing::Values("clip", "clip_gelu", "dinov2", "dinov2_swiglu",
                                           "dinov2_registers", "siglip", "siglip_no_head"));

TEST_P(Towers, EveryHiddenStateEqualsTransformers) {
  const GoldenCase golden(GetParam());
  Exec ex(2);
  const auto layers = golden.json()["layers"].get<int64_t>();
  int64_t compared = 0;
  for (size_t i = 0; i < golden.json()["inputs"].size(); ++i) {
    const Json& input = golden.json()["inputs"][i];
    const int64_t height = input["height"], width = input["width"];
    const Tensor pixels = testing::HashPixels(height, width, input["seed"].get<uint32_t>());
    for (int64_t layer = 0; layer <= layers; ++layer) {
      const std::string name = "input" + std::to_string(i) + ".hidden." + std::to_string(layer);
      if (!golden.Has(name)) continue;
      const auto tower =
          LoadTower(ex, golden, {.layer = layer, .keep_class_token = true}, height, width);
      Tensor got = Tensor::F32({tower->tokens(), tower->width()});
      tower->Encode(ex, pixels, got, nullptr);
      EXPECT_TRUE(Near(got, ClassAndPatches(golden.Tensor(name), tower->tokens()), "tower"))
          << height << " × " << width;
      ++compared;
    }
  }
  EXPECT_GE(compared, layers + 1);
}

// CLIP's last_hidden_state is not normed, so its references have no such state.
class NormedTowers : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(All, NormedTowers,
                         ::testing::Values("dinov2", "dinov2_swiglu", "dinov2_registers", "siglip",
                                           "siglip_no_head"));

TEST_P(NormedTowers, TheFinalNormEqualsTransformers) {
  const GoldenCase golden(GetParam());
  const Json& input = golden.json()["inputs"][0];
  Exec ex(2);
  const auto tower =
      LoadTower(ex, golden, {.layer = -1, .keep_class_token = true, .final_norm = true},
                input["height"], input["width"]);
  Tensor got = Tensor::F32({tower->tokens(), tower->width()});
  tower->Encode(ex,
                testing::HashPixels(input["height"], input["width"], input["seed"].get<uint32_t>()),
                got, nullptr);
  EXPECT_TRUE(Near(got, ClassAndPatches(golden.Tensor("input0.normed"), tower->tokens()), "tower"));
}

class ClassTokens : public Towers {};
INSTANTIATE_TEST_SUITE_P(All, ClassTokens,
                         ::testing::Values("clip", "clip_gelu", "dinov2", "dinov2_swiglu",
                                           "dinov2_registers"));

// Row 0 of the references' last state, before and after the final norm.
TEST_P(ClassTokens, AreTheReferencesFirstRow) {
  const GoldenCase golden(GetParam());
  const Json& input = golden.json()["inputs"][0];
  const auto layers = golden.json()["layers"].get<int64_t>();
  const bool clip = golden.json()["model_type"] == "clip_vision_model";
  Exec ex(2);
  const Tensor pixels =
      testing::HashPixels(input["height"], input["width"], input["seed"].get<uint32_t>());
  const auto first_of = [&](const std::string& name) { return golden.Tensor(name).Rows(0, 1); };
  for (const bool final_norm : {false, true}) {
    const auto tower = LoadTower(ex, golden, {.layer = -1, .final_norm = final_norm},
                                 input["height"], input["width"]);
    Tensor got = Tensor::F32({1, tower->width()}, "class_token");
    ASSERT_TRUE(tower->Has(ClassOutput::kLast) && tower->Has(ClassOutput::kPooled));
    tower->EncodeWhole(ex, pixels, ClassOutput::kLast, got);
    EXPECT_TRUE(Near(got,
                     first_of(clip ? "input0.hidden." + std::to_string(layers) : "input0.normed"),
                     "tower"));
    tower->EncodeWhole(ex, pixels, ClassOutput::kPooled, got);
    EXPECT_TRUE(Near(got, first_of("input0.normed"), "tower"));
  }
  const auto cut = LoadTower(ex, golden, {.layer = -2}, input["height"], input["width"]);
  EXPECT_FALSE(cut->Has(ClassOutput::kLast) || cut->Has(ClassOutput::kPooled));
}

TEST(Siglip, ThePoolingHeadEqualsTransformers) {
  const GoldenCase golden("siglip");
  const Json& input = golden.json()["inputs"][0];
  Exec ex(2);
  const Tensor pixels =
      testing::HashPixels(input["height"], input["width"], input["seed"].get<uint32_t>());
  const auto tower = LoadTower(ex, golden, {.layer = -1}, input["height"], input["width"]);
  EXPECT_FALSE(tower->Has(ClassOutput::kLast));
  ASSERT_TRUE(tower->Has(ClassOutput::kPooled));
  Tensor got = Tensor::F32({1, tower->width()}, "pooled");
  tower->EncodeWhole(ex, pixels, ClassOutput::kPooled, got);
  EXPECT_TRUE(Near(got, golden.Tensor("input0.pooled").Reshape({1, tower->width()}), "tower"));
  const auto cut = LoadTower(ex, golden, {.layer = -2}, input["height"], input["width"]);
  EXPECT_FALSE(cut->Has(ClassOutput::kPooled));
  const GoldenCase headless("siglip_no_head");
  const auto without = LoadTower(ex, headless, {.layer = -1}, 0, 0);
  EXPECT_FALSE(without->Has(ClassOutput::kPooled));
}

TEST_P(Towers, NegativeLayersCountFromTheEnd) {
  const GoldenCase golden(GetParam());
  const Json& input = golden.json()["inputs"][0];
  const auto layers = golden.json()["layers"].get<int64_t>();
  Exec ex(2);
  const Tensor pixels =
      testing::HashPixels(input["height"], input["width"], input["seed"].get<uint32_t>());
  const auto run = [&](int64_t layer) {
    const auto tower = LoadTower(ex, golden, {.layer = layer}, input["height"], input["width"]);
    Tensor got = Tensor::F32({tower->tokens(), tower->width()}, "features");
    tower->Encode(ex, pixels, got, nullptr);
    return got;
  };
  EXPECT_TRUE(testing::SameBits(run(-2), run(layers - 1)));
}

// In passes of all, some and one of them, f32 and fewer bits: features and what a tap sees of the first. All have more rows than a tile of the
// products, each alone has fewer.
TEST_P(Towers, PicturesTogetherAreBitForBitThoseAlone) {
  const GoldenCase golden(GetParam());
  const Json& input = golden.json()["inputs"][0];
  const int64_t height = input["height"], width = input["width"];
  constexpr int64_t kPictures = 16;
  Tensor pixels = Tensor::F32({3 * kPictures, height, width}, "pixels");
  for (int64_t i = 0; i < kPictures; ++i) {
    const Tensor picture = testing::HashPixels(height, width, static_cast<uint32_t>(100 + i));
    CopyRows(picture.view().Reshape({3, height * width}),
             pixels.view().Rows(3 * i, 3 * i + 3).Reshape({3, height * width}));
  }
  const auto two_layers = [] {
    AttentionTap tap;
    tap.layers.push_back(
        {.index = 0, .received_wanted = true, .class_weights = {}, .received = {}});
    tap.layers.push_back(
        {.index = 1, .received_wanted = false, .class_weights = {}, .received = {}});
    return tap;
  };
  for (const WeightKind kind : {WeightKind::kF32, WeightKind::kBf16, WeightKind::kInt8}) {
    Exec ex(2);
    const FeatureSelection last{.layer = -1};
    const auto alone = LoadTower(ex, golden, last, height, width, {.kind = kind});
    const auto many =
        LoadTower(ex, golden, last, height, width, {.kind = kind, .images = kPictures});
    ASSERT_EQ(alone->most_images(), 1);
    ASSERT_EQ(many->most_images(), kPictures);
    const int64_t tokens = alone->tokens();
    std::vector<Tensor> want;
    std::vector<AttentionTap> want_taps;
    for (int64_t i = 0; i < kPictures; ++i) {
      want.push_back(Tensor::F32({tokens, alone->width()}, "features"));
      want_taps.push_back(two_layers());
      alone->Encode(ex, pixels.view().Rows(3 * i, 3 * i + 3), want.back(), &want_taps.back());
    }
    for (const auto& [first, count] : {std::pair<int64_t, int64_t>(0, kPictures), {1, 5}, {2, 1}}) {
      Tensor got = Tensor::F32({count * tokens, many->width()}, "features");
      AttentionTap tap = two_layers();
      many->Encode(ex, pixels.view().Rows(3 * first, 3 * (first + count)), got, &tap);
      for (int64_t i = 0; i < count; ++i)
        EXPECT_TRUE(testing::SameBits(got.view().Rows(i * tokens, (i + 1) * tokens),
                                      want[static_cast<size_t>(first + i)]))
            << WeightKindName(kind) << ", picture " << i << " of " << count;
      const AttentionTap& want_tap = want_taps[static_cast<size_t>(first)];
      for (size_t l = 0; l < 2; ++l)
        EXPECT_TRUE(
            testing::SameBits(tap.layers[l].class_weights, want_tap.layers[l].class_weights))
            << WeightKindName(kind) << ", layer " << l;
      EXPECT_TRUE(testing::SameBits(tap.layers[0].received, want_tap.layers[0].received));
    }
    if (!many->Has(ClassOutput::kPooled)) continue;
    const TensorView last_picture = pixels.view().Rows(6, 9);
    Tensor want_token = Tensor::F32({1, many->width()}, "pooled"), got_token = want_token.Clone();
    alone->EncodeWhole(ex, last_picture, ClassOutput::kPooled, want_token);
    many->EncodeWhole(ex, last_picture, ClassOutput::kPooled, got_token);
    EXPECT_TRUE(testing::SameBits(got_token, want_token)) << "after a pass of others";
  }
}

TEST_P(Towers, TappedAttentionIsADistributionAndIsSharedByNoHead) {
  const GoldenCase golden(GetParam());
  const Json& input = golden.json()["inputs"][0];
  Exec ex(2);
  const auto tower = LoadTower(ex, golden, {.layer = -1}, input["height"], input["width"]);
  const Tensor pixels =
      testing::HashPixels(input["height"], input["width"], input["seed"].get<uint32_t>());
  Tensor plain = Tensor::F32({tower->tokens(), tower->width()}, "features"), tapped = plain.Clone();
  tower->Encode(ex, pixels, plain, nullptr);
  AttentionTap tap;
  tap.layers.push_back({.index = 0, .received_wanted = true, .class_weights = {}, .received = {}});
  tap.layers.push_back({.index = 2, .received_wanted = false, .class_weights = {}, .received = {}});
  tower->Encode(ex, pixels, tapped, &tap);
  EXPECT_TRUE(testing::SameBits(tapped, plain)) << "looking changes nothing";
  if (const std::string name = GetParam(); name.starts_with("siglip")) {
    for (const auto& layer : tap.layers)
      EXPECT_TRUE(testing::SameBits(layer.class_weights, layer.received)) << "no class token";
    double sum = 0;  // all tokens are patches: what they give they get
    for (int64_t j = 0; j < plain.dim(0); ++j) sum += tap.layers[0].received.row(0)[j];
    EXPECT_NEAR(sum, static_cast<double>(plain.dim(0)), 1e-3);
    return;
  }
  for (const auto& layer : tap.layers) {
    ASSERT_FALSE(layer.class_weights.empty());
    EXPECT_EQ(layer.class_weights.dim(1), tower->grid().patches());
    for (int64_t h = 0; h < layer.class_weights.dim(0); ++h) {
      double sum = 0;
      for (int64_t p = 0; p < layer.class_weights.dim(1); ++p) sum += layer.class_weights.row(h)[p];
      EXPECT_GT(sum, 0);
      EXPECT_LE(sum, 1 + 1e-5) << "the class token's own share and the registers' are missing";
    }
  }
  const Tensor& heads = tap.layers[0].class_weights;
  EXPECT_FALSE(testing::SameBits(heads.view().Rows(0, 1), heads.view().Rows(1, 2)));
  // What all patches receive is what all tokens give, but for the special tokens' share.
  const Tensor& received = tap.layers[0].received;
  double sum = 0;
  for (int64_t j = 0; j < received.dim(1); ++j) sum += received.row(0)[j];
  EXPECT_GT(sum, 0.5 * static_cast<double>(received.dim(1)));
  EXPECT_LT(sum, static_cast<double>(received.dim(1) + 6));
  EXPECT_TRUE(tap.layers[1].received.empty());
}

TEST(PositionEmbedding, AConstantGridStaysConstant) {
  Tensor grid = Tensor::F32({20, 3});
  std::fill_n(grid.f32(), 60, 0.7F);
  for (const Antialias antialias : {Antialias::kOff, Antialias::kOn}) {
    const Tensor out = ResampleBicubic(grid, {4, 5}, {9, 2}, antialias);
    for (int64_t i = 0; i < out.view().elements(); ++i) EXPECT_NEAR(out.f32()[i], 0.7F, 1e-6);
  }
}

TEST(PositionEmbedding, TheSameGridIsTheIdentity) {
  testing::Numbers numbers(1);
  const Tensor grid = testing::RandomTensor({12, 5}, numbers);
  for (const Antialias antialias : {Antialias::kOff, Antialias::kOn}) {
    EXPECT_TRUE(Near(ResampleBicubic(grid, {3, 4}, {3, 4}, antialias), grid, "tower"));
  }
}

}  // namespace
}  // namespace binocle
