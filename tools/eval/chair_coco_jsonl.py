#!/usr/bin/env python3
"""Writes the data of the task chair_coco from COCO's annotations: a line per picture with the categories of its
instances and its captions.

    python3 tools/eval/chair_coco_jsonl.py --annotations annotations [--images 500] [--seed 0] > chair_coco.jsonl
    python3 tools/eval/chair_coco_jsonl.py --annotations annotations --list ids.txt > chair_coco.jsonl

Published results are over 500 pictures of val2014 that each paper drew for itself: to compare with one, list its
pictures (one COCO id a line). Standard library only.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path


def lines(instances: dict, captions: dict, wanted: list[int]) -> list[dict]:
    """What is in each picture, in the order of `wanted`."""
    names = {category["id"]: category["name"] for category in instances["categories"]}
    files = {image["id"]: image["file_name"] for image in captions["images"]}
    objects: dict[int, set[str]] = {}
    for annotation in instances["annotations"]:
        objects.setdefault(annotation["image_id"], set()).add(names[annotation["category_id"]])
    said: dict[int, list[str]] = {}
    for annotation in captions["annotations"]:
        said.setdefault(annotation["image_id"], []).append(annotation["caption"].strip())
    return [{"id": image, "image": files[image], "objects": sorted(objects.get(image, ())), "references": said[image]}
            for image in wanted]


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes chair_coco.jsonl to standard output.")
    parser.add_argument("--annotations", type=Path, required=True, help="the folder with COCO's val2014 files")
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--list", type=Path, help="ids of pictures, one a line, instead of a draw")
    args = parser.parse_args()
    read = [json.loads((args.annotations / f"{kind}_val2014.json").read_text(encoding="utf-8"))
            for kind in ("instances", "captions")]
    known = sorted({annotation["image_id"] for annotation in read[1]["annotations"]})
    if args.list:
        wanted = [int(line) for line in args.list.read_text().split()]
        unknown = sorted(set(wanted) - set(known))
        if unknown:
            sys.exit(f"chair_coco_jsonl: {args.list}: {unknown[0]} is no picture of val2014")
    else:
        wanted = sorted(random.Random(args.seed).sample(known, min(args.images, len(known))))
    for line in lines(*read, wanted):
        print(json.dumps(line, ensure_ascii=False))


if __name__ == "__main__":
    main()
