#include "simt/runtime.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "fiber.h"

namespace simt {

ThreadIds* current_ids = nullptr;
bool checking = false;

namespace {

constexpr int kLanes = 32;
constexpr unsigned kMostThreads = 1024;
constexpr size_t kMostShared =
    163 * 1024;  // what a block may have on sm_80, the least of those that we compile for
constexpr unsigned kMostBlocksAcross = 65535;  // in y and z
constexpr unsigned kMostBlocks = 0x7FFFFFFF;   // in x

struct AsyncCopy {
  void* to;
  const void* from;
  bool valid;
  int64_t group;  // −1: not committed
};

enum class State : uint8_t { kReady, kInWarp, kInBlock, kDone };

struct Thread {
  ThreadIds ids;
  State state = State::kReady;
  void* fiber = nullptr;
  unsigned index = 0;  // in the block
  WarpRequest request;
  Place place{"the launch", 0};
  std::vector<AsyncCopy> copies;
  int64_t groups = 0;
  uint32_t warp_barriers = 0;
};

struct Scheduler {
  unsigned char* stacks = nullptr;
  std::vector<Thread> threads;
  Thread* running = nullptr;
  void* self = nullptr;
  // The warp that runs: whose turn is next, by which step the turns go on, and how many are left.
  std::span<Thread*> lanes;
  size_t next = 0, step = 1, turns = 0;
  const std::function<void()>* body = nullptr;
  bool checked = false;
  uint32_t block = 0;  // counted over all launches
  uint32_t barriers = 0;
  uint64_t random = 1;
  bool abandoned = false;

