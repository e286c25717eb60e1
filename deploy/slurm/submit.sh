#!/bin/bash
# An evaluation in parts on Slurm: an array, a task of it for each part, and a job that puts them together when all are done.
#
#   deploy/slurm/submit.sh PARTS OUT ARGUMENT…        ARGUMENTs: those of `binocle eval run`, without --out and --shard
#
#   deploy/slurm/submit.sh 16 /results/pope pope_random pope_popular --model /models/llava-1.5-7b --data /data
#
# OUT is a folder that all nodes see. Partition, account and the like: the variables that sbatch reads (SBATCH_PARTITION, SBATCH_ACCOUNT);
# what a part needs: eval.sbatch. BINOCLE names the program. Prints the numbers of both jobs. The same command again goes on where parts
# were cancelled, ran out of time or failed; parts that are done end at once. Some parts alone: eval.sbatch. A part some of whose samples can never be
# answered (a picture that is none) ends with 1 each time, and the merge is not run: `sbatch deploy/slurm/merge.sbatch OUT` then; it says of how many
# samples its scores are.
set -euo pipefail

if [ $# -lt 3 ] || ! [[ $1 =~ ^[1-9][0-9]*$ ]]; then
  sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p}' "$0" >&2
  exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
parts=$1
out=$(realpath -m "$2")
shift 2

mkdir -p "$out/logs"
array=$(sbatch --parsable --array="0-$((parts - 1))" --output="$out/logs/part_%a.log" "$here/eval.sbatch" "$parts" "$@" --out "$out")
array=${array%%;*}  # NUMBER, or NUMBER;CLUSTER
merge=$(sbatch --parsable --dependency="afterok:$array" --kill-on-invalid-dep=yes --output="$out/logs/merge.log" "$here/merge.sbatch" "$out")
echo "parts: job $array, logs in $out/logs; merge: job ${merge%%;*}"
