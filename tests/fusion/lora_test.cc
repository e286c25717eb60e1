// Merging LoRA adapters: the weights that PEFT makes, bit for bit, and what does not fit said at once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "core/convert.h"
#include "core/safetensors_writer.h"
#include "core/weight_files.h"
#include "fusion/convert/convert.h"
#include "fusion/convert/lora_adapter.h"
#include "fusion/families.h"
#include "fusion/vlm_model.h"
#include "tests/testing/errors.h"
#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using testing::ErrorOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::SameBits;
namespace fs = std::filesystem;

fs::path GoldenPath(const std::string& name) { return fs::path(BINOCLE_TEST_DATA) / name; }

// A model's files, with their names.
struct Base {
  explicit Base(const fs::path& path)
      : tensors(ReadTensors(path)),
        config(ReadJsonFile(path / "config.json")),
        names(FindFamily(JsonObject(config, "config.json")).names(tensors)) {}
  TensorSet tensors;
  Json config;
  NameMap names;
};

// `stored` with its edits, as `dtype`.
Tensor Edited(const TensorView& stored, const std::vector<WeightEdit>& edits, DType dtype) {
  Exec ex(2);
  Tensor out(dtype, stored.shape());
  auto* at = static_cast<char*>(out.view().data());
  WriteEdited(ex, stored, edits, {"t", dtype, stored.shape()}, [&](std::string_view piece) {
    std::memcpy(at, piece.data(), piece.size());
    at += piece.size();
  });
  return out;
}

// The same elements in bf16.
Tensor AsBf16(const TensorView& stored) { return Edited(stored, {}, DType::kBF16); }
Tensor AsF32(const TensorView& stored) { return Edited(stored, {}, DType::kF32); }

class LoraGoldens : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};
INSTANTIATE_TEST_SUITE_P(All, LoraGoldens,
                         ::testing::Values(std::pair{"llama_patterns", "llama"},
                                           std::pair{"llava_rank_stabilized", "llava"},
                                           std::pair{"llava_all_biases", "llava_model_prefix"}),
                         [](const auto& test) { return std::string(test.param.first); });

TEST_P(LoraGoldens, TheMergedWeightsArePefts) {
  const auto [name, model] = GetParam();
  const Base base(GoldenPath(model));
  const LoraAdapter adapter(GoldenPath("lora") / name);
  WeightEdits edits;
  adapter.AddEdits(base.tensors, base.names, model, edits);
  const SafetensorsFile merged(GoldenPath("lora") / name / "merged.safetensors");
  size_t changed = 0, rounded = 0;
  for (const auto& [key, want] : merged.tensors()) {
    const bool half = key.starts_with("bf16.");
    const std::string stored = half ? key.substr(5) : key;
    ASSERT_TRUE(edits.contains(stored)) << stored;
    const TensorView& was = *base.tensors.Find(stored);
    if (half) {
      EXPECT_TRUE(SameBits(AsF32(Edited(AsBf16(was), edits[stored], DType::kBF16)), AsF32(want)))
          << key;
      ++rounded;
    } else {
      EXPECT_TRUE(SameBits(Edited(was, edits[stored], DType::kF32), want)) << key;
      ++changed;
    }
  }
  EXPECT_EQ(changed, edits.size()) << "what PEFT leaves alone is left alone";
  EXPECT_GE(rounded, 1U);
}

// A folder with an adapter on tests/golden/llava that may be damaged.
class Adapters : public ::testing::Test {
 protected:
  Adapters() {
    std::string name = (fs::temp_directory_path() / "binocle_lora_XXXXXX").string();
    root_ = mkdtemp(name.data());
    adapter_ = root_ / "adapter";
    fs::create_directory(adapter_);
    config_ = {{"peft_type", "LORA"}, {"r", 2}, {"lora_alpha", 4}};
    Add(kQ + "lora_A.weight", {2, 28});
    Add(kQ + "lora_B.weight", {40, 2});
  }
  ~Adapters() override { fs::remove_all(root_); }

