#!/bin/bash
# Every golden model and tower, stage by stage and token by token, and interventions, on a GPU: what pack_goldens.sh has packed.
#
#   tools/gpu/goldens.sh [DEVICE]       DEVICE: default cuda:0
#
# The tests look for their data in the folder in which they were built; where that is not there it is a link to this one meanwhile.
set -euo pipefail
cd "$(dirname "$0")/../.."
device=${1:-cuda:0}
packed=build/gpu-goldens.tar.gz
[ -f "$packed" ] || { echo "no $packed: run tools/gpu/pack_goldens.sh where binocle was built" >&2 && exit 1; }
folder=build/gpu-goldens
rm -rf "$folder"
mkdir -p "$folder"
tar -C "$folder" -xzf "$packed"
echo "packed at $(cat "$folder/commit"); here is $(git describe --always --dirty --abbrev=12 2>/dev/null || echo 'no git')"
source=$(cat "$folder/source")
if [ ! -e "$source" ]; then
  mkdir -p "$(dirname "$source")"
  ln -sfn "$PWD" "$source"
  trap 'rm -f "$source"' EXIT
elif [ ! "$source" -ef . ]; then
  echo "$source, where the tests were built, is there and is not $PWD" >&2
  exit 1
fi
LD_LIBRARY_PATH=$PWD/$folder/system${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
nvcc=$(command -v nvcc || ls /usr/local/cuda*/bin/nvcc 2>/dev/null | head -n 1 || true)
if [ -n "$nvcc" ]; then
  toolkit=$(dirname "$(dirname "$(realpath "$nvcc")")")
  LD_LIBRARY_PATH+=:$toolkit/lib64:$toolkit/lib
fi
export LD_LIBRARY_PATH BINOCLE_TEST_DEVICE=$device

# run LEAST FILTER: fails where fewer tests pass, too, since a filter that names nothing fails no test.
run() {
  local said passed
  said=$("$folder/bin/engine_test" --gtest_brief=1 --gtest_filter="$2" 2>&1) || { echo "$said" && return 1; }
  passed=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) tests*\.$/\1/p' <<<"$said")
  echo "$2: $passed passed"
  [ "${passed:-0}" -ge "$1" ] || { echo "expected $1 or more" && return 1; }
}

# An engine that finds no such device is on the CPU, where all would pass.
run 1 'EngineLoad.IsWhereTestsSay'
status=0
run 30 'All/GoldenParity.*' || status=1
# Not those that compare answers to the bit where other numbers of rows are multiplied (ADR 0019).
run 30 'All/EngineGoldens.TokensAndLogprobs*:All/EngineGoldens.TheTexts*' || status=1
run 5 'Models/WithInterventions.OffIsOff*' || status=1
run 5 'Models/WithInterventions.EachChanges*' || status=1
exit "$status"
