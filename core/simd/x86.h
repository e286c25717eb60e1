// For kernels that are written per instruction set: what a function may use beyond the build's baseline. The file itself is compiled like
// any other, so that nothing inline in it can end up in a program of an older processor.
//
//   BINOCLE_AVX2 void Int8BlockAvx2(const Int8Block& block) { … _mm256_madd_epi16(…) … }
//
// Functions that such a function is to inline carry the same attribute; lambdas do not inherit it.
#pragma once

#if defined(__x86_64__)

// GCC 12 takes the undefined operand that its own intrinsics pass along for a mistake.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#pragma GCC diagnostic pop

#include <cstdint>

#define BINOCLE_AVX2 __attribute__((target("avx2,fma,f16c")))
#define BINOCLE_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#define BINOCLE_VNNI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
#define BINOCLE_BF16 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))
#define BINOCLE_AMX __attribute__((target("amx-tile,amx-int8,amx-bf16")))
#define BINOCLE_AMX_VNNI \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,amx-tile,amx-int8")))

namespace binocle {

// Asks for lines of 64 bytes. Some may lie behind what is read, mostly in the next panel of weights; nothing comes of those that are nobody's.
[[gnu::always_inline]] inline void PrefetchLines(const void* from, int64_t lines) {
  for (int64_t i = 0; i < lines; ++i)
    __builtin_prefetch(static_cast<const char*>(from) + i * 64, 0, 3);
}

}  // namespace binocle

#endif
