// How far two results are apart, and the list of stages that a comparison with a dump makes.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "binocle/parity.h"
#include "core/tensor.h"

namespace binocle {

// The largest |got − want|, each over the largest |want| of its row: a few rows of a decoder are a thousand times as large as the others,
// and would hide any error in those.
struct Difference {
  int64_t compared = 0;
  double absolute = 0;  // the largest anywhere
  double relative = 0;
  int64_t row = 0, column = 0;  // of the largest relative one
  float got = 0, want = 0;

  void Merge(const Difference& other);
  std::string Where() const;  // "[17, 403] is 0.731, expected 0.742"
};

// got, want [n, d] f32; `first_row` is what row 0 is called.
Difference CompareRows(const TensorView& got, const TensorView& want, int64_t first_row = 0);

// What is compared with what tolerance, as it is found.
class StageLog {
 public:
  // `tolerance`: of everything that is not exact. `on_stage` may be empty.
  StageLog(double tolerance, std::function<void(const ParityStage&)> on_stage)
      : tolerance_(tolerance), on_stage_(std::move(on_stage)) {}

  double tolerance() const { return tolerance_; }
  // Numbers within the tolerance.
  void AddNear(ParityStage stage, const Difference& difference);
  // A stage that must be exact: `agrees`, `compared` and what differs are filled in.
  void AddExact(ParityStage stage);
  std::vector<ParityStage> Take() && { return std::move(stages_); }

 private:
  double tolerance_;
  std::function<void(const ParityStage&)> on_stage_;
  std::vector<ParityStage> stages_;
};

}  // namespace binocle
