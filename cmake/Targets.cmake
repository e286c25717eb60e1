# binocle_folder(NAME SOURCES … DEPENDS … ALONE …): the library of one folder. Every target sees the repository root and the public headers;
# which folder may include which is checked by tools/check_layers.py. ALONE is for binocle_unity, as are the kernels, *_cpu.cc: they include
# themselves, once for each width of vectors.
function(binocle_folder name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;PRIVATE_DEPENDS;ALONE" ${ARGN})
  add_library(binocle_${name} STATIC ${ARG_SOURCES})
  target_include_directories(binocle_${name} PUBLIC ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
  target_compile_definitions(binocle_${name} PRIVATE BINOCLE_BUILDING_LIBRARY)
  target_link_libraries(binocle_${name} PUBLIC ${ARG_DEPENDS} PRIVATE ${ARG_PRIVATE_DEPENDS})
  binocle_compile_options(binocle_${name})
  list(FILTER ARG_SOURCES INCLUDE REGEX "_cpu\\.cc$")
  set_source_files_properties(${ARG_SOURCES} PROPERTIES COMPILE_DEFINITIONS "${BINOCLE_KERNEL_DEFINITIONS}")
  binocle_unity(binocle_${name} ALONE ${ARG_ALONE} ${ARG_SOURCES})
endfunction()

function(binocle_compile_options target)
  target_compile_options(${target} PRIVATE -Wall -Wextra $<$<CXX_COMPILER_ID:GNU>:-Wshadow=local> -Wno-psabi -Wno-missing-field-initializers)
  if(BINOCLE_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(BINOCLE_UNITY)
    # A target at once fills GCC's heap, which it would search for garbage again and again: a sixth of GCC 12's time, for 1.7 GB at most.
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:--param=ggc-min-expand=300;--param=ggc-min-heapsize=1048576>)
  endif()
  if(BINOCLE_SANITIZE)
    target_compile_options(${target} PUBLIC -fsanitize=${BINOCLE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    if(BINOCLE_SANITIZE MATCHES undefined)
      # What these three find traps under AddressSanitizer too, and they take a third of the compiler's time.
      target_compile_options(${target} PUBLIC -fno-sanitize=null,object-size,vptr)
    endif()
    target_link_options(${target} PUBLIC -fsanitize=${BINOCLE_SANITIZE})
  endif()
  if(BINOCLE_FUZZ)
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
endfunction()

# binocle_asan_by_calls(FILE …): for kernels that are written out for every number of rows. Checks that are calls halve what they take to compile under
# AddressSanitizer.
function(binocle_asan_by_calls)
  if(BINOCLE_SANITIZE MATCHES address AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    set_property(SOURCE ${ARGN} APPEND PROPERTY COMPILE_OPTIONS --param=asan-instrumentation-with-call-threshold=0)
  endif()
endfunction()

# binocle_kernels_for(FLAG FILE …): kernels for processors with FLAG, a name of /proc/cpuinfo. Under sanitizers a processor without it would never run
# them: without checks and optimisation they take a third of the time to compile.
function(binocle_kernels_for flag)
  if(BINOCLE_PROCESSOR_FLAGS AND NOT BINOCLE_PROCESSOR_FLAGS MATCHES " ${flag} ")
    set_source_files_properties(${ARGN} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON COMPILE_OPTIONS "-fno-sanitize=all;-O0")
  endif()
endfunction()

# Headers that most of a target's files read: read once. Out of a precompiled header the standard library's code counts as ours, and GCC 12 sees
# ghosts in it (GCC bug 105651).
function(binocle_precompile target)
  # Not worth it for the two or three pieces that BINOCLE_UNITY makes of a small target.
  get_target_property(sources ${target} SOURCES)
  list(LENGTH sources count)
  if(BINOCLE_UNITY AND count LESS 25)
    return()
  endif()
  target_precompile_headers(${target} PRIVATE ${ARGN})
  target_compile_options(${target} PRIVATE -Wno-array-bounds $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict;-Wno-stringop-overflow;-Wno-stringop-overread>)
endfunction()

# With BINOCLE_UNITY, files of the target are compiled at once, but for those of ALONE, whose names are others' too.
function(binocle_unity target)
  cmake_parse_arguments(ARG "" "" "ALONE" ${ARGN})
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${BINOCLE_UNITY} UNITY_BUILD_BATCH_SIZE 0)
  if(ARG_ALONE)
    set_source_files_properties(${ARG_ALONE} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endif()
endfunction()
