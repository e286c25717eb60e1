"""tests/golden/MANIFEST.json: how each file was made, with what, and its checksum.

manifest.py writes it; --check compares the files with it and lists every difference; --clean
removes the files that it lists (and nothing else).
"""

from __future__ import annotations

import argparse
import hashlib
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from checkpoints_binocle import CASES
from checkpoints_hf import TOWERS
from checkpoints_sinks import CASES as SINKS
from common import GOLDEN, read_json, write_compact_json
from make_checkpoints import SEEDS, all_cases

LIBRARIES = (
    "torch",
    "transformers",
    "numpy",
    "pillow",
    "sentencepiece",
    "safetensors",
    "tokenizers",
    "gguf",
)
OUTPUTS = (
    "reference.safetensors",
    "interventions.safetensors",
    "attention.safetensors",
    "embeddings.safetensors",
)
HAND_WRITTEN = ("README.md", "MANIFEST.json")
# Scores of other programs, which need nothing of what is recorded here: eval_parity.py writes them.
SCORES = "eval"
# Made of templates that are not stored, so it cannot be made again with the rest: template_goldens.py writes it.
TEMPLATES = "conversations/templates.json"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def command_of(relative: str) -> str:
    top = relative.split("/")[0]
    if relative == TEMPLATES:
        return "template_goldens.py TEMPLATES"
    if top in ("tokenizer", "conversations"):
        return "text_goldens.py"
    if top == "gguf_models":
        return "gguf_models.py"
    if top == "tokenizer_bpe":
        return "bpe_goldens.py"
    if top == "lora":
        return "lora_goldens.py"
    if top == "gguf":
        return "gguf_goldens.py"
    if top == "pixels":
        return "pillow_resize.py"
    if "attention." in relative:
        return f"attention_goldens.py --only {top}"
    if "embeddings." in relative:
        return f"embedding_goldens.py --only {top}"
    if relative.endswith("/composite.json"):
        return f"composite_goldens.py --only {top}"
    if "interventions." in relative:
        return f"intervention_goldens.py --only {top}"
    return "golden.py" if top == "images" else f"golden.py --only {top}"


def model_hash(folder: Path) -> str | None:
    """sha256 over the sha256 of the folder's weight files, in order of name, links followed."""
    found = sorted(folder.glob("*.safetensors"))
    weights = [p for p in found if p.name not in OUTPUTS]
    if not weights:
        return None
    return hashlib.sha256("".join(sha256(p) for p in weights).encode()).hexdigest()


def files(root: Path) -> list[Path]:
    """Regular files; a link is recorded by its target."""
    found = (p for p in root.rglob("*") if p.is_symlink() or p.is_file())
    return sorted(
        p
        for p in found
        if p.relative_to(root).as_posix() not in HAND_WRITTEN
        and p.relative_to(root).parts[0] != SCORES
    )


def entry(path: Path, root: Path) -> dict[str, Any]:
    name = path.relative_to(root).as_posix()
    if path.is_symlink():
        return {"file": name, "link": str(path.readlink())}
    return {
        "file": name,
        "bytes": path.stat().st_size,
        "sha256": sha256(path),
        "command": command_of(name),
    }


def build(root: Path) -> dict[str, Any]:
    models = []
    for name in all_cases():
        about = "towers" if name in TOWERS else "binocle" if name in CASES else "text or llava"
        about = "planted sinks" if name in SINKS else about
        models.append(
            {
                "case": name,
                "seed": SEEDS.get(name, 1),
                "kind": about,
                "model": model_hash(root / name),
            }
        )
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "regenerate": "tools/reference/regenerate.sh",
        "models": models,
        "files": [entry(p, root) for p in files(root)],
    }


def check(root: Path) -> list[str]:
    known = {e["file"]: e for e in read_json(root / "MANIFEST.json")["files"]}
    found = {p.relative_to(root).as_posix(): entry(p, root) for p in files(root)}
    problems = [f"{name}: not in MANIFEST.json" for name in found.keys() - known.keys()]
    problems += [f"{name}: missing" for name in known.keys() - found.keys()]
    problems += [
        f"{name}: differs from MANIFEST.json"
        for name in known.keys() & found.keys()
        if known[name] != found[name]
    ]
    return sorted(problems)


def clean(root: Path) -> None:
    if not (root / "MANIFEST.json").exists():
        return
    for item in read_json(root / "MANIFEST.json")["files"]:
        if item["file"] != TEMPLATES:
            (root / item["file"]).unlink(missing_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=GOLDEN)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--clean", action="store_true")
    args = parser.parse_args()
    if args.clean:
        clean(args.out)
        return
    if args.check:
        problems = check(args.out)
        print("\n".join(problems) or "all files are as MANIFEST.json says")
        sys.exit(1 if problems else 0)
    write_compact_json(args.out / "MANIFEST.json", build(args.out))


if __name__ == "__main__":
    main()
