// What a comparison measures, and dumps that are not what they say.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <limits>

#include "fusion/parity/comparison.h"
#include "fusion/parity/dump.h"
#include "tests/testing/errors.h"
#include "tests/testing/golden.h"

namespace binocle {
namespace {

Tensor Matrix(int64_t rows, int64_t columns, const std::vector<float>& values) {
  Tensor tensor = Tensor::F32({rows, columns});
  std::copy(values.begin(), values.end(), tensor.f32());
  return tensor;
}

TEST(CompareRows, EachRowIsMeasuredByItsOwnLargestNumber) {
  const Tensor want = Matrix(2, 2, {1000, 0, 2, -4});
  const Difference large = CompareRows(Matrix(2, 2, {1001, 0, 2, -4}), want);
  EXPECT_EQ(large.absolute, 1);
  EXPECT_EQ(large.relative, 1.0 / 1000);
  // Smaller than the other by far, and still the larger error of the two.
  const Difference small = CompareRows(Matrix(2, 2, {1001, 0, 2.5, -4}), want, 10);
  EXPECT_EQ(small.relative, 0.5 / 4);
  EXPECT_EQ(small.absolute, 1);
  EXPECT_EQ(small.Where(), "[11, 0] is 2.5, expected 2");
  EXPECT_EQ(small.compared, 4);
}

TEST(CompareRows, EqualIsZeroAndNoNumberIsInfinite) {
  const Tensor want = Matrix(1, 2, {0, 3});
  EXPECT_EQ(CompareRows(want, want).relative, 0);
  EXPECT_EQ(CompareRows(want, want).Where(), "");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(std::isinf(CompareRows(Matrix(1, 2, {nan, 3}), want).relative));
  EXPECT_TRUE(std::isinf(CompareRows(Matrix(1, 2, {0, infinity}), want).relative));
  EXPECT_TRUE(std::isinf(CompareRows(Matrix(1, 1, {1e-30F}), Matrix(1, 1, {0})).relative))
      << "beside a row of zeros nothing is near";
}

TEST(Difference, MergingKeepsTheLargestAndItsPlace) {
  const Tensor want = Matrix(1, 1, {1});
  Difference all = CompareRows(Matrix(1, 1, {1.5}), want, 3);
  all.Merge(CompareRows(Matrix(1, 1, {1.25}), want, 4));
  all.Merge(CompareRows(Matrix(1, 1, {102}), Matrix(1, 1, {100}), 5));
  EXPECT_EQ(all.compared, 3);
  EXPECT_EQ(all.row, 3);
  EXPECT_EQ(all.relative, 0.5);
  EXPECT_EQ(all.absolute, 2);
}

TEST(StageLog, TellsWhatDiffersByNameAndNumber) {
  std::vector<std::string> seen;
  StageLog log(1e-4, [&](const ParityStage& stage) { seen.push_back(StageTitle(stage)); });
  const Tensor want = Matrix(1, 1, {1});
  log.AddNear({.name = "fused", .image = 2}, CompareRows(want, want));
  log.AddNear({.name = "layer", .request = 1, .layer = 3},
              CompareRows(Matrix(1, 1, {1.03125F}), want));
  const ParityReport report{.stages = std::move(log).Take()};
  EXPECT_EQ(seen, (std::vector<std::string>{"image 2, fused", "request 1, layer 3"}));
  ASSERT_NE(report.first_difference(), nullptr);
  EXPECT_EQ(DescribeDifference(*report.first_difference()),
            "request 1, layer 3: 0.0312 relative, expected at most 0.0001: [0, 0] is 1.03125, "
            "expected 1");
  EXPECT_EQ(ParityReport{}.first_difference(), nullptr);
}

// A dump of a golden text model, that may be damaged.
class DumpFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) /
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(folder_);
    const testing::GoldenCase golden("llama");
    json_ = golden.json();
    std::filesystem::copy_file(golden.directory() / "reference.safetensors",
                               stem() += ".safetensors",
                               std::filesystem::copy_options::overwrite_existing);
    Write();
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path stem() const { return folder_ / "x.v1"; }
  void Write() const { WriteText(json_.dump()); }
  void WriteText(const std::string& text) const { std::ofstream(stem() += ".json") << text; }
  std::string Error() const {
    return testing::ErrorOf([&] { Dump dump(stem()); });
  }
  // The error after a change of the JSON.
  std::string After(const std::function<void(Json&)>& change) {
    const Json whole = json_;
    change(json_);
    Write();
    json_ = whole;
    return Error();
  }

