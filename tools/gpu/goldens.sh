#!/bin/bash
# Every golden model and tower, stage by stage and token by token, and interventions, batching and explanations, on a GPU: what pack_goldens.sh has packed.
#
#   tools/gpu/goldens.sh [cuda:0]
#
# The tests know their data by the folder in which they were built; where that is not this one, and is not there, it becomes a link to this one.
set -euo pipefail
cd "$(dirname "$0")/../.."
device=${1:-cuda:0}
packed=build/gpu-goldens.tar.gz
[ -f "$packed" ] || { echo "no $packed: run tools/gpu/pack_goldens.sh where binocle was built" >&2 && exit 1; }
folder=build/gpu-goldens
rm -rf "$folder"
mkdir -p "$folder"
tar -C "$folder" -xzf "$packed"
source=$(cat "$folder/source")
if [ ! -e "$source" ]; then
  mkdir -p "$(dirname "$source")"
  ln -s "$PWD" "$source"
fi
toolkit=$(dirname "$(dirname "$(command -v nvcc || ls /usr/local/cuda*/bin/nvcc 2>/dev/null | head -n 1 || true)")")
export LD_LIBRARY_PATH=$PWD/$folder/system:$toolkit/lib64:$toolkit/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export BINOCLE_TEST_DEVICE=$device
run() {
  "$folder/bin/engine_test" --gtest_brief=1 --gtest_filter="$1"
}
# First, since an engine that finds no such device is on the CPU and passes everything.
run 'EngineLoad.IsWhereTestsSay'
run 'All/EngineGoldens.*:All/GoldenParity.*:Parity.*'
run 'Models/WithInterventions.OffIsOff*:Models/WithInterventions.EachChanges*:Interventions.*:ExplainEngine.*:Embedding.*:ImageCache.*:Models/Batching.*'
