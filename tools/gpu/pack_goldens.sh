#!/bin/bash
# Packs the engine's tests for tools/gpu/goldens.sh, on a machine that has what the engine needs: the program, the CUDA module and the libraries that they were
# linked with, into build/gpu-goldens.tar.gz (35 MB). Git ignores it, so it has to be sent along.
#
#   tools/gpu/pack_goldens.sh [BUILD]       BUILD: default build/dev
set -euo pipefail
build=${1:-}
[ -z "$build" ] || build=$(realpath "$build")
cd "$(dirname "$0")/../.."
build=${build:-$PWD/build/dev}
cmake --build "$build" --target engine_test binocle_cuda binocle_opencv binocle_sentencepiece
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/bin" "$folder/lib" "$folder/system"
strip -o "$folder/bin/engine_test" "$build/bin/engine_test"
for module in cuda opencv sentencepiece; do
  strip -o "$folder/lib/libbinocle_$module.so" "$build/lib/libbinocle_$module.so"
done
# OpenCV's reader of maps brings 140 libraries along, four fifths of all: here it opens nothing.
codecs=$(ldd "$folder/lib/libbinocle_opencv.so" | awk '/libopencv_imgcodecs/ { print $3 }')
gdal=$([ -z "$codecs" ] || ldd "$codecs" | awk '/libgdal/ { print $3 }')
if [ -n "$gdal" ]; then
  symbols() { nm -D "$@" | awk '{ sub(/@.*/, "", $NF); print $NF }' | sort -u; }
  comm -12 <(symbols --undefined-only "$codecs") <(symbols --defined-only "$gdal") | sed 's/.*/long &() { return 0; }/' |
    cc -x c -shared -fPIC -Wl,-soname,"${gdal##*/}" -o "$folder/system/${gdal##*/}" -
fi
# All but the C library, which fits its own loader alone, and CUDA's, which come with the toolkit.
LD_LIBRARY_PATH=$folder/system ldd "$folder"/bin/engine_test "$folder"/lib/*.so | awk '$3 ~ /^\// { print $3 }' | sort -u |
  grep -v -E "^$folder/|/(ld-linux.*|lib(c|m|dl|pthread|rt|cublas.*)\.so[.0-9]*)\$" | xargs -r cp -L -t "$folder/system"
# Where the tests look for their data.
sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' "$build/CMakeCache.txt" >"$folder/source"
git describe --always --dirty --abbrev=12 >"$folder/commit"
tar -C "$folder" -czf build/gpu-goldens.tar.gz .
ls -l build/gpu-goldens.tar.gz