  std::filesystem::path folder_;
  Json json_;
};

TEST_F(DumpFiles, AnyOfThreeNamesIsTheDump) {
  for (const char* end : {"", ".json", ".safetensors"}) {
    const Dump dump(stem() += end);
    EXPECT_EQ(dump.requests().size(), 2U) << end;
    EXPECT_EQ(dump.requests()[0].tokens.size(), 64U);
    EXPECT_FALSE(dump.requests()[0].prompt);
    EXPECT_EQ(dump.where(), stem().string());
  }
}

TEST_F(DumpFiles, AMissingHalfIsNamed) {
  std::filesystem::remove(stem() += ".safetensors");
  EXPECT_TRUE(Error().starts_with("NOT_FOUND: " + stem().string() + ".safetensors: no such file"))
      << Error();
}

TEST_F(DumpFiles, MalformedOnesAreRefusedWithThePlace) {
  const auto first = [](Json& json) -> Json& { return json["requests"][0]; };
  const std::pair<std::function<void(Json&)>, const char*> cases[] = {
      {[](Json& j) { j["requests"] = Json::array(); }, "has no requests"},
      {[](Json& j) { j["requests"] = 3; }, "requests is 3"},
      {[](Json& j) { j["requests"] = Json::array({1}); }, "requests[0]"},
      {[](Json& j) { j["requests"] = Json(std::vector<int>(5000)); }, "a list of at most 4096"},
      {[](Json& j) { j["dtype"] = "f64"; }, "dtype is \"f64\""},
      {[](Json& j) { j["images"] = Json::array({7}); }, "a list of names"},
      {[&](Json& j) { first(j)["token_ids"] = "many"; }, "a list of token ids"},
      {[&](Json& j) { first(j)["token_ids"][3] = -1; }, "a list of token ids"},
      {[&](Json& j) { first(j)["token_ids"][3] = 4294967296; }, "a list of token ids"},
      {[&](Json& j) { first(j)["token_ids"][3] = 1.5; }, "a list of token ids"},
      {[&](Json& j) { first(j)["prompt_token_ids"] = Json::array(); }, "at least one id"},
      {[&](Json& j) { first(j).erase("token_ids"); }, "token_ids"},
      {[&](Json& j) { first(j)["images"] = Json::array({"other.png"}); }, "names of the dump's"},
      {[&](Json& j) { first(j)["prompt_format"] = "raw"; }, "prompt is missing"},
  };
  for (const auto& [change, message] : cases) {
    const std::string error = After(change);
    EXPECT_TRUE(error.starts_with("INVALID_ARGUMENT: " + stem().string())) << error;
    EXPECT_NE(error.find(message), std::string::npos) << error << "\nexpected " << message;
  }
  WriteText("{");
  EXPECT_NE(Error().find("not valid JSON"), std::string::npos);
}

TEST_F(DumpFiles, TensorsOfOtherShapesOrKindsAreRefused) {
  const Dump dump(stem());
  const auto read = [&](const std::string& name, const Shape& shape) {
    return testing::ErrorOf([&] { dump.Read(name, shape, "vocab_size=331"); });
  };
  EXPECT_EQ(read("req0.logits.0", {331}), "no error");
  EXPECT_EQ(read("req0.logits.0", {330}),
            "FAILED_PRECONDITION: " + stem().string() +
                ": is a dump of another model: req0.logits.0 is [331], expected [330] "
                "(vocab_size=331)");
  EXPECT_NE(read("req0.logits.7", {331}).find("req0.logits.7 is missing"), std::string::npos);
}

TEST_F(DumpFiles, AValueThatIsNoNumberIsRefused) {
  const std::filesystem::path path = stem() += ".safetensors";
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-4, std::ios::end);
  file.write("\xFF\xFF\xFF\xFF", 4);  // NaN, in the tensor that is last in the file
  file.close();
  const SafetensorsFile tensors(path);
  const auto last = std::max_element(
      tensors.tensors().begin(), tensors.tensors().end(),
      [](const auto& a, const auto& b) { return a.second.data() < b.second.data(); });
  const Dump dump(stem());
  const std::string error =
      testing::ErrorOf([&] { dump.Read(last->first, last->second.shape(), ""); });
  EXPECT_NE(error.find(last->first + " has "), std::string::npos) << error;
  EXPECT_NE(error.find("expected finite numbers"), std::string::npos) << error;
}

}  // namespace
}  // namespace binocle
