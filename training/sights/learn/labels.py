"""From a sight to per-patch classes."""

from __future__ import annotations

import numpy as np

from nets import heads as H
from world import SIZE
from world.render import Sight, letters
from world.scene import PANEL_ID

COVERED = 0.15  # share of a patch that something must cover to name it
LETTER_CODE = 1000  # codes of letters, beside the owners' ids: LETTER_CODE·(panel + 1) + place


def letter_code(panel: int, place: int) -> int:
    return LETTER_CODE * (panel + 1) + min(place, H.PLACES - 1)


def patch_owners(owner: np.ndarray, side: int) -> np.ndarray:
    """[side²]: the owner that covers most of each patch, 0 where nothing covers enough."""
    p = SIZE // side
    line = np.arange(SIZE) // p
    index = (line[:, None] * side + line)[:, :] * 256 + owner
    counts = np.bincount(index.ravel(), minlength=side * side * 256).reshape(side * side, 256)
    counts[:, 0] = 0
    best = counts.argmax(1)
    return np.where(counts.max(1) >= COVERED * p * p, best, 0)


def patch_labels(sight: Sight, side: int) -> dict[str, np.ndarray]:
    """Classes of each patch; -1 where a class does not apply.

    `centre` is the owner's centre in 0..1; `middle` marks the one patch of each thing that holds its centre; `codes`
    are what attention may be asked to look at: the owner's id and up to two letters.
    """
    n, scene, owners = side * side, sight.scene, patch_owners(sight.owner, side)
    out = {"object": np.zeros(n, np.int64), "colour": np.full(n, -1), "centre": np.zeros((n, 2), np.float32),
           "middle": np.zeros(n, np.int64), "first": np.zeros(n, np.int64), "second": np.zeros(n, np.int64),
           "place": np.full(n, -1), "codes": np.zeros((n, 3), np.int64)}
    out["codes"][:, 0] = owners
    for i, thing in enumerate(scene.things):
        mine = owners == i + 1
        out["object"][mine] = H.OBJECT_CLASS[thing.kind.name]
        if thing.kind.is_shape:
            out["colour"][mine] = H.COLOUR_CLASS[thing.kind.colour]
        left, top, right, bottom = sight.boxes[i]
        x, y = (left + right) / 2, (top + bottom) / 2
        out["centre"][mine] = (x / SIZE, y / SIZE)
        out["middle"][int(y * side / SIZE) * side + int(x * side / SIZE)] = 1
    for number, panel in enumerate(scene.panels):
        mine = owners == PANEL_ID + number
        out["object"][mine] = H.SIGN_CLASS if panel.owner < 0 else H.LABEL_CLASS
        out["colour"][mine] = H.COLOUR_CLASS[panel.colour]
        out["centre"][mine] = (panel.x / SIZE, panel.y / SIZE)
        _letters(out, number, panel, side, mine)
    return out


def _letters(out: dict[str, np.ndarray], number: int, panel, side: int, mine: np.ndarray) -> None:
    """Marks each letter's patches: those whose middle it holds, and the one that holds its own."""
    p = SIZE / side
    centres = (np.arange(side) + 0.5) * p
    starts = {0}
    for line in panel.lines:
        for word in line.split(" "):
            starts.add(max(starts) + len(word))
    for place, (character, left, top, right, bottom) in enumerate(letters(panel)):
        place = min(place, H.PLACES - 1)
        rows = np.flatnonzero((centres >= top - 2) & (centres <= bottom + 2))
        rows = set(rows) | {min(side - 1, int((top + bottom) / 2 / p))}
        columns = set(np.flatnonzero((centres >= left) & (centres < right))) | {min(side - 1, int((left + right) / 2 / p))}
        kind = H.letter_class(character, place in starts)
        cells = [r * side + c for r in rows for c in columns if mine[r * side + c]]
        if not cells:  # a thing covers more of that patch: the panel's patch above or below shows the rest of the letter
            row, column = int((top + bottom) / 2 / p), min(side - 1, int((left + right) / 2 / p))
            cells = [r * side + column for r in (row + 1, row - 1) if 0 <= r < side and mine[r * side + column]][:1]
        for cell in cells:
            if not out["first"][cell]:
                out["first"][cell], out["place"][cell], out["codes"][cell, 1] = kind, place, letter_code(number, place)
            elif not out["second"][cell]:
                out["second"][cell], out["codes"][cell, 2] = kind, letter_code(number, place)


def presence(sight: Sight) -> np.ndarray:
    """What is in the picture: objects and shapes by name, then a sign, a label."""
    out = np.zeros(H.PRESENCE, np.float32)
    for thing in sight.scene.things:
        out[H.OBJECT_CLASS[thing.kind.name] - 1] = 1
    for panel in sight.scene.panels:
        out[-2 if panel.owner < 0 else -1] = 1
    return out
