"""What the tests of the command line share: running `binocle`, and models and pictures to damage.

The program is BINOCLE_PROGRAM, or the first argument of the test; BINOCLE_SANITIZED=1 says that it carries sanitizers,
which are slow and take memory.
"""

import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import zlib
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
GOLDEN = TESTS / "golden"
PICTURES = TESTS / "data" / "images"
SCENE = GOLDEN / "images" / "scene_70x70.png"
SANITIZED = os.environ.get("BINOCLE_SANITIZED") == "1"
SECONDS = 60 if SANITIZED else 10
MEMORY_BYTES = 700 << 20  # of which libraries are about 70 MiB, and a picture of the largest size 600


def program():
    return os.environ["BINOCLE_PROGRAM"]


def main():
    """Runs the tests of the calling module."""
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-") and os.access(sys.argv[1], os.X_OK):
        os.environ["BINOCLE_PROGRAM"] = str(Path(sys.argv.pop(1)).resolve())
    if "BINOCLE_PROGRAM" not in os.environ:
        sys.exit(f"usage: {sys.argv[0]} PROGRAM [unittest arguments], or BINOCLE_PROGRAM=PROGRAM {sys.argv[0]}")
    unittest.main()


def environment():
    env = {key: value for key, value in os.environ.items() if key != "BINOCLE_MODEL"}
    env.setdefault("ASAN_OPTIONS", "detect_leaks=1")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    return env


class Result:
    """How one run ended. `status` is negative when a signal ended it, as in subprocess."""

    def __init__(self, status, stdout, stderr, seconds, memory):
        self.status, self.seconds, self.memory = status, seconds, memory
        self.stdout_bytes, self.stderr_bytes = stdout, stderr
        self.stdout, self.stderr = (text.decode("utf-8", "replace") for text in (stdout, stderr))

    @property
    def lines(self):
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def json(self):
        return json.loads(self.stdout)


def run(*arguments, stdin=b"", seconds=SECONDS, cwd=None, **process_options):
    """Runs the program and waits; a run that takes longer than `seconds` is killed and has the status −9."""
    command = [program(), *[os.fsencode(a) if isinstance(a, Path) else a for a in arguments]]
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        source.write(stdin)
        source.seek(0)
        start = time.monotonic()
        process = subprocess.Popen(command, stdin=source, stdout=out, stderr=err, env=environment(), cwd=cwd, **process_options)
        timer = threading.Timer(seconds, process.kill)
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        taken = time.monotonic() - start
        for file in (out, err):
            file.seek(0)
        return Result(process.returncode, out.read(), err.read(), taken, usage.ru_maxrss * 1024)


class Folder(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="binocle-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def model(self, name="llava"):
        """A copy of a golden model that may be damaged."""
        copy = self.folder / f"{name}-{len(list(self.folder.iterdir()))}"
        copy.mkdir()
        for file in (GOLDEN / name).iterdir():
            if not file.name.startswith("reference."):
                shutil.copyfile(file, copy / file.name)
        return copy


def edit_json(path, edit):
    """Changes a JSON file in place; `edit` changes the object, or returns what stands in its place."""
    value = json.loads(path.read_text())
    changed = edit(value)
    path.write_text(json.dumps(value if changed is None else changed))


def edit_header(path, edit):
    """Changes the header of a safetensors file in place; `edit` gets the header and the data (a bytearray)."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8 : 8 + length]), bytearray(content[8 + length :])
    changed = edit(header, data)
    text = json.dumps(header if changed is None else changed).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def png_chunk(kind, payload):
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png(width, height, packed=None):
    """An 8-bit RGB PNG; black unless the packed rows are given."""
    if packed is None:
        packed = zlib.compress(bytes(1 + 3 * width) * height)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", packed) + png_chunk(b"IEND", b"")


def packed_zeros(size):
    """A zlib stream that unpacks to `size` zeros."""
    packer, block = zlib.compressobj(9), bytes(1 << 20)
    return b"".join(packer.compress(block) for _ in range(size >> 20)) + packer.flush()
