#include "llm/decoder_orders.h"

#include <cstring>

#include "core/error.h"

namespace binocle {
namespace {

// More than the longest pass says of its rows and pages; a length beyond is none.
constexpr int64_t kLongestOrder = int64_t{1} << 30;

}  // namespace

Order Order::Await(Communicator& communicator) {
  int64_t length = 0;
  communicator.Broadcast(std::as_writable_bytes(std::span(&length, 1)),
                         Communicator::Patience::kEndless);
  if (length < 0 || length > kLongestOrder)
    Throw(Code::kInternal, "tensor_parallel: an order of ", length, " bytes");
  Order order;
  order.bytes_.resize(static_cast<size_t>(length));
  communicator.Broadcast(order.bytes_);
  return order;
}

void Order::Say(Communicator& communicator) const {
  int64_t length = std::ssize(bytes_);
  communicator.Broadcast(std::as_writable_bytes(std::span(&length, 1)));
  // Rank 0's own bytes are only read.
  communicator.Broadcast({const_cast<std::byte*>(bytes_.data()), bytes_.size()});
}

void Order::Put(int64_t number) {
  const auto bytes = std::as_bytes(std::span(&number, 1));
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

void Order::PutList(std::span<const int32_t> numbers) {
  Put(std::ssize(numbers));
  const auto bytes = std::as_bytes(numbers);
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

const std::byte* Order::TakeBytes(size_t count) {
  if (count > bytes_.size() - taken_)
    Throw(Code::kInternal, "tensor_parallel: an order of ", bytes_.size(), " bytes ends at ",
          taken_, " + ", count);
  const std::byte* bytes = bytes_.data() + taken_;
  taken_ += count;
  return bytes;
}

int64_t Order::Take() {
  int64_t number = 0;
  std::memcpy(&number, TakeBytes(sizeof number), sizeof number);
  return number;
}

int64_t Order::Take(int64_t least, int64_t most, const char* what) {
  const int64_t number = Take();
  if (number < least || number > most)
    Throw(Code::kInternal, "tensor_parallel: an order has ", number, " as ", what, ", expected ",
          least, " to ", most);
  return number;
}

void Order::CheckEnd() const {
  if (taken_ != bytes_.size())
    Throw(Code::kInternal, "tensor_parallel: an order of ", bytes_.size(), " bytes, expected ",
          taken_);
}

std::vector<int32_t> Order::TakeList() {
  const auto count = static_cast<uint64_t>(Take());
  if (count > (bytes_.size() - taken_) / sizeof(int32_t))
    Throw(Code::kInternal, "tensor_parallel: a list of ", count, " in an order of ", bytes_.size(),
          " bytes");
  std::vector<int32_t> numbers(count);
  const std::byte* from = TakeBytes(count * sizeof(int32_t));
  if (count > 0) std::memcpy(numbers.data(), from, count * sizeof(int32_t));
  return numbers;
}

}  // namespace binocle
