// What a load test has seen, in a fixed amount of memory but for one answer per different request.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "binocle/error.h"
#include "binocle/request.h"
#include "cli/json_output.h"
#include "cli/load_plan.h"
#include "cli/progress.h"

namespace binocle::cli {

// Times from a microsecond to an hour, each within one percent; the largest exactly.
class TimeHistogram {
 public:
  void Add(double milliseconds);
  int64_t count() const { return count_; }
  double max() const { return max_; }
  // The least time that `share` of all are not above, 0 … 1; 0 where there are none.
  double Quantile(double share) const;

 private:
  static constexpr size_t kBuckets = 2304;
  std::array<int64_t, kBuckets> buckets_{};
  int64_t count_ = 0;
  double max_ = 0;
};

// How one request went.
struct LoadOutcome {
  std::string code = "OK";  // of its end
  std::string message;
  bool cancelled = false;  // it was cancelled, and ended because of that
  Answer answer;
  std::vector<double> delta_times;  // milliseconds from its start to each new token, or tokens
  double total = 0;                 // milliseconds
};

enum class LoadCheck : bool { kNo, kYes };

// Add may be called from several threads.
class LoadTally {
 public:
  LoadTally(const LoadOptions& options, LoadCheck check);

  void Add(const LoadItem& item, const LoadOutcome& outcome);
  void Finish(double seconds);

  int64_t wrong() const { return wrong_; }
  int64_t unexpected() const { return unexpected_; }
  // The first thing that went wrong, for people; empty: nothing did.
  const std::string& trouble() const { return trouble_; }
  Json ToJson() const;
  std::string ToText() const;

 private:
  void CheckAnswer(const LoadItem& item, const LoadOutcome& outcome);
  void Trouble(const LoadItem& item, const std::string& what);

  const LoadOptions& options_;
  const LoadCheck check_;
  std::mutex mutex_;
  Progress progress_;
  double seconds_ = 0;
  int64_t requests_ = 0;
  int64_t tokens_ = 0;
  int64_t checked_ = 0;
  int64_t wrong_ = 0;
  int64_t unexpected_ = 0;
  std::string trouble_;
  std::map<std::string, int64_t> codes_;
  std::vector<std::optional<Answer>> first_;  // by request
  TimeHistogram first_token_, between_tokens_, total_;
};

}  // namespace binocle::cli