  void Add(const std::string& name, const Shape& shape) {
    tensors_[name] = testing::RandomTensor(shape, numbers_);
  }
  LoraAdapter Write() {
    fs::remove(adapter_ / "model.safetensors");
    std::vector<NewTensor> news;
    for (const auto& [name, tensor] : tensors_) news.push_back({name, DType::kF32, tensor.shape()});
    WriteSafetensors(adapter_, news, 1 << 30, [&](const NewTensor& t, const auto& write) {
      const TensorView view = tensors_.at(t.name);
      write({static_cast<const char*>(view.data()), static_cast<size_t>(view.bytes())});
    });
    fs::rename(adapter_ / "model.safetensors", adapter_ / "adapter_model.safetensors");
    std::ofstream(adapter_ / "adapter_config.json") << config_;
    return LoraAdapter(adapter_);
  }
  std::string Error() {
    return ErrorOf([&] {
      const LoraAdapter adapter = Write();
      WeightEdits edits;
      adapter.AddEdits(base_.tensors, base_.names, "llava", edits);
    });
  }

  inline static const std::string kQ =
      "base_model.model.language_model.model.layers.1.self_attn.q_proj.";
  fs::path root_;
  fs::path adapter_;
  Base base_{GoldenPath("llava")};
  testing::Numbers numbers_{3};
  std::map<std::string, Tensor> tensors_;
  Json config_;
};

TEST_F(Adapters, NamesOfEveryTrainedModelFindTheirTensors) {
  EXPECT_EQ(Error(), "no error");
  for (const char* front :
       {"base_model.model.model.language_model.layers.1.", "base_model.model.model.layers.1.",
        "base_model.model.language_model.model.layers.1."}) {
    tensors_.clear();
    Add(std::string(front) + "self_attn.q_proj.lora_A.weight", {2, 28});
    Add(std::string(front) + "self_attn.q_proj.lora_B.weight", {40, 2});
    const LoraAdapter adapter = Write();
    for (const char* model : {"llava", "llava_sinks"}) {
      const Base base(GoldenPath(model));
      WeightEdits edits;
      if (std::string(model) == "llava") {
        adapter.AddEdits(base.tensors, base.names, model, edits);
        EXPECT_TRUE(edits.contains("language_model.model.layers.1.self_attn.q_proj.weight"))
            << front;
      } else {
        EXPECT_THAT(ErrorOf([&] { adapter.AddEdits(base.tensors, base.names, model, edits); }),
                    HasSubstr("1 mis-shaped"));
      }
    }
  }
}

TEST_F(Adapters, EveryTensorThatDoesNotFitIsNamedAtOnce) {
  Add("base_model.model.model.layers.9.mlp.up_proj.lora_A.weight", {2, 28});
  Add("base_model.model.model.layers.9.mlp.up_proj.lora_B.weight", {36, 2});
  Add("base_model.model.model.layers.0.mlp.up_proj.lora_A.weight", {2, 27});
  Add("base_model.model.model.layers.0.mlp.up_proj.lora_B.weight", {36, 2});
  Add("base_model.model.model.layers.2.mlp.up_proj.lora_B.weight", {36, 2});
  Add("base_model.model.model.layers.0.mlp.gate_proj.lora_A.weight", {2, 28});
  Add("base_model.model.model.layers.0.mlp.gate_proj.lora_B.weight", {36, 2});
  Add("base_model.model.model.norm.weight", {28});
  Add("base_model.model.model.multi_modal_projector.linear_1.bias", {28});
  tensors_.at("base_model.model.model.layers.0.mlp.gate_proj.lora_B.weight").f32()[5] = NAN;
  const std::string error = Error();
  EXPECT_THAT(error, HasSubstr("3 unmatched: "));
  EXPECT_THAT(error, HasSubstr("model.layers.9.mlp.up_proj"));
  EXPECT_THAT(error, HasSubstr("model.norm.weight"));
  EXPECT_THAT(error, HasSubstr("linear_1.bias"));
  EXPECT_THAT(error, HasSubstr("A is [2, 27] and B [36, 2], expected [2, 28] and [36, 2]"));
  EXPECT_THAT(error, HasSubstr("not finite: base_model.model.model.layers.0.mlp.gate_proj.lora_B"));
  EXPECT_THAT(error, HasSubstr("2 without a partner: "));
}

