#!/usr/bin/env python3
"""What a model takes of memory and disk, measured, beside what `binocle inspect` says that it will. Linux.

    tools/memory_use.py PROGRAM MODEL [--image PICTURE …] [--tolerance 0.10] [-- OPTIONS OF ask AND inspect]

A process answers one question, about pictures where some are given, and stays, with the model's files read from the disk and not from the
page cache; then a second one beside it. Printed, as JSON: the plan; of the first process the peak and what it is made of (pages of the
model's files, which processes share, of the program and its libraries, and its own), and how much it read from the disk; of both, how
much of the files' pages each has to itself (Pss). Status 1 where the peak without the program's pages is off the plan by more than the
tolerance and 16 MiB of the program's own, the disk was read more than once, or the second process shares nothing. Give a context that
the question fills nearly (--context-tokens 64): the plan has room for all of it.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

OWN_BYTES = 16 << 20  # of a program that has loaded nothing: its heap, its threads, what its libraries keep
PROGRAM_BYTES = 96 << 20  # of the files of the program and its libraries, read where they were in no cache
QUESTION = "What is it? " * 3


def files_of(model):
    path = pathlib.Path(model)
    if path.is_file():
        return [path.resolve()]
    return [file.resolve() for file in path.iterdir() if file.suffix in (".safetensors", ".gguf")]


def forget(files):
    """Drops the files' pages from the page cache, where nobody has them mapped."""
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def numbers(path, scale=1):
    """{"VmHWM": bytes} of lines like "VmHWM:  12 kB"."""
    out = {}
    for line in pathlib.Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        words = value.split()
        if words and words[0].isdigit():
            out[key] = int(words[0]) * (1024 if words[-1] == "kB" else scale)
    return out


def mapped(process, is_ours):
    """Resident bytes of mappings of files for whose path `is_ours`."""
    total, ours = 0, False
    for line in pathlib.Path(f"/proc/{process}/smaps").read_text().splitlines():
        words = line.split()
        if "-" in words[0] and not words[0].endswith(":"):
            path = words[5] if len(words) > 5 else ""
            ours = path.startswith("/") and is_ours(pathlib.Path(path))
        elif words[0] == "Rss:" and ours:
            total += int(words[1]) * 1024
    return total


class Asking:
    """A process that has answered one question and waits for the next."""

    def __init__(self, program, model, images, options):
        self.files = set(files_of(model))
        command = [program, "ask", "--model", model, "--prompt-format", "raw", "--max-new-tokens", "4", *options, "--requests", "-"]
        start = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.process.stdin.write((json.dumps({"id": 1, "prompt": "<image>" * len(images) + QUESTION, "images": images}) + "\n").encode())
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        self.seconds = time.monotonic() - start
        if "error" in answer:
            sys.exit(f"memory_use: {answer['error']}")
        self.answer = answer

    def measured(self):
        status = numbers(f"/proc/{self.process.pid}/status")
        rollup = numbers(f"/proc/{self.process.pid}/smaps_rollup")
        disk = numbers(f"/proc/{self.process.pid}/io")
        return {
            "peak": status["VmHWM"],
            "resident": status["VmRSS"],
            "of_files": status["RssFile"],
            "of_program": mapped(self.process.pid, lambda path: path not in self.files),
            "own": status["RssAnon"],
            "pss": rollup["Pss"],
            "pss_of_files": rollup.get("Pss_File", 0),
            "read_from_disk": disk["read_bytes"],
        }

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("model")
    parser.add_argument("--image", action="append", default=[])
    parser.add_argument("--tolerance", type=float, default=0.10)
    words = sys.argv[1:]
    at = words.index("--") if "--" in words else len(words)
    args = parser.parse_args(words[:at])
    args.options = words[at + 1:]

    inspected = subprocess.run([args.program, "inspect", "--json", "--model", args.model, *args.options], capture_output=True, check=True)
    plan = json.loads(inspected.stdout)["memory"]
    files = files_of(args.model)
    size = sum(file.stat().st_size for file in files)
    forget(files)
    first = Asking(args.program, args.model, args.image, args.options)
    alone = first.measured()
    second = Asking(args.program, args.model, args.image, args.options)
    beside = {"first": first.measured(), "second": second.measured()}
    for one in (second, first):
        one.close()

    problems = []
    taken = alone["peak"] - alone["of_program"]
    low = plan["planned_bytes"] * (1 - args.tolerance)
    high = plan["planned_bytes"] * (1 + args.tolerance) + OWN_BYTES
    if not low <= taken <= high:
        problems.append(f"the peak without the program's pages is {taken}, expected {low:.0f} to {high:.0f}")
    # Beside the model, the program and its libraries are read.
    if alone["read_from_disk"] > size + PROGRAM_BYTES:
        problems.append(f"{alone['read_from_disk']} bytes were read from the disk, the files have {size}")
    if beside["second"]["pss_of_files"] > 0.6 * beside["second"]["of_files"]:
        problems.append("the second process shares less than it could")
    if first.answer["token_ids"] != second.answer["token_ids"]:
        problems.append("the two processes answer differently")
    print(json.dumps({"plan": plan, "file_bytes": size, "alone": alone, "beside": beside,
                      "seconds": [round(first.seconds, 1), round(second.seconds, 1)], "problems": problems}, indent=1))
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
