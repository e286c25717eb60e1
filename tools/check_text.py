#!/usr/bin/env python3
"""Checks the files of the repository as text: no paths of one person's machine, no large files outside models/ and tests/golden, no
marks of a merge, tabs, trailing blanks, carriage returns or missing last line ends in sources.

Prints one line per problem, `file:line: message`, and exits 1 when there is one.

    tools/check_text.py [REPOSITORY]
"""

import fnmatch
import os
import re
import subprocess
import sys

LARGE = 500 * 1024
LARGE_ALLOWED = ("models/", "tests/golden/")
GENERATED = ("tests/golden/", "tests/data/", "models/")
SOURCES = ["*.h", "*.cc", "*.cu", "*.py", "*.sh", "*.cmake", "*.cmake.in", "*.pc.in", "*.md", "*.json", "*.proto", "*.yml", "*.txt",
           "NOTICE", ".ci/run", ".clang-format", ".clang-tidy", ".editorconfig", ".gitattributes", ".gitignore"]
# Spelled in two halves, so that this file passes its own check.
MACHINE_PATH = re.compile(r"(?<![\w./$}-])(/wor" + r"k/|/roo" + r"t/|/hom" + r"e/\w+/|/User" + r"s/\w+/)")
MERGE_MARKER = re.compile(r"(<{7}|>{7}|\|{7}) ")


def git_files(root):
    command = ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        git = subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None  # no git, or not a checkout
    return {name for name in git.stdout.decode().split("\0") if name}


def files_of(root):
    """Tracked files, and untracked ones that are not ignored; every file where there is no git."""
    names = git_files(root)
    if names is None:
        names = {os.path.relpath(os.path.join(directory, name), root) for directory, _, files in os.walk(root) for name in files}
        names = {name for name in names if not name.startswith((".git/", "build/", "dist/"))}
    return sorted(name for name in names if os.path.isfile(os.path.join(root, name)) and not os.path.islink(os.path.join(root, name)))


def line_problems(path, line):
    match = MACHINE_PATH.search(line)
    if match:
        yield f"a path of one machine: {match.group(1)}"
    if not is_source(path):
        return
    if MERGE_MARKER.match(line):
        yield "a mark of a merge"
    if "\t" in line:
        yield "a tab"
    if "\r" in line:
        yield "a carriage return"
    elif line != line.rstrip():
        yield "blanks at the end of the line"


def is_source(path):
    name = os.path.basename(path)
    return not path.startswith(GENERATED) and any(fnmatch.fnmatchcase(name, p) or path == p for p in SOURCES)


def check_file(root, path):
    full = os.path.join(root, path)
    size = os.path.getsize(full)
    if size > LARGE and not path.startswith(LARGE_ALLOWED):
        yield f"{path}:1: {size} bytes, at most {LARGE} outside {' and '.join(LARGE_ALLOWED)}"
    if size > 16 * LARGE:
        return
    with open(full, "rb") as handle:
        data = handle.read()
    if b"\0" in data:
        return
    text = data.decode("utf-8", errors="replace")
    for number, line in enumerate(text.split("\n"), 1):
        for message in line_problems(path, line):
            yield f"{path}:{number}: {message}"
    if text and not text.endswith("\n") and is_source(path):
        yield f"{path}:{number}: no line end after the last line"


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    problems = [line for path in files_of(root) for line in check_file(root, path)]
    for line in problems:
        print(line)
    print(f"check_text: {len(problems)} problems" if problems else "check_text: clean")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
