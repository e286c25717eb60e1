// Who may call: tokens, draining, and how many calls are under way. Every method passes here first, before its request has come.
//
// A call's request id (`x-request-id`, or one that is made) and its W3C trace context (`traceparent`) go back in the initial metadata and
// into its record.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "service/common/token_list.h"

namespace binocle {

// One call, when it is over: what a log line or a metric needs, and nothing secret.
struct CallRecord {
  std::string method;      // "Generate"
  std::string request_id;  // the client's, where it is plain, or one that was made
  std::string trace_id;    // 32 hexadecimal digits, or empty
  std::string token;       // the token's name, or empty
  std::string peer;        // "ipv4:127.0.0.1:4711"
  grpc::StatusCode code = grpc::StatusCode::UNKNOWN;
  std::string message;  // of a status that is not OK
  std::chrono::microseconds duration{0};
};

// Requests are refused while the server drains, questions about it are not. Probes ask for no token either, and leave no record.
enum class CallKind : uint8_t { kProbe, kQuestion, kRequest };

class CallGate : public std::enable_shared_from_this<CallGate> {
 public:
  using Clock = std::chrono::steady_clock;
  using OnCall = std::function<void(const CallRecord&)>;

  // A call under way. Whoever works for it holds it; when the last one lets go it is over.
  class Call {
   public:
    Call(std::shared_ptr<CallGate> gate, CallKind kind, CallRecord record);
    ~Call();
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    // OK, or why the call is refused.
    const grpc::Status& refusal() const { return refusal_; }
    // The request has come: from now on the call is under way, and draining waits for it, unless that has begun and refuses it.
    void Begin();
    const std::string& request_id() const { return record_.request_id; }
    // Of a call that ends because its transport does: the client has gone, its deadline has passed, or the server is shutting down. A client whose
    // deadline passes goes, and we hear of it a little before ours, which begins when the call comes and is sent to us rounded up by a hundredth: one that
    // goes in the last 20 ms and hundredth of its time has waited until the end of it.
    grpc::Status Broken() const;
    // What the client is told, once, by whoever ends the call.
    void End(const grpc::Status& status);

   private:
    friend class CallGate;

    const std::shared_ptr<CallGate> gate_;  // shared with the server
    const CallKind kind_;
    bool begun_ = false;
    CallRecord record_;
    grpc::Status refusal_;
    std::shared_ptr<TokenList::Lease> lease_;  // owned by this call alone
    const Clock::time_point start_ = Clock::now();
    std::optional<Clock::time_point> deadline_;
  };

  // Without tokens everybody may call. `on_call` is called on any thread and returns quickly; may be empty.
  explicit CallGate(std::optional<TokenList> tokens = {}, OnCall on_call = {})
      : tokens_(std::move(tokens)), on_call_(std::move(on_call)) {}

  std::shared_ptr<Call> Enter(grpc::CallbackServerContext& context, const char* method,
                              CallKind kind);

  // From now on requests are UNAVAILABLE.
  void StartDraining();
  bool draining() const;
  // From now on calls that are under way are cut off.
  void StartCutting() { cutting_ = true; }
  // Waits until no call is under way; false when some are at the deadline.
  bool WaitUntilIdle(Clock::time_point deadline);
  int64_t in_flight() const;

 private:
  void Leave(const Call& call);
  // These two set the call's refusal, the second its lease too.
  void CheckDraining(Call& call) const;
  void CheckToken(const grpc::CallbackServerContext& context, Call& call) const;

  const std::optional<TokenList> tokens_;
  const OnCall on_call_;
  std::atomic<bool> cutting_ = false;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable idle_;
  int64_t in_flight_ = 0;
  bool draining_ = false;
};

// When a call's client stops waiting; nothing when it waits for ever.
std::optional<std::chrono::steady_clock::time_point> DeadlineOf(
    const grpc::CallbackServerContext& context);

}  // namespace binocle
