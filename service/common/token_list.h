// Bearer tokens and their limits.
//
// The file has one token a line: `token[ name=… rpm=… max_in_flight=…]`, parted by blanks; empty lines and lines that begin with # do not
// count. Tokens are kept as digests only and are in no message, log or status.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "binocle/busy_error.h"
#include "binocle/error.h"

namespace binocle {

struct TokenLimits {
  std::string name;           // in logs and metrics; by default "token-" and the line's number
  int64_t rpm = 0;            // requests a minute, in bursts of at most so many; 0: any number
  int64_t max_in_flight = 0;  // requests at a time; 0: any number
};

class TokenList {
 public:
  using Clock = std::chrono::steady_clock;

  // INVALID_ARGUMENT, with the line's number, for what is no such file, a token of less than 8 or more than 4096 bytes, or one twice.
  // `file` is what errors call it.
  static TokenList Parse(std::string_view text, const std::string& file);

  // One request's hold on its token; its end gives the place back.
  class Lease;

  enum class Verdict { kAdmitted, kUnknown, kRate, kInFlight };
  struct Decision {
    Verdict verdict = Verdict::kUnknown;
    std::string name;                                // of the token, when it is known
    std::optional<std::chrono::milliseconds> retry;  // when it is worth another try
    std::shared_ptr<Lease> lease;                    // owned by the call; null unless admitted
  };

  // `token` as the client sent it. Compares digests in constant time, with every token of the list.
  Decision Admit(std::string_view token, Clock::time_point now) const;

  size_t size() const { return entries_.size(); }

 private:
  struct Entry;

  // Shared with the leases, which may outlive the list.
  std::vector<std::shared_ptr<Entry>> entries_;
};

// Why a request is refused: UNAUTHENTICATED of kUnknown, RESOURCE_EXHAUSTED of the two limits.
Error TokenIsUnknown();
BusyError TokenIsOverLimit(TokenList::Verdict limit);

// The token of an `authorization` header: "Bearer …", in any case. Nothing for other headers.
std::optional<std::string_view> BearerOf(std::string_view authorization);

}  // namespace binocle
