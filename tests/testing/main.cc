// The main function of every test program. BINOCLE_TEST_SIMD=avx2 hides wider vectors, so that one machine tests both paths; one that has none is done
// with the other run, and the program ends with 77.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#if __has_include("hwy/targets.h")
#include "hwy/targets.h"
#endif

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (const char* level = std::getenv("BINOCLE_TEST_SIMD"); level != nullptr) {
    if (std::string_view(level) != "avx2") {
      std::fprintf(stderr, "BINOCLE_TEST_SIMD is %s, expected avx2\n", level);
      return 2;
    }
#if __has_include("hwy/targets.h") && defined(__x86_64__)
    constexpr int64_t kWider = HWY_AVX2 - 1;  // better targets have lower bits
    if ((hwy::SupportedTargets() & kWider) == 0) {
      std::printf("skipped: this processor has no vectors wider than AVX2's to hide\n");
      return 77;
    }
    hwy::DisableTargets(kWider);
#endif
  }
  return RUN_ALL_TESTS();
}
