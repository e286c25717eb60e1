// The emulator's memory: device buffers, a block's shared memory, and a shadow that says of every two bytes, or of every byte of buffers of bytes, who
// touched them last.
//
// In checked builds every access of a kernel arrives here (hooks.cc) and is held against the shadow: bounds, what was never written, copies that
// nobody waited for, races inside a block, conflicts between blocks, misaligned vectors, writes to what is read-only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace simt {

enum class Fault : uint8_t {
  kBadLaunch,          // more threads or shared memory than a device has
  kBarrierDivergence,  // a barrier that not every thread of the block reaches, or at different places
  kWarpDivergence,     // an operation of the whole warp that not every lane reaches
  kOutOfBounds,        // outside of every buffer, or past the end of one
  kUninitialised,      // a read of what nobody wrote
  kPendingCopy,        // an access to what an asynchronous copy has not been waited for
  kRace,               // two threads of a block, one of them writing, with no barrier between
  kBlockConflict,      // two blocks of a launch, one of them writing
  kMisaligned,         // a vector at an address that is no multiple of its size
  kReadOnly,           // a write to an input
};
const char* FaultName(Fault fault);

struct Report {
  Fault fault;
  std::string message;
};

// Who accessed: which block (counted over all launches), between which of its barriers, and of its warp's.
struct Access {
  uint32_t block = 0;
  uint32_t barrier = 0;
  uint32_t warp_barrier = 0;
  uint16_t thread = 0;
  bool operator==(const Access&) const = default;
};

// Of a granule.
struct Cell {
  Access writer, reader;
  uint32_t other_block = 0;        // the last that read and is not the reader's; 0: none
  bool written = false;            // by a kernel of some launch; writer is meaningful
  bool read = false;               // reader is meaningful
  bool initialised = false;        //
  bool pending = false;            // an asynchronous copy is under way
  bool atomic = false;             // the last write was
  bool readers_of_a_warp = false;  // other lanes than reader read in the same interval
  bool readers_of_warps = false;   // and other warps
};

struct Region {
  uintptr_t begin = 0;
  size_t bytes = 0;
  std::string name;
  bool shared = false;
  bool read_only = false;
  size_t granule = 2;  // bytes of a cell: 2 or 1
  std::vector<Cell> cells;
  std::vector<uint32_t> reads;  // per granule; empty: nobody counts

  size_t CellOf(size_t offset) const { return offset >> (granule - 1); }
};

// One for the process: tests run side by side as processes.
class Memory {
 public:
  static Memory& Instance();

  struct Buffer {
    size_t bytes;
    size_t granule = 2;  // 1 for buffers of bytes, which threads write one by one
    bool initialised;
    bool read_only;
  };
  Region& NewBuffer(std::string name, const Buffer& buffer);
  // Buffers from now on begin so many bytes past a multiple of 256, as pieces of a larger one do. Less than 256.
  void SetOffset(size_t bytes) { offset_ = bytes; }
  void Free(Region& region);
  // Memory that is not the arena's, all of which has a value: accesses to it are held against a shadow from here on, until it is forgotten.
  Region& Watch(std::string name, const void* begin, size_t bytes);
  void Forget(const Region& region);

  // A block's shared memory. `tag` tells the arrays of a kernel apart.
  void* Shared(const void* tag, size_t bytes, const char* name);
  void* DynamicShared() { return shared_; }
  void BeginLaunch(size_t dynamic_shared, uint32_t first_block);
  void BeginBlock();
  size_t shared_bytes() const;

  // By the thread that runs. `at`: where it last was, for messages.
  void Read(const void* address, size_t bytes, const Access& by);
  void Write(const void* address, size_t bytes, const Access& by, bool atomic = false);
  void BeginCopy(const void* address, size_t bytes, const Access& by);
  void EndCopy(const void* address, size_t bytes, const Access& by);
  void CheckAligned(const void* address, size_t bytes);

  void AddReport(Fault fault, std::string message);
  std::vector<Report> TakeReports();

 private:
  Memory();
  Region* Find(uintptr_t address, size_t bytes, const char* what);
  Region* FindElsewhere(uintptr_t address, size_t bytes, const char* what);
  void CheckRead(Region& region, size_t offset, Cell& cell, const Access& by);
  void CheckWrite(Region& region, size_t offset, Cell& cell, const Access& by, bool atomic);
  bool SameLaunch(uint32_t block) const { return block >= first_block_; }
  std::string Place(const Region& region, size_t offset) const;

  unsigned char* global_ = nullptr;  // the arena of buffers
  unsigned char* shared_ = nullptr;  // dynamic first, arrays of fixed size behind it
  size_t global_used_ = 0;
  size_t offset_ = 0;
  int64_t live_buffers_ = 0;
  std::vector<Region*> units_;  // of every kUnit bytes of the arena
  std::vector<std::unique_ptr<Region>> watched_;
  std::vector<Region> shared_regions_;
  std::vector<const void*> shared_tags_;
  size_t shared_used_ = 0;  // of the arrays of fixed size, with gaps
  uint32_t first_block_ = 0;
  std::vector<Report> reports_;
};

}  // namespace simt