  uint64_t Random() {
    random = random * 6364136223846793005ULL + 1442695040888963407ULL;
    return random >> 33;
  }
  template <typename T>
  void Shuffle(std::vector<T>& items) {
    for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[Random() % i]);
  }
};

constinit Scheduler scheduler;
Scheduler& S() { return scheduler; }

// Whether an address is a kernel thread's own, of which the device's memory knows nothing.
bool OnItsStack(const void* address) {
  return reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(S().stacks) <
         kMostThreads * kFiberStack;
}

Access Now() {
  const Scheduler& s = S();
  return {.block = s.block,
          .barrier = s.barriers,
          .warp_barrier = s.running->warp_barriers,
          .thread = static_cast<uint16_t>(s.running->index)};
}

// Goes on with the next lane of the warp that is ready, or in RunWarp after all had their turn. Where the caller is, is left in *from.
void GoOn(void** from) {
  Scheduler& s = S();
  while (s.turns > 0) {
    Thread* t = s.lanes[s.next];
    --s.turns;
    s.next += s.step;
    if (s.next >= s.lanes.size()) s.next -= s.lanes.size();
    if (t->state != State::kReady) continue;
    s.running = t;
    current_ids = &t->ids;
    SimtSwitch(from, t->fiber);
    return;
  }
  SimtSwitch(from, s.self);
}

void Yield() {
  checking = false;
  GoOn(&S().running->fiber);
  checking = S().checked;
}

void ThreadMain() {
  Scheduler& s = S();
  checking = s.checked;
  (*s.body)();
  checking = false;
  s.running->state = State::kDone;
  GoOn(&s.running->fiber);
  std::abort();
}

std::string At(const Place& place) {
  const char* slash = std::strrchr(place.file, '/');
  return std::string(slash == nullptr ? place.file : slash + 1) + ":" + std::to_string(place.line);
}

float Bf16At(uint32_t pair, int half) {
  return std::bit_cast<float>(half == 0 ? pair << 16 : pair & 0xFFFF0000U);
}

void LoadMatrices(std::span<Thread*> lanes, bool transposed) {
  uint16_t rows[kLanes][8];
  for (int l = 0; l < kLanes; ++l) {
    Scheduler& s = S();
    s.running = lanes[l];
    Memory::Instance().CheckAligned(lanes[l]->request.from, 16);
    if (s.checked) Memory::Instance().Read(lanes[l]->request.from, 16, Now());
    std::memcpy(rows[l], lanes[l]->request.from, 16);
  }
  for (int l = 0; l < kLanes; ++l) {
    for (int m = 0; m < 4; ++m) {
      const int i = l / 4, j = 2 * (l % 4);
      const uint32_t low = transposed ? rows[8 * m + j][i] : rows[8 * m + i][j];
      const uint32_t high = transposed ? rows[8 * m + j + 1][i] : rows[8 * m + i][j + 1];
      lanes[l]->request.to[m] = low | high << 16;
    }
  }
}

void Mma(std::span<Thread*> lanes) {
  float a[16][16], b[16][8];
  for (int l = 0; l < kLanes; ++l) {
    const int g = l / 4, t = l % 4;
    const WarpRequest& r = lanes[l]->request;
    for (int half = 0; half < 2; ++half) {
      a[g][2 * t + half] = Bf16At(r.a[0], half);
      a[g + 8][2 * t + half] = Bf16At(r.a[1], half);
      a[g][2 * t + 8 + half] = Bf16At(r.a[2], half);
      a[g + 8][2 * t + 8 + half] = Bf16At(r.a[3], half);
      b[2 * t + half][g] = Bf16At(r.b[0], half);
      b[2 * t + 8 + half][g] = Bf16At(r.b[1], half);
    }
  }
  for (int l = 0; l < kLanes; ++l) {
    for (int i = 0; i < 4; ++i) {
      const int row = l / 4 + i / 2 * 8, column = 2 * (l % 4) + i % 2;
      float sum = lanes[l]->request.c[i];
      for (int k = 0; k < 16; ++k) sum += a[row][k] * b[k][column];
      lanes[l]->request.c[i] = sum;
    }
  }
}

unsigned SourceLane(const WarpRequest& request, unsigned lane) {
  if (request.op == WarpOp::kShuffle) return request.argument % kLanes;
  if (request.op == WarpOp::kShuffleXor) return (lane ^ request.argument) % kLanes;
  return lane + request.argument < kLanes ? lane + request.argument : lane;
}

void Perform(std::span<Thread*> lanes) {
  const WarpOp op = lanes[0]->request.op;
  std::array<uint64_t, kLanes> values{};
  uint64_t ballot = 0;
  for (size_t l = 0; l < lanes.size(); ++l) {
    values[l] = lanes[l]->request.value;
    ballot |= uint64_t{values[l] != 0} << l;
  }
  switch (op) {
    case WarpOp::kSync:
      for (Thread* t : lanes) ++t->warp_barriers;
      break;
    case WarpOp::kShuffle:
    case WarpOp::kShuffleXor:
    case WarpOp::kShuffleDown:
      for (size_t l = 0; l < lanes.size(); ++l)
        lanes[l]->request.value = values[SourceLane(lanes[l]->request, static_cast<unsigned>(l))];
      break;
    case WarpOp::kBallot:
      for (Thread* t : lanes) t->request.value = ballot;
      break;
    case WarpOp::kLoadMatrix:
    case WarpOp::kLoadMatrixTransposed:
      LoadMatrices(lanes, op == WarpOp::kLoadMatrixTransposed);
      break;
    case WarpOp::kMma: Mma(lanes); break;
    case WarpOp::kNone: break;
  }
}

void Abandon(Fault fault, const std::string& message) {
  S().running = nullptr;
  Memory::Instance().AddReport(fault, message);
  S().abandoned = true;
}

std::string Whereabouts(const Thread& t) {
  static constexpr const char* kStates[] = {"runs", "waits for its warp at ",
                                            "waits at the barrier of ", "has ended, last seen at "};
  return "thread " + std::to_string(t.index) + " " + kStates[static_cast<int>(t.state)] +
         At(t.place);
}

// The first lane that is elsewhere than lane 0, or null.
const Thread* Stray(std::span<Thread*> lanes) {
  for (const Thread* t : lanes) {
    if (t->state != lanes[0]->state || t->request.op != lanes[0]->request.op ||
        t->place.line != lanes[0]->place.line || t->place.file != lanes[0]->place.file)
      return t;
  }
  return nullptr;
}

// Runs a warp until its lanes wait at a barrier of the block or have ended.
void RunWarp(std::span<Thread*> lanes) {
  Scheduler& s = S();
  while (!s.abandoned) {
    // An order that is cheap to draw, since this is the emulator's innermost loop: from any lane on, by an odd number, which meets all of 32.
    const uint64_t random = s.Random();
    s.lanes = lanes;
    s.step = lanes.size() == kLanes ? random / kLanes % kLanes | 1 : 1;
    s.next = random % lanes.size();
    s.turns = lanes.size();
    GoOn(&s.self);
    if (const Thread* stray = Stray(lanes)) {
      const bool any_waits = std::any_of(
          lanes.begin(), lanes.end(), [](const Thread* t) { return t->state == State::kInWarp; });
      if (any_waits)
        Abandon(Fault::kWarpDivergence, Whereabouts(*lanes[0]) + ", but " + Whereabouts(*stray));
      return;
    }
    if (lanes[0]->state != State::kInWarp) return;
    // A warp of fewer lanes than 32 has no matrices to share out.
    if (lanes.size() < kLanes && lanes[0]->request.op >= WarpOp::kLoadMatrix) {
      Abandon(Fault::kWarpDivergence, "a matrix operation in a warp that is not whole");
      return;
    }
    Perform(lanes);
    for (Thread* t : lanes) t->state = State::kReady;
  }
}

// Lets go of the threads that wait at a barrier, or ends the launch. False: the block is done.
bool PassBarrier() {
  Scheduler& s = S();
  const Thread* waits = nullptr;
  const Thread* ended = nullptr;
  for (const Thread& t : s.threads) {
    if (t.state == State::kDone) ended = &t;
    if (t.state != State::kInBlock) continue;
    if (waits != nullptr &&
        (t.place.line != waits->place.line || t.place.file != waits->place.file)) {
      Abandon(Fault::kBarrierDivergence, Whereabouts(*waits) + ", but " + Whereabouts(t));
      return false;
    }
    waits = &t;
  }
  if (waits == nullptr) return false;
  if (ended != nullptr) {
    Abandon(Fault::kBarrierDivergence, Whereabouts(*waits) + ", but " + Whereabouts(*ended));
    return false;
  }
  ++s.barriers;
  for (Thread& t : s.threads) t.state = State::kReady;
  return true;
}

Dim3 Unflatten(uint64_t i, const Dim3& extents) {
  return {static_cast<unsigned>(i % extents.x), static_cast<unsigned>(i / extents.x % extents.y),
          static_cast<unsigned>(i / extents.x / extents.y)};
}

void RunBlock(const Dim3& index, const Dim3& grid, const Dim3& block) {
  Scheduler& s = S();
  const unsigned count = block.x * block.y * block.z;
  s.threads.assign(count, {});
  s.barriers = 0;
  ++s.block;
  Memory::Instance().BeginBlock();
  std::vector<std::vector<Thread*>> warps;
  for (unsigned i = 0; i < count; ++i) {
    Thread& t = s.threads[i];
    t.index = i;
    t.ids = {Unflatten(i, block), index, block, grid};
    t.fiber = NewFiber(s.stacks + size_t{i} * kFiberStack, &ThreadMain);
    if (i % kLanes == 0) warps.emplace_back();
    warps.back().push_back(&t);
  }
  do {
    std::vector<size_t> order(warps.size());
    std::iota(order.begin(), order.end(), 0);
    s.Shuffle(order);
    for (const size_t w : order) RunWarp(warps[w]);
  } while (!s.abandoned && PassBarrier());
  if (Memory::Instance().shared_bytes() > kMostShared)
    Abandon(Fault::kBadLaunch,
            std::to_string(Memory::Instance().shared_bytes()) + " bytes of shared memory");
}

}  // namespace

