// Scores that the published programs gave, by tools/reference/eval_parity.py.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "binocle/eval.h"
#include "core/json.h"

namespace binocle {
namespace {

std::filesystem::path GoldenOf(const std::string& scorer) {
  return std::filesystem::path(BINOCLE_TEST_DATA) / "eval" / (scorer + ".jsonl");
}

TEST(EvalGolden, EveryScorerGivesThePublishedScores) {
  for (const ScorerInfo& info : Scorers()) {
    std::ifstream file(GoldenOf(info.name));
    ASSERT_TRUE(file) << info.name << " has no golden";
    Scoring scoring(info.name);
    int lines = 0;
    for (std::string line; std::getline(file, line); ++lines) {
      const double wanted = Json::parse(line)["score"].get<double>();
      const Json scored = Json::parse(scoring.Score(line));
      EXPECT_NEAR(scored["score"].get<double>(), wanted, 1e-9) << info.name << ": " << line;
    }
    EXPECT_GE(lines, 40) << info.name;
  }
}

}  // namespace
}  // namespace binocle
