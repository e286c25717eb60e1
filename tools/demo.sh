#!/bin/sh
# Asks the default model about the picture that `make demo` shows.   tools/demo.sh PROGRAM
set -eu
cd "$(dirname "$0")/.."
program=${1:-build/release/bin/binocle}
picture=examples/images/scene.png
echo
echo "Picture:  $picture"
while IFS= read -r question; do
  echo
  echo "Question: $question"
  printf 'Answer:   '
  "$program" ask --image "$picture" "$question" </dev/null
done <<'QUESTIONS'
What is in the picture?
How many things are there?
QUESTIONS
