#!/bin/bash
# Everything that a GPU has to say, in one call of less than ten minutes: builds with a compiler, CMake and the CUDA toolkit alone, checks ops and a model
# against the host, sanitizes a run where the tool is there, and times LLaVA-1.5-7B's shape, beside PyTorch where that is.
#
#   tools/gpu/check.sh [FOLDER]       FOLDER: where the reports go (default: build/gpu-report)
set -uo pipefail
cd "$(dirname "$0")/../.."
out=${1:-build/gpu-report}
mkdir -p "$out"
nvcc=$(command -v nvcc || ls /usr/local/cuda*/bin/nvcc 2>/dev/null | head -n 1)
[ -n "$nvcc" ] || { echo "no nvcc on PATH nor below /usr/local" && exit 1; }

nvidia-smi | tee "$out/device.txt"
cmake -S . -B build/gpu -DCMAKE_BUILD_TYPE=Release -DBINOCLE_ENGINE=OFF -DBINOCLE_SERVICE=OFF -DBINOCLE_ONEDNN=OFF -DBINOCLE_HIGHWAY=OFF \
  -DBINOCLE_TESTS=OFF -DBINOCLE_CUDA=ON -DBINOCLE_UNITY=ON -DCMAKE_CUDA_COMPILER="$nvcc" -DCMAKE_CUDA_ARCHITECTURES=native >"$out/build.txt" 2>&1 &&
  cmake --build build/gpu --parallel "$(nproc)" --target gpu_check >>"$out/build.txt" 2>&1 || { tail -n 40 "$out/build.txt" && exit 1; }

status=0
for part in ops model; do
  build/gpu/bin/gpu_check $part 2>&1 | tee "$out/$part.txt"
  [ "${PIPESTATUS[0]}" -eq 0 ] || status=1
done
sanitizer=$(command -v compute-sanitizer || ls "$(dirname "$nvcc")/compute-sanitizer" 2>/dev/null)
if [ -n "$sanitizer" ]; then
  for run in "memcheck ops" "memcheck model" "racecheck ops" "initcheck model"; do
    read -r tool part <<<"$run"
    timeout 60 "$sanitizer" --tool "$tool" --error-exitcode 9 build/gpu/bin/gpu_check "$part" >"$out/$tool-$part.txt" 2>&1
    case $? in
      0) echo "$run: nothing" ;;
      124) echo "$run: not through in 60 s" ;;
      *) tail -n 20 "$out/$tool-$part.txt" && status=1 ;;
    esac
  done
else
  echo "sanitizer: skipped, there is no compute-sanitizer"
fi
build/gpu/bin/gpu_check speed 2>&1 | tee "$out/speed.txt" || status=1
if python3 -c 'import torch, transformers; assert torch.cuda.is_available()' 2>/dev/null; then
  timeout 200 python3 tools/gpu/peer.py 2>&1 | tee "$out/peer.txt"
else
  echo "peer: skipped, there is no PyTorch with transformers that sees the GPU"
fi
exit $status
