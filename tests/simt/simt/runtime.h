// The emulator's scheduler. A thread of a block is a fiber; a warp runs as far as it can before another; a seed shuffles the order of blocks,
// warps and lanes. Operations of a warp and barriers are where fibers meet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "simt/memory.h"

namespace simt {

struct Dim3 {
  unsigned x = 1, y = 1, z = 1;
  // NOLINTNEXTLINE(google-explicit-constructor): as CUDA's
  constexpr Dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

// Runs body() once in every thread of every block. Faults are reports; after one that leaves threads waiting for ever the launch ends.
void Launch(Dim3 grid, Dim3 block, size_t dynamic_shared, bool checked,
            const std::function<void()>& body);

// Which order of blocks, warps and lanes launches take from now on.
void SetSchedule(uint64_t seed);
// Whether this is a checked program, whose kernels' loads and stores are seen (checked.cc).
bool IsChecked();

// What was found since the last call.
std::vector<Report> TakeReports();

// ", in kernel thread …, after line …" of the thread that runs; "" outside of launches.
std::string WhereNow();

// For the names in device.h.
enum class WarpOp : uint8_t {
  kNone,
  kSync,
  kShuffle,     // value ← that of lane `argument`
  kShuffleXor,  // … of lane ^ argument
  kShuffleDown,
  kBallot,
  kLoadMatrix,
  kLoadMatrixTransposed,
  kMma,
};

struct Place {
  const char* file;
  int line;
};

struct WarpRequest {
  WarpOp op = WarpOp::kNone;
  uint64_t value = 0;  // in and out
  unsigned argument = 0;
  const void* from = nullptr;   // kLoadMatrix: a row
  uint32_t* to = nullptr;       // kLoadMatrix: four
  float* c = nullptr;           // kMma: four
  const uint32_t* a = nullptr;  // kMma: four
  uint32_t b[2] = {0, 0};       // kMma
};

struct ThreadIds {
  Dim3 thread, block, block_dim, grid_dim;
};
extern ThreadIds* current_ids;
extern bool checking;

// Meets the other lanes of the warp; returns when the operation is done. `value` of the request is the result. What needs no matrix says so in registers.
uint64_t MeetWarp(const WarpRequest& request, Place place);
uint64_t MeetWarp(WarpOp op, uint64_t value, unsigned argument, Place place);
// Reports a mask of fewer lanes than all: kernels here have operations of whole warps only.
void CheckMask(unsigned mask, Place place);
void MeetBlock(Place place);
void BeginCopy16(void* shared, const void* global, bool valid);
void CommitCopies();
void WaitCopies(int most_left);
// By the thread that runs; nothing outside of checked launches.
void OnRead(const void* address, size_t bytes);
void OnWrite(const void* address, size_t bytes, bool atomic = false);
// Accesses by wrappers that are checked on purpose, so that the hooks need not see them.
void SuspendChecks(bool suspend);

}  // namespace simt
