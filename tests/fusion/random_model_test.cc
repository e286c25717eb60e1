// Random models: numbers as they should be, the same whoever draws them, in files that load.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>

#include "core/convert.h"
#include "core/mapped_file.h"
#include "fusion/random/make_random.h"
#include "fusion/random/presets.h"
#include "fusion/random/random_fill.h"
#include "fusion/random/random_weights.h"
#include "fusion/vlm_model.h"
#include "tests/testing/errors.h"

namespace binocle {
namespace {

using testing::ErrorOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr int64_t kMany = int64_t{1} << 20;

std::vector<float> Drawn(DType dtype, RandomWidth width, uint64_t key, int threads = 2) {
  Exec ex(threads);
  Tensor tensor(dtype, {kMany});
  RandomElements(dtype, width, key).Fill(ex, 0, kMany, tensor.view().data());
  std::vector<float> values(kMany);
  ReadAsF32(tensor, 0, kMany, values.data());
  return values;
}

struct Moments {
  double mean = 0, deviation = 0, kurtosis = 0;
};

Moments MomentsOf(const std::vector<float>& values) {
  double sum = 0, squares = 0, fourths = 0;
  const auto n = static_cast<double>(values.size());
  for (const float v : values) sum += v;
  for (const float v : values) {
    const double d = (v - sum / n) * (v - sum / n);
    squares += d;
    fourths += d * d;
  }
  return {sum / n, std::sqrt(squares / n), n * fourths / (squares * squares)};
}

// Standard errors of a million draws: 0.001 of the deviation for the mean, 0.0007 for the deviation, 0.005 for the kurtosis.
TEST(RandomElements, AreNormalWithTheAskedMeanAndWidth) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    const Moments m = MomentsOf(Drawn(dtype, {0.25F, 0.5F}, 1));
    EXPECT_NEAR(m.mean, 0.25, 0.0025) << DTypeName(dtype);
    EXPECT_NEAR(m.deviation, 0.5, 0.002) << DTypeName(dtype);
    EXPECT_NEAR(m.kurtosis, 3, 0.03) << DTypeName(dtype);
  }
}

TEST(RandomElements, OfBlocksHaveTheAskedWidthAndNoMean) {
  for (const DType dtype : {DType::kQ80, DType::kQ40}) {
    const Moments m = MomentsOf(Drawn(dtype, {0, 0.02F}, 1));
    EXPECT_NEAR(m.mean, 0, 0.0002) << DTypeName(dtype);
    EXPECT_NEAR(m.deviation, 0.02, 0.0001) << DTypeName(dtype);
  }
}

TEST(RandomElements, NeighboursAndOtherKeysAreUnrelated) {
  const auto correlation = [](const std::vector<float>& a, const std::vector<float>& b,
                              size_t lag) {
    double sum = 0;
    for (size_t i = lag; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i - lag];
    return sum / static_cast<double>(a.size());
  };
  const auto one = Drawn(DType::kF32, {}, RandomKey(0, "a"));
  EXPECT_NEAR(correlation(one, one, 0), 1, 0.01);
  for (const size_t lag : {1, 2, 3, 4, 5, 256, 4096})
    EXPECT_NEAR(correlation(one, one, lag), 0, 0.005);
  EXPECT_NEAR(correlation(one, Drawn(DType::kF32, {}, RandomKey(0, "b")), 0), 0, 0.005);
  EXPECT_NEAR(correlation(one, Drawn(DType::kF32, {}, RandomKey(1, "a")), 0), 0, 0.005);
}

