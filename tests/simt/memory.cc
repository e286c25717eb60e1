#include "simt/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "simt/runtime.h"

namespace simt {
namespace {

constexpr size_t kArena = size_t{1} << 29;
constexpr size_t kUnit = 256;  // buffers begin at multiples and are at least one apart
constexpr size_t kSharedGranule = 2, kWatchedGranule = 2;  // as Region's
constexpr size_t kSharedArena = size_t{1} << 20;
constexpr size_t kFixedShared = kSharedArena / 2;  // where arrays of fixed size begin
constexpr std::ptrdiff_t kMostReportsOfAKind = 4;  // one fault is met by many threads

unsigned char* Reserve(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("simt: mmap");
    std::abort();
  }
  return static_cast<unsigned char*>(memory);
}

size_t RoundUp(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }
int WarpOf(const Access& a) { return a.thread / 32; }

// Whether two accesses of a block may happen in either order.
bool Unordered(const Access& a, const Access& b) {
  if (a.block != b.block || a.barrier != b.barrier || a.thread == b.thread) return false;
  return WarpOf(a) != WarpOf(b) || a.warp_barrier == b.warp_barrier;
}

std::string ThreadName(const Access& a) { return "thread " + std::to_string(a.thread); }

}  // namespace

const char* FaultName(Fault fault) {
  static constexpr const char* kNames[] = {"bad launch",    "barrier divergence", "warp divergence",
                                           "out of bounds", "uninitialised",      "pending copy",
                                           "race",          "block conflict",     "misaligned",
                                           "read-only"};
  return kNames[static_cast<int>(fault)];
}

Memory& Memory::Instance() {
  static Memory memory;
  return memory;
}

Memory::Memory()
    : global_(Reserve(kArena)), shared_(Reserve(kSharedArena)), units_(kArena / kUnit, nullptr) {}

Region& Memory::NewBuffer(std::string name, const Buffer& buffer) {
  if (live_buffers_ == 0) global_used_ = kUnit;
  const size_t whole = RoundUp(offset_ + buffer.bytes, kUnit);
  if (global_used_ + whole + kUnit > kArena) {
    std::fprintf(stderr, "simt: %zu bytes for %s do not fit\n", buffer.bytes, name.c_str());
    std::abort();
  }
  auto* region = new Region{.begin = reinterpret_cast<uintptr_t>(global_) + global_used_ + offset_,
                            .bytes = buffer.bytes,
                            .name = std::move(name),
                            .read_only = buffer.read_only,
                            .granule = buffer.granule,
                            .cells = std::vector<Cell>(buffer.bytes / buffer.granule + 1),
                            .reads = {}};
  for (Cell& cell : region->cells) cell.initialised = buffer.initialised;
  // What nobody wrote is NaN as f32 and bf16.
  std::memset(global_ + global_used_, 0xFF, whole);
  for (size_t u = 0; u < whole; u += kUnit) units_[(global_used_ + u) / kUnit] = region;
  global_used_ += whole + kUnit;
  ++live_buffers_;
  return *region;
}

void Memory::Free(Region& region) {
  const size_t at = region.begin - reinterpret_cast<uintptr_t>(global_);
  const size_t first = at / kUnit, end = RoundUp(at + region.bytes, kUnit) / kUnit;
  std::fill(units_.begin() + static_cast<std::ptrdiff_t>(first),
            units_.begin() + static_cast<std::ptrdiff_t>(end), nullptr);
  --live_buffers_;
  delete &region;
}

Region& Memory::Watch(std::string name, const void* begin, size_t bytes) {
  watched_.push_back(std::make_unique<Region>(
      Region{.begin = reinterpret_cast<uintptr_t>(begin),
             .bytes = bytes,
             .name = std::move(name),
             .cells = std::vector<Cell>(bytes / kWatchedGranule + 1, Cell{.initialised = true}),
             .reads = {}}));
  return *watched_.back();
}

void Memory::Forget(const Region& region) {
  std::erase_if(watched_, [&](const auto& watched) { return watched.get() == &region; });
}

void* Memory::Shared(const void* tag, size_t bytes, const char* name) {
  for (size_t i = 0; i < shared_tags_.size(); ++i)
    if (shared_tags_[i] == tag) return reinterpret_cast<void*>(shared_regions_[i].begin);
  unsigned char* begin = shared_ + kFixedShared + shared_used_;
  shared_used_ += RoundUp(bytes, kUnit) + kUnit;
  std::memset(begin, 0xFF, bytes);
  shared_tags_.push_back(tag);
  shared_regions_.push_back({.begin = reinterpret_cast<uintptr_t>(begin),
                             .bytes = bytes,
                             .name = name,
                             .shared = true,
                             .cells = std::vector<Cell>(bytes / kSharedGranule + 1),
                             .reads = {}});
  return begin;
}

