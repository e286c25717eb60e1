"""What can be said of a sight without doubt: names, places, directions, sizes."""

from __future__ import annotations

from . import SIZE, objects
from .objects import Kind
from .render import Sight
from .scene import PANEL_ID, cell_at

DOMINANCE = 1.7  # how dominant one axis must be before a direction is asked about
MIN_OFFSET = 22
LARGER = 1.35  # the least ratio of sides before sizes are compared
CLOSER = 1.5  # the least ratio of distances before "closest" is asked

# Asking for the first is arguable where one of the others is: is a volcano a mountain?
ARGUABLE_NAMES = {
    "tree": "palm_tree island", "palm tree": "island", "mouse": "hamster", "bear": "panda koala", "fish": "shark dolphin whale fishing_rod", "clock": "watch school",
    "television": "monitor", "monitor": "television laptop", "laptop": "monitor", "telephone": "smartphone",
    "smartphone": "telephone", "truck": "ambulance", "car": "ambulance truck", "house": "hut", "hut": "house",
    "mountain": "volcano island", "crocodile": "lizard", "lizard": "crocodile dinosaur", "dinosaur": "dragon",
    "dragon": "dinosaur", "planet": "globe moon", "globe": "planet", "moon": "planet mosque", "crown": "king",
    "hat": "cap helmet police_officer santa snowman", "cap": "hat helmet police_officer", "egg": "pan nest", "box": "gift juice_box toolbox mailbox", "gift": "box",
    "flame": "candle volcano", "candle": "cake", "wine glass": "cocktail", "shower": "bathtub", "tooth": "skull", "bolt": "lightning_bolt gear", "cup": "teapot", "bottle": "wine_glass",
    "keyboard": "laptop piano", "tower": "castle church mosque", "rose": "tulip bouquet", "tulip": "rose bouquet",
    "blossom": "bouquet sunflower", "sunflower": "blossom", "ship": "sailboat", "sailboat": "ship", "horse": "unicorn",
    "sandal": "high_heel", "high heel": "sandal", "sneaker": "roller_skate boot", "boot": "sneaker ice_skate",
    "chair": "wheelchair", "bone": "skull", "skull": "bone", "doll": "baby", "dove": "swan eagle",
    "chick": "rooster", "swan": "dove duck", "duck": "swan", "shirt": "coat kimono", "coat": "shirt kimono", "dress": "kimono dancer",
    "coin": "medal", "melon": "watermelon", "cake": "cupcake", "pie": "cake",
    "cross": "ambulance hospital helmet church", "circle": "ring target", "ring": "target", "diamond": "gem", "star": "medal wand",
    **dict.fromkeys(("eye", "mouth", "nose"), "robot alien ghost snowman statue doll")}
_OF_BODIES = objects.BY_CATEGORY["body part"]
_BODIES = ("animal", "bird", "sea creature", "insect", "person")