TEST(RandomElements, DependNeitherOnThreadsNorOnPieces) {
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kQ80, DType::kQ40}) {
    Exec one(1), three(3);
    const RandomElements elements(dtype, {}, 5);
    const int64_t count = 300'000 / 32 * 32;
    Tensor whole(dtype, {count}), pieces(dtype, {count});
    elements.Fill(three, 0, count, whole.view().data());
    for (int64_t first = 0; first < count; first += 70'144)
      elements.Fill(one, first, std::min<int64_t>(70'144, count - first),
                    static_cast<char*>(pieces.view().data()) + StoredBytes(dtype, first));
    EXPECT_EQ(std::memcmp(whole.view().data(), pieces.view().data(),
                          static_cast<size_t>(whole.view().bytes())),
              0)
        << DTypeName(dtype);
  }
}

class RandomModels : public ::testing::Test {
 protected:
  RandomModels() {
    std::string name = (fs::temp_directory_path() / "binocle_random_XXXXXX").string();
    root_ = mkdtemp(name.data());
  }
  ~RandomModels() override { fs::remove_all(root_); }

  std::string Make(const std::string& preset, const std::string& name,
                   const RandomModelOptions& options, int threads = 2) {
    Exec ex(threads);
    MakeRandom(ex, preset, (root_ / name).string(), options);
    return (root_ / name).string();
  }

  fs::path root_;
};

TEST_F(RandomModels, TinyOnesOfEveryKindAndTypeLoad) {
  for (const char* preset : {"tiny-llama", "tiny-llava", "tiny-binocle"}) {
    for (const char* dtype : {"f32", "f16", "bf16"}) {
      const std::string path = Make(preset, std::string(preset) + dtype, {.dtype = dtype});
      const CheckedModel checked(path, {});
      EXPECT_EQ(checked.config().end_tokens.back(), 2) << path;
      for (const auto& [name, view] : checked.tensors().tensors())
        EXPECT_EQ(DTypeName(view.dtype()), dtype) << name;
    }
  }
  for (const char* dtype : {"f32", "f16", "bf16", "q8_0", "q4_0"}) {
    const CheckedModel checked(Make("tiny-llama", std::string(dtype) + ".gguf", {.dtype = dtype}),
                               {});
    const TensorView* q =
        checked.tensors().Find("language_model.model.layers.3.self_attn.q_proj.weight");
    ASSERT_NE(q, nullptr);
    EXPECT_EQ(DTypeName(q->dtype()), dtype);
  }
}

TEST_F(RandomModels, OneSeedGivesOneModelWhateverTheThreads) {
  const auto bytes = [](const std::string& path) { return ReadFile(path, 1 << 26); };
  for (const char* ending : {"", ".gguf"}) {
    const std::string inner = *ending ? "" : "/model.safetensors";
    const std::string end(ending);
    const std::string a = bytes(Make("tiny-llama", "a" + end, {.seed = 3}, 1) + inner);
    EXPECT_EQ(a, bytes(Make("tiny-llama", "b" + end, {.seed = 3}, 3) + inner));
    EXPECT_NE(a, bytes(Make("tiny-llama", "c" + end, {.seed = 4}, 3) + inner));
  }
}

// Parameters as published, of the shapes alone.
TEST_F(RandomModels, PresetsHaveThePublishedSizes) {
  const std::map<std::string, int64_t> published = {
      {"vicuna-7b", 6'738'415'616},     {"tinyllama-1.1b", 1'100'048'384},
      {"mistral-7b", 7'241'732'096},    {"qwen2.5-0.5b", 494'032'768},
      {"qwen2.5-7b", 7'615'616'512},    {"qwen3-0.6b", 596'049'920},
      {"smollm2-135m", 134'515'008},    {"llava-1.5-7b", 7'063'427'072},
      {"llava-1.5-13b", 13'351'494'656}};
  for (const auto& [name, parameters] : published) {
    // Every tensor is asked for before the first byte is written: stop there.
    int64_t total = 0;
    const auto stop = [&](int64_t, int64_t bytes) {
      total = bytes;
      throw Error(Code::kCancelled, "stopped");
    };
    EXPECT_THAT(ErrorOf([&] { Make(name, name, {.dtype = "f16", .on_progress = stop}); }),
                ::testing::AnyOf(HasSubstr("CANCELLED"), HasSubstr("has room for")));
    if (total > 0) {
      EXPECT_EQ(total / 2, parameters) << name;
    }
  }
  EXPECT_TRUE(fs::is_empty(root_));
}

TEST_F(RandomModels, WhatCannotBeMadeIsSaid) {
  EXPECT_THAT(ErrorOf([&] { Make("gpt-9", "x", {}); }),
              HasSubstr("preset is gpt-9, expected one of"));
  EXPECT_THAT(ErrorOf([&] { Make("tiny-llama", "x", {.dtype = "q4_0"}); }),
              HasSubstr("dtype is q4_0"));
  EXPECT_THAT(ErrorOf([&] { Make("tiny-llava", "x.gguf", {}); }),
              HasSubstr("expected a text model"));
  Make("tiny-llama", "x", {});
  EXPECT_THAT(ErrorOf([&] { Make("tiny-llama", "x", {}); }), HasSubstr("ALREADY_EXISTS"));
  Make("tiny-llama", "x", {.overwrite = true});
  EXPECT_EQ(std::distance(fs::directory_iterator(root_), {}), 1);
}

}  // namespace
}  // namespace binocle
