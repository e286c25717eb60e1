// No matrix of scores is ever allocated: this binary counts what operator new, malloc and its relatives, and mmap hand out.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "attention/attention_map.h"
#include "attention/var.h"
#include "tests/attention/problem.h"

namespace {
std::atomic<size_t> allocated_bytes{0};

void* Aligned(size_t alignment, size_t size) {
  void* memory = nullptr;
  return posix_memalign(&memory, alignment, size) == 0 ? memory : nullptr;
}

__attribute__((noinline)) void* Count(size_t size, size_t alignment) {
  allocated_bytes += size;
  void* memory =
      alignment > alignof(std::max_align_t) ? Aligned(alignment, size) : std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
}  // namespace

// In place of the C library's, for this program and what is linked into it. Sanitizers have a malloc of their own.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
extern "C" void* __libc_malloc(size_t size);                // NOLINT(bugprone-reserved-identifier)
extern "C" void* __libc_calloc(size_t count, size_t size);  // NOLINT(bugprone-reserved-identifier)
extern "C" void* __libc_realloc(void* old, size_t size);    // NOLINT(bugprone-reserved-identifier)
extern "C" void* malloc(size_t size) noexcept {
  allocated_bytes += size;
  return __libc_malloc(size);
}
extern "C" void* calloc(size_t count, size_t size) noexcept {
  allocated_bytes += count * size;
  return __libc_calloc(count, size);
}
extern "C" void* realloc(void* old, size_t size) noexcept {
  allocated_bytes += size;
  return __libc_realloc(old, size);
}
#endif
extern "C" void* aligned_alloc(size_t alignment, size_t size) noexcept {
  allocated_bytes += size;
  return Aligned(alignment, size);
}
extern "C" void* mmap(void* address, size_t size, int protection, int flags, int file,
                      off_t offset) noexcept {
  allocated_bytes += size;
  return reinterpret_cast<void*>(syscall(SYS_mmap, address, size, protection, flags, file, offset));
}

void* operator new(size_t size) { return Count(size, 0); }
void* operator new(size_t size, std::align_val_t alignment) {
  return Count(size, static_cast<size_t>(alignment));
}
__attribute__((noinline)) void operator delete(void* memory) noexcept { std::free(memory); }
__attribute__((noinline)) void operator delete(void* memory, size_t) noexcept { std::free(memory); }
__attribute__((noinline)) void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
__attribute__((noinline)) void operator delete(void* memory, size_t, std::align_val_t) noexcept {
  std::free(memory);
}

namespace binocle {
namespace {

TEST(Allocation, TensorsAreCounted) {
  for (const int64_t rows : {10, 1000}) {
    const size_t before = allocated_bytes;
    const Tensor t = Tensor::F32({rows, 1500});
    EXPECT_GE(allocated_bytes - before, static_cast<size_t>(rows * 1500 * 4));
  }
}

TEST(Allocation, AMapTakesNothing) {
  Problem p(4, 2, 16, {{1000, 1500}}, 1);
  Exec ex(2);
  Attention(ex, p.args(Mask::kCausal), p.out, p.lse);
  std::vector<float> map(1500), scratch(1500);
  const std::vector<float> head_weight(4, 1.0F);
  const size_t before = allocated_bytes;
  const AttentionArgs args = p.args(Mask::kCausal);
  AddAttentionMap({ex, args, p.runs[0], 999, p.lse}, head_weight, scratch, map);
  EXPECT_EQ(allocated_bytes - before, 0U);
}

TEST(Allocation, MallocAndWhatIsKeptAreCounted) {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  const size_t before = allocated_bytes;
  void* volatile memory = std::malloc(100'000);
  std::free(memory);
  EXPECT_GE(allocated_bytes - before, 100'000U);
#endif
  Exec ex(2);
  const size_t before_scratch = allocated_bytes;
  ex.ParallelWithScratch(2, 100'000, [](int64_t, float*) {});
  EXPECT_GE(allocated_bytes - before_scratch, 400'000U);
}

TEST(Allocation, AttentionTakesNoMemoryThatGrowsWithRowsOrKeys) {
  // What threads keep is there after a call of one block, and no larger call needs more.
  Problem small(4, 2, 16, {{1, 1}}, 2), p(4, 2, 16, {{1000, 1500}}, 1);
  std::vector<uint8_t> classes(1500, kVisualKey);
  classes[7] = kSinkKey;
  const std::vector<float> gain(1500, 0.1F);
  const SegmentPolicy policy{
      .classes = classes, .rule = &VarByContentShare, .params = {.p = 0.5F}, .masses = {}};
  p.runs[0].variant = KeyGain{gain, {}};
  p.runs[0].segments = &policy;
  Exec ex(2);
  for (const Mask mask : {Mask::kCausal, Mask::kNone}) {
    Attention(ex, small.args(mask), small.out, small.lse);
    const size_t before = allocated_bytes;
    Attention(ex, p.args(mask), p.out, p.lse);
    EXPECT_LT(allocated_bytes - before, size_t{4096}) << "one row of scores alone takes 6000 bytes";
  }
}

}  // namespace
}  // namespace binocle
