// What this machine gives now: how fast memory is read, and how many products of each kind fit a second. What kernels are measured against
// (binocle bench). Each takes a few milliseconds, with all threads of `ex` at once.
#pragma once

#include "core/exec.h"

namespace binocle {

// Bytes per second of reading a gibibyte in huge pages, a contiguous part for each thread, by the quickest of some loops: with lines asked for ahead and
// without. `bytes`: another size, whole MiB, larger than the caches.
class ReadRate {
 public:
  explicit ReadRate(Exec& ex, int64_t bytes = int64_t{1} << 30);
  double Measure();

  using WayToSum = uint64_t (*)(const uint64_t* words, int64_t count);

 private:
  double RateOf(WayToSum sum_of);

  Exec& ex_;
  AlignedBuffer buffer_;
  WayToSum sum_of_ = nullptr;
};

// Multiplications and additions per second of the level's dot products in registers (at kAmx: in tiles): bfloat16 from kBf16 on, bytes from kVnni
// on; 0 below.
double MeasureBf16Rate(Exec& ex);
double MeasureInt8Rate(Exec& ex);

}  // namespace binocle
