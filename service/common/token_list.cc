#include "service/common/token_list.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <utility>

#include "binocle/error.h"
#include "service/common/sha256.h"
#include "service/common/text.h"

namespace binocle {
namespace {

constexpr size_t kMinToken = 8;
constexpr size_t kMaxToken = 4096;

[[noreturn]] void Fail(const std::string& file, int line, const std::string& what) {
  throw Error(Code::kInvalidArgument, Text(file, ":", line, ": ", what));
}

// The next word of a line, which loses it.
std::string_view TakeWord(std::string_view& line) {
  constexpr std::string_view kBlanks = " \t\r";
  line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kBlanks));
  line.remove_prefix(word.size());
  return word;
}

int64_t NumberOf(std::string_view text, const std::string& file, int line) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 1 || number > 1'000'000)
    Fail(file, line, "a limit is no number from 1 to 1000000");
  return number;
}

// name=… rpm=… max_in_flight=…; no message repeats a word, which may be a token that has lost its place.
TokenLimits LimitsOf(std::string_view words, const std::string& file, int line) {
  TokenLimits limits{.name = Text("token-", line)};
  for (std::string_view word = TakeWord(words); !word.empty(); word = TakeWord(words)) {
    if (word.starts_with("name=") && word.size() > 5 && word.size() <= 69) {
      limits.name = ValidUtf8(word.substr(5));
    } else if (word.starts_with("rpm=")) {
      limits.rpm = NumberOf(word.substr(4), file, line);
    } else if (word.starts_with("max_in_flight=")) {
      limits.max_in_flight = NumberOf(word.substr(14), file, line);
    } else {
      Fail(file, line, "after the token, expected name=…, rpm=…, max_in_flight=…");
    }
  }
  return limits;
}

}  // namespace

struct TokenList::Entry {
  std::string digest;
  TokenLimits limits;

  std::mutex mutex;  // guards what follows
  int64_t in_flight = 0;
  double tokens = 0;  // requests that may come at once
  std::optional<Clock::time_point> filled;
};

class TokenList::Lease {
 public:
  explicit Lease(std::shared_ptr<Entry> entry) : entry_(std::move(entry)) {}
  ~Lease() {
    const std::lock_guard lock(entry_->mutex);
    --entry_->in_flight;
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

 private:
  std::shared_ptr<Entry> entry_;  // shared with the list
};

TokenList TokenList::Parse(std::string_view text, const std::string& file) {
  TokenList list;
  std::set<std::string> digests;
  for (int line = 1; !text.empty(); ++line) {
    std::string_view rest = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(rest.size() + 1, text.size()));
    const std::string_view token = TakeWord(rest);
    if (token.empty() || token.starts_with("#")) continue;
    if (token.size() < kMinToken || token.size() > kMaxToken)
      Fail(file, line,
           Text("the token has ", token.size(), " bytes, expected ", kMinToken, " to ", kMaxToken));
    auto entry = std::make_shared<Entry>();
    entry->digest = Sha256Hex(token);
    if (!digests.insert(entry->digest).second) Fail(file, line, "the token was there before");
    entry->limits = LimitsOf(rest, file, line);
    list.entries_.push_back(std::move(entry));
  }
  if (list.entries_.empty()) throw Error(Code::kInvalidArgument, file + ": has no token");
  return list;
}

TokenList::Decision TokenList::Admit(std::string_view token, Clock::time_point now) const {
  const std::string digest = Sha256Hex(token);
  std::shared_ptr<Entry> found;
  for (const auto& entry : entries_) {
    if (CRYPTO_memcmp(entry->digest.data(), digest.data(), digest.size()) == 0) found = entry;
  }
  if (found == nullptr) return {};
  const TokenLimits& limits = found->limits;
  const std::lock_guard lock(found->mutex);
  if (limits.max_in_flight > 0 && found->in_flight >= limits.max_in_flight)
    return {.verdict = Verdict::kInFlight,
            .name = limits.name,
            .retry = std::chrono::seconds(1),
            .lease = {}};
  if (limits.rpm > 0) {
    const auto rpm = static_cast<double>(limits.rpm);
    const std::chrono::duration<double> passed = now - found->filled.value_or(now);
    found->tokens = found->filled ? std::min(rpm, found->tokens + passed.count() * rpm / 60) : rpm;
    found->filled = now;
    if (found->tokens < 1) {
      const double seconds = (1 - found->tokens) * 60 / rpm;
      return {.verdict = Verdict::kRate,
              .name = limits.name,
              .retry = std::chrono::milliseconds(std::lround(std::ceil(seconds * 1000))),
              .lease = {}};
    }
    found->tokens -= 1;
  }
  ++found->in_flight;
  return {.verdict = Verdict::kAdmitted,
          .name = limits.name,
          .retry = {},
          .lease = std::make_shared<Lease>(found)};
}

Error TokenIsUnknown() { return Error(Code::kUnauthenticated, "the token is not known"); }

BusyError TokenIsOverLimit(TokenList::Verdict limit) {
  return BusyError(limit == TokenList::Verdict::kRate ? "the token has had its requests of a minute"
                                                      : "the token has its requests under way");
}

std::optional<std::string_view> BearerOf(std::string_view authorization) {
  constexpr std::string_view kBearer = "bearer ";
  if (authorization.size() <= kBearer.size()) return std::nullopt;
  for (size_t i = 0; i < kBearer.size(); ++i) {
    const char c = authorization[i];
    if ((c >= 'A' && c <= 'Z' ? c + 32 : c) != kBearer[i]) return std::nullopt;
  }
  authorization.remove_prefix(kBearer.size());
  authorization.remove_prefix(std::min(authorization.find_first_not_of(' '), authorization.size()));
  return authorization;
}

}  // namespace binocle
