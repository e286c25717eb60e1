#!/bin/bash
# The steps of `make test`, in order, each with its time. Stops at the first that fails. ctest runs last: its summary closes the log.
#
#   tools/ci_steps.sh [STEP[+STEP …] …]     side by side what a + joins; without names: all of them but asan_all
set -euo pipefail
cd "$(dirname "$0")/.."
JOBS=${JOBS:-$(nproc)}
DEPS=${DEPS:-tools/install_deps.sh}

# Beside one another are steps that keep one processor busy each.
all_steps=(deps layers proto text format scripts tools training+headers python build cuda+install minimal asan fuzz tests)

# Built and run once more with AddressSanitizer and UndefinedBehaviorSanitizer, beside the fuzz targets of weights files. The rest takes fifteen minutes more and is for who changes it: asan_all.
asan_programs=(core attention)
asan_fuzzers=(gguf safetensors)
asan_all_programs=("${asan_programs[@]}" vision llm fusion engine grpc http eval)
asan_all_fuzzers=("${asan_fuzzers[@]}" answer_line config constraint eval_file http_body image_decode proto_request tokenizer_model tokenizer_text)

# 33 MB of fonts come while the quick steps run.
step_deps() {
  $DEPS --test --format
  $DEPS --training >"$fonts_log" 2>&1 &
  fonts=$!
}

fonts_log=$(mktemp)
wait_for_fonts() {
  [ -n "${fonts:-}" ] || { $DEPS --training && return; }
  wait "$fonts" || { cat "$fonts_log" && return 1; }
}
step_layers() { python3 tools/check_layers.py; }
step_proto() { python3 tools/check_proto.py; }
step_text() { python3 tools/check_text.py; }

# Where the packages are installed by hand (DEPS=true) the formatter may be absent; another version lays out otherwise.
step_format() {
  if ! command -v clang-format-14 >/dev/null; then
    echo "format: skipped, no clang-format-14"
    return
  fi
  tools/format.sh --check
}

step_headers() { tools/check_headers.sh; }
step_tools() { python3 -m unittest discover -q -s tools/tests -p '*_test.py'; }

step_scripts() {
  local script
  for script in $(find tools training deploy .ci -name '*.sh' -o -name '*.sbatch' -o -path .ci/run); do
    bash -n "$script"
  done
  python3 - <<'PYTHON'
import ast, pathlib
for folder in ("tools", "training", "tests", "clients"):
    for path in pathlib.Path(folder).rglob("*.py"):
        if ".venv" not in path.parts:
            ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
PYTHON
}

# The scene generators, which outsiders run with the distribution's Python.
step_training() {
  wait_for_fonts
  (cd training && /usr/bin/python3 -m unittest -q tests.test_generator)
  (cd training/sights && /usr/bin/python3 -m unittest -q tests.test_world tests.test_report)
}

# A build that is there stays as it was configured; a new one is compiled in as few pieces as possible.
configure() { [ -f "build/$1/CMakeCache.txt" ] || cmake --preset "$1" -DBINOCLE_UNITY=ON; }

configure_and_build() {  # preset [target …]
  local preset=$1
  shift
  configure "$preset"
  cmake --build "build/$preset" --parallel "$JOBS" ${1:+--target "$@"}
}

# The clients' packages, pinned, for the tests that use them; without a package index those report skipped. Ray, of 70 MB, only for who installs
# tests/clients/ray_requirements.txt there as well.
step_python() {
  [ -x build/python/bin/python ] || python3 -m venv build/python
  # An index may be slow: what follows does not wait, the tests do.
  build/python/bin/pip install --quiet --disable-pip-version-check --require-hashes \
    -r clients/python/tests/requirements.txt -r tests/http/requirements.txt >build/python/pip.log 2>&1 &
  pip=$!
}

wait_for_python() {
  [ -n "${pip:-}" ] || return 0
  wait "$pip" || { cat build/python/pip.log && echo "python: skipped, the clients' packages cannot be had"; }
  pip=
}

step_build() {
  configure dev
  [ ! -x build/python/bin/python ] || cmake build/dev -DBINOCLE_CLIENTS_PYTHON="$PWD/build/python/bin/python"
  configure_and_build dev
}

# What the compiler made of the kernels, and its PTX by the interpreter. The emulator's programs are among the tests. Needs the toolkit, which `build` has
# looked for, and two packages, pinned; where one is not to be had that part reports skipped.
step_cuda() {
  tools/cuda_roofline.py check docs/cuda.md
  if [ ! -f build/dev/lib/libbinocle_cuda.so ]; then
    echo "cuda: skipped, no nvcc where the build looked"
    return
  fi
  local nvcc version other=() mix=()
  [ -x build/ptx/bin/python ] || python3 -m venv build/ptx
  if build/ptx/bin/pip install --quiet --disable-pip-version-check --require-hashes -r tools/ptx/requirements.txt; then
    build/ptx/bin/python -B tools/tests/ptx_test.py
    mix=(--nvdisasm "$(find build/ptx -name nvdisasm -type f | head -n 1)")
  else
    echo "cuda: the interpreter and the loops' mix skipped, nvdisasm and numpy cannot be had"
  fi
  nvcc=$(sed -n 's/^CMAKE_CUDA_COMPILER:[^=]*=//p' build/dev/CMakeCache.txt)
  version=$("$nvcc" --version | sed -n 's/.*release \([0-9.]*\),.*/\1/p')
  if ! grep -q "stands for nvcc $version\." docs/cuda.md; then
    echo "cuda: the static table skipped, it stands for another compiler than nvcc $version; spills are not"
    other=(--other-compiler)
  fi
  tools/cuda_static.py check build/dev/lib/libbinocle_cuda.so docs/cuda.md "${other[@]}" "${mix[@]}"
}

