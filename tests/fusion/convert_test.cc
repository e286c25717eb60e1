// Model directories in another form: what comes out says the same and has the same bytes.
#include "fusion/convert/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "core/convert.h"
#include "core/mapped_file.h"
#include "core/weight_files.h"
#include "fusion/families.h"
#include "fusion/random/make_random.h"
#include "fusion/vlm_model.h"
#include "tests/testing/errors.h"

namespace binocle {
namespace {

using testing::ErrorOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class Converting : public ::testing::Test {
 protected:
  Converting() {
    std::string name = (fs::temp_directory_path() / "binocle_convert_XXXXXX").string();
    root_ = mkdtemp(name.data());
  }
  ~Converting() override { fs::remove_all(root_); }

  ConvertReport Convert(const std::string& from, const std::string& to,
                        const ConvertOptions& options) {
    Exec ex(2);
    return ConvertDirectory(ex, from, (root_ / to).string(), options);
  }
  std::string Golden(const std::string& name) const {
    return (fs::path(BINOCLE_TEST_DATA) / name).string();
  }
  std::string Made(const std::string& name) const { return (root_ / name).string(); }
  // A golden's directory that may be changed.
  std::string Copy(const std::string& name) {
    fs::copy(Golden(name), root_ / name, fs::copy_options::recursive);
    return Made(name);
  }
  // A text model, f32.
  std::string Text() {
    Exec ex(1);
    MakeRandom(ex, "tiny-llama", Made("text"), {.dtype = "f32"});
    return Made("text");
  }
  void Edit(const std::string& path, const std::function<void(Json&)>& edit) {
    Json json = ReadJsonFile(path);
    edit(json);
    std::ofstream(path) << json;
  }

  fs::path root_;
};

// By the names of docs/model_format.md.
std::map<std::string, std::string> BytesByName(const std::string& directory) {
  const CheckedModel checked(directory, {});
  const Json json = ReadJsonFile(fs::path(directory) / "config.json");
  const NameMap names = FindFamily(JsonObject(json, directory)).names(checked.tensors());
  std::map<std::string, std::string> bytes;
  for (const auto& [name, view] : checked.tensors().tensors()) {
    std::string asked = name;
    for (const auto& entry : names.entries)
      if (name.starts_with(entry.stored)) asked = entry.asked + name.substr(entry.stored.size());
    bytes[asked] =
        std::string(DTypeName(view.dtype())) + view.shape().ToString() +
        std::string(static_cast<const char*>(view.data()), static_cast<size_t>(view.bytes()));
  }
  return bytes;
}

TEST_F(Converting, LlavaThereAndBackKeepsEveryByte) {
  for (const char* name : {"llava", "llava_full", "llava_model_prefix", "llava_linear_rope",
                           "llava_llama3_rope", "llava_sinks"}) {
    const auto before = BytesByName(Golden(name));
    Convert(Golden(name), std::string(name) + "_b", {.to = "binocle"});
    Convert(Made(std::string(name) + "_b"), std::string(name) + "_h", {.to = "hf"});
    Convert(Made(std::string(name) + "_h"), std::string(name) + "_bb", {.to = "binocle"});
    EXPECT_EQ(before, BytesByName(Made(std::string(name) + "_b"))) << name;
    EXPECT_EQ(before, BytesByName(Made(std::string(name) + "_h"))) << name;
    EXPECT_EQ(before, BytesByName(Made(std::string(name) + "_bb"))) << name;
    // Configurations too, but for the name, which is the directory's.
    const auto configured = [&](const std::string& made) {
      Json json = ReadJsonFile(fs::path(Made(made)) / "config.json");
      json.erase("name");
      return json;
    };
    EXPECT_EQ(configured(std::string(name) + "_b"), configured(std::string(name) + "_bb")) << name;
  }
}

TEST_F(Converting, AnotherTypeIsRoundedOnceAndShardsAreAsAsked) {
  const ConvertReport report =
      Convert(Golden("binocle_ftz"), "f32", {.dtype = "f32", .shard_bytes = 1 << 20});
  Convert(Made("f32"), "bf16", {.dtype = "bf16"});
  const CheckedModel stored(Golden("binocle_ftz"), {}), f32(Made("f32"), {}),
      bf16(Made("bf16"), {});
  EXPECT_EQ(report.tensors, std::ssize(stored.tensors().tensors()));
  for (const auto& [name, view] : stored.tensors().tensors()) {
    const TensorView* wide = f32.tensors().Find(name);
    const TensorView* narrow = bf16.tensors().Find(name);
    ASSERT_TRUE(wide != nullptr && narrow != nullptr) << name;
    for (int64_t i = 0; i < view.elements(); ++i) {
      float was, is, rounded;
      ReadAsF32(view, i, 1, &was);
      ReadAsF32(*wide, i, 1, &is);
      ReadAsF32(*narrow, i, 1, &rounded);
      ASSERT_EQ(was, is) << name;
      ASSERT_EQ(F32FromBf16(Bf16FromF32(was).bits), rounded) << name;
    }
  }
}

TEST_F(Converting, WhatHuggingFaceHasNoWordsForIsRefusedByItsKey) {
  const auto error = [&](const std::string& from) {
    return ErrorOf([&] { Convert(from, "out", {.to = "hf"}); });
  };
  EXPECT_THAT(error(Golden("binocle_ftz")), HasSubstr("FAILED_PRECONDITION"));
  EXPECT_THAT(error(Golden("binocle_ftz")), HasSubstr("fusion_config: type is ftz"));
  EXPECT_THAT(error(Golden("binocle_anchor")), HasSubstr("projector_config: hidden_size is 28"));
  Convert(Golden("llava"), "b", {.to = "binocle"});
  Edit(Made("b") + "/config.json", [](Json& c) { c["composite_attention"] = {{"layers", "all"}}; });
  EXPECT_THAT(error(Made("b")), HasSubstr("composite_attention is there"));
  EXPECT_THAT(ErrorOf([&] { Convert(Text(), "out", {.to = "binocle"}); }),
              HasSubstr("UNIMPLEMENTED"));
  EXPECT_FALSE(fs::exists(root_ / "out"));
}

// LLaVA ignores what its text model's configuration says of logits; a Binocle directory does not.
TEST_F(Converting, LogitsThatNobodyDividesStayUndivided) {
  Convert(Golden("llava_granite"), "b", {.to = "binocle"});
  EXPECT_FALSE(ReadJsonFile(Made("b") + "/config.json")["text_config"].contains("logits_scaling"));
  Convert(Made("b"), "h", {.to = "hf"});
  EXPECT_EQ(CheckedModel(Made("h"), {}).config().text.residual_multiplier, 1.4F);
  Edit(Made("b") + "/config.json", [](Json& c) { c["text_config"]["logits_scaling"] = 5; });
  EXPECT_THAT(ErrorOf([&] { Convert(Made("b"), "out", {.to = "hf"}); }),
              HasSubstr("text_config: logits_scaling is 5, expected 1"));
}

TEST_F(Converting, AProjectorWithoutBiasesStaysOne) {
  Convert(Golden("llava_linear_rope"), "b", {.to = "binocle"});
  EXPECT_EQ(ReadJsonFile(Made("b") + "/config.json")["projector_config"]["bias"], false);
  Convert(Made("b"), "h", {.to = "hf"});
  EXPECT_EQ(ReadJsonFile(Made("h") + "/config.json")["multimodal_projector_bias"], false);
}

TEST_F(Converting, NothingIsLeftOfARefusal) {
  const std::string model = Copy("llava");
  const auto error = [&](const std::string& from, const std::string& out, ConvertOptions options) {
    return ErrorOf([&] { Convert(from, out, options); });
  };
  EXPECT_THAT(error(model, "llava", {.overwrite = true}), HasSubstr("out is "));
  EXPECT_THAT(error(model, "llava/inner", {}), HasSubstr("which is inside"));
  EXPECT_THAT(error(model, "", {.overwrite = true}), HasSubstr("which is a folder above"));
  EXPECT_THAT(error(model, "x", {.to = "onnx"}), HasSubstr("to is onnx"));
  EXPECT_THAT(error(model, "x", {.dtype = "q4_0"}), HasSubstr("dtype is q4_0"));
  EXPECT_THAT(error(model, "x", {.shard_bytes = 1}), HasSubstr("shard_size"));
  EXPECT_THAT(error(Made("none"), "x", {}), HasSubstr("NOT_FOUND"));
  EXPECT_THAT(error(model, "x", {.lora = {Made("none")}}), HasSubstr("no such adapter directory"));
  const auto stop = [](int64_t, int64_t) { throw Error(Code::kCancelled, "stopped"); };
  EXPECT_THAT(error(model, "x", {.on_progress = stop}), HasSubstr("CANCELLED"));
  std::vector<std::string> left;
  for (const auto& entry : fs::directory_iterator(root_)) left.push_back(entry.path().filename());
  EXPECT_EQ(left, std::vector<std::string>{"llava"});
}

TEST_F(Converting, AWeightThatTheTypeCannotHoldIsNamed) {
  const std::string model = Text();
  std::fstream file(model + "/model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-4, std::ios::end);
  const float large = 70000;
  file.write(reinterpret_cast<const char*>(&large), 4);
  file.close();
  const std::string error = ErrorOf([&] { Convert(model, "x", {.dtype = "f16"}); });
  EXPECT_THAT(error, HasSubstr("OUT_OF_RANGE"));
  EXPECT_THAT(error, HasSubstr("is 70000, which f16 cannot hold"));
  EXPECT_FALSE(fs::exists(root_ / "x"));
  Convert(model, "x", {.dtype = "bf16"});
}

}  // namespace
}  // namespace binocle
