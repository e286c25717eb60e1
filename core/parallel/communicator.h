// Processes that compute one model together, and all that they ever say to each other.
//
//   rank     0 … size − 1: which of them this one is
//   Sum      values ← Σ_r values_r, added in the order of ranks, so that all of them have the same bits afterwards
//   Broadcast   bytes ← those of rank 0
//   Barrier     until all have come to it
// All ranks make the same calls in the same order; an implementation notices where they do not. One thread at a time.
//
// A rank that leaves, or is out of step, ends it for all: every call from then on throws UNAVAILABLE and says which rank it was.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace binocle {

class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual int64_t rank() const = 0;
  virtual int64_t size() const = 0;

  virtual void Sum(std::span<float> values) = 0;

  // How long a rank waits for others: they are about to come, or come whenever they have loaded, or been asked for, something. One that leaves ends either.
  enum class Patience : uint8_t { kBounded, kEndless };
  virtual void Broadcast(std::span<std::byte> bytes, Patience patience = Patience::kBounded) = 0;

  virtual void Barrier(Patience patience = Patience::kBounded) = 0;

  // Throws where it is over; notices a rank that has left, and does not wait. For who waits elsewhere for what other ranks do.
  virtual void Check() = 0;

  // This rank cannot go on: the others are not to wait for it. `why` is what its own later calls say, unless it was over before.
  virtual void Leave(const std::string& why) noexcept = 0;
  // Why it is over, as later calls say it; empty while it is not.
  virtual const std::string& over() const = 0;
  // How long a rank waits for others that are about to come.
  virtual std::chrono::milliseconds to_answer() const = 0;
};

}  // namespace binocle
