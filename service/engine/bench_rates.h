// What the machine could do, round by round.
#pragma once

#include <cstdint>
#include <vector>

#include "binocle/bench_machine.h"
#include "core/machine_rates.h"
#include "core/weight_kind.h"

namespace binocle {

class RateSeries {
 public:
  // `read_bytes`: how much is read to measure reading.
  RateSeries(Exec& ex, int64_t read_bytes) : ex_(ex), reader_(ex, read_bytes) {}

  void Measure();  // one round

  size_t rounds() const { return read_.size(); }
  double read(size_t round) const { return read_[round]; }  // bytes per second
  // Operations per second of products with weights of the kind: kF32, kBf16, kInt8 or kInt4. 0 where there is no instruction for them.
  double arithmetic(WeightKind kind, size_t round) const;

  // `rounds` is left to the caller.
  MachineBench Result() const;

 private:
  Exec& ex_;
  ReadRate reader_;
  std::vector<double> read_, f32_, bf16_, int8_;
};

// From BenchMachine's options and the like: 0 is one per processor.
int ThreadsFor(int64_t threads);

}  // namespace binocle
