"""What exists in the scenes: objects, colours, words, fonts, backgrounds, and the held-out combinations."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache

SIZE = 192  # pixels, both sides
EMOJI_FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
EMOJI_TEST = "/usr/share/unicode/emoji/emoji-test.txt"

# Unicode names, chosen for being short, singular and easy to tell apart at 40 pixels.
EMOJI_NAMES = (
    # animals
    "cat", "dog", "cow", "pig", "elephant", "fox", "bear", "panda", "lion", "frog", "turtle", "snake",
    "fish", "octopus", "crab", "butterfly", "owl", "penguin", "rooster", "duck", "horse", "giraffe",
    "zebra", "rabbit", "whale",
    # food
    "banana", "watermelon", "strawberry", "pineapple", "lemon", "pear", "carrot", "broccoli", "mushroom",
    "pizza", "hamburger", "doughnut", "egg", "bread", "avocado",
    # vehicles
    "automobile", "bus", "bicycle", "helicopter", "airplane", "rocket", "sailboat", "tractor", "locomotive",
    # things
    "guitar", "drum", "key", "hammer", "umbrella", "candle", "camera", "telephone", "crown", "bell", "chair",
    "bed", "door", "basketball", "magnet", "trophy", "robot", "ghost", "house", "tent",
    # outdoors
    "cactus", "sunflower", "rose", "sun", "rainbow",
)
ANIMALS = EMOJI_NAMES[:25]
FOOD = EMOJI_NAMES[25:40]
VEHICLES = EMOJI_NAMES[40:49]

SHAPES = ("circle", "square", "triangle", "star", "diamond", "cross", "ring", "heart")
COLOURS = {
    "red": (216, 32, 36), "orange": (250, 138, 22), "yellow": (252, 222, 40), "green": (34, 150, 60),
    "blue": (36, 84, 214), "purple": (132, 48, 172), "black": (28, 28, 30), "white": (250, 250, 250),
}
COLOUR_NAMES = tuple(COLOURS)

WORDS = tuple("""
able acid also army baby back ball bank base bath best bill blue book boss bowl bump cafe call card
care cash city clay club coal coat code cold cool copy dark data deal desk dish dock down draw east easy
edge exit face farm fast film fire flag flat fold food fork free fuel fund game gate gift girl glad goal
gold good hall hand help hill home hope hour huge idea inch iron jazz join jump just keep kind king lake
lamp late left life line loud love luck lunch magic mail main market menu milk mind moon music name near
news nice north note ocean open page paint park past plan play pool quick quiet rain read rest rice river
road rock room safe sale salt sand school shop slow snow soap south speed stop sugar table taxi tea
tool town travel visit wait walk warm water west wild wind wood work zero
""".split())

_DEJAVU = "/usr/share/fonts/truetype/dejavu/"
_LIBERATION = "/usr/share/fonts/truetype/liberation/"
FONTS = {
    "dejavu sans": _DEJAVU + "DejaVuSans.ttf",
    "dejavu sans bold": _DEJAVU + "DejaVuSans-Bold.ttf",
    "dejavu serif": _DEJAVU + "DejaVuSerif.ttf",
    "dejavu serif bold": _DEJAVU + "DejaVuSerif-Bold.ttf",
    "dejavu mono": _DEJAVU + "DejaVuSansMono.ttf",
    "dejavu mono bold": _DEJAVU + "DejaVuSansMono-Bold.ttf",
    "liberation sans": _LIBERATION + "LiberationSans-Regular.ttf",
    "liberation sans bold": _LIBERATION + "LiberationSans-Bold.ttf",
    "liberation serif": _LIBERATION + "LiberationSerif-Regular.ttf",
    "liberation serif bold": _LIBERATION + "LiberationSerif-Bold.ttf",
    "liberation mono": _LIBERATION + "LiberationMono-Regular.ttf",
    "liberation mono bold": _LIBERATION + "LiberationMono-Bold.ttf",
}
FONT_NAMES = tuple(FONTS)
BACKGROUNDS = ("plain", "gradient", "stripes", "checks", "dots", "noise", "clouds", "waves")

CELLS = ("top left", "top middle", "top right", "middle left", "centre", "middle right",
         "bottom left", "bottom middle", "bottom right")
DIRECTIONS = ("left", "right", "above", "below")

HELD_OUT_PERCENT = 12

_PLURALS = {"fish": "fish", "broccoli": "broccoli", "bread": "bread", "strawberry": "strawberries",
            "butterfly": "butterflies", "fox": "foxes", "bus": "buses", "octopus": "octopuses", "cross": "crosses",
            "cactus": "cactuses", "trophy": "trophies"}


@dataclass(frozen=True)
class Kind:
    """A sort of object: an emoji (`colour` is empty) or a coloured shape."""

    name: str  # "cat" or "circle"
    colour: str = ""

    @property
    def label(self) -> str:
        """The name used in questions and answers: "cat", "red circle"."""
        return f"{self.colour} {self.name}" if self.colour else self.name

    @property
    def is_shape(self) -> bool:
        return bool(self.colour)


EMOJI_KINDS = tuple(Kind(name) for name in EMOJI_NAMES)
SHAPE_KINDS = tuple(Kind(shape, colour) for shape in SHAPES for colour in COLOUR_NAMES)
KINDS = EMOJI_KINDS + SHAPE_KINDS


def plural(noun: str) -> str:
    """The plural of an object's or shape's name."""
    return _PLURALS.get(noun, noun + "s")


def with_article(label: str) -> str:
    """"cat" -> "a cat", "orange circle" -> "an orange circle"."""
    return ("an " if label[0] in "aeiou" else "a ") + label


@lru_cache(maxsize=None)
def held_out(kind: Kind, background: str, font: str) -> bool:
    """Whether object x background x font is kept from training. `font` is "" where there is no sign.

    CRC-32 rather than hash(): the same on every machine and Python version.
    """
    return zlib.crc32(f"{kind.label}|{background}|{font}".encode()) % 100 < HELD_OUT_PERCENT


@lru_cache(maxsize=1)
def emoji_characters() -> dict[str, str]:
    """Name -> character, from Unicode's own table; the variation selector is dropped (the font needs none)."""
    wanted = set(EMOJI_NAMES)
    found: dict[str, str] = {}
    with open(EMOJI_TEST, encoding="utf-8") as table:
        for line in table:
            if "; fully-qualified" not in line:
                continue
            codes, comment = line.split(";")[0], line.split("#", 1)[1]
            name = comment.strip().split(" ", 2)[2]
            if name in wanted:
                found[name] = chr(int(codes.split()[0], 16))
    missing = wanted - found.keys()
    if missing:
        raise RuntimeError(f"{EMOJI_TEST}: no emoji named {sorted(missing)}")
    return found
