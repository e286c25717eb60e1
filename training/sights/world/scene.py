"""A scene: which things and panels, where, how large, on what. No pixels here."""

from __future__ import annotations

from dataclasses import dataclass, field

from . import SIZE
from .objects import Kind

PANEL_ID = 200  # in owner maps: things are 1, 2, ...; panels PANEL_ID, PANEL_ID + 1, ...; 0 is the background
CELLS = ("top left", "top middle", "top right", "middle left", "centre", "middle right",
         "bottom left", "bottom middle", "bottom right")
CLEAR = 0.10  # of a cell: how far from its edges a centre must be before a cell is asked about


@dataclass
class Thing:
    """One object or shape; `x`, `y` is its centre and `size` its longer side before turning, in pixels."""

    kind: Kind
    x: int
    y: int
    size: int
    turn: int = 0  # degrees
    flip: bool = False
    style: str = "emoji"  # or "grey", "rimmed", "sketch", "clip0", ...: how an object is drawn; shapes have one style
    tint: tuple[int, int, int] = (0, 0, 0)  # added to a shape's colour; a sketch's fill

    def cell(self) -> int | None:
        """0..8 row by row, or None near an edge between cells."""
        return cell_at(self.x, self.y)


@dataclass
class Panel:
    """A plate with text: a sign that stands by itself, or a label of thing number `owner`."""

    lines: list[str]
    font: str
    x: int
    y: int
    width: int
    height: int
    text_size: int
    colour: str
    fill: tuple[int, int, int]
    ink: tuple[int, int, int]
    owner: int = -1
    post: bool = False
    case: str = "upper"  # as drawn

    @property
    def box(self) -> tuple[int, int, int, int]:
        left, top = self.x - self.width // 2, self.y - self.height // 2
        return (left, top, left + self.width, top + self.height)

    @property
    def text(self) -> str:
        """What a person reads, in capitals."""
        return " ".join(self.lines)


@dataclass
class Finish:
    """What happens to the picture as a whole."""

    blur: float = 0.0
    noise: int = 0
    quality: int = 0  # JPEG; 0: none
    gain: float = 1.0
    shift: int = 0
    clutter: int = 0  # seed of the strokes behind the things; 0: none


@dataclass
class Scene:
    """Everything the picture shows, which is also the ground truth of its questions."""

    backdrop: str
    backdrop_seed: int
    things: list[Thing] = field(default_factory=list)  # in the order they are painted
    panels: list[Panel] = field(default_factory=list)
    finish: Finish = field(default_factory=Finish)


def cell_at(x: float, y: float) -> int | None:
    place = []
    for value in (x, y):
        cell = min(int(3 * value / SIZE), 2)
        inside = 3 * value / SIZE - cell
        if (inside < CLEAR and cell > 0) or (inside > 1 - CLEAR and cell < 2):
            return None
        place.append(cell)
    return place[1] * 3 + place[0]
