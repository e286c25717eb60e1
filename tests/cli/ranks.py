"""What the tests of --tensor-parallel share: the program several times, as the ranks of one model."""

import os
import socket
import subprocess
import time

from program import environment, program

SECONDS = 120


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


class Rank:
    """One of the processes, with the variables that torchrun sets."""

    def __init__(self, rank, size, port, arguments, **variables):
        env = environment() | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size),
                               "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)} | variables
        self.process = subprocess.Popen([program(), *map(os.fspath, arguments)], env=env, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self, seconds=SECONDS):
        """(status, stdout, stderr) when it has ended by itself."""
        try:
            out, err = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
            raise AssertionError(f"a rank does not end: {out} {err}") from None
        return self.process.returncode, out, err


def start(size, *arguments, **variables):
    port = free_port()
    arguments = [*arguments, "--tensor-parallel", str(size)]
    return [Rank(rank, size, port, arguments, **variables) for rank in range(size)]


def answers(size, *arguments):
    """What each of `size` ranks says: [(status, stdout, stderr)]."""
    return [rank.end() for rank in start(size, *arguments)]


def launched(launcher, *arguments):
    """The same under a launcher, whose words these are: (status, stdout, stderr) of all together."""
    env = environment() | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    run = subprocess.run([*launcher, program(), *map(os.fspath, arguments)], env=env, stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, timeout=SECONDS, check=False)
    return run.returncode, run.stdout, run.stderr


def read_line(rank):
    """The first line that it writes, when it has."""
    start_of_wait = time.monotonic()
    line = rank.process.stdout.readline()
    assert line, f"nothing in {time.monotonic() - start_of_wait:.1f} s: {rank.end()}"
    return line
