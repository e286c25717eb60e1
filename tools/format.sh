#!/bin/sh
# Lays out the C++ and .proto sources with clang-format 14.   tools/format.sh [--check] [FILE …]     without files: all of them
set -eu
cd "$(dirname "$0")/.."
mode=-i
if [ "${1:-}" = --check ]; then
  mode="--dry-run --Werror"
  shift
fi
if [ $# -eq 0 ]; then
  # shellcheck disable=SC2046  # no names with blanks
  set -- $(find include core attention vision llm fusion service cli eval tests examples proto -name '*.h' -o -name '*.cc' -o -name '*.cu' -o -name '*.proto')
fi
formatter=$(command -v clang-format-14 || command -v clang-format)
# shellcheck disable=SC2086  # words
exec "$formatter" $mode "$@"
