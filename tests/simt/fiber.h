// Switching between stacks of one thread of the operating system. x86-64, System V.
#pragma once

#include <cstddef>

namespace simt {

// A power of two would put the tops of all stacks, where fibers are at work, into the same few lines of a cache.
inline constexpr size_t kFiberStack = 128 * 1024 + 17 * 64;

// Saves where the caller is in *from and goes on where `to` was saved. Registers that a call preserves are kept.
extern "C" void SimtSwitch(void** from, void* to);

// What SimtSwitch may be given to begin entry() on a stack; entry must not return.
void* NewFiber(unsigned char* stack, void (*entry)());

}  // namespace simt
