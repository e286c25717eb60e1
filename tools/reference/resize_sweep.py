"""Compares Binocle's resize with Pillow's, byte for byte, on random sizes and every filter:

    resize_sweep.py PROGRAM [--cases N] [--seed S]        PROGRAM: build/dev/bin/resize_jobs

One case is a source size, a target size and a picture of random bytes (every other picture of 0 and
255 only, where filters overshoot), run through all six filters. The first cases are the corners of
the size range. Needs Pillow 13 and nothing else; exits with 77 (ctest: skipped) where it is absent.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
from collections.abc import Iterator

try:
    from PIL import Image
    from PIL import __version__ as pillow
except ImportError:
    pillow = "none"

SKIPPED = 77
FILTERS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}
MAX_SIDE = 4000
MAX_SOURCE = 200_000  # pixels
MAX_TARGET = 400_000
Size = tuple[int, int]  # width, height

# fmt: off
CORNERS: list[tuple[Size, Size]] = [
    ((1, 1), (1, 1)), ((1, 1), (37, 53)), ((2, 2), (1, 1)), ((4000, 30), (30, 4000)),
    ((30, 4000), (4000, 30)), ((4000, 30), (1, 1)), ((1, 4000), (1, 3)), ((4000, 1), (3, 1)),
    ((640, 9), (70, 70)), ((9, 640), (70, 70)), ((1, 4000), (90, 4000)), ((448, 446), (447, 447)),
]
# fmt: on


def random_size(numbers: random.Random, most_pixels: int) -> Size:
    """Small and large sides are equally likely: log-uniform from 1 to MAX_SIDE."""
    while True:
        width, height = (round(MAX_SIDE ** numbers.random()) for _ in range(2))
        if width * height <= most_pixels:
            return width, height


def random_target(numbers: random.Random, source: Size) -> Size:
    """Anything; or one side kept, or a few pixels more or less: passes are skipped or swapped."""
    kind = numbers.randrange(4)
    if kind == 0:
        return source[0], random_size(numbers, MAX_TARGET // source[0])[1]
    if kind == 1:
        return random_size(numbers, MAX_TARGET // source[1])[0], source[1]
    if kind == 2:
        width, height = (max(1, side + numbers.randint(-3, 3)) for side in source)
        return width, height
    return random_size(numbers, MAX_TARGET)


def cases(count: int, seed: int) -> Iterator[tuple[Size, Size, bytes]]:
    numbers = random.Random(seed)
    for i in range(count):
        if i < len(CORNERS):
            source, target = CORNERS[i]
        else:
            source = random_size(numbers, MAX_SOURCE)
            target = random_target(numbers, source)
        pixels = numbers.randbytes(source[0] * source[1] * 3)
        if i % 2 == 1:
            pixels = pixels.translate(bytes(128) + b"\xff" * 128)
        yield source, target, pixels


class Binocle:
    """One process for all jobs."""

    def __init__(self, program: str) -> None:
        self.process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1 << 20
        )

    def resize(self, source: Size, target: Size, pixels: bytes, code: int) -> bytes:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(b"%d %d %d %d %d\n" % (*source, *target, code) + pixels)
        self.process.stdin.flush()
        return self.process.stdout.read(target[0] * target[1] * 3)


def difference(got: bytes, want: bytes, width: int) -> str:
    if len(got) != len(want):
        return f"got {len(got)} bytes, want {len(want)}"
    at = next(i for i in range(len(want)) if got[i] != want[i])
    count = sum(a != b for a, b in zip(got, want, strict=True))
    y, x, channel = at // 3 // width, at // 3 % width, at % 3
    return (
        f"pixel (x {x}, y {y}, channel {channel}): got {got[at]}, want {want[at]}; "
        f"{count} of {len(want)} bytes differ"
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("program")
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if pillow.split(".")[0] != "13":
        print(f"resize_sweep: skipped: needs Pillow 13, this Python has {pillow}")
        return SKIPPED
    binocle = Binocle(args.program)
    compared = wrong = total = 0
    for source, target, pixels in cases(args.cases, args.seed):
        picture = Image.frombytes("RGB", source, pixels)
        for name, code in FILTERS.items():
            want = picture.resize(target, resample=code).tobytes()
            got = binocle.resize(source, target, pixels, code)
            compared += 1
            total += len(want)
            if got != want:
                wrong += 1
                print(f"{source} to {target}, {name}: {difference(got, want, target[0])}")
            if len(got) != len(want):
                return 1  # the program is gone
    print(
        f"resize_sweep: {compared} resizes, {total / 1e6:.1f} MB of pixels, Pillow {pillow}: "
        f"{compared - wrong} equal, {wrong} different"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
