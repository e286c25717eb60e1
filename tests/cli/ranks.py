"""What the tests of --tensor-parallel share: the program several times, as the ranks of one model."""

import os
import socket
import subprocess
import tempfile
import time

from program import Folder, environment
from program import program as binocle

SECONDS = 120


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


class Rank:
    """One of the processes, with the variables that torchrun sets. What it writes goes to files, which nobody has to read meanwhile."""

    def __init__(self, rank, size, port, arguments, **variables):
        env = environment() | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size),
                               "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)} | variables
        self.out, self.err = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([binocle(), *map(os.fspath, arguments)], env=env, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.err)

    def written(self):
        for file in (self.out, self.err):
            file.seek(0)
        return self.out.read(), self.err.read()

    def end(self, seconds=SECONDS):
        """(status, stdout, stderr) when it has ended by itself."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"a rank does not end: {self.written()}") from None
        return self.process.returncode, *self.written()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def close(self):
        self.kill()
        self.out.close()
        self.err.close()

    def wait_for_line(self):
        """Until it has written one."""
        end = time.monotonic() + SECONDS
        while "\n" not in self.written()[0]:
            if self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise AssertionError(f"it has written no line: {self.written()}")
            time.sleep(0.02)


class Ranked(Folder):
    """A test with ranks, which end with it."""

    def rank(self, *arguments, **variables):
        rank = Rank(*arguments, **variables)
        self.addCleanup(rank.close)
        return rank

    def start(self, size, *arguments, **variables):
        port = free_port()
        arguments = [*arguments, "--tensor-parallel", str(size)]
        return [self.rank(rank, size, port, arguments, **variables) for rank in range(size)]

    def answers(self, size, *arguments):
        """What each of `size` ranks says: [(status, stdout, stderr)]."""
        return [rank.end() for rank in self.start(size, *arguments)]


def launched(launcher, *arguments, program=None):
    """The same under a launcher, whose words these are: (status, stdout, stderr) of all together."""
    env = environment() | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    run = subprocess.run([*launcher, os.fspath(program or binocle()), *map(os.fspath, arguments)], env=env, stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, timeout=SECONDS, check=False)
    return run.returncode, run.stdout, run.stderr
