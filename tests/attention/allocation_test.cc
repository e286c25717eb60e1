// No matrix of scores is ever allocated: this binary counts what operator new hands out.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "attention/attention_map.h"
#include "attention/var.h"
#include "tests/attention/problem.h"

namespace {
std::atomic<size_t> allocated_bytes{0};

void* Count(size_t size, size_t alignment) {
  allocated_bytes += size;
  void* memory = alignment > alignof(std::max_align_t)
                     ? std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment)
                     : std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
}  // namespace

void* operator new(size_t size) { return Count(size, 0); }
void* operator new(size_t size, std::align_val_t alignment) {
  return Count(size, static_cast<size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }

namespace binocle {
namespace {

TEST(Allocation, AttentionTakesNoMemoryThatGrowsWithRowsOrKeys) {
  Problem p(4, 2, 16, {{1000, 1500}}, 1);
  std::vector<uint8_t> classes(1500, kVisualKey);
  classes[7] = kSinkKey;
  const std::vector<float> gain(1500, 0.1F);
  const SegmentPolicy policy{
      .classes = classes, .rule = &PaperVar, .params = {.p = 0.5F}, .masses = {}};
  p.runs[0].variant = KeyGain{gain, {}};
  p.runs[0].segments = &policy;
  Exec ex(2);
  Attention(ex, p.args(Mask::kCausal), p.out, p.lse);
  const size_t before = allocated_bytes;
  Attention(ex, p.args(Mask::kCausal), p.out, p.lse);
  EXPECT_LT(allocated_bytes - before, size_t{4096}) << "one row of scores alone takes 6000 bytes";
}

}  // namespace
}  // namespace binocle
