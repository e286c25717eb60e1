// What -fsanitize=thread calls in kernels that are compiled with it and linked without it: every load and store arrives at the shadow memory with no
// word in the kernel's source.
#include <cstddef>

#include "simt/runtime.h"

// NOLINTBEGIN(bugprone-reserved-identifier): the compiler's names
extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

#define SIMT_HOOKS(size)                                                 \
  void __tsan_read##size(void* p) { simt::OnRead(p, size); }             \
  void __tsan_write##size(void* p) { simt::OnWrite(p, size); }           \
  void __tsan_unaligned_read##size(void* p) { simt::OnRead(p, size); }   \
  void __tsan_unaligned_write##size(void* p) { simt::OnWrite(p, size); } \
  void __tsan_volatile_read##size(void* p) { simt::OnRead(p, size); }    \
  void __tsan_volatile_write##size(void* p) { simt::OnWrite(p, size); }
SIMT_HOOKS(1)
SIMT_HOOKS(2)
SIMT_HOOKS(4)
SIMT_HOOKS(8)
SIMT_HOOKS(16)
#undef SIMT_HOOKS

void __tsan_read_range(void* p, size_t bytes) { simt::OnRead(p, bytes); }
void __tsan_write_range(void* p, size_t bytes) { simt::OnWrite(p, bytes); }
}
// NOLINTEND(bugprone-reserved-identifier)
