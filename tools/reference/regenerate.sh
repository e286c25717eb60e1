#!/bin/sh
# Makes everything in tests/golden again (about three minutes on one core) and writes the manifest.
# PYTHON: an interpreter with tools/reference/requirements.txt and lora_requirements.txt installed.
set -eu
cd "$(dirname "$0")"
python="${PYTHON:-/opt/binocle-venv/bin/python}"
out="${1:-../../tests/golden}"
mkdir -p "$out"
"$python" manifest.py --out "$out" --clean
"$python" golden.py --out "$out"
"$python" intervention_goldens.py --out "$out"
"$python" attention_goldens.py --out "$out"
"$python" embedding_goldens.py --out "$out"
"$python" composite_goldens.py --out "$out"
"$python" pillow_resize.py --out "$out"
"$python" tiling_goldens.py --out "$out"
"$python" text_goldens.py --out "$out"
"$python" bpe_goldens.py --out "$out"
"$python" gguf_models.py --out "$out"
"$python" gguf_goldens.py --out "$out"
"$python" lora_goldens.py --out "$out/lora"
"$python" manifest.py --out "$out"
"$python" manifest.py --out "$out" --check
