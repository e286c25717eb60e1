#!/bin/bash
# Everything that a GPU has to say, in one call of less than ten minutes: builds with a compiler, CMake and the CUDA toolkit alone, checks ops and models
# against the host, runs the golden models where pack_goldens.sh has packed them, times LLaVA-1.5-7B's shape, beside PyTorch where that is, and sanitizes
# with the time that is left.
#
#   tools/gpu/check.sh [FOLDER]       FOLDER: where the reports go (default: build/gpu-report)
#
# Exits 1 where a part failed, was not through in its time, or found no GPU; the last lines say what became of each. A ratio that is missed is no failure.
# To try the script itself without a GPU: GPU_CHECK=build/dev/bin/simt_gpu_check SPEED=small tools/gpu/check.sh
set -uo pipefail
out=${1:-}
[ -z "$out" ] || out=$(realpath -m "$out")
cd "$(dirname "$0")/../.."
out=${out:-build/gpu-report}
mkdir -p "$out"
rm -f "$out"/*.txt
: >"$out/summary.txt"
end=$((SECONDS + ${CHECK_SECONDS:-590}))
status=0

say() {
  echo "$*" | tee -a "$out/summary.txt"
}

finish() {
  echo "== what became of it" && cat "$out/summary.txt"
  exit "$status"
}

# part NAME SECONDS COMMAND …: prints what the command prints, into $out/NAME.txt as well, for so long at most and not past the end. `timeout` leads a group of
# processes and ends all of it.
part() {
  local name=$1 seconds=$2 code left=$((end - SECONDS))
  shift 2
  [ "$seconds" -le "$left" ] || seconds=$left
  if [ "$seconds" -lt 1 ]; then
    say "$name: skipped, the time is up"
    status=1
    return 1
  fi
  timeout --kill-after=5 "$seconds" "$@" 2>&1 | tee "$out/$name.txt"
  code=${PIPESTATUS[0]}
  case $code in
    0) say "$name: ok" ;;
    77) say "$name: skipped, $(sed -n 's/^skipped: //p' "$out/$name.txt" | tail -n 1)" ;;
    124 | 137) say "$name: not through in $seconds s" ;;
    *) say "$name: FAILED, status $code" ;;
  esac
  [ "$code" -eq 0 ] || status=1
  return "$code"
}

build() {
  local nvcc
  nvcc=$(command -v nvcc || ls /usr/local/cuda*/bin/nvcc 2>/dev/null | head -n 1)
  [ -n "$nvcc" ] || { echo "no nvcc on PATH nor below /usr/local" && return 1; }
  cmake -S . -B build/gpu -DCMAKE_BUILD_TYPE=Release -DBINOCLE_ENGINE=OFF -DBINOCLE_SERVICE=OFF -DBINOCLE_ONEDNN=OFF -DBINOCLE_HIGHWAY=OFF \
    -DBINOCLE_TESTS=OFF -DBINOCLE_CUDA=ON -DBINOCLE_UNITY=ON -DCMAKE_CUDA_COMPILER="$nvcc" -DCMAKE_CUDA_ARCHITECTURES=native &&
    cmake --build build/gpu --parallel "$(nproc)" --target gpu_check
}

command -v nvidia-smi >/dev/null && nvidia-smi | tee "$out/device.txt"
check=${GPU_CHECK:-}
if [ -z "$check" ]; then
  check=build/gpu/bin/gpu_check
  export -f build
  part build 300 bash -c build >/dev/null || { tail -n 40 "$out/build.txt" && finish; }
fi

# Limits that keep one which hangs from taking all; together they are more than there is, and what comes last gives.
part ops 40 "$check" ops
part model 40 "$check" model
if [ -n "${GPU_CHECK:-}" ]; then
  say "goldens: skipped, they are for a GPU"
elif [ -f build/gpu-goldens.tar.gz ]; then
  part goldens 60 tools/gpu/goldens.sh
else
  say "goldens: skipped, there is no build/gpu-goldens.tar.gz (tools/gpu/pack_goldens.sh)"
fi
part speed 120 "$check" "${SPEED:-speed}"
if timeout 60 python3 -c 'import torch, transformers; assert torch.cuda.is_available()' 2>/dev/null; then
  part peer 110 python3 tools/gpu/peer.py
  [ ! -f "$out/speed.txt" ] || [ ! -f "$out/peer.txt" ] || python3 tools/gpu/ratios.py "$out/speed.txt" "$out/peer.txt" | tee -a "$out/summary.txt"
else
  say "peer: skipped, there is no PyTorch with transformers that sees the GPU"
fi
[ ! -f "$out/speed.txt" ] || grep ', asked ' "$out/speed.txt" >>"$out/summary.txt"

sanitizer=$(command -v compute-sanitizer || ls "$(dirname "$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)")/compute-sanitizer" 2>/dev/null)
runs=("memcheck ops" "racecheck ops" "memcheck model" "initcheck model")
if [ -n "$sanitizer" ]; then
  # What is left, shared: a run that needs less leaves more to those behind it.
  for i in "${!runs[@]}"; do
    read -r tool what <<<"${runs[$i]}"
    part "$tool-$what" $(((end - SECONDS) / (${#runs[@]} - i))) "$sanitizer" --tool "$tool" --error-exitcode 9 "$check" "$what" >/dev/null ||
      tail -n 20 "$out/$tool-$what.txt"
  done
else
  say "sanitizer: skipped, there is no compute-sanitizer"
fi
finish
