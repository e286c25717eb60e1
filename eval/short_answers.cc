#include "eval/short_answers.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"

namespace binocle::eval {
namespace {

constexpr double kAnlsThreshold = 0.5;
constexpr double kRelaxedTolerance = 0.05;
constexpr uint64_t kMostCells = uint64_t{1} << 32;

Text Compared(TextView text) { return JoinWords(SplitWords(Lower(text))); }

bool IsAsciiMark(char32_t c) {
  return (c > 0x20 && c < U'0') || (c > U'9' && c < U'A') || (c > U'Z' && c < U'a') ||
         (c > U'z' && c < 0x7F);
}

// A number, or a percentage as a share. Every percent sign at the end goes, as in the published function.
std::optional<double> NumberOrShare(TextView text) {
  if (!text.ends_with(U'%')) return ParseFloat(text);
  while (text.ends_with(U'%')) text.remove_suffix(1);
  const auto percent = ParseFloat(text);
  if (!percent) return std::nullopt;
  return *percent / 100.0;
}

Text GqaCompared(TextView text) {
  Text compared = Lower(text);
  std::erase_if(compared, IsAsciiMark);
  return compared;
}

}  // namespace

int64_t EditDistance(TextView a, TextView b) {
  if (a.size() > b.size()) std::swap(a, b);
  if (a.empty()) return static_cast<int64_t>(b.size());
  if (b.size() > kMostCells / a.size())
    ThrowInvalid("texts of ", a.size(), " and ", b.size(), " characters are too long to compare");
  // row[i]: distance between the first i characters of a and those of b up to now.
  std::vector<int64_t> row(a.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t j = 0; j < b.size(); ++j) {
    int64_t diagonal = row[0];
    row[0] = static_cast<int64_t>(j) + 1;
    for (size_t i = 0; i < a.size(); ++i) {
      const int64_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[i + 1];
      row[i + 1] = std::min({replaced, row[i] + 1, diagonal + 1});
    }
  }
  return row.back();
}

double ScoreAnls(TextView answer, const std::vector<Text>& references, AnlsLength length) {
  const Text compared = Compared(answer);
  double least = 1;
  for (const Text& reference : references) {
    const Text other = Compared(reference);
    const size_t longer = length == AnlsLength::kRaw
                              ? std::max(UpperLength(answer), UpperLength(reference))
                              : std::max(compared.size(), other.size());
    const double distance = longer == 0 ? 0
                                        : static_cast<double>(EditDistance(compared, other)) /
                                              static_cast<double>(longer);
    least = std::min(least, distance);
  }
  const double score = 1 - least;
  return score < kAnlsThreshold ? 0 : score;
}

bool IsRelaxedMatch(TextView answer, TextView reference) {
  const auto given = NumberOrShare(answer);
  const auto wanted = NumberOrShare(reference);
  if (given && wanted && *wanted != 0)
    return std::abs(*given - *wanted) / std::abs(*wanted) <= kRelaxedTolerance;
  return Lower(answer) == Lower(reference);
}

bool IsExactMatch(TextView answer, TextView reference) {
  return Lower(Strip(answer)) == Lower(Strip(reference));
}

bool IsGqaMatch(TextView answer, TextView reference) {
  return GqaCompared(answer) == GqaCompared(reference);
}

Text PrepareGqa(TextView answer) {
  while (answer.ends_with(U'.')) answer.remove_suffix(1);
  return Lower(answer);
}

}  // namespace binocle::eval
