// Ranks as threads, over the loopback.
#include "core/parallel/tcp_communicator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <mutex>
#include <numeric>
#include <thread>
#include <vector>

#include "binocle/error.h"
#include "core/parallel/reception.h"
#include "core/parallel/socket.h"
#include "tests/testing/free_port.h"

namespace binocle {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

Meeting MeetingOf(int64_t rank, int64_t size, int64_t port) {
  return {.rank = rank,
          .size = size,
          .port = port,
          .to_meet = milliseconds(20'000),
          .to_answer = milliseconds(20'000)};
}

// body(communicator) as every rank at once; what each threw, empty where nothing.
std::vector<std::string> AsRanks(const std::vector<Meeting>& meetings,
                                 const std::function<void(Communicator&)>& body) {
  std::vector<std::string> errors(meetings.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < meetings.size(); ++i) {
    threads.emplace_back([&, i] {
      try {
        body(*MeetOverTcp(meetings[i]));
      } catch (const Error& error) {
        errors[i] = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return errors;
}

std::vector<std::string> AsRanks(int64_t size, const std::function<void(Communicator&)>& body) {
  const int64_t port = testing::FreePort();
  std::vector<Meeting> meetings;
  for (int64_t rank = 0; rank < size; ++rank) meetings.push_back(MeetingOf(rank, size, port));
  return AsRanks(meetings, body);
}

class TcpRanks : public ::testing::TestWithParam<int64_t> {};
INSTANTIATE_TEST_SUITE_P(Sizes, TcpRanks, ::testing::Values(1, 2, 3, 4));

// Numbers whose sum depends on the order: the bits say which it was.
TEST_P(TcpRanks, SumsAreInTheOrderOfRanksAndOfTheSameBitsEverywhere) {
  const int64_t size = GetParam();
  for (const size_t count : {size_t{1}, size_t{1023}, size_t{300'000}}) {
    const auto value = [](int64_t rank, size_t i) {
      return (rank % 2 == 0 ? 1.0F : -1.0F) * (1e6F / static_cast<float>(1 + (i + 7) % 13)) +
             0.001F * static_cast<float>(i % 101) + static_cast<float>(rank) / 3.0F;
    };
    std::vector<std::vector<float>> results(static_cast<size_t>(size));
    const auto errors = AsRanks(size, [&](Communicator& c) {
      std::vector<float> values(count);
      for (size_t i = 0; i < count; ++i) values[i] = value(c.rank(), i);
      c.Sum(values);
      results[static_cast<size_t>(c.rank())] = values;
    });
    for (const std::string& error : errors) EXPECT_EQ(error, "");
    for (size_t i = 0; i < count; ++i) {
      float want = value(0, i);
      for (int64_t rank = 1; rank < size; ++rank) want += value(rank, i);
      for (int64_t rank = 0; rank < size; ++rank)
        ASSERT_EQ(results[static_cast<size_t>(rank)][i], want) << "rank " << rank << ", " << i;
    }
  }
}

TEST_P(TcpRanks, BroadcastIsRankZeros) {
  const auto errors = AsRanks(GetParam(), [&](Communicator& c) {
    for (const size_t count : {size_t{0}, size_t{8}, size_t{5000}, size_t{1} << 20}) {
      std::vector<std::byte> bytes(count, std::byte(c.rank() + 1));
      c.Broadcast(bytes);
      EXPECT_EQ(bytes, std::vector<std::byte>(count, std::byte(1)));
    }
    c.Barrier();
  });
  for (const std::string& error : errors) EXPECT_EQ(error, "");
}

TEST(TcpMeeting, ARankThatNeverComesIsNamed) {
  const int64_t port = testing::FreePort();
  std::vector<Meeting> meetings = {MeetingOf(0, 4, port), MeetingOf(2, 4, port)};
  // Rank 2 is to be late nowhere: it looks for rank 0 longer than that one waits.
  meetings[0].to_meet = milliseconds(2000);
  meetings[1].to_meet = milliseconds(20'000);
  const auto errors = AsRanks(meetings, [](Communicator&) {});
  EXPECT_THAT(errors[0],
              AllOf(HasSubstr("UNAVAILABLE: tensor_parallel: of 4 ranks these did not"),
                    HasSubstr("127.0.0.1:" + std::to_string(port)), HasSubstr("within 2 s: 1, 3")));
  EXPECT_THAT(errors[1], HasSubstr("4 ranks"));
}

TEST(TcpMeeting, WithoutRankZeroOthersSayWhereTheyLooked) {
  Meeting meeting = MeetingOf(1, 2, testing::FreePort());
  meeting.to_meet = milliseconds(300);
  EXPECT_THAT(AsRanks({meeting}, [](Communicator&) {})[0],
              HasSubstr("rank 0 of 2 did not listen at 127.0.0.1:"));
}

TEST(TcpMeeting, ARankThatLeavesEndsItForAll) {
  const auto errors = AsRanks(3, [](Communicator& c) {
    float one = 1;
    c.Sum({&one, 1});
    if (c.rank() == 2) return;
    c.Sum({&one, 1});
  });
  EXPECT_THAT(errors[0], HasSubstr("UNAVAILABLE: tensor_parallel: rank 2 of 3 has left"));
  EXPECT_THAT(errors[1], HasSubstr("rank 0 of 3 has left"));
}

TEST(TcpMeeting, ACheckFindsWhoHasLeftAndDoesNotWait) {
  const auto errors = AsRanks(2, [](Communicator& c) {
    c.Check();
    c.Barrier();
    if (c.rank() == 1) return;
    for (int i = 0; i < 2000; ++i) {
      c.Check();
      std::this_thread::sleep_for(milliseconds(10));
    }
  });
  EXPECT_THAT(errors[0], HasSubstr("UNAVAILABLE: tensor_parallel: rank 1 of 2 has left"));
  EXPECT_EQ(errors[1], "");
}

TEST(TcpMeeting, OnceItIsOverEveryCallSaysWhy) {
  AsRanks(2, [](Communicator& c) {
    c.Leave("the device has failed");
    try {
      c.Barrier();
      FAIL();
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(), "UNAVAILABLE: the device has failed");
    }
  });
}

TEST(TcpMeeting, ARankThatDoesNotAnswerIsLate) {
  const int64_t port = testing::FreePort();
  std::vector<Meeting> meetings = {MeetingOf(0, 2, port), MeetingOf(1, 2, port)};
  meetings[0].to_answer = milliseconds(1000);
  const auto errors = AsRanks(meetings, [](Communicator& c) {
    if (c.rank() == 0) return c.Barrier();
    std::this_thread::sleep_for(milliseconds(1500));
    c.Barrier();
  });
  EXPECT_THAT(errors[0], HasSubstr("rank 1 of 2 did not come to a barrier within 1 s"));
  EXPECT_THAT(errors[1], HasSubstr("rank 0 of 2 has left"));
}

TEST(TcpMeeting, RanksOutOfStepAreFound) {
  const auto errors = AsRanks(2, [](Communicator& c) {
    std::vector<float> values(c.rank() == 0 ? 4 : 5);
    c.Sum(values);
  });
  EXPECT_THAT(errors[0], AllOf(HasSubstr("rank 1 of 2 sent a sum of 20 bytes"),
                               HasSubstr("expected a sum of 16")));
}

TEST(TcpMeeting, RanksOfAnotherJobAreTurnedAwayAndNamed) {
  const int64_t port = testing::FreePort();
  std::vector<Meeting> meetings = {MeetingOf(0, 2, port), MeetingOf(1, 3, port)};
  std::vector<std::string> notes;
  meetings[0].to_meet = milliseconds(1500);
  meetings[0].note = [&](const std::string& note) { notes.push_back(note); };
  const auto errors = AsRanks(meetings, [](Communicator&) {});
  const std::string who = "rank 1 of 3 where ranks of 2 meet";
  EXPECT_THAT(errors[0], AllOf(HasSubstr("within 1 s: 1"), HasSubstr(who)));
  EXPECT_THAT(errors[1], HasSubstr("is not rank 0 of 3 ranks, or it gave up"));
  EXPECT_THAT(notes, UnorderedElementsAre(HasSubstr(who),
                                          HasSubstr("ranks these have not come to 127.0.0.1:" +
                                                    std::to_string(port) + " yet: 1")));
}

TEST(TcpMeeting, TwoOfARankEndIt) {
  const int64_t port = testing::FreePort();
  EXPECT_THAT(AsRanks({MeetingOf(0, 3, port), MeetingOf(1, 3, port), MeetingOf(1, 3, port)},
                      [](Communicator&) {})[0],
              HasSubstr("two processes came to"));
}

TEST(TcpMeeting, RanksOfOtherTermsAreToldWhich) {
  const int64_t port = testing::FreePort();
  std::vector<Meeting> meetings = {MeetingOf(0, 3, port), MeetingOf(1, 3, port),
                                   MeetingOf(2, 3, port)};
  for (Meeting& meeting : meetings) meeting.terms = {{"the version", 7}, {"the device", 1}};
  meetings[2].terms[1].value = 0;
  const auto errors = AsRanks(meetings, [](Communicator&) {});
  EXPECT_THAT(errors[0], HasSubstr("the device is 0 at rank 2 and 1 at rank 0, expected the same"));
  EXPECT_THAT(errors[2], HasSubstr("the device is 1 at rank 0 and 0 at rank 2, expected the same"));
}

// Connected, once somebody listens.
TcpSocket Visitor(int64_t port) {
  TcpSocket socket;
  for (int i = 0; i < 400 && !socket.open(); ++i) {
    socket = TcpSocket::Connect("127.0.0.1", port, {});
    if (!socket.open()) std::this_thread::sleep_for(milliseconds(25));
  }
  EXPECT_TRUE(socket.open());
  return socket;
}

void Say(const TcpSocket& socket, const Hello& hello) {
  socket.Send(std::as_bytes(std::span(&hello, 1)), {});
}

bool IsTurnedAway(const TcpSocket& socket) {
  std::byte answer{};
  return socket.Receive({&answer, 1}, std::chrono::steady_clock::now() +
                                          std::chrono::seconds(15)) == SocketEnd::kLeft;
}

// Rank 0 of two, with `others` to do meanwhile, the last of which is rank 1.
void MeetBeside(int64_t port, const std::function<void()>& others) {
  std::string error;
  std::thread zero(
      [&] { error = AsRanks({MeetingOf(0, 2, port)}, [](Communicator& c) { c.Barrier(); })[0]; });
  others();
  zero.join();
  EXPECT_EQ(error, "");
}

void ComeAsRankOne(int64_t port) {
  EXPECT_EQ(AsRanks({MeetingOf(1, 2, port)}, [](Communicator& c) { c.Barrier(); })[0], "");
}

// Those who say nothing have their five seconds side by side, and nobody waits for them.
TEST(TcpMeeting, StrangersAreTurnedAwayAndKeepNobodyWaiting) {
  const int64_t port = testing::FreePort();
  const auto begin = std::chrono::steady_clock::now();
  MeetBeside(port, [&] {
    const TcpSocket silent[] = {Visitor(port), Visitor(port), Visitor(port)};
    const TcpSocket other = Visitor(port);
    const std::string words(sizeof(Hello), 'x');
    other.Send(std::as_bytes(std::span(words)), {});
    EXPECT_TRUE(IsTurnedAway(other));
    ComeAsRankOne(port);
  });
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

TEST(TcpMeeting, WhoLeavesBeforeAllAreThereMakesRoom) {
  const int64_t port = testing::FreePort();
  std::vector<std::string> errors;
  std::thread zero(
      [&] { errors = AsRanks({MeetingOf(0, 3, port)}, [](Communicator& c) { c.Barrier(); }); });
  {
    const TcpSocket first = Visitor(port);
    Say(first, {.rank = 1, .size = 3});
    std::this_thread::sleep_for(milliseconds(100));
  }
  EXPECT_EQ(
      AsRanks({MeetingOf(1, 3, port), MeetingOf(2, 3, port)}, [](Communicator& c) { c.Barrier(); }),
      std::vector<std::string>(2));
  zero.join();
  EXPECT_EQ(errors, std::vector<std::string>(1));
}

// 192.0.2.1 is nobody's: what others call a machine need not be an address that it has.
TEST(TcpMeeting, RankZeroListensEverywhereUnlessItsAddressIsTheLoopback) {
  const int64_t port = testing::FreePort();
  const TcpSocket listening = TcpSocket::Listen("192.0.2.1", port);
  EXPECT_TRUE(TcpSocket::Connect("127.0.0.1", port, {}).open());
  for (const char* loopback : {"127.0.0.1", "localhost"}) {
    const int64_t other = testing::FreePort();
    const TcpSocket here = TcpSocket::Listen(loopback, other);
    EXPECT_TRUE(TcpSocket::Connect(loopback, other, {}).open());
  }
}

// A connection to a port that connections may come from can meet itself.
TEST(TcpMeeting, NobodyIsItsOwnPeer) {
  for (int64_t port = 40'000; port < 40'200; ++port) {
    const TcpSocket socket = TcpSocket::Connect("127.0.0.1", port, {});
    if (!socket.open()) continue;
    // Another test's server may be there, and may say something of its own.
    constexpr std::byte kSaid{0x5A};
    std::byte said = kSaid, heard{};
    socket.Send({&said, 1}, {});
    const SocketEnd end =
        socket.Receive({&heard, 1}, std::chrono::steady_clock::now() + milliseconds(50));
    EXPECT_FALSE(end == SocketEnd::kDone && heard == kSaid) << port;
  }
}

TEST(TcpMeeting, WhatListensElsewhereIsNotRankZero) {
  const int64_t port = testing::FreePort();
  std::string error;
  std::thread one([&] { error = AsRanks({MeetingOf(1, 2, port)}, [](Communicator&) {})[0]; });
  const TcpSocket listening = TcpSocket::Listen("127.0.0.1", port);
  const TcpSocket guest =
      listening.Accept(std::chrono::steady_clock::now() + std::chrono::seconds(10));
  Say(guest, {.rank = 1, .size = 2});
  one.join();
  EXPECT_THAT(error, HasSubstr("is not rank 0 of 2 ranks"));
}

// One that is alive and reads nothing is late, as one that sends nothing is, and has not left.
TEST(TcpMeeting, ARankThatDoesNotReadIsLate) {
  const int64_t port = testing::FreePort();
  std::vector<Meeting> meetings = {MeetingOf(0, 2, port), MeetingOf(1, 2, port)};
  meetings[0].to_answer = milliseconds(1000);
  const auto errors = AsRanks(meetings, [](Communicator& c) {
    std::vector<std::byte> much(size_t{64} << 20);
    if (c.rank() == 0) return c.Broadcast(much);
    std::this_thread::sleep_for(milliseconds(1500));
  });
  EXPECT_THAT(errors[0], HasSubstr("rank 1 of 2 did not come to a broadcast within 1 s"));
}

TEST(TcpMeeting, APortThatIsTakenIsNamed) {
  const int64_t port = testing::FreePort();
  const TcpSocket taken = TcpSocket::Listen("127.0.0.1", port);
  EXPECT_THAT(AsRanks({MeetingOf(0, 2, port)}, [](Communicator&) {})[0],
              HasSubstr("rank 0 cannot listen at 127.0.0.1:" + std::to_string(port) + ": Address"));
}

}  // namespace
}  // namespace binocle
