#include "cli/load_tally.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>

namespace binocle::cli {
namespace {

constexpr double kLeast = 1e-3;   // milliseconds, of the first bucket
constexpr double kGrowth = 1.01;  // from one bucket to the next

const char* KindName(LoadKind kind) {
  switch (kind) {
    case LoadKind::kWhole: return "request";
    case LoadKind::kCancelled: return "cancelled request";
    case LoadKind::kMalformed: return "malformed request";
  }
  return "";
}

bool Expected(LoadKind kind, const LoadOutcome& outcome) {
  switch (kind) {
    case LoadKind::kWhole: return outcome.code == "OK";
    case LoadKind::kCancelled: return outcome.code == "OK" || outcome.cancelled;
    case LoadKind::kMalformed: return outcome.code == CodeName(Code::kInvalidArgument);
  }
  return false;
}

bool BeginsWith(const Answer& whole, const Answer& part) {
  return whole.text.starts_with(part.text) && part.token_ids.size() <= whole.token_ids.size() &&
         std::equal(part.token_ids.begin(), part.token_ids.end(), whole.token_ids.begin());
}

Json TimesJson(const TimeHistogram& times) {
  return {{"count", times.count()},
          {"p50", times.Quantile(0.5)},
          {"p90", times.Quantile(0.9)},
          {"p99", times.Quantile(0.99)},
          {"max", times.max()}};
}

}  // namespace

void TimeHistogram::Add(double milliseconds) {
  const double at = std::log(std::max(milliseconds, kLeast) / kLeast) / std::log(kGrowth);
  ++buckets_[std::min(static_cast<size_t>(at), kBuckets - 1)];
  ++count_;
  max_ = std::max(max_, milliseconds);
}

double TimeHistogram::Quantile(double share) const {
  const auto rank = static_cast<int64_t>(std::ceil(share * static_cast<double>(count_)));
  int64_t seen = 0;
  for (size_t i = 0; i < kBuckets && count_ > 0; ++i) {
    seen += buckets_[i];
    if (seen >= std::max<int64_t>(rank, 1))
      return std::min(max_, kLeast * std::pow(kGrowth, static_cast<double>(i + 1)));
  }
  return max_;
}

LoadTally::LoadTally(const LoadOptions& options, LoadCheck check)
    : options_(options),
      check_(check),
      progress_("asking", options.requests),
      first_(check == LoadCheck::kYes ? static_cast<size_t>(options.distinct) : 0) {}

void LoadTally::Add(const LoadItem& item, const LoadOutcome& outcome) {
  const std::lock_guard lock(mutex_);
  ++requests_;
  ++codes_[outcome.code];
  tokens_ += std::ssize(outcome.answer.token_ids);
  if (!Expected(item.kind, outcome)) {
    ++unexpected_;
    Trouble(item,
            "ended with " + outcome.code + (outcome.message.empty() ? "" : ": " + outcome.message));
  }
  if (!outcome.delta_times.empty()) first_token_.Add(outcome.delta_times[0]);
  for (size_t i = 1; i < outcome.delta_times.size(); ++i)
    between_tokens_.Add(outcome.delta_times[i] - outcome.delta_times[i - 1]);
  if (outcome.code == "OK" && item.kind != LoadKind::kMalformed) total_.Add(outcome.total);
  if (check_ == LoadCheck::kYes && item.kind != LoadKind::kMalformed) CheckAnswer(item, outcome);
  progress_.Advance();
}

void LoadTally::CheckAnswer(const LoadItem& item, const LoadOutcome& outcome) {
  std::optional<Answer>& first = first_[item.index];
  if (outcome.code == "OK") {
    if (!first) {
      first = outcome.answer;
      return;
    }
    ++checked_;
    if (outcome.answer.token_ids == first->token_ids && outcome.answer.text == first->text &&
        outcome.answer.finish_reason == first->finish_reason) {
      return;
    }
  } else {
    if (!outcome.cancelled || !first) return;
    ++checked_;
    if (BeginsWith(*first, outcome.answer)) return;
  }
  ++wrong_;
  Trouble(item, "was answered '" + outcome.answer.text + "', at first '" + first->text + "'");
}

void LoadTally::Trouble(const LoadItem& item, const std::string& what) {
  if (trouble_.empty())
    trouble_ = std::string(KindName(item.kind)) + " " + std::to_string(item.index) + " " + what;
}

void LoadTally::Finish(double seconds) {
  seconds_ = std::max(seconds, 1e-9);
  progress_.Finish();
}

Json LoadTally::ToJson() const {
  Json codes = Json::object();
  for (const auto& [code, count] : codes_) codes[code] = count;
  return {{"requests", requests_},
          {"concurrency", options_.concurrency},
          {"seconds", seconds_},
          {"requests_per_second", static_cast<double>(requests_) / seconds_},
          {"tokens", tokens_},
          {"tokens_per_second", static_cast<double>(tokens_) / seconds_},
          {"codes", codes},
          {"unexpected", unexpected_},
          {"checked", checked_},
          {"wrong", wrong_},
          {"first_token_ms", TimesJson(first_token_)},
          {"between_tokens_ms", TimesJson(between_tokens_)},
          {"total_ms", TimesJson(total_)}};
}

std::string LoadTally::ToText() const {
  char line[256];
  std::snprintf(line, sizeof line,
                "%lld requests in %.1f s, %lld at a time: %.1f requests/s, %.1f tokens/s\n",
                static_cast<long long>(requests_), seconds_,
                static_cast<long long>(options_.concurrency),
                static_cast<double>(requests_) / seconds_, static_cast<double>(tokens_) / seconds_);
  std::string text = line;
  for (const auto& [code, count] : codes_)
    text += (code == codes_.begin()->first ? "" : ", ") + code + " " + std::to_string(count);
  text += "; unexpected " + std::to_string(unexpected_);
  if (check_ == LoadCheck::kYes)
    text += "; answers checked " + std::to_string(checked_) + ", wrong " + std::to_string(wrong_);
  std::snprintf(line, sizeof line, "\n\n%-16s %10s %10s %10s %10s\n", "milliseconds", "p50", "p90",
                "p99", "max");
  text += line;
  const auto add = [&](const char* name, const TimeHistogram& times) {
    std::snprintf(line, sizeof line, "%-16s %10.2f %10.2f %10.2f %10.2f\n", name,
                  times.Quantile(0.5), times.Quantile(0.9), times.Quantile(0.99), times.max());
    text += line;
  };
  add("first token", first_token_);
  add("between tokens", between_tokens_);
  add("total", total_);
  return text;
}

}  // namespace binocle::cli
