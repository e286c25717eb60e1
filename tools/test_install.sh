#!/bin/bash
# Installs a build into an empty prefix, moves it, and builds examples/embed against it with CMake and with pkg-config.
#   tools/test_install.sh [BUILD_DIRECTORY]     default: build/release
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/release}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
picture=examples/images/home.png
compiler=${CXX:-c++}

fail() {
  echo "test_install: $1" >&2
  exit 1
}

cmake --install "$build" --prefix "$work/first" >"$work/install.log" || { cat "$work/install.log"; fail "cmake --install failed"; }
prefix=$work/moved
mv "$work/first" "$prefix"
if grep -rIl "$work/first" "$prefix"; then fail "these files remember where they were installed"; fi
[ -z "$(find "$prefix/include" -type f -not -path "$prefix/include/binocle/*.h")" ] || fail "a header outside include/binocle"

answers() {  # program [argument …]: it must print an answer for each of two questions, the second without vision work
  local out
  out=$("$@" </dev/null) || fail "failed: $*"
  printf '%s\n' "$out"
  [ "$(grep -c '^\[.* ms of vision, ' <<<"$out")" -eq 2 ] || fail "not two answers: $*"
  [ "$(grep -vc -e '^\[.* ms of vision, ' -e '^$' <<<"$out")" -ge 2 ] || fail "an empty answer: $*"
  [ "$(tail -1 <<<"$out")" = "[0 ms of vision, 1 picture from the cache]" ] || fail "the second question did vision work: $*"
}

if [ -f "$build/lib/libbinocle_cuda.so" ]; then
  echo "-- the CUDA module, apart"
  [ -z "$(find "$prefix" -name libbinocle_cuda.so)" ] || fail "the CUDA module is installed with the rest"
  cmake --install "$build" --prefix "$prefix" --component cuda >"$work/cuda.log" || { cat "$work/cuda.log"; fail "the CUDA module cannot be installed"; }
  "$prefix/bin/binocle" ask --device cuda --max-new-tokens 1 Hi >"$work/cuda.out" 2>&1 || { cat "$work/cuda.out"; fail "ask --device cuda"; }
  if grep "CUDA module" "$work/cuda.out"; then fail "the installed program does not find the CUDA module"; fi
fi

echo "-- CMake"
cmake -S examples/embed -B "$work/embed" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Release >"$work/embed.log" 2>&1 &&
  cmake --build "$work/embed" >>"$work/embed.log" 2>&1 || { cat "$work/embed.log"; fail "examples/embed does not build"; }
answers "$work/embed/embed" "$prefix/share/binocle/models/binocle-tiny" "$picture"

echo "-- pkg-config"
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name binocle.pc)")
export PKG_CONFIG_PATH
# shellcheck disable=SC2046  # words
"$compiler" -std=c++20 examples/embed/main.cc $(pkg-config --cflags --libs binocle) -o "$work/embed_pc"
LD_LIBRARY_PATH=$(pkg-config --variable=libdir binocle) answers "$work/embed_pc" "$(pkg-config --variable=model binocle)" "$picture"

echo "-- scores without the engine"
mkdir "$work/score"
cat >"$work/score/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.25)
project(score LANGUAGES CXX)
find_package(binocle REQUIRED)
add_executable(score main.cc)
target_link_libraries(score PRIVATE binocle::eval)
CMAKE
cat >"$work/score/main.cc" <<'CXX'
#include <binocle/eval.h>
#include <iostream>
int main() { std::cout << binocle::Scoring("exact_match").Score(R"({"prediction": "Red", "answer": "red"})") << std::endl; }
CXX
cmake -S "$work/score" -B "$work/score/build" -DCMAKE_PREFIX_PATH="$prefix" >"$work/score.log" 2>&1 &&
  cmake --build "$work/score/build" >>"$work/score.log" 2>&1 || { cat "$work/score.log"; fail "a program with binocle::eval does not build"; }
"$work/score/build/score" | grep -qF '"score":1.0' || fail "a program with binocle::eval does not score"
[ -f "$prefix/share/binocle/tasks/textvqa.json" ] || fail "the tasks are not installed"
"$prefix/bin/binocle" eval scorers </dev/null | grep -q '^vqa_v2 ' || fail "binocle eval scorers does not list vqa_v2"
"$prefix/bin/binocle" eval describe scenes_chair </dev/null | grep -qF objects/scenes.json || fail "binocle eval describe does not find the installed tasks"

echo "-- the program finds its library and its model"
[ -n "$("$prefix/bin/binocle" ask --image "$picture" "What is in the picture?" </dev/null)" ] || fail "binocle ask printed nothing"
"$prefix/bin/binocle" inspect --json </dev/null | grep -q '"binocle-tiny"' || fail "binocle inspect does not name the default model"
if "$prefix/bin/binocle" serve --help </dev/null >/dev/null 2>&1; then  # built with the servers
  "$prefix/bin/binocle" serve --check </dev/null | grep -qx ok || fail "binocle serve --check is not content"
  echo "-- a server, and a program that asks it"
  cmake -S examples/client -B "$work/client" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Release >"$work/client.log" 2>&1 &&
    cmake --build "$work/client" >>"$work/client.log" 2>&1 || { cat "$work/client.log"; fail "examples/client does not build"; }
  "$prefix/bin/binocle" serve --listen "unix:$work/socket" --http none --log none --port-file "$work/ports" </dev/null &
  server=$!
  trap 'kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
  for _ in $(seq 300); do [ -f "$work/ports" ] || sleep 0.1; done
  question="What is in the picture?"
  own=$("$prefix/bin/binocle" ask --image "$picture" "$question" </dev/null)
  [ "$("$prefix/bin/binocle" client ask --server "unix:$work/socket" --image "$picture" "$question" </dev/null)" = "$own" ] ||
    fail "binocle client ask answers otherwise than binocle ask"
  [ "$("$work/client/client" "unix:$work/socket" "$picture" "$question" </dev/null)" = "$own" ] || fail "examples/client answers otherwise than binocle ask"
  kill "$server"
  wait "$server" || fail "binocle serve did not end well"
fi
echo "test_install: everything works from $(basename "$prefix")"