# The kernels of CUDA are compiled in the dev build. What this one is for is that it compiles; optimising would take most of its time.
step_minimal() {
  [ -f build/minimal/CMakeCache.txt ] || cmake --preset minimal -DBINOCLE_UNITY=ON -DBINOCLE_CUDA=OFF -DCMAKE_CXX_FLAGS_RELEASE="-O1 -DNDEBUG"
  configure_and_build minimal minimal_check
  build/minimal/bin/minimal_check
}

step_install() { tools/test_install.sh build/dev; }

# Without the longest sums, which take most of the time and no other paths than shorter ones, and without tests that count memory, which is the sanitizer's here.
step_asan() { GTEST_FILTER=-*OfManyLongRows*:ProductRows.OfSwiGlu:Allocation.* asan "${asan_programs[@]/%/_test}" "${asan_fuzzers[@]/#/fuzz_}"; }
step_asan_all() { asan "${asan_all_programs[@]/%/_test}" "${asan_all_fuzzers[@]/#/fuzz_}"; }

# Each of GoogleTest's programs in parts side by side, for the longest takes longer than all others.
asan() {
  configure_and_build asan "$@"
  local bin=$PWD/build/asan/bin logs=$PWD/build/asan/logs program part pid pids=() others=() failed=0
  rm -rf "$logs" && mkdir -p "$logs"
  for program in "$@"; do
    [[ $program == *_test ]] || { others+=("$program") && continue; }
    for ((part = 0; part < JOBS; ++part)); do
      GTEST_TOTAL_SHARDS=$JOBS GTEST_SHARD_INDEX=$part timeout 900 "$bin/$program" --gtest_brief=1 >"$logs/$program.$part" 2>&1 &
      pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
    pids=()
    cat "$logs/$program".*
    grep -q '^\[  PASSED  \] [1-9]' "$logs/$program".* || { echo "$program: no test passed" && failed=1; }
  done
  ctest --test-dir build/asan -j "$JOBS" -R "^($(IFS='|'; echo "${others[*]}"))\$" --output-on-failure --no-tests=error || failed=1
  return "$failed"
}

# A quarter of a minute at random for what comes over the network and for weights files, all at a time; what fails leaves its input behind. Those of the network are
# the build's own: with sanitizers they take the whole service along (asan_all).
step_fuzz() {
  local name pids=() failed=0
  mkdir -p build/fuzz-found
  for name in dev/proto_request dev/http_body asan/safetensors asan/gguf; do
    (mkdir -p "build/fuzz-found/${name#*/}" && cd "build/fuzz-found/${name#*/}" &&
      exec "../../${name%/*}/bin/fuzz_${name#*/}" --seconds "${FUZZ_SECONDS:-15}" "../../${name%/*}/tests/fuzz/seeds/${name#*/}" >log 2>&1) &
    pids+=($!)
  done
  for name in "${pids[@]}"; do wait "$name" || failed=1; done
  tail -n "$((failed ? 60 : 1))" build/fuzz-found/*/log
  return "$failed"
}

# Two for each processor: many tests wait for servers and clocks.
step_tests() {
  wait_for_python
  ctest --test-dir build/dev -j "$((2 * JOBS))" --output-on-failure --no-tests=error
}

passed() {  # step, when it began
  awk -v a="$2" -v b="$(date +%s.%N)" -v s="$1" 'BEGIN { printf "== %s passed in %.1f s\n", s, b - a }'
}

# The first step of a group is this shell's own: what it leaves running it may wait for later.
side_logs=$(mktemp -d)
declare -A side
trap 'rm -rf "$fonts_log" "$side_logs"' EXIT
for group in "${@:-${all_steps[@]}}"; do
  IFS=+ read -ra names <<<"$group"
  step=${names[0]}
  start=$(date +%s.%N)
  for name in "${names[@]:1}"; do
    (set -e; "step_$name"; passed "$name" "$start") </dev/null >"$side_logs/$name" 2>&1 &
    side[$name]=$!
  done
  echo "== $step"
  "step_$step" </dev/null
  # The closing lines of the last step are its own.
  [ "$step" = tests ] || passed "$step" "$start"
  for name in "${names[@]:1}"; do
    echo "== $name"
    wait "${side[$name]}" || { cat "$side_logs/$name" && exit 1; }
    cat "$side_logs/$name"
  done
done
wait_for_python
