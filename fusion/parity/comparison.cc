#include "fusion/parity/comparison.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

namespace binocle {
namespace {

std::string Brief(double value) {
  std::ostringstream text;
  text.precision(3);
  text << value;
  return text.str();
}

}  // namespace

void Difference::Merge(const Difference& other) {
  const int64_t numbers = compared + other.compared;
  const double largest = std::max(absolute, other.absolute);
  if (other.relative > relative) *this = other;
  compared = numbers;
  absolute = largest;
}

std::string Difference::Where() const {
  if (relative == 0) return {};
  std::ostringstream text;
  text.precision(6);
  text << "[" << row << ", " << column << "] is " << got << ", expected " << want;
  return text.str();
}

Difference CompareRows(const TensorView& got, const TensorView& want, int64_t first_row) {
  BINOCLE_CHECK(got.dim(0) == want.dim(0) && got.dim(1) == want.dim(1), got.shape().ToString(),
                " beside ", want.shape().ToString());
  Difference found{.compared = want.elements()};
  for (int64_t r = 0; r < want.dim(0); ++r) {
    double scale = 0;
    for (int64_t c = 0; c < want.dim(1); ++c)
      scale = std::max(scale, std::abs(static_cast<double>(want.row(r)[c])));
    for (int64_t c = 0; c < want.dim(1); ++c) {
      const float g = got.row(r)[c], w = want.row(r)[c];
      if (g == w) continue;
      double absolute = std::abs(static_cast<double>(g) - w);
      if (std::isnan(absolute)) absolute = std::numeric_limits<double>::infinity();
      found.absolute = std::max(found.absolute, absolute);
      const double relative =
          scale > 0 ? absolute / scale : std::numeric_limits<double>::infinity();
      if (relative <= found.relative) continue;
      found.relative = relative;
      found.row = first_row + r;
      found.column = c;
      found.got = g;
      found.want = w;
    }
  }
  return found;
}

void StageLog::AddNear(ParityStage stage, const Difference& difference) {
  stage.compared = difference.compared;
  stage.absolute = difference.absolute;
  stage.relative = difference.relative;
  stage.tolerance = tolerance_;
  stage.agrees = difference.relative <= tolerance_;
  stage.where = difference.Where();
  AddExact(std::move(stage));
}

void StageLog::AddExact(ParityStage stage) {
  stages_.push_back(std::move(stage));
  if (on_stage_) on_stage_(stages_.back());
}

std::string StageTitle(const ParityStage& stage) {
  std::string title;
  const auto add = [&](const char* what, int64_t index) {
    if (index >= 0) title += internal::Concat(what, " ", index, ", ");
  };
  add("image", stage.image);
  add("request", stage.request);
  add("input", stage.input);
  title += stage.name;
  return stage.layer >= 0 ? title + " " + std::to_string(stage.layer) : title;
}

std::string DescribeDifference(const ParityStage& stage) {
  std::string text = StageTitle(stage) + ": ";
  if (stage.tolerance > 0) {
    text += Brief(stage.relative) + " relative, expected at most " + Brief(stage.tolerance);
  } else {
    text += "differs, expected the same";
  }
  return stage.where.empty() ? text : text + ": " + stage.where;
}

const ParityStage* ParityReport::first_difference() const {
  const auto found = std::find_if(stages.begin(), stages.end(),
                                  [](const ParityStage& stage) { return !stage.agrees; });
  return found == stages.end() ? nullptr : &*found;
}

}  // namespace binocle
