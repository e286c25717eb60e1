#!/usr/bin/env python3
"""Writes the rows of Parquet files as JSON lines, bytes as base64: the form that lmms-eval's data sets have and
`"format": "jsonl"` of a task reads.

    pip install pyarrow
    python3 tools/eval/parquet_to_jsonl.py validation-*.parquet > data.jsonl

A picture that Hugging Face's `datasets` stored becomes {"bytes": "<base64>", "path": …}.
"""

from __future__ import annotations

import argparse
import base64
import json
import math
import sys


def plain(value: object) -> object:
    """The value as JSON can say it."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no word for it, and pandas writes missing numbers so
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return str(value)  # dates, decimals


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes the rows of Parquet files as JSON lines to standard output.")
    parser.add_argument("files", nargs="+", metavar="FILE.parquet")
    args = parser.parse_args()
    try:
        import pyarrow.parquet
    except ImportError:
        sys.exit("parquet_to_jsonl: needs pyarrow: pip install pyarrow")
    sys.stdout.reconfigure(encoding="utf-8")
    for path in args.files:
        try:
            for batch in pyarrow.parquet.ParquetFile(path).iter_batches(batch_size=64):
                for row in batch.to_pylist():
                    print(json.dumps(plain(row), ensure_ascii=False, allow_nan=False))
        except (OSError, pyarrow.ArrowException) as error:
            sys.exit(f"parquet_to_jsonl: {path}: {error}")


if __name__ == "__main__":
    main()
