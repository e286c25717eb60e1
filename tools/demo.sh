#!/bin/sh
# Asks the default model about the picture that `make demo` shows.   tools/demo.sh PROGRAM
set -eu
cd "$(dirname "$0")/.."
program=${1:-build/release/bin/binocle}
picture=examples/images/home.png
echo
echo "Picture:  $picture"
while IFS= read -r question; do
  echo
  echo "Question: $question"
  printf 'Answer:   '
  "$program" ask --image "$picture" "$question" </dev/null
done <<'QUESTIONS'
Describe the picture.
Where is the key?
What does the sign say?
QUESTIONS
