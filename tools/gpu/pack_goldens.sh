#!/bin/bash
# Packs the engine's tests for tools/gpu/goldens.sh, on a machine that has what the engine needs: the program, the CUDA module and the libraries that they were
# linked with, into build/gpu-goldens.tar.gz (40 MB). It is ignored by git, so it has to be sent along.
#
#   tools/gpu/pack_goldens.sh [BUILD]       BUILD: default build/dev
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${1:-build/dev}
for file in "$build/bin/engine_test" "$build/lib/libbinocle_cuda.so"; do
  [ -f "$file" ] || { echo "no $file: build engine_test and binocle_cuda first" >&2 && exit 1; }
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/bin" "$folder/lib" "$folder/system"
strip -o "$folder/bin/engine_test" "$build/bin/engine_test"
for module in cuda opencv sentencepiece; do
  strip -o "$folder/lib/libbinocle_$module.so" "$build/lib/libbinocle_$module.so"
done
# OpenCV's reader of maps brings 140 libraries along, four fifths of all: here it opens nothing.
codecs=$(ldd "$folder/lib/libbinocle_opencv.so" | awk '/libopencv_imgcodecs/ { print $3 }')
gdal=$(ldd "$codecs" | awk '/libgdal/ { print $1 }')
if [ -n "$gdal" ]; then
  nm -D --undefined-only "$codecs" | awk '$2 ~ /^(GDAL|_ZNK?[0-9]+GDAL)/ { print "long " $2 "() { return 0; }" }' |
    cc -x c -shared -fPIC -Wl,-soname,"$gdal" -o "$folder/system/$gdal" -
fi
# All but the C library, which fits its own loader alone, and CUDA's, which come with the toolkit.
LD_LIBRARY_PATH=$folder/system ldd "$folder"/bin/engine_test "$folder"/lib/*.so | awk '$3 ~ /^\// { print $3 }' | sort -u |
  grep -v -E "^$folder/|/(ld-linux.*|lib(c|m|dl|pthread|rt|cublas.*)\.so[.0-9]*)\$" | xargs -r cp -L -t "$folder/system"
pwd >"$folder/source"
tar -C "$folder" -czf build/gpu-goldens.tar.gz .
ls -l build/gpu-goldens.tar.gz
