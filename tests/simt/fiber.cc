#include "fiber.h"

#include <cstdint>

asm(R"(
.text
.globl SimtSwitch
.type SimtSwitch, @function
SimtSwitch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size SimtSwitch, .-SimtSwitch
)");

namespace simt {

void* NewFiber(unsigned char* stack, void (*entry)()) {
  auto* top = reinterpret_cast<uintptr_t*>(stack + kFiberStack);
  // A function begins with the stack eight bytes off a multiple of sixteen, as after a call.
  *--top = 0;
  *--top = reinterpret_cast<uintptr_t>(entry);
  for (int saved = 0; saved < 6; ++saved) *--top = 0;
  return top;
}

}  // namespace simt
