# Whether and how the CUDA module (core/backend/cuda) is built. Sets BINOCLE_HAS_CUDA.
#   AUTO  where there is a toolkit, unless the build has sanitizers, which see nothing of kernels
#   ON    without a toolkit configuring fails
#   OFF   never
set(BINOCLE_CUDA AUTO CACHE STRING "The CUDA module: AUTO (where nvcc is), ON or OFF")
set_property(CACHE BINOCLE_CUDA PROPERTY STRINGS AUTO ON OFF)
if(NOT BINOCLE_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "BINOCLE_CUDA is ${BINOCLE_CUDA}, expected AUTO, ON or OFF")
endif()

set(BINOCLE_HAS_CUDA OFF)
if(BINOCLE_CUDA STREQUAL ON OR (BINOCLE_CUDA STREQUAL AUTO AND NOT BINOCLE_SANITIZE AND NOT BINOCLE_FUZZ))
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    # One binary for A100, H100 and B100; what comes later compiles the PTX of the last.
    set(CMAKE_CUDA_ARCHITECTURES "80-real;90-real;100" CACHE STRING "What the CUDA module has kernels for")
    if(CCACHE_PROGRAM AND NOT CMAKE_CUDA_COMPILER_LAUNCHER)
      set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
    endif()
    enable_language(CUDA)
    # CMake 3.25 does not know that nvcc 13 has the dialect.
    if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
      set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
    endif()
    set(CMAKE_CUDA_STANDARD 20)
    set(BINOCLE_HAS_CUDA ON)
  elseif(BINOCLE_CUDA STREQUAL ON)
    message(FATAL_ERROR "BINOCLE_CUDA=ON needs nvcc: put the CUDA toolkit's bin folder on PATH, or set CMAKE_CUDA_COMPILER")
  endif()
endif()
