"""Shared helpers: deterministic random weights, JSON and safetensors output, the golden folder."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


def setup() -> None:
    """One thread, no gradients, no network, eager kernels: the same numbers on every run."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    torch.use_deterministic_algorithms(True)


def normal(name: str, shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Standard normal numbers that depend on (name, seed) only, not on the order of the calls."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()) + 1_000_003 * seed)
    return torch.randn(shape, generator=generator)


def random_weight(name: str, shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """A wide draw by the role that the name tells: tokens must vary, activations stay sane."""
    x = normal(name, shape, seed)
    if not shape:
        return x
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "bias":
        return 0.1 * x
    if "lambda" in leaf:  # DINOv2's layer scale
        return 0.6 + 0.25 * x
    if len(shape) == 1 and leaf == "weight":  # a norm's gain
        return 1.0 + 0.2 * x
    if "embed_tokens" in name:  # small, so that a wrong RMSNorm epsilon shows
        return 0.05 * x
    if "lm_head" in name:
        return x * (2.5 / shape[-1] ** 0.5)
    if any(key in name for key in ("position_embedding", "class_embedding", "token", "probe")):
        return 0.5 * x
    fan_in = x[0].numel()
    gain = 2.0 if any(key in name for key in ("q_proj", "k_proj", "query", "key")) else 1.3
    return x * (gain / fan_in**0.5)


def randomize(module: torch.nn.Module, seed: int, dtype: torch.dtype) -> None:
    """Redraws every parameter and rounds it to dtype; tied parameters are drawn once."""
    for name, parameter in module.named_parameters():
        drawn = random_weight(name, tuple(parameter.shape), seed)
        parameter.data = drawn.to(dtype).to(parameter.dtype)


def quiet_rows(head: torch.nn.Parameter, rows: list[int], dtype: torch.dtype) -> None:
    """Keeps the logits of these ids near 0: end, marks and padding rows never come out on top."""
    head.data[rows] *= 0.01
    head.data = head.data.to(dtype).to(head.dtype)


def fresh(path: Path) -> None:
    """Makes the folder, and removes a link in the way so that its target is not written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        path.unlink()


def write_json(path: Path, value: Any) -> None:
    fresh(path)
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def write_compact_json(path: Path, value: dict[str, Any]) -> None:
    """One top-level key a line, lists of objects one object a line: small and still diffable."""
    lines = []
    for key, item in value.items():
        text = json.dumps(item, ensure_ascii=False, separators=(",", ":"))
        if isinstance(item, list) and item and isinstance(item[0], (dict, list)):
            rows = (json.dumps(x, ensure_ascii=False, separators=(",", ":")) for x in item)
            text = "[\n" + ",\n".join(rows) + "\n]"
        lines.append(f"{json.dumps(key)}: {text}")
    fresh(path)
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def write_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    fresh(path)
    save_file(
        {k: v.detach().contiguous().clone() for k, v in tensors.items()},
        str(path),
        metadata={"format": "pt"},
    )
    path.chmod(0o644)


def link(path: Path, target: Path) -> None:
    """A relative symbolic link path -> target, so that shared weights are committed once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(os.path.relpath(target, path.parent))