class Facts:
    """A sight's things and panels by name. Owner ids are those of the owner map."""

    def __init__(self, sight: Sight):
        self.sight, self.scene = sight, sight.scene
        self.things, self.panels = sight.scene.things, sight.scene.panels
        self.owners: dict[str, tuple[int, ...]] = {}  # label, or bare shape name -> owner ids
        for i, thing in enumerate(self.things):
            for name in {thing.kind.label, thing.kind.name}:
                self.owners[name] = self.owners.get(name, ()) + (i + 1,)
        self.unique = [i for i, t in enumerate(self.things) if len(self.owners[t.kind.label]) == 1]
        self.centres = [((a + c) / 2, (b + d) / 2) for a, b, c, d in sight.boxes]
        self.sides = [max(c - a, d - b) for a, b, c, d in sight.boxes]
        self.areas = [int((sight.owner == i + 1).sum()) for i in range(len(self.things))]
        self.labels = {p.owner: n for n, p in enumerate(self.panels) if p.owner >= 0}
        self.signs = [n for n, p in enumerate(self.panels) if p.owner < 0]

    def label(self, index: int) -> str:
        return self.things[index].kind.label

    def name(self, index: int) -> str:
        """The shortest name that means this thing only: "the circle" where there is one circle."""
        kind = self.things[index].kind
        return kind.name if kind.is_shape and len(self.owners[kind.name]) == 1 and index % 2 else kind.label

    def absent(self, name: str) -> bool:
        """Whether nobody would say that there is one."""
        if name in self.owners:
            return False
        present = {t.kind.name for t in self.things}
        close = ARGUABLE_NAMES.get(name.split(" ")[-1] if name in _SHAPE_LABELS else name, "").split(" ")
        if any(other.replace("_", " ") in present for other in close if other):
            return False
        if name in _OF_BODIES and any(t.kind.category in _BODIES for t in self.things):
            return False
        return True

    def members(self, category: str) -> tuple[int, ...] | None:
        """Owners of a category; None where people may disagree."""
        found = []
        for i, thing in enumerate(self.things):
            belongs = objects.belongs(thing.kind, category)
            if belongs is None:
                return None
            if belongs:
                found.append(i + 1)
        return tuple(found)

    def direction(self, a: int, b: int) -> str:
        """Where thing a is relative to thing b, or "" when neither axis dominates clearly."""
        return direction(self.centres[a], self.centres[b])

    def in_direction(self, of: int, towards: str, shapes_only: bool = False) -> list[int]:
        """The things in that direction. What might be said to lie there counts as two, and so does a panel unless only shapes are meant."""
        found = [] if shapes_only else [len(self.things)] * 2 * self._panel_towards(of, towards)
        for i in range(len(self.things)):
            if i == of or (shapes_only and not self.things[i].kind.is_shape):
                continue
            if self.direction(i, of) == towards:
                found.append(i)
            elif arguably(self.centres[i], self.centres[of], towards):
                found += [i, i]
        return found

    def _panel_towards(self, of: int, towards: str) -> bool:
        return any(arguably((p.x, p.y), self.centres[of], towards) for p in self.panels)

    def cell(self, index: int) -> int | None:
        return cell_at(*self.centres[index])

    def touching(self, cell: int) -> list[int]:
        """Owner ids of all that covers a good part of a cell, or lies mostly in it."""
        third = SIZE // 3
        y, x = divmod(cell, 3)
        ids = self.sight.owner[y * third:(y + 1) * third, x * third:(x + 1) * third]
        found = []
        for i in range(len(self.things)):
            mine = int((ids == i + 1).sum())
            if mine > 0.12 * third * third or mine > 0.25 * int((self.sight.owner == i + 1).sum()):
                found.append(i + 1)
        return found + [PANEL_ID + n for n in range(len(self.panels)) if (ids == PANEL_ID + n).sum() > 60]

    def empty(self, cell: int) -> bool:
        """Whether not even the end of something is in a cell."""
        third = SIZE // 3
        y, x = divmod(cell, 3)
        return int((self.sight.owner[y * third:(y + 1) * third, x * third:(x + 1) * third] > 0).sum()) < 30

    def closest(self, index: int) -> int | None:
        """The one thing clearly nearest to a thing, panels among those that might be nearer."""
        x, y = self.centres[index]
        others = [c for i, c in enumerate(self.centres) if i != index]
        if not others:
            return None
        panels = [((p.x - x) ** 2 + (p.y - y) ** 2) ** .5 for p in self.panels]
        far = sorted(((px - x) ** 2 + (py - y) ** 2) ** .5 for px, py in others)
        far = far[:1] + sorted(far[1:] + panels)
        if len(far) > 1 and far[1] < CLOSER * far[0]:
            return None
        return min((i for i in range(len(self.things)) if i != index),
                   key=lambda i: (self.centres[i][0] - x) ** 2 + (self.centres[i][1] - y) ** 2)

    def sign_name(self, number: int) -> str:
        """"sign", or with its colour where there are several; "" where that is not enough."""
        if len(self.signs) == 1:
            return "sign" if self.panels[number].x % 2 else self.panels[number].colour + " sign"
        same = [n for n in self.signs if self.panels[n].colour == self.panels[number].colour]
        return self.panels[number].colour + " sign" if len(same) == 1 else ""

    def reading_order(self) -> list[int]:
        """Things row by row, in three rows."""
        return sorted(range(len(self.things)), key=lambda i: (min(int(3 * self.centres[i][1] / SIZE), 2), self.centres[i][0]))


_SHAPE_LABELS = frozenset(k.label for k in objects.SHAPE_KINDS)


def direction(a: tuple[float, float], b: tuple[float, float]) -> str:
    dx, dy = a[0] - b[0], a[1] - b[1]
    if abs(dx) >= MIN_OFFSET and abs(dx) > DOMINANCE * abs(dy):
        return "left" if dx < 0 else "right"
    if abs(dy) >= MIN_OFFSET and abs(dy) > DOMINANCE * abs(dx):
        return "above" if dy < 0 else "below"
    return ""


def arguably(a: tuple[float, float], b: tuple[float, float], towards: str) -> bool:
    """Whether somebody might say that a lies that way of b."""
    dx, dy = a[0] - b[0], a[1] - b[1]
    lead, other = {"left": (-dx, dy), "right": (dx, dy), "above": (-dy, dx), "below": (dy, dx)}[towards]
    return lead > MIN_OFFSET / 2 and lead > 0.8 * abs(other)


def kind_of(label: str) -> Kind:
    colour, _, name = label.partition(" ")
    return Kind(name, colour) if label in _SHAPE_LABELS else Kind(label)
