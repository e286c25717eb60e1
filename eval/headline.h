// The number by which a task is known: what is published of it, where that is not the mean over its lines.
//
//   mme, mme_lmms                     mme        Σ over categories of 100·(accuracy + accuracy_plus): 0 … 200 a category
//   mmbench_letter, mmbench_vlmeval   circular   the share of questions of which every turn is right
//   chair                             chair_s    the share of captions with an object that is not there: lower is better
//   other scorers, judges             score      the mean over lines
//
// Each is a sum over strata of means over units (a line, a question with its turns, a picture with its two questions), so that one
// bootstrap and one standard error do for all. Equal, but for rounding, to the member of that name in the scorer's summary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace binocle::eval {

struct Headline {
  std::string metric;
  bool higher_is_better = true;
};
// `scorer` may be a judge's name.
Headline HeadlineOf(std::string_view scorer);

struct HeadlineLine {
  std::optional<double> score;  // absent: its sample failed
  std::string category;
  std::string group;
  int64_t options = 0;
};

struct HeadlineUnit {
  double value = 0;
  std::string stratum;    // a category, where the number is a sum over them
  size_t first_line = 0;  // of those that it is made of
};

struct HeadlineUnits {
  std::vector<HeadlineUnit> units;  // in the order of their first lines
  int64_t incomplete_groups = 0;    // left out: a line of theirs is missing or has no score
  double most = 1;                  // the largest that the value can be

  // Nothing without units.
  std::optional<double> value() const;
  // As of independent units; nothing where a stratum has fewer than two.
  std::optional<double> standard_error() const;
};

HeadlineUnits UnitsOf(std::string_view scorer, const std::vector<HeadlineLine>& lines);

}  // namespace binocle::eval
