// What a load test asks: request number i is the same for the same options, whatever happens to the others.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "binocle/request.h"

namespace binocle::cli {

struct LoadOptions {
  int64_t requests = 100;   // 1 … 1000000000
  int64_t concurrency = 8;  // 1 … 4096: under way at a time
  int64_t distinct = 64;    // 1 … 100000 different requests, which come again
  std::vector<std::string> images;
  std::vector<std::string> prompts;
  int64_t max_new_tokens = 32;  // 1 … 1048576: the longest answer; lengths are drawn from 1 on
  double cancel_share = 0;      // 0 … 1 of the well-formed ones
  double malformed_share = 0;   // 0 … 1 of all
  uint64_t seed = 0;
};

enum class LoadKind : uint8_t { kWhole, kCancelled, kMalformed };

struct LoadItem {
  LoadKind kind = LoadKind::kWhole;
  size_t index = 0;  // among the different requests, or the kinds of malformed ones
  // When a cancelled one is cancelled, whichever comes first.
  int64_t after_tokens = 0;
  std::chrono::milliseconds after{0};
};

class LoadPlan {
 public:
  explicit LoadPlan(LoadOptions options);

  LoadItem Item(int64_t number) const;
  // Of a whole or a cancelled one: up to two pictures, greedy or sampled.
  Request Make(size_t index) const;
  // Of a malformed one, which a server refuses with INVALID_ARGUMENT.
  Request MakeMalformed(size_t index) const;

 private:
  LoadOptions options_;
};

}  // namespace binocle::cli
