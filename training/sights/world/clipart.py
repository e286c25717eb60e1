"""Clip art: the out-of-style drawings of some of the objects. Never trained on; only held-out sets show it.

From Debian's `openclipart-png` (Open Clip Art Library, public domain). The files were chosen by name and by looking.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from PIL import Image

ROOT = Path("/usr/share/openclipart/png")


@lru_cache(maxsize=1)
def table() -> dict[str, tuple[str, ...]]:
    """Name -> files."""
    rows = (Path(__file__).parent / "clipart.txt").read_text(encoding="utf-8").splitlines()
    return {name: tuple(files.split(" ")) for name, files in (row.split(": ", 1) for row in rows)}


def drawable(name: str) -> bool:
    return name in table()


def bitmap(name: str, variant: int) -> Image.Image:
    """What the file draws, cropped (RGBA)."""
    path = ROOT / table()[name][variant]
    if not path.exists():
        raise FileNotFoundError(f"{path}: missing; apt-get install openclipart-png (tools/install_deps.sh --clip-art)")
    image = Image.open(path)
    image.draft("RGB", (400, 400))
    image = image.convert("RGBA")
    image.thumbnail((400, 400), Image.LANCZOS)
    return image.crop(image.getchannel("A").getbbox())
