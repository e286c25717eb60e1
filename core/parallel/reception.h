// How ranks find each other over TCP, before they are a communicator: the others come to rank 0 and say who they are; when all are there it welcomes them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/parallel/socket.h"
#include "core/parallel/tcp_communicator.h"

namespace binocle {

// Numbers are as the machines have them: those with another order of bytes fail at the first.
struct Hello {
  static constexpr uint64_t kGreeting = 0x32736b6e61726e42;
  uint64_t greeting = kGreeting;
  int64_t rank = 0;
  int64_t size = 0;
  std::array<int64_t, Meeting::kMostTerms> terms = {};  // those of Meeting, then zeros

  static Hello Of(const Meeting& meeting);
};

// Throws UNAVAILABLE where a term of `other` is not that of the meeting, and names both ranks and both values.
void CheckTerms(const Meeting& meeting, const Hello& other);

// "host:29500"
std::string PlaceOf(const Meeting& meeting);

// Of rank 0: listens, and returns the others' connections, by rank, when all have come. Throws as MeetOverTcp does.
std::vector<TcpSocket> ReceiveRanks(const Meeting& meeting);

}  // namespace binocle