TEST_F(Adapters, VariantsAreRefusedByName) {
  const auto with = [&](const char* key, const Json& value) {
    const Json before = config_;
    config_[key] = value;
    std::string error = Error();
    config_ = before;
    return error;
  };
  EXPECT_THAT(with("peft_type", "LOHA"), HasSubstr("UNIMPLEMENTED"));
  EXPECT_THAT(with("use_dora", true), HasSubstr("use_dora is true"));
  EXPECT_THAT(with("fan_in_fan_out", true), HasSubstr("stores its matrices transposed"));
  EXPECT_THAT(with("use_something_of_tomorrow", true), HasSubstr("UNIMPLEMENTED"));
  EXPECT_THAT(with("init_lora_weights", "pissa"), HasSubstr("init_lora_weights is \"pissa\""));
  EXPECT_THAT(with("layer_replication", {{0, 1}}), HasSubstr("layer_replication"));
  EXPECT_THAT(with("r", 0), HasSubstr("r is 0, expected an integer from 1 to 4096"));
  EXPECT_THAT(with("r", 1000000), HasSubstr("expected an integer from 1 to 4096"));
  EXPECT_THAT(with("r", 3), HasSubstr("(rank 3"));
  EXPECT_THAT(with("bias", "some"), HasSubstr("bias is \"some\""));
  EXPECT_THAT(with("rank_pattern", {{"(", 2}}), HasSubstr("rank_pattern: ("));
  EXPECT_THAT(with("rank_pattern", {{"q_proj", 0}}), HasSubstr("expected a number from 1 to 4096"));
  EXPECT_EQ(with("use_dora", false), "no error");
  EXPECT_EQ(with("loftq_config", Json::object()), "no error");
}

TEST_F(Adapters, PicklesAndMissingFilesAreNamed) {
  Write();
  fs::rename(adapter_ / "adapter_model.safetensors", adapter_ / "adapter_model.bin");
  EXPECT_THAT(ErrorOf([&] { LoraAdapter{adapter_}; }), HasSubstr("is a pickle"));
  fs::remove(adapter_ / "adapter_model.bin");
  EXPECT_THAT(ErrorOf([&] { LoraAdapter{adapter_}; }), HasSubstr("NOT_FOUND"));
  fs::remove(adapter_ / "adapter_config.json");
  EXPECT_THAT(ErrorOf([&] { LoraAdapter{adapter_}; }),
              HasSubstr("adapter_config.json: no such file"));
}

// W + s₁B₁A₁ + s₂B₂A₂ in one rounding; what the second replaces, it replaces.
TEST_F(Adapters, SeveralAreMergedInOrder) {
  testing::Numbers numbers(11);
  const Tensor w = AsBf16(testing::RandomTensor({6, 10}, numbers));
  const Tensor a1 = testing::RandomTensor({3, 10}, numbers),
               b1 = testing::RandomTensor({6, 3}, numbers);
  const Tensor a2 = testing::RandomTensor({1, 10}, numbers),
               b2 = testing::RandomTensor({6, 1}, numbers);
  const Tensor other = testing::RandomTensor({6, 10}, numbers);
  using Kind = WeightEdit::Kind;
  const WeightEdit first{Kind::kAddProduct, a1, b1, 0.5F}, second{Kind::kAddProduct, a2, b2, -2};
  const Tensor both = Edited(w, {first, second}, DType::kF32);
  for (int64_t i = 0; i < 6; ++i) {
    for (int64_t j = 0; j < 10; ++j) {
      float was;
      ReadAsF32(w, i * 10 + j, 1, &was);
      double want = was - 2.0 * b2.f32()[i] * a2.f32()[j];
      for (int64_t r = 0; r < 3; ++r) want += 0.5 * b1.f32()[i * 3 + r] * a1.f32()[r * 10 + j];
      EXPECT_NEAR(both.f32()[i * 10 + j], want, 1e-6);
    }
  }
  EXPECT_TRUE(SameBits(AsF32(Edited(w, {first, second}, DType::kBF16)), AsF32(AsBf16(both))));
  EXPECT_TRUE(SameBits(Edited(w, {first, {Kind::kReplace, other}}, DType::kF32), other));
}

TEST_F(Adapters, AnAdapterOfATextModelFitsABinocleDirectory) {
  const std::string out = (root_ / "out").string(), form = (root_ / "form").string();
  Exec ex(2);
  ConvertDirectory(ex, GoldenPath("llava").string(), form, {.to = "binocle"});
  Write();
  const ConvertReport report = ConvertDirectory(ex, form, out, {.lora = {adapter_.string()}});
  EXPECT_EQ(report.merged_tensors, 1);
}

}  // namespace
}  // namespace binocle