void SetSchedule(uint64_t seed) { S().random = seed * 0x9E3779B97F4A7C15ULL + 1; }
std::vector<Report> TakeReports() { return Memory::Instance().TakeReports(); }

std::string WhereNow() {
  const Scheduler& s = S();
  if (s.running == nullptr) return "";
  return " (thread " + std::to_string(s.running->index) + " of block " +
         std::to_string(s.running->ids.block.x) + "," + std::to_string(s.running->ids.block.y) +
         ", after " + At(s.running->place) + ")";
}

void Launch(Dim3 grid, Dim3 block, size_t dynamic_shared, bool checked,
            const std::function<void()>& body) {
  Scheduler& s = S();
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  const uint64_t blocks = uint64_t{grid.x} * grid.y * grid.z;
  s.running = nullptr;
  const bool too_far =
      grid.x > kMostBlocks || grid.y > kMostBlocksAcross || grid.z > kMostBlocksAcross;
  if (threads == 0 || threads > kMostThreads || blocks == 0 || too_far ||
      dynamic_shared > kMostShared) {
    Memory::Instance().AddReport(
        Fault::kBadLaunch, std::to_string(grid.x) + "·" + std::to_string(grid.y) + "·" +
                               std::to_string(grid.z) + " blocks of " + std::to_string(threads) +
                               " threads with " + std::to_string(dynamic_shared) +
                               " bytes of shared memory");
    return;
  }
  if (s.stacks == nullptr) {
    s.stacks = static_cast<unsigned char*>(
        mmap(nullptr, kMostThreads * kFiberStack, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  }
  s.body = &body;
  s.checked = checked;
  s.abandoned = false;
  Memory::Instance().BeginLaunch(dynamic_shared, s.block + 1);
  std::vector<uint64_t> order(blocks);
  std::iota(order.begin(), order.end(), 0);
  s.Shuffle(order);
  for (const uint64_t b : order) {
    if (s.abandoned) break;
    RunBlock(Unflatten(b, grid), grid, block);
  }
  s.running = nullptr;
  checking = false;
}

uint64_t MeetWarp(const WarpRequest& request, Place place) {
  S().running->request = request;
  return MeetWarp(request.op, request.value, request.argument, place);
}

uint64_t MeetWarp(WarpOp op, uint64_t value, unsigned argument, Place place) {
  Thread& t = *S().running;
  t.request.op = op;
  t.request.value = value;
  t.request.argument = argument;
  t.place = place;
  t.state = State::kInWarp;
  Yield();
  return t.request.value;
}

void MeetBlock(Place place) {
  Thread& t = *S().running;
  t.place = place;
  t.state = State::kInBlock;
  t.request.op = WarpOp::kNone;
  Yield();
}

void BeginCopy16(void* shared, const void* global, bool valid) {
  Scheduler& s = S();
  Memory::Instance().CheckAligned(shared, 16);
  if (valid) Memory::Instance().CheckAligned(global, 16);
  if (s.checked) {
    if (valid) Memory::Instance().Read(global, 16, Now());
    Memory::Instance().BeginCopy(shared, 16, Now());
  }
  // Bytes arrive as late as they may: a read that did not wait finds none of them.
  std::memset(shared, 0xFF, 16);
  s.running->copies.push_back({shared, global, valid, -1});
}

void CommitCopies() {
  Thread& t = *S().running;
  for (AsyncCopy& copy : t.copies)
    if (copy.group < 0) copy.group = t.groups;
  ++t.groups;
}

void WaitCopies(int most_left) {
  Scheduler& s = S();
  Thread& t = *s.running;
  const auto done = [&](const AsyncCopy& copy) {
    return copy.group >= 0 && copy.group < t.groups - most_left;
  };
  for (const AsyncCopy& copy : t.copies) {
    if (!done(copy)) continue;
    if (copy.valid) {
      std::memcpy(copy.to, copy.from, 16);
    } else {
      std::memset(copy.to, 0, 16);
    }
    if (s.checked) Memory::Instance().EndCopy(copy.to, 16, Now());
  }
  std::erase_if(t.copies, done);
}

void OnRead(const void* address, size_t bytes) {
  if (!checking || OnItsStack(address)) return;
  Memory& memory = Memory::Instance();
  memory.CheckAligned(address, bytes);
  memory.Read(address, bytes, Now());
}

void OnWrite(const void* address, size_t bytes, bool atomic) {
  if (!checking || OnItsStack(address)) return;
  Memory& memory = Memory::Instance();
  memory.CheckAligned(address, bytes);
  memory.Write(address, bytes, Now(), atomic);
}

void CheckMask(unsigned mask, Place place) {
  if (mask == 0xFFFFFFFFU) return;
  Memory::Instance().AddReport(Fault::kWarpDivergence,
                               "a mask that is not the whole warp's at " + At(place));
}

void SuspendChecks(bool suspend) { checking = !suspend && S().checked; }

}  // namespace simt
