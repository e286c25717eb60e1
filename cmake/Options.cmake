# Build options. `minimal` (see CMakePresets.json) turns off everything that needs more than a compiler.
include(CMakeDependentOption)
include(GNUInstallDirs)

option(BINOCLE_ENGINE "The loader, the engine and the command line (needs sentencepiece, PCRE2, utf8proc, nlohmann-json, CLI11)" ON)
cmake_dependent_option(BINOCLE_OPENCV "Decode pictures with OpenCV" ON BINOCLE_ENGINE OFF)
cmake_dependent_option(BINOCLE_SERVICE "The gRPC and HTTP servers (need gRPC, protobuf, OpenSSL, cpp-httplib)" ON BINOCLE_ENGINE OFF)
option(BINOCLE_ONEDNN "Large matrix products through oneDNN" ON)
option(BINOCLE_HIGHWAY "SIMD kernels through Highway; OFF builds them one lane wide" ON)
option(BINOCLE_TESTS "Unit tests (needs GoogleTest)" ${PROJECT_IS_TOP_LEVEL})
option(BINOCLE_UNITY "Compile files of a target together, and with -O1 what is no kernel: half the time for a whole build, more for a changed file" OFF)
option(BINOCLE_WERROR "Warnings are errors" OFF)
option(BINOCLE_FUZZ "Make the targets of tests/fuzz libFuzzer programs (needs clang)" OFF)
set(BINOCLE_SANITIZE "" CACHE STRING "Sanitizers for all code, such as address,undefined")

if(BINOCLE_FUZZ AND NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  message(FATAL_ERROR "BINOCLE_FUZZ needs clang; `cmake --preset fuzz` chooses it")
endif()

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

# A kernel is compiled once per target of Highway's. x86 machines with SSSE3 and without SSE4 are from 2006; under sanitizers one lane and two widths
# say enough.
set(BINOCLE_KERNEL_DEFINITIONS HWY_DISABLED_TARGETS=HWY_SSSE3)
if(BINOCLE_SANITIZE)
  set(BINOCLE_KERNEL_DEFINITIONS HWY_DISABLED_TARGETS=HWY_SSSE3|HWY_SSE4)
endif()
