"""eval/unicode_tables.cc: what Python's str knows of characters, as ranges. The published scorers
are Python, and their rules say "lower", "split", "\\d" and "\\b": this is what those mean.

    tools/reference/unicode_tables.py [FILE]      default: eval/unicode_tables.cc
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

CHARACTERS = range(0x110000)
ROOT = Path(__file__).resolve().parents[2]


def ranges(holds: Callable[[str], bool]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for c in CHARACTERS:
        if holds(chr(c)):
            if found and found[-1][1] == c - 1:
                found[-1] = (found[-1][0], c)
            else:
                found.append((c, c))
    return found


def lower_runs() -> list[list[int]]:
    """[first, last, step, what to add] of characters with one lower-case character; U+0130, which
    has two, is left to the source."""
    runs: list[list[int]] = []
    for c in CHARACTERS:
        lower = chr(c).lower()
        if lower == chr(c) or len(lower) != 1:
            continue
        delta = ord(lower) - c
        run = runs[-1] if runs and runs[-1][3] == delta else None
        if run and c - run[1] == run[2]:
            run[1] = c
        elif run and run[0] == run[1] and c - run[1] <= 2:
            run[1:3] = [c, c - run[1]]
        else:
            runs.append([c, c, 1, delta])
    return runs


def digit_zeros() -> list[int]:
    return [
        c
        for c in CHARACTERS
        if unicodedata.category(chr(c)) == "Nd" and unicodedata.digit(chr(c)) == 0
    ]


def long_uppers() -> list[tuple[int, int]]:
    return [(c, len(chr(c).upper())) for c in CHARACTERS if len(chr(c).upper()) > 1]


def rows(items: list[str]) -> str:
    lines, line = [], ""
    for item in items:
        if len(line) + len(item) + 2 > 98:
            lines.append(line)
            line = ""
        line += (" " if line else "    ") + item + ","
    return "\n".join([*lines, line])


def main() -> None:
    words = [f"{{{a:#x}, {b:#x}}}" for a, b in ranges(lambda c: c.isalnum() or c == "_")]
    spaces = [f"{{{a:#x}, {b:#x}}}" for a, b in ranges(str.isspace)]
    lower = [f"{{{a:#x}, {b:#x}, {step}, {delta}}}" for a, b, step, delta in lower_runs()]
    uppers = [f"{{{c:#x}, {length}}}" for c, length in long_uppers()]
    zeros = [f"{z:#x}" for z in digit_zeros()]
    version = f"Unicode {unicodedata.unidata_version}, as Python {sys.version.split()[0]} has it"
    text = f"""// Written by tools/reference/unicode_tables.py from {version}.
#include "eval/unicode_tables.h"

namespace binocle::eval {{
namespace {{

// clang-format off
constexpr CharacterRange kSpaceRows[] = {{
{rows(spaces)}
}};
constexpr char32_t kZeroRows[] = {{
{rows(zeros)}
}};
constexpr CharacterRange kWordRows[] = {{
{rows(words)}
}};
constexpr LowerRun kLowerRows[] = {{
{rows(lower)}
}};
constexpr LongUpper kUpperRows[] = {{
{rows(uppers)}
}};
// clang-format on

}}  // namespace

const std::span<const CharacterRange> kSpaces = kSpaceRows;
const std::span<const char32_t> kDigitZeros = kZeroRows;
const std::span<const CharacterRange> kWordCharacters = kWordRows;
const std::span<const LowerRun> kLower = kLowerRows;
const std::span<const LongUpper> kLongUppers = kUpperRows;

}}  // namespace binocle::eval
"""
    Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "eval/unicode_tables.cc").write_text(
        text, encoding="utf-8"
    )


if __name__ == "__main__":
    main()
