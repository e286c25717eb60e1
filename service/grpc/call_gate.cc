#include "service/grpc/call_gate.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "binocle/error.h"
#include "service/common/random_id.h"
#include "service/common/text.h"
#include "service/common/trace_context.h"
#include "service/grpc/status.h"

namespace binocle {
namespace {

constexpr std::chrono::milliseconds kDrainRetry{2000};

std::string_view MetadataOf(const grpc::CallbackServerContext& context, const char* key) {
  const auto found = context.client_metadata().find(key);
  if (found == context.client_metadata().end()) return {};
  return {found->second.data(), found->second.size()};
}

// 1 to 128 characters that no log has to escape.
bool IsPlain(std::string_view id) {
  return !id.empty() && id.size() <= 128 && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == ':';
  });
}

grpc::Status Refusal(Code code, const char* message, const char* reason,
                     std::optional<std::chrono::milliseconds> retry = {}) {
  return StatusOf(Error(code, message), {.violations = {}, .retry = retry, .reason = reason});
}

// Of google.rpc.ErrorInfo.
const char* ReasonOf(TokenList::Verdict verdict) {
  switch (verdict) {
    case TokenList::Verdict::kRate: return "TOKEN_RATE_LIMIT";
    case TokenList::Verdict::kInFlight: return "TOKEN_IN_FLIGHT_LIMIT";
    default: return "TOKEN_UNKNOWN";
  }
}

}  // namespace

CallGate::Call::Call(std::shared_ptr<CallGate> gate, CallKind kind, CallRecord record)
    : gate_(std::move(gate)), kind_(kind), record_(std::move(record)) {}

CallGate::Call::~Call() {
  record_.duration = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start_);
  lease_.reset();
  gate_->Leave(*this);
}

void CallGate::Call::Begin() {
  const std::lock_guard lock(gate_->mutex_);
  begun_ = true;
  ++gate_->in_flight_;
  gate_->CheckDraining(*this);
}

grpc::Status CallGate::Call::Broken() const {
  if (deadline_ &&
      Clock::now() >= *deadline_ - std::chrono::milliseconds(20) - (*deadline_ - start_) / 100)
    return grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "the call's deadline has passed");
  if (!gate_->cutting_) return grpc::Status(grpc::StatusCode::CANCELLED, "the client has gone");
  return grpc::Status(grpc::StatusCode::UNAVAILABLE,
                      "the server is shutting down, and the answer took too long");
}

void CallGate::Call::End(const grpc::Status& status) {
  record_.code = status.error_code();
  record_.message = status.error_message();
  // Before the client hears of it: who asks one after the other is never two at a time.
  lease_.reset();
}

std::shared_ptr<CallGate::Call> CallGate::Enter(grpc::CallbackServerContext& context,
                                                const char* method, CallKind kind) {
  CallRecord record{.method = method, .peer = context.peer()};
  const std::string_view id = MetadataOf(context, "x-request-id");
  record.request_id = IsPlain(id) ? std::string(id) : RandomId();
  context.AddInitialMetadata("x-request-id", record.request_id);
  const std::string_view trace = MetadataOf(context, "traceparent");
  if (const auto trace_id = TraceIdOf(trace)) {
    record.trace_id = *trace_id;
    context.AddInitialMetadata("traceparent", std::string(trace));
  }
  auto call = std::make_shared<Call>(shared_from_this(), kind, std::move(record));
  call->deadline_ = DeadlineOf(context);
  {
    const std::lock_guard lock(mutex_);
    CheckDraining(*call);
  }
  if (call->refusal_.ok() && kind != CallKind::kProbe) CheckToken(context, *call);
  return call;
}

void CallGate::CheckDraining(Call& call) const {
  if (!draining_ || call.kind_ != CallKind::kRequest) return;
  call.refusal_ =
      Refusal(Code::kUnavailable, "the server is about to stop", "DRAINING", kDrainRetry);
}

void CallGate::CheckToken(const grpc::CallbackServerContext& context, Call& call) const {
  if (!tokens_) return;
  const auto token = BearerOf(MetadataOf(context, "authorization"));
  if (!token) {
    call.refusal_ = Refusal(Code::kUnauthenticated,
                            "expected metadata `authorization: Bearer TOKEN`", "TOKEN_MISSING");
    return;
  }
  TokenList::Decision decision = tokens_->Admit(*token, Clock::now());
  call.record_.token = std::move(decision.name);
  call.lease_ = std::move(decision.lease);
  if (decision.verdict == TokenList::Verdict::kAdmitted) return;
  const StatusDetails details{
      .violations = {}, .retry = decision.retry, .reason = ReasonOf(decision.verdict)};
  call.refusal_ = decision.verdict == TokenList::Verdict::kUnknown
                      ? StatusOf(TokenIsUnknown(), details)
                      : StatusOf(TokenIsOverLimit(decision.verdict), details);
}

void CallGate::Leave(const Call& call) {
  if (on_call_ && call.kind_ != CallKind::kProbe) on_call_(call.record_);
  if (!call.begun_) return;
  const std::lock_guard lock(mutex_);
  if (--in_flight_ == 0) idle_.notify_all();
}

void CallGate::StartDraining() {
  const std::lock_guard lock(mutex_);
  draining_ = true;
}

bool CallGate::draining() const {
  const std::lock_guard lock(mutex_);
  return draining_;
}

bool CallGate::WaitUntilIdle(Clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  return idle_.wait_until(lock, deadline, [&] { return in_flight_ == 0; });
}

int64_t CallGate::in_flight() const {
  const std::lock_guard lock(mutex_);
  return in_flight_;
}

std::optional<std::chrono::steady_clock::time_point> DeadlineOf(
    const grpc::CallbackServerContext& context) {
  const auto left = context.deadline() - std::chrono::system_clock::now();
  if (left > std::chrono::hours(24 * 365)) return std::nullopt;
  return std::chrono::steady_clock::now() + left;
}

}  // namespace binocle
