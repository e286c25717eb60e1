#include "core/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/errors.h"

namespace binocle {
namespace {

using testing::ErrorOf;
using ::testing::HasSubstr;

class JsonObjectTest : public ::testing::Test {
 protected:
  Json json_ = ParseJson(
      R"({"width": 64, "ratio": 0.5, "name": "x", "flag": true, "none": null, "list": [1, 2.5], "huge": 1e300, "inner": {}})",
      "t");
  JsonObject object_{json_, "config.json"};
};

TEST_F(JsonObjectTest, ReadsWhatIsThereAndFallsBackOtherwise) {
  EXPECT_EQ(object_.Int("width", 1, 100), 64);
  EXPECT_EQ(object_.IntOr("absent", 7, 0, 9), 7);
  EXPECT_EQ(object_.IntOr("none", 7, 0, 9), 7) << "null counts as absent";
  EXPECT_EQ(object_.NumberOr("ratio", 1, 0, 1), 0.5);
  EXPECT_TRUE(object_.BoolOr("flag", false));
  EXPECT_EQ(object_.StringOr("name", ""), "x");
  EXPECT_EQ(object_.Numbers("list"), (std::vector<double>{1, 2.5}));
}

TEST_F(JsonObjectTest, ErrorsNameFileKeyFoundAndExpected) {
  EXPECT_EQ(ErrorOf([&] { object_.Int("width", 1, 32); }),
            "INVALID_ARGUMENT: config.json: width is 64, expected an integer from 1 to 32");
  EXPECT_EQ(ErrorOf([&] { object_.Int("absent", 1, 32); }),
            "INVALID_ARGUMENT: config.json: absent is missing, expected an integer from 1 to 32");
  EXPECT_THAT(ErrorOf([&] { object_.Int("ratio", 0, 9); }),
              HasSubstr("ratio is 0.5, expected an integer"));
  EXPECT_THAT(ErrorOf([&] { object_.Int("huge", 0, 9); }), HasSubstr("huge is 1e+300"));
  EXPECT_THAT(ErrorOf([&] {
                object_.Choice("name", {}, {"a", "b"});
              }),
              HasSubstr("name is \"x\", expected one of a, b"));
  EXPECT_THAT(ErrorOf([&] { object_.Object("inner").Int("k", 0, 1); }),
              HasSubstr("config.json: inner: k is missing"));
  EXPECT_THAT(ErrorOf([&] { object_.OnlyKeys({"width"}); }), HasSubstr("unknown key"));
}

TEST(Json, TextThatIsNoJsonIsAnError) {
  EXPECT_THAT(ErrorOf([] { ParseJson("{\"a\": ", "x.json"); }),
              HasSubstr("x.json: not valid JSON"));
  EXPECT_THAT(ErrorOf([] { ParseJson("\xFF\xFE", "x.json"); }), HasSubstr("not valid JSON"));
}

TEST(Json, DeepNestingIsRefusedBeforeItIsParsed) {
  EXPECT_THAT(ErrorOf([] { ParseJson(std::string(1000000, '['), "x.json"); }),
              HasSubstr("nested deeper than 64"));
  EXPECT_EQ(ErrorOf([] { ParseJson("[\"" + std::string(100, '[') + "\"]", "x.json"); }), "no error")
      << "brackets in a string do not count";
}

TEST(Json, AFileMustHoldAnObject) {
  EXPECT_THAT(ErrorOf([] { ReadJsonFile("/nonexistent/config.json"); }),
              HasSubstr("NOT_FOUND: /nonexistent/config.json"));
  EXPECT_THAT(ErrorOf([] { ReadJsonFile("/"); }), HasSubstr("INVALID_ARGUMENT: /: is a directory"));
}

}  // namespace
}  // namespace binocle