void Memory::BeginLaunch(size_t dynamic_shared, uint32_t first_block) {
  first_block_ = first_block;
  shared_used_ = 0;
  shared_tags_.assign(1, nullptr);
  shared_regions_.assign(1, {.begin = reinterpret_cast<uintptr_t>(shared_),
                             .bytes = dynamic_shared,
                             .name = "dynamic shared memory",
                             .shared = true,
                             .cells = std::vector<Cell>(dynamic_shared / kSharedGranule + 1),
                             .reads = {}});
}

void Memory::BeginBlock() {
  for (Region& region : shared_regions_) {
    std::memset(reinterpret_cast<void*>(region.begin), 0xFF, region.bytes);
    region.cells.assign(region.cells.size(), Cell{});
  }
}

size_t Memory::shared_bytes() const {
  size_t bytes = 0;
  for (const Region& region : shared_regions_) bytes += region.bytes;
  return bytes;
}

std::string Memory::Place(const Region& region, size_t offset) const {
  return region.name + " + " + std::to_string(offset) + " bytes";
}

// The region of an access, or null: not the device's memory (the thread's own), or a report.
Region* Memory::Find(uintptr_t address, size_t bytes, const char* what) {
  const size_t at = address - reinterpret_cast<uintptr_t>(global_);
  Region* region = at < kArena ? units_[at / kUnit] : nullptr;
  if (region != nullptr && address - region->begin + bytes <= region->bytes) return region;
  return FindElsewhere(address, bytes, what);
}

// As Find, also where there is no buffer.
Region* Memory::FindElsewhere(uintptr_t address, size_t bytes, const char* what) {
  const auto global = reinterpret_cast<uintptr_t>(global_);
  const auto shared = reinterpret_cast<uintptr_t>(shared_);
  Region* region = nullptr;
  if (address - global < kArena) {
    region = units_[(address - global) / kUnit];
  } else if (address - shared < kSharedArena) {
    for (Region& r : shared_regions_)
      if (address - r.begin < RoundUp(r.bytes, kUnit)) region = &r;
  } else {
    for (const auto& watched : watched_)
      if (address - watched->begin < watched->bytes) region = watched.get();
    if (region == nullptr) return nullptr;
  }
  if (region != nullptr && address - region->begin + bytes <= region->bytes) return region;
  const std::string where = region == nullptr ? "where no buffer is"
                                              : Place(*region, address - region->begin) +
                                                    ", which has " + std::to_string(region->bytes);
  AddReport(Fault::kOutOfBounds,
            std::string(what) + " of " + std::to_string(bytes) + " bytes at " + where);
  return nullptr;
}

void Memory::CheckRead(Region& region, size_t offset, Cell& cell, const Access& by) {
  if (cell.pending) {
    AddReport(Fault::kPendingCopy, ThreadName(by) + " reads " + Place(region, offset) +
                                       ": its copy has not been waited for");
  } else if (!cell.initialised) {
    AddReport(Fault::kUninitialised,
              ThreadName(by) + " reads " + Place(region, offset) + ": nobody wrote there");
  }
  if (cell.written && Unordered(cell.writer, by)) {
    AddReport(Fault::kRace, ThreadName(by) + " reads " + Place(region, offset) + ", which " +
                                ThreadName(cell.writer) + " writes");
  } else if (cell.written && !region.shared && cell.writer.block != by.block &&
             SameLaunch(cell.writer.block)) {
    AddReport(Fault::kBlockConflict,
              "a block reads " + Place(region, offset) + ", which another writes");
  }
  // Who read is kept as one reader and whether there were others, which is all that a later write asks.
  const bool same_interval =
      cell.read && cell.reader.block == by.block && cell.reader.barrier == by.barrier;
  if (!same_interval) {
    if (cell.read && cell.reader.block != by.block) cell.other_block = cell.reader.block;
    cell.reader = by;
    cell.readers_of_a_warp = cell.readers_of_warps = false;
  } else if (WarpOf(cell.reader) != WarpOf(by)) {
    cell.readers_of_warps = true;
  } else if (cell.reader.warp_barrier != by.warp_barrier) {
    cell.reader = by;
    cell.readers_of_a_warp = false;
  } else if (cell.reader.thread != by.thread) {
    cell.readers_of_a_warp = true;
  }
  cell.read = true;
}

