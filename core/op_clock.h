// Where the time of a forward pass goes, by kind of op. Nobody counts unless a clock is set (Exec::set_op_clock): `binocle bench model` sets one.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>

namespace binocle {

enum class OpKind : uint8_t { kLinear, kAttention, kNorm, kRope, kActivation, kKvWrite };
inline constexpr size_t kOpKinds = 6;
std::string_view OpKindName(OpKind kind);  // "linear", "attention", …

struct OpClock {
  std::array<double, kOpKinds> seconds{};
  std::array<int64_t, kOpKinds> calls{};
};

// From here to the end of the scope, of the calling thread, which waits for the others.
class OpScope {
 public:
  OpScope(OpClock* clock, OpKind kind) : clock_(clock), kind_(static_cast<size_t>(kind)) {
    if (clock_ != nullptr) start_ = std::chrono::steady_clock::now();
  }
  ~OpScope() {
    if (clock_ == nullptr) return;
    clock_->seconds[kind_] +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    ++clock_->calls[kind_];
  }
  OpScope(const OpScope&) = delete;
  OpScope& operator=(const OpScope&) = delete;

 private:
  OpClock* clock_;
  size_t kind_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace binocle
