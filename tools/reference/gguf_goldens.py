"""Makes tests/golden/gguf: gguf_goldens.py [--out DIR]. The files and the values in them are the `gguf` package's.

`blocks.safetensors`: per block type random blocks `<type>.blocks` [blocks, bytes] U8 and what the package makes of them,
`<type>.values` [blocks, elements] F32. The first blocks have extreme scales, and all bits of the quants set or clear.

`every_type.gguf`: metadata of every value type, alone and in arrays, and a tensor of every element type; `split-0000?-of-00003.gguf`
has the same tensors in three parts. `every_type.safetensors`: their values, F32.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import GGUFValueType as Value
from safetensors.numpy import save_file

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden"
BLOCK_TYPES = (Type.Q8_0, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q4_K, Type.Q5_K, Type.Q6_K)
BLOCKS = 24
# Where a block has its f16 scales, in bytes.
SCALES = {Type.Q4_1: (0, 2), Type.Q5_1: (0, 2), Type.Q4_K: (0, 2), Type.Q5_K: (0, 2), Type.Q6_K: (208,)}
# Zeros of both signs, the smallest and largest subnormal, the smallest normal, the largest numbers.
EXTREME = (0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x0400, 0x7BFF, 0xFBFF)


def random_blocks(kind: Type, count: int, seed: int) -> np.ndarray:
    """[count, bytes] with finite scales: the first blocks have each extreme scale with zeros, ones and random bits."""
    numbers = np.random.default_rng(seed)
    size = gguf.GGML_QUANT_SIZES[kind][1]
    blocks = numbers.integers(0, 256, (count, size), dtype=np.uint8)
    for i, extreme in enumerate(EXTREME[:count]):
        if i % 3:
            blocks[i] = 0 if i % 3 == 1 else 255
        for place in SCALES.get(kind, (0,)):
            blocks[i, place : place + 2] = np.array([extreme], "<u2").view(np.uint8)
    for block in blocks[len(EXTREME) :]:
        for place in SCALES.get(kind, (0,)):
            scale = np.float16(numbers.normal() * 2.0 ** numbers.integers(-12, 3))
            block[place : place + 2] = np.array([scale], "<f2").view(np.uint8)
    return blocks


def write_values(path: Path, tensors: dict[str, np.ndarray]) -> None:
    save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, str(path))
    path.chmod(0o644)


def write_blocks(out: Path) -> None:
    tensors = {}
    for kind in BLOCK_TYPES:
        blocks = random_blocks(kind, BLOCKS, int(kind))
        values = gguf.dequantize(blocks, kind)
        assert np.isfinite(values).all(), kind
        tensors[f"{kind.name.lower()}.blocks"] = blocks
        tensors[f"{kind.name.lower()}.values"] = values
    write_values(out / "blocks.safetensors", tensors)


def tensors_of_every_type() -> list[tuple[str, np.ndarray, Type]]:
    """(name, as stored, type): plain types [2, 3], block types [3, 2 blocks] as bytes, one with three dimensions."""
    plain = np.arange(6, dtype=np.float32).reshape(2, 3) - 2.5
    found = [
        ("f32", plain, Type.F32),
        ("f16", plain.astype(np.float16), Type.F16),
        ("bf16", gguf.quantize(plain, Type.BF16), Type.BF16),
        ("i32", np.array([1, -2, 3], np.int32), Type.I32),
        ("vector", np.array([0.5], np.float32), Type.F32),
    ]
    for kind in BLOCK_TYPES:
        blocks = random_blocks(kind, 6, 100 + kind)
        found.append((kind.name.lower(), blocks.reshape(3, -1), kind))
    cube = random_blocks(Type.Q4_0, 12, 7)
    return [*found, ("cube", cube.reshape(2, 3, -1), Type.Q4_0)]


def add_metadata(writer: gguf.GGUFWriter) -> None:
    scalars = {
        "u8": (200, Value.UINT8), "i8": (-100, Value.INT8), "u16": (60_000, Value.UINT16), "i16": (-30_000, Value.INT16),
        "u32": (4_000_000_000, Value.UINT32), "i32": (-2_000_000_000, Value.INT32), "u64": (1 << 63, Value.UINT64),
        "i64": (-(1 << 62), Value.INT64), "f32": (0.1, Value.FLOAT32), "f64": (0.1, Value.FLOAT64), "bool": (True, Value.BOOL),
        "string": ("grüße", Value.STRING), "empty": ("", Value.STRING),
    }  # fmt: skip
    for name, (value, kind) in scalars.items():
        writer.add_key_value(f"test.{name}", value, kind)
    writer.add_array("test.strings", ["a", "", "▁b"])
    writer.add_array("test.floats", [0.1, -1.5])
    writer.add_array("test.bools", [True, False, True])
    for name, kind in (("u8", Value.UINT8), ("i16", Value.INT16), ("i32", Value.INT32), ("u64", Value.UINT64)):
        values = [1, 2, 250] if name.startswith("u") else [-1, 2, 250]
        writer.add_key_value(f"test.{name}s", values, Value.ARRAY, sub_type=kind)


def write_files(out: Path) -> None:
    tensors = tensors_of_every_type()
    for path, per_file in ((out / "every_type.gguf", 0), (out / "split.gguf", 5)):
        writer = gguf.GGUFWriter(path, "llama", split_max_tensors=per_file)
        if per_file == 0:  # each part is read by its own alignment, and the package names it in the first alone
            writer.add_custom_alignment(64)
        add_metadata(writer)
        for name, stored, kind in tensors:
            writer.add_tensor(name, stored, raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    values = {}
    for name, stored, kind in tensors:
        values[name] = stored.astype(np.float32) if kind == Type.I32 else gguf.dequantize(stored, kind)
    write_values(out / "every_type.safetensors", values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=GOLDEN)
    out = parser.parse_args().out / "gguf"
    out.mkdir(parents=True, exist_ok=True)
    write_blocks(out)
    write_files(out)


if __name__ == "__main__":
    main()
