#!/usr/bin/env python3
"""Draws the learning curves of the runs as one SVG, and prints the CPU-time ledger.

    python3 training/plot.py --runs training/runs --out models/binocle-tiny/learning_curve.svg

Standard library only.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

PANELS = (("anchor", ("objects", "colour", "presence")), ("augment", ("objects", "letter", "word")),
          ("decoder", ("exist", "what", "count", "where", "relation", "describe")),
          ("join", ("exist", "what", "colour", "count", "where", "relation", "say", "describe")))
INK = ("#1b6ca8", "#c8553d", "#2a9d5c", "#8e44ad", "#b8860b", "#d6336c", "#444444", "#0b8a8a")
WIDTH, HEIGHT, LEFT, TOP = 330, 210, 38, 30


def smooth(values: list[float], keep: float = 0.8) -> list[float]:
    out: list[float] = []
    for value in values:
        out.append(value if not out else keep * out[-1] + (1 - keep) * value)
    return out


def panel(stage: str, keys: tuple[str, ...], rows: list[dict], x: int, y: int) -> str:
    """Accuracy against CPU minutes, on the training stream (every scene is new, so this is not memorised)."""
    end = max(row["cpu"] for row in rows) / 60
    parts = [f'<g transform="translate({x},{y})"><text x="{LEFT}" y="16" font-weight="bold">{stage}: '
             f'{end:.0f} CPU minutes, {rows[-1]["pictures"]:,} pictures</text>']
    for tick in range(6):
        level = TOP + (HEIGHT - TOP) * (1 - tick / 5)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH}" y1="{level:.1f}" y2="{level:.1f}" stroke="#ddd"/>'
                     f'<text x="{LEFT - 6}" y="{level + 4:.1f}" text-anchor="end">{tick / 5:.1f}</text>')
    for index, key in enumerate(keys):
        found = [(row["cpu"] / 60, row[key]) for row in rows if key in row]
        if not found:
            continue
        line = zip([t for t, _ in found], smooth([v for _, v in found]))
        points = " ".join(f"{LEFT + (WIDTH - LEFT) * t / end:.1f},{TOP + (HEIGHT - TOP) * (1 - v):.1f}" for t, v in line)
        ink = INK[index]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{ink}" stroke-width="1.6"/>'
                     f'<text x="{WIDTH + 8}" y="{TOP + 14 + 16 * index}" fill="{ink}">{key}</text>')
    parts.append(f'<text x="{WIDTH}" y="{HEIGHT + 16}" text-anchor="end">CPU minutes, 0 to {end:.0f}</text></g>')
    return "".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description="Draws the learning curves.")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    body, total = [], 0.0
    print("| stage | steps | pictures | CPU minutes | wall minutes |\n| --- | ---: | ---: | ---: | ---: |")
    for index, (stage, keys) in enumerate(PANELS):
        log = args.runs / stage / "log.jsonl"
        if not log.exists():
            continue
        rows = {row["step"]: row for row in map(json.loads, log.read_text().splitlines())}  # a resumed run's rows win
        ordered = [rows[step] for step in sorted(rows)]
        last = ordered[-1]
        total += last["cpu"]
        print(f"| {stage} | {last['step']} | {last['pictures']} | {last['cpu'] / 60:.1f} | {last['wall'] / 60:.1f} |")
        body.append(panel(stage, keys, ordered, (index % 2) * 440, (index // 2) * 250))
    print(f"| all | | | {total / 60:.1f} | |")
    args.out.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-10 -5 880 500" font-family="sans-serif" '
                        f'font-size="11"><rect x="-10" y="-5" width="880" height="500" fill="white"/>{"".join(body)}</svg>\n')


if __name__ == "__main__":
    main()
