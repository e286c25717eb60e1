#include "service/client/client_call.h"

#include <algorithm>
#include <cstdint>
#include <random>

#include "service/common/random_id.h"

namespace binocle {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// How often keep_going is asked while nothing happens: soon for people, and next to nothing for a hundred calls at a time.
constexpr milliseconds kAskInterval{20};

std::mt19937_64& Random() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  return random;
}

// RESOURCE_EXHAUSTED without a delay is a message or a picture that is too large, and stays so.
bool MayRetry(const CallError& error) {
  return error.code() == Code::kUnavailable ||
         (error.code() == Code::kResourceExhausted && error.retry_delay().has_value());
}

}  // namespace

Attempt::~Attempt() {
  queue_.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) continue;
}

bool Attempt::Wait() {
  void* tag = nullptr;
  bool ok = false;
  if (!keep_going_) return queue_.Next(&tag, &ok) && ok;
  Ask();
  while (true) {
    const auto until = std::chrono::system_clock::now() + kAskInterval;
    switch (queue_.AsyncNext(&tag, &ok, until)) {
      case grpc::CompletionQueue::GOT_EVENT: return ok;
      case grpc::CompletionQueue::SHUTDOWN: return false;
      case grpc::CompletionQueue::TIMEOUT: Ask(); break;
    }
  }
}

void Attempt::Ask() {
  if (cancelled_ || thrown_) return;
  Guard([&] {
    if (!keep_going_()) Cancel();
  });
}

void Attempt::Cancel() {
  cancelled_ = true;
  context_.TryCancel();
}

ClientCall::ClientCall(const Connection& connection, const CallOptions& options,
                       std::optional<Clock::time_point> deadline)
    : client_(connection.options()),
      token_(connection.token()),
      channel_(*connection.channel()),
      keep_going_(options.keep_going),
      deadline_(deadline) {
  facts_ = {.target = client_.target,
            .request_id = options.request_id.empty() ? RandomId() : options.request_id,
            .timeout = options.timeout.value_or(client_.timeout)};
  if (facts_.timeout.count() < 0) {
    throw Error(Code::kInvalidArgument, "timeout is below 0, expected 0 or milliseconds above it",
                "timeout");
  }
  if (facts_.timeout.count() > 0) {
    const Clock::time_point end = Clock::now() + facts_.timeout;
    deadline_ = deadline_ ? std::min(*deadline_, end) : end;
  }
  if (deadline_) facts_.timeout = Left();
}

milliseconds ClientCall::Left() const {
  if (!deadline_) return std::chrono::hours(24 * 365);
  return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(*deadline_ - Clock::now()));
}

void ClientCall::Prepare(grpc::ClientContext& context) const {
  if (deadline_) context.set_deadline(std::chrono::system_clock::now() + Left());
  context.AddMetadata("x-request-id", facts_.request_id);
  if (!token_.empty()) context.AddMetadata("authorization", "Bearer " + token_);
}

void ClientCall::Run(const std::function<grpc::Status(Attempt&)>& attempt,
                     const std::function<bool()>& untouched) {
  for (int64_t attempts = 1;; ++attempts) {
    grpc::ClientContext context;
    Prepare(context);
    Attempt current(context, keep_going_);
    const grpc::Status status = attempt(current);
    current.Rethrow();
    if (status.ok()) return;
    if (current.cancelled()) ThrowCancelled();
    const CallError error = ErrorOf(status, facts_, pictures_);
    const auto pause = untouched() ? Pause(error, attempts) : std::nullopt;
    if (!pause) throw CallError(error);
    Sleep(*pause);
  }
}

std::optional<milliseconds> ClientCall::Pause(const CallError& error, int64_t attempts) const {
  const RetryOptions& retry = client_.retry;
  if (attempts >= retry.attempts || !MayRetry(error)) return std::nullopt;
  const int64_t doublings = std::min<int64_t>(attempts - 1, 30);
  const milliseconds backoff =
      std::min(milliseconds(retry.initial_backoff.count() << doublings), retry.max_backoff);
  // Never before the server's time, and never all clients at once.
  const milliseconds half = backoff / 2;
  const milliseconds pause =
      std::max(error.retry_delay().value_or(milliseconds(0)), half) +
      milliseconds(std::uniform_int_distribution<int64_t>(0, half.count())(Random()));
  return pause < Left() ? std::optional(pause) : std::nullopt;
}

void ClientCall::Sleep(milliseconds time) const {
  using Wall = std::chrono::system_clock;
  // gRPC's connections go on only while somebody waits for the channel.
  grpc::CompletionQueue queue;
  const Wall::time_point end = Wall::now() + time;
  while (Wall::now() < end) {
    if (keep_going_ && !keep_going_()) ThrowCancelled();
    const Wall::time_point until = keep_going_ ? std::min(end, Wall::now() + kAskInterval) : end;
    channel_.NotifyOnStateChange(channel_.GetState(/*try_to_connect=*/true), until, &queue,
                                 nullptr);
    void* tag = nullptr;
    bool changed = false;
    queue.Next(&tag, &changed);
  }
}

void ClientCall::ThrowCancelled() const {
  throw CallError(Code::kCancelled, facts_.target + ": the caller cancelled the call", "",
                  {.request_id = facts_.request_id});
}

}  // namespace binocle
