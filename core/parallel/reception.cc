#include "core/parallel/reception.h"

#include <algorithm>
#include <cstring>
#include <list>
#include <span>
#include <string>
#include <utility>

#include "core/error.h"

namespace binocle {
namespace {

using SteadyClock = std::chrono::steady_clock;

// For a stranger's hello; a rank sends its own at once.
constexpr std::chrono::seconds kToSayHello{5};
// After this part of the time to meet, ten seconds of five minutes, whoever watches is told who is waited for.
constexpr int kToWonder = 30;
// Who comes beyond them is turned away.
constexpr size_t kMostGuests = 256;

// Somebody who has connected and not yet said who it is.
struct Guest {
  TcpSocket socket;
  SteadyClock::time_point until;
  std::array<std::byte, sizeof(Hello)> said = {};
  size_t bytes = 0;
};

class Reception {
 public:
  explicit Reception(const Meeting& meeting)
      : meeting_(meeting),
        listening_(TcpSocket::Listen(meeting.address, meeting.port)),
        until_(SteadyClock::now() + meeting.to_meet),
        wonders_at_(SteadyClock::now() + meeting.to_meet / kToWonder),
        ranks_(static_cast<size_t>(meeting.size)) {}

  std::vector<TcpSocket> AwaitAll() {
    while (there_ + 1 < meeting_.size) {
      Wait();
      const SteadyClock::time_point now = SteadyClock::now();
      if (now >= until_) EndLate();
      if (now >= wonders_at_) SayWhoIsAwaited();
      if (guests_.size() < kMostGuests) {
        TcpSocket guest = listening_.Accept(now);
        if (guest.open())
          guests_.push_back({.socket = std::move(guest), .until = now + kToSayHello});
      }
      std::erase_if(guests_, [&](Guest& guest) { return HasBeenHeard(guest, now); });
      ForgetWhoHasLeft();
    }
    const Hello welcome = Hello::Of(meeting_);
    for (TcpSocket& rank : ranks_)
      if (rank.open()) rank.Send(std::as_bytes(std::span(&welcome, 1)), until_);
    return std::move(ranks_);
  }

 private:
  template <typename... Parts>
  [[noreturn]] void End(const Parts&... parts) const {
    Throw(Code::kUnavailable, "tensor_parallel: ", parts...);
  }

  // "1, 3"
  std::string Missing() const {
    std::string missing;
    for (int64_t rank = 1; rank < meeting_.size; ++rank)
      if (!ranks_[static_cast<size_t>(rank)].open())
        missing += (missing.empty() ? "" : ", ") + std::to_string(rank);
    return missing;
  }

  [[noreturn]] void EndLate() const {
    End("of ", meeting_.size, " ranks these did not come to ", PlaceOf(meeting_), " within ",
        meeting_.to_meet.count() / 1000, " s: ", Missing(),
        turned_away_.empty() ? "" : "; the last that was turned away was ", turned_away_);
  }

  // Once.
  void SayWhoIsAwaited() {
    wonders_at_ = until_;
    if (meeting_.note)
      meeting_.note(internal::Concat("tensor_parallel: of ", meeting_.size,
                                     " ranks these have not come to ", PlaceOf(meeting_),
                                     " yet: ", Missing()));
  }

  void TurnAway(const std::string& whom) {
    turned_away_ = whom;
    if (meeting_.note)
      meeting_.note("tensor_parallel: " + whom + " came to " + PlaceOf(meeting_) +
                    " and was turned away");
  }

  // Until somebody comes, says something, leaves, or has had its time.
  void Wait() const {
    std::vector<const TcpSocket*> sockets;
    if (guests_.size() < kMostGuests) sockets.push_back(&listening_);
    for (const TcpSocket& rank : ranks_)
      if (rank.open()) sockets.push_back(&rank);
    SteadyClock::time_point next = std::min(until_, wonders_at_);
    for (const Guest& guest : guests_) {
      sockets.push_back(&guest.socket);
      next = std::min(next, guest.until);
    }
    TcpSocket::WaitForAny(sockets, next);
  }

  // Whether it is no guest any more.
  bool HasBeenHeard(Guest& guest, SteadyClock::time_point now) {
    const auto taken = guest.socket.Take(std::span(guest.said).subspan(guest.bytes));
    if (!taken || now >= guest.until) {
      TurnAway("a process that did not say who it is");
      return true;
    }
    guest.bytes += *taken;
    if (guest.bytes < sizeof(Hello)) return false;
    Hello hello;
    std::memcpy(&hello, guest.said.data(), sizeof hello);
    Greet(hello, guest.socket);
    return true;
  }

  void Greet(const Hello& hello, TcpSocket& socket) {
    if (hello.greeting != Hello::kGreeting) return TurnAway("a process that is no rank");
    // Of another job, whose port this is as well.
    if (hello.size != meeting_.size)
      return TurnAway(internal::Concat("rank ", hello.rank, " of ", hello.size, " where ranks of ",
                                       meeting_.size, " meet"));
    if (hello.rank < 1 || hello.rank >= hello.size)
      End("a process came to ", PlaceOf(meeting_), " as rank ", hello.rank, " of ", hello.size,
          ", expected 1 to ", hello.size - 1);
    TcpSocket& place = ranks_[static_cast<size_t>(hello.rank)];
    if (place.open() && !place.Left())
      End("two processes came to ", PlaceOf(meeting_), " as rank ", hello.rank, " of ",
          meeting_.size);
    try {
      CheckTerms(meeting_, hello);
    } catch (const Error&) {
      // So that it says the same.
      const Hello own = Hello::Of(meeting_);
      socket.Send(std::as_bytes(std::span(&own, 1)), SteadyClock::now() + kToSayHello);
      throw;
    }
    if (!place.open()) ++there_;
    place = std::move(socket);
  }

  // It may come again, or be replaced.
  void ForgetWhoHasLeft() {
    for (TcpSocket& rank : ranks_) {
      if (!rank.open() || !rank.Left()) continue;
      rank.Close();
      --there_;
    }
  }

  const Meeting& meeting_;
  const TcpSocket listening_;
  const SteadyClock::time_point until_;
  SteadyClock::time_point wonders_at_;
  std::vector<TcpSocket> ranks_;
  int64_t there_ = 0;  // beside rank 0
  std::list<Guest> guests_;
  std::string turned_away_;
};

}  // namespace

Hello Hello::Of(const Meeting& meeting) {
  BINOCLE_CHECK(meeting.terms.size() <= Meeting::kMostTerms, meeting.terms.size());
  Hello hello{.rank = meeting.rank, .size = meeting.size};
  for (size_t i = 0; i < meeting.terms.size(); ++i) hello.terms[i] = meeting.terms[i].value;
  return hello;
}

void CheckTerms(const Meeting& meeting, const Hello& other) {
  for (size_t i = 0; i < meeting.terms.size(); ++i) {
    const MeetingTerm& own = meeting.terms[i];
    if (other.terms[i] == own.value) continue;
    Throw(Code::kUnavailable, "tensor_parallel: ", own.name, " is ", other.terms[i], " at rank ",
          other.rank, " and ", own.value, " at rank ", meeting.rank, ", expected the same");
  }
}

std::string PlaceOf(const Meeting& meeting) {
  return internal::Concat(Printable(meeting.address, 80), ":", meeting.port);
}

std::vector<TcpSocket> ReceiveRanks(const Meeting& meeting) {
  return Reception(meeting).AwaitAll();
}

}  // namespace binocle
