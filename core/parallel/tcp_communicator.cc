#include "core/parallel/tcp_communicator.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/parallel/reception.h"
#include "core/parallel/socket.h"

namespace binocle {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kBetweenAttempts{50};
constexpr std::chrono::seconds kBeyondLate{10};

enum class FrameKind : uint64_t { kSum = 1, kBroadcast, kBarrier };
struct FrameHead {
  FrameKind kind;
  uint64_t number;  // of the frames before it
  uint64_t bytes;
};

std::string_view FrameName(FrameKind kind) {
  switch (kind) {
    case FrameKind::kSum: return "a sum";
    case FrameKind::kBroadcast: return "a broadcast";
    case FrameKind::kBarrier: return "a barrier";
  }
  return "no frame";
}

template <typename T>
std::span<const std::byte> AsBytesOf(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

class TcpStar : public Communicator {
 public:
  explicit TcpStar(const Meeting& meeting) : meeting_(meeting) {
    peers_.resize(static_cast<size_t>(meeting.rank == 0 ? meeting.size : 1));
    if (meeting.rank > 0) {
      GoToRankZero();
    } else if (meeting.size > 1) {
      peers_ = ReceiveRanks(meeting_);
    }
    // One that is slow is late, which says more than that it has left.
    for (const TcpSocket& peer : peers_)
      if (peer.open()) peer.BearWith(meeting_.to_answer + kBeyondLate);
  }

  int64_t rank() const override { return meeting_.rank; }
  int64_t size() const override { return meeting_.size; }

  void Sum(std::span<float> values) override { Add(FrameKind::kSum, values, Patience::kBounded); }
  void Barrier(Patience patience) override { Add(FrameKind::kBarrier, {}, patience); }

  void Broadcast(std::span<std::byte> bytes, Patience patience) override {
    const FrameHead head{FrameKind::kBroadcast, Begin(), bytes.size()};
    if (rank() != 0) return ReceiveFrame(0, head, bytes, patience);
    const SocketDeadline deadline = Deadline();
    for (int64_t peer = 1; peer < size(); ++peer) SendFrame(peer, head, bytes, deadline);
  }

  void Check() override {
    if (!over_.empty()) Throw(Code::kUnavailable, over_);
    for (size_t peer = rank() == 0 ? 1 : 0; peer < peers_.size(); ++peer)
      if (peers_[peer].Left()) End("rank ", peer, " of ", size(), " has left");
  }

  void Leave(const std::string& why) noexcept override {
    if (over_.empty()) over_ = why;
    for (TcpSocket& peer : peers_) peer.Close();
  }
  const std::string& over() const override { return over_; }
  std::chrono::milliseconds to_answer() const override { return meeting_.to_answer; }

 private:
  SocketDeadline Deadline() const { return SteadyClock::now() + meeting_.to_answer; }
  const TcpSocket& Peer(int64_t rank) const { return peers_[static_cast<size_t>(rank)]; }

  // A frame's number.
  uint64_t Begin() {
    if (!over_.empty()) Throw(Code::kUnavailable, over_);
    return frames_++;
  }

  template <typename... Parts>
  [[noreturn]] void End(const Parts&... parts) {
    Leave(internal::Concat("tensor_parallel: ", parts...));
    Throw(Code::kUnavailable, over_);
  }

  void Expect(SocketEnd end, int64_t peer, const FrameHead& head) {
    if (end == SocketEnd::kDone) return;
    if (end == SocketEnd::kLeft) End("rank ", peer, " of ", size(), " has left");
    End("rank ", peer, " of ", size(), " did not come to ", FrameName(head.kind), " within ",
        meeting_.to_answer.count() / 1000, " s");
  }

  void SendFrame(int64_t peer, const FrameHead& head, std::span<const std::byte> bytes,
                 const SocketDeadline& deadline) {
    // One piece where it is small, so that a step's orders are a packet.
    std::array<std::byte, 4096> together;
    const size_t size = sizeof head + bytes.size();
    if (size <= together.size()) {
      std::memcpy(together.data(), &head, sizeof head);
      if (!bytes.empty()) std::memcpy(together.data() + sizeof head, bytes.data(), bytes.size());
      return Expect(Peer(peer).Send(std::span(together).first(size), deadline), peer, head);
    }
    Expect(Peer(peer).Send(AsBytesOf(head), deadline), peer, head);
    Expect(Peer(peer).Send(bytes, deadline), peer, head);
  }

  void ReceiveFrame(int64_t peer, const FrameHead& expected, std::span<std::byte> bytes,
                    Patience patience) {
    FrameHead head{};
    // Endless until the frame begins, not in the middle of it.
    const SocketDeadline deadline = patience == Patience::kEndless ? SocketDeadline() : Deadline();
    Expect(Peer(peer).Receive(std::as_writable_bytes(std::span(&head, 1)), deadline), peer,
           expected);
    if (head.kind != expected.kind || head.number != expected.number ||
        head.bytes != expected.bytes) {
      End("rank ", peer, " of ", size(), " sent ", FrameName(head.kind), " of ", head.bytes,
          " bytes as number ", head.number, ", expected ", FrameName(expected.kind), " of ",
          expected.bytes, " as number ", expected.number,
          ": the ranks are not doing the same (other options, models or versions?)");
    }
    Expect(Peer(peer).Receive(bytes, Deadline()), peer, expected);
  }

  void Add(FrameKind kind, std::span<float> values, Patience patience) {
    const FrameHead head{kind, Begin(), values.size_bytes()};
    const std::span<std::byte> bytes = std::as_writable_bytes(values);
    if (rank() != 0) {
      SendFrame(0, head, bytes, Deadline());
      return ReceiveFrame(0, head, bytes, patience);
    }
    others_.resize(std::max(others_.size(), values.size()));
    const std::span<float> other = std::span(others_).first(values.size());
    for (int64_t peer = 1; peer < size(); ++peer) {
      ReceiveFrame(peer, head, std::as_writable_bytes(other), patience);
      for (size_t i = 0; i < values.size(); ++i) values[i] += other[i];
    }
    const SocketDeadline deadline = Deadline();
    for (int64_t peer = 1; peer < size(); ++peer) SendFrame(peer, head, bytes, deadline);
  }

  void GoToRankZero() {
    const SteadyClock::time_point until = SteadyClock::now() + meeting_.to_meet;
    TcpSocket& zero = peers_[0];
    while (!zero.open()) {
      zero = TcpSocket::Connect(meeting_.address, meeting_.port, until);
      if (zero.open()) break;
      if (SteadyClock::now() >= until)
        End("rank 0 of ", size(), " did not listen at ", PlaceOf(meeting_), " within ",
            meeting_.to_meet.count() / 1000, " s");
      std::this_thread::sleep_for(kBetweenAttempts);
    }
    const Hello hello = Hello::Of(meeting_);
    Hello welcome{};
    SocketEnd end = zero.Send(AsBytesOf(hello), until);
    if (end == SocketEnd::kDone)
      end = zero.Receive(std::as_writable_bytes(std::span(&welcome, 1)), until);
    if (end == SocketEnd::kLate)
      End("not all of ", size(), " ranks came to ", PlaceOf(meeting_), " within ",
          meeting_.to_meet.count() / 1000, " s");
    if (end == SocketEnd::kLeft || welcome.greeting != Hello::kGreeting || welcome.rank != 0 ||
        welcome.size != size())
      End("what listens at ", PlaceOf(meeting_), " is not rank 0 of ", size(),
          " ranks, or it gave up");
    CheckTerms(meeting_, welcome);
  }

  const Meeting meeting_;
  std::vector<TcpSocket> peers_;  // rank 0: by rank; others: rank 0 alone
  std::vector<float> others_;     // what another rank adds
  uint64_t frames_ = 0;
  std::string over_;  // why nothing goes any more
};

}  // namespace

std::unique_ptr<Communicator> MeetOverTcp(const Meeting& meeting) {
  BINOCLE_CHECK(meeting.rank >= 0 && meeting.rank < meeting.size, meeting.rank, " of ",
                meeting.size);
  return std::make_unique<TcpStar>(meeting);
}

}  // namespace binocle
