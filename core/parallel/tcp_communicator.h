// A communicator over TCP: a star around rank 0, which listens, adds up and hands out.
//
// For processes with CPUs, for tests, and for what GPUs have to say before NCCL connects them. A sum of n floats moves 2·(size − 1)·4n bytes through rank 0.
// Everything is in a frame that says what it is, how long, and the how manieth: ranks out of step are found at the next frame, not in an answer.
// Who connects is not asked to prove who it is: the port is for a network that only the ranks use.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/parallel/communicator.h"

namespace binocle {

// What all ranks must have alike before they can be told anything else.
struct MeetingTerm {
  std::string name;
  int64_t value;
};

// Where and as what a process meets the others.
struct Meeting {
  int64_t rank = 0;
  int64_t size = 1;
  std::string address =
      "127.0.0.1";  // of rank 0; a name, or digits of either family. TcpSocket::Listen says where it listens then
  int64_t port = 29500;
  std::chrono::milliseconds to_meet = std::chrono::minutes(5);  // until all are there
  // For a call, once they are: until the slowest has come to it as well.
  std::chrono::milliseconds to_answer = std::chrono::minutes(2);
  // Of the same names in the same order.
  static constexpr size_t kMostTerms = 4;
  std::vector<MeetingTerm> terms = {};
  // Of rank 0: given a line about each process that is turned away. May be empty.
  std::function<void(const std::string&)> note = {};
};

// Returns when all ranks are connected. UNAVAILABLE where rank 0 cannot listen, a rank does not come, two say that they are the same one, their terms differ, or something else answers;
// the message names address, port and ranks. Whoever says nothing within five seconds, or is of another number of ranks, is turned away; a rank that leaves before all are there makes room for
// another. Checked: 0 ≤ rank < size.
std::unique_ptr<Communicator> MeetOverTcp(const Meeting& meeting);

}  // namespace binocle
