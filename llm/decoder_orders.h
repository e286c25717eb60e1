// What rank 0 says to the others before each thing that the decoder does (llm/decoder_leader.h, llm/decoder_follower.h), as bytes.
//
// An order goes over as its length and then its numbers, 64 bits each but for lists of 32. Both sides are of one build on machines alike: ranks do not meet
// (core/parallel/reception.h) where the order of bytes differs, or kVersion.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/parallel/communicator.h"

namespace binocle {

enum class OrderKind : int64_t {
  kBegin,        // pages, OrderTerms
  kForward,      // text rows, positions, slots, runs, plan
  kEncodeImage,  // number, tokens, aligner
  kDropImage,    // number
  kPlaceImage,   // number, first position, length, pages
  kCopyPage,     // from, to, tokens
  kEnd,
};

class Order {
 public:
  static constexpr int64_t kVersion = 3;

  explicit Order(OrderKind kind) { Put(static_cast<int64_t>(kind)); }
  // The next one of rank 0, whenever it comes. Throws UNAVAILABLE as Communicator does.
  static Order Await(Communicator& communicator);
  // To the others.
  void Say(Communicator& communicator) const;

  void Put(int64_t number);
  void PutList(std::span<const int32_t> numbers);
  // In the order in which they were put; throws INTERNAL for what was not, or is not from `least` to `most`.
  int64_t Take();
  int64_t Take(int64_t least, int64_t most, const char* what);
  std::vector<int32_t> TakeList();
  OrderKind TakeKind() { return static_cast<OrderKind>(Take()); }
  // Throws INTERNAL unless all was taken.
  void CheckEnd() const;

 private:
  Order() = default;
  const std::byte* TakeBytes(size_t count);

  std::vector<std::byte> bytes_;
  size_t taken_ = 0;
};

// What all ranks must have alike, or their passes would not be one pass: shapes of the whole model, and room.
struct OrderTerm {
  std::string name;
  int64_t value;
};

}  // namespace binocle
