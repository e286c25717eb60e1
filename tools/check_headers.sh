#!/bin/sh
# Every public header compiles alone: it includes what it uses, and needs nothing but the standard library.
#   tools/check_headers.sh [COMPILER]
set -eu
cd "$(dirname "$0")/.."
compiler=${1:-${CXX:-c++}}
failed=0
for header in include/binocle/*.h; do
  if ! "$compiler" -std=c++20 -Wall -Wextra -Werror -fsyntax-only -Iinclude -include "$header" -x c++ /dev/null; then
    echo "$header:1: does not compile alone"
    failed=1
  fi
done
[ "$failed" -eq 0 ] && echo "check_headers: every public header compiles alone"
exit "$failed"
