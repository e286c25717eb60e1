// What this machine gives now, which is what its programs are measured against.
#pragma once

#include <cstdint>
#include <string>

#include "binocle/bench.h"
#include "binocle/export.h"

namespace binocle {

struct MachineBenchOptions {
  int64_t threads = 0;  // 0 … 1024; 0: one per processor
  int64_t rounds = 15;  // 1 … 1000, each of some 100 ms
};

// Of all threads at once. Multiplications and additions count as an operation each, and never leave the registers.
struct MachineBench {
  std::string cpu_level;  // "scalar", "avx2", "avx512", "vnni", "bf16", "amx"
  int64_t threads = 0;
  int64_t rounds = 0;
  Spread read_rate;             // bytes per second, of memory that no cache holds
  Spread f32_rate;              // operations per second
  Spread bf16_rate, int8_rate;  // the same; 0 where the level has no such instruction
};

// Reads a gibibyte of its own. Throws binocle::Error: INVALID_ARGUMENT for an option out of range (Error::option() names it).
BINOCLE_EXPORT MachineBench BenchMachine(const MachineBenchOptions& options);

}  // namespace binocle
