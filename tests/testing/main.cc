// The main function of every test program. BINOCLE_TEST_SIMD=avx2 hides wider vectors, so that one machine tests both paths.
#include <gtest/gtest.h>

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
    hwy::DisableTargets(HWY_AVX2 - 1);  // better targets have lower bits
#endif
  }
  return RUN_ALL_TESTS();
}