void Memory::CheckWrite(Region& region, size_t offset, Cell& cell, const Access& by, bool atomic) {
  const auto race = [&](const Access& other, const char* what) {
    AddReport(Fault::kRace, ThreadName(by) + " writes " + Place(region, offset) + ", which " +
                                ThreadName(other) + what);
  };
  if (region.read_only)
    AddReport(Fault::kReadOnly, ThreadName(by) + " writes " + Place(region, offset));
  if (cell.pending) {
    AddReport(Fault::kPendingCopy, ThreadName(by) + " writes " + Place(region, offset) +
                                       ": a copy to it has not been waited for");
  }
  const bool both_atomic = atomic && cell.atomic;
  if (cell.written && !both_atomic) {
    if (Unordered(cell.writer, by)) race(cell.writer, " writes");
    if (!region.shared && cell.writer.block != by.block && SameLaunch(cell.writer.block))
      AddReport(Fault::kBlockConflict, "two blocks write " + Place(region, offset));
  }
  if (cell.read && cell.reader.block == by.block && cell.reader.barrier == by.barrier) {
    const bool other_lanes = cell.readers_of_a_warp && cell.reader.warp_barrier == by.warp_barrier;
    if (cell.readers_of_warps || Unordered(cell.reader, by) || other_lanes)
      race(cell.reader, " reads");
  }
  const bool read_by_another =
      cell.read && ((cell.reader.block != by.block && SameLaunch(cell.reader.block)) ||
                    (cell.other_block != by.block && SameLaunch(cell.other_block)));
  if (!region.shared && read_by_another) {
    AddReport(Fault::kBlockConflict,
              "a block writes " + Place(region, offset) + ", which another reads");
  }
  cell.writer = by;
  cell.written = cell.initialised = true;
  cell.atomic = atomic;
}

void Memory::Read(const void* address, size_t bytes, const Access& by) {
  Region* region = Find(reinterpret_cast<uintptr_t>(address), bytes, "a read");
  if (region == nullptr) return;
  const size_t offset = reinterpret_cast<uintptr_t>(address) - region->begin;
  for (size_t g = region->CellOf(offset); g <= region->CellOf(offset + bytes - 1); ++g) {
    CheckRead(*region, g * region->granule, region->cells[g], by);
    if (!region->reads.empty()) ++region->reads[g];
  }
}

void Memory::Write(const void* address, size_t bytes, const Access& by, bool atomic) {
  Region* region = Find(reinterpret_cast<uintptr_t>(address), bytes, "a write");
  if (region == nullptr) return;
  const size_t offset = reinterpret_cast<uintptr_t>(address) - region->begin;
  for (size_t g = region->CellOf(offset); g <= region->CellOf(offset + bytes - 1); ++g)
    CheckWrite(*region, g * region->granule, region->cells[g], by, atomic);
}

void Memory::BeginCopy(const void* address, size_t bytes, const Access& by) {
  Region* region = Find(reinterpret_cast<uintptr_t>(address), bytes, "an asynchronous copy");
  if (region == nullptr) return;
  const size_t offset = reinterpret_cast<uintptr_t>(address) - region->begin;
  for (size_t g = region->CellOf(offset); g <= region->CellOf(offset + bytes - 1); ++g) {
    CheckWrite(*region, g * region->granule, region->cells[g], by, false);
    region->cells[g].pending = true;
  }
}

void Memory::EndCopy(const void* address, size_t bytes, const Access& by) {
  Region* region = Find(reinterpret_cast<uintptr_t>(address), bytes, "an asynchronous copy");
  if (region == nullptr) return;
  const size_t offset = reinterpret_cast<uintptr_t>(address) - region->begin;
  for (size_t g = region->CellOf(offset); g <= region->CellOf(offset + bytes - 1); ++g) {
    region->cells[g].pending = false;
    region->cells[g].writer = by;
  }
}

void Memory::CheckAligned(const void* address, size_t bytes) {
  const bool is_vector = (bytes & (bytes - 1)) == 0;  // and no range
  if (!is_vector || (reinterpret_cast<uintptr_t>(address) & (bytes - 1)) == 0) return;
  const auto global = reinterpret_cast<uintptr_t>(global_);
  const auto shared = reinterpret_cast<uintptr_t>(shared_);
  const auto at = reinterpret_cast<uintptr_t>(address);
  if (at - global < kArena || at - shared < kSharedArena)
    AddReport(Fault::kMisaligned, "a vector of " + std::to_string(bytes) + " bytes at " +
                                      std::to_string(at % 64) + " past a multiple of 64");
}

void Memory::AddReport(Fault fault, std::string message) {
  const auto same = std::count_if(reports_.begin(), reports_.end(),
                                  [&](const Report& report) { return report.fault == fault; });
  if (same < kMostReportsOfAKind)
    reports_.push_back({fault, FaultName(fault) + std::string(": ") + message + WhereNow()});
}

std::vector<Report> Memory::TakeReports() { return std::exchange(reports_, {}); }

}  // namespace simt
