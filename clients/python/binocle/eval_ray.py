"""`binocle eval run` in parts on a Ray cluster.

    python -m binocle.eval_ray TASK… --data DIR --out DIR [--workers N | --server HOST:PORT …] [--shards N] [-- ARGUMENT…]

One actor for each worker: a `binocle serve` of its own on loopback, which keeps the model from part to part, or the address of a server.
Workers take parts as they come free. A part whose worker is lost is done again by another one; it goes on from its journal, so that what
was answered is not asked again. At the end `binocle eval merge` writes what one run against a server would have written.

DIR of --out, and for workers elsewhere of --data, must be a folder that all nodes see. Needs Ray: pip install 'binocle[ray]'.

The servers of workers listen on loopback. Ray does not, also where it is started here: whatever address its processes are given, they
listen on all interfaces, and who reaches their ports runs code here. Ray belongs behind a firewall, or in a network that you trust.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

READY_SECONDS = 600  # until a server has its model
STOP_SECONDS = 60
USAGE_ERROR = 2  # exit status of `binocle` for a command line that would be wrong again
COUNTED_APART = "samples failed and are counted apart"  # what it says of a part that is done but for these
OBJECT_STORE_BYTES = 80_000_000  # of a Ray that is started here; nothing but exit statuses goes through it
SHARDS_PER_WORKER = 4
NOT_FOR_PARTS = ("--out", "--shard", "--fresh", "--server", "--data", "--model")


class EvalError(Exception):
    """Why an evaluation ended before it was whole."""


class Ended(NamedTuple):
    """How a part ended: the exit status and what it said on stderr."""

    status: int
    message: str


@dataclass(frozen=True)
class Plan:
    """An evaluation in parts. Paths are absolute: workers have folders of their own."""

    tasks: Sequence[str]
    data: str
    out: str
    model: str | None = None  # a directory; with servers, its name there
    servers: Sequence[str] = ()  # a worker for each; none: every worker serves the model itself
    workers: int = 2
    shards: int = 0  # 0: four a worker
    program: str = "binocle"
    serve_arguments: Sequence[str] = ()
    run_arguments: Sequence[str] = ()
    attempts: int = 3  # how often a part, or a worker's start, is tried
    cpus: float = 1  # of a worker, for Ray
    gpus: float = 0
    address: str | None = None  # of a Ray cluster; None: one is started here, which listens on all interfaces


def _ends_with_its_parent() -> Callable[[], None] | None:
    """For preexec_fn: a worker that is killed must not leave a process behind that holds the journal and goes on asking."""
    if not sys.platform.startswith("linux"):
        return None
    parent, prctl = os.getpid(), ctypes.CDLL(None).prctl

    def tie() -> None:
        prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:  # it ended in between
            os._exit(1)

    return tie


class Worker:
    """What an actor is: a server, its own or another's, and the parts that it is asked."""

    def __init__(self, plan: Plan, server: str | None):
        self._plan, self._server = plan, server
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="binocle-eval-")
        self._address = server or ""

    def start(self) -> str:
        """Where it is and what it asks."""
        if self._server is None:
            self._serve()
        return f"process {os.getpid()} on {socket.gethostname()}, server {self._address}"

    def _serve(self) -> None:
        ports, log = Path(self._folder.name, "ports.json"), Path(self._folder.name, "serve.log")
        ports.unlink(missing_ok=True)
        command = [self._plan.program, "serve", "--listen", "127.0.0.1:0", "--http", "none", "--port-file", str(ports)]
        command += ["--model", self._plan.model] if self._plan.model else []
        command += self._plan.serve_arguments
        with open(log, "wb") as out:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=_ends_with_its_parent())
        end = time.monotonic() + READY_SECONDS
        while not ports.exists():
            if self._process.poll() is not None:
                raise EvalError(f"the server ended with {self._process.returncode}: {log.read_text(errors='replace').strip()}")
            if time.monotonic() > end:
                raise EvalError(f"the server is not ready after {READY_SECONDS} s")
            time.sleep(0.05)
        self._address = f"127.0.0.1:{json.loads(ports.read_text())['grpc']}"

    def run(self, shard: int, shards: int) -> Ended:
        if self._process is not None and self._process.poll() is not None:
            self._serve()  # it died, of memory perhaps
        plan = self._plan
        command = [plan.program, "eval", "run", *plan.tasks, "--data", plan.data, "--out", plan.out, "--shard", f"{shard}/{shards}"]
        command += ["--server", self._address, *plan.run_arguments]
        if plan.model and self._server is not None:
            command += ["--model", plan.model]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, preexec_fn=_ends_with_its_parent())
        return Ended(done.returncode, done.stderr.decode(errors="replace").strip())

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


class _Slot:
    """A worker's place: the actor that is there now, and how many were lost while they started."""

    def __init__(self, name: int, server: str | None):
        self.name, self.server, self.lost_starts = name, server, 0
        self.actor: Any = None


class _Driver:
    def __init__(self, plan: Plan, ray: Any, say: Callable[[str], None]):
        self.plan, self.ray, self.say = plan, ray, say
        servers: list[str | None] = list(plan.servers) or [None] * plan.workers
        self.slots = [_Slot(index, server) for index, server in enumerate(servers)]
        self.shards = plan.shards or SHARDS_PER_WORKER * len(self.slots)
        self.waiting = deque(range(self.shards))
        self.tried = [0] * self.shards
        self.done = 0
        self.running: dict[Any, tuple[_Slot, int | None]] = {}  # a call -> whose, and which part; None: its start
        self.actor_class = ray.remote(Worker)

    def start(self, slot: _Slot) -> None:
        options = {"num_cpus": self.plan.cpus, "num_gpus": self.plan.gpus, "max_restarts": 0}
        slot.actor = self.actor_class.options(**options).remote(self.plan, slot.server)
        self.running[slot.actor.start.remote()] = (slot, None)

    def give_work(self, slot: _Slot) -> None:
        if self.waiting:
            shard = self.waiting.popleft()
            self.tried[shard] += 1
            self.running[slot.actor.run.remote(shard, self.shards)] = (slot, shard)

    def lose(self, slot: _Slot, shard: int | None) -> None:
        """The worker is gone: another in its place, and its part again."""
        if shard is None:
            slot.lost_starts += 1
            if slot.lost_starts >= self.plan.attempts:
                raise EvalError(f"worker {slot.name} was lost {slot.lost_starts} times while it started")
            self.say(f"worker {slot.name} is lost; another is started")
        else:
            self.say(f"worker {slot.name} is lost; part {shard}/{self.shards} is done again")
            self.again(shard, "its worker was lost")
        self.start(slot)

    def again(self, shard: int, why: str) -> None:
        if self.tried[shard] >= self.plan.attempts:
            raise EvalError(f"part {shard}/{self.shards} failed {self.tried[shard]} times, the last time: {why}")
        self.waiting.appendleft(shard)

    def end(self, slot: _Slot, shard: int, ended: Ended) -> None:
        if ended.status == 0:
            self.done += 1
            self.say(f"worker {slot.name} did part {shard}/{self.shards}; {self.done} done")
        elif ended.status == USAGE_ERROR:
            raise EvalError(ended.message)
        elif COUNTED_APART in ended.message and self.tried[shard] >= self.plan.attempts:
            self.done += 1  # all that can be answered is; a merge says of how many its scores are
            self.say(f"worker {slot.name} did part {shard}/{self.shards}, {ended.message}; {self.done} done")
        else:
            self.say(f"worker {slot.name}, part {shard}/{self.shards}: {ended.message or f'exit status {ended.status}'}")
            self.again(shard, ended.message)

    def take(self, call: Any) -> None:
        slot, shard = self.running.pop(call)
        try:
            result = self.ray.get(call)
        except self.ray.exceptions.RayTaskError as error:
            raise EvalError(f"worker {slot.name}: {error.cause}") from error
        except self.ray.exceptions.RayActorError:
            self.lose(slot, shard)
            return
        if shard is None:
            self.say(f"worker {slot.name}: {result}")
        else:
            self.end(slot, shard, Ended(*result))
        self.give_work(slot)

    def run(self) -> None:
        for slot in self.slots:
            self.start(slot)
        while self.done < self.shards:
            ready, _ = self.ray.wait(list(self.running), num_returns=1)
            self.take(ready[0])
            idle = {slot.name for slot in self.slots} - {slot.name for slot, _ in self.running.values()}
            for slot in self.slots:  # a part that failed may wait while others have none
                if slot.name in idle:
                    self.give_work(slot)
        self.ray.wait([slot.actor.stop.remote() for slot in self.slots], num_returns=len(self.slots), timeout=STOP_SECONDS)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run(plan: Plan, say: Callable[[str], None] = _say) -> str:
    """Does all parts and puts them together; gives what `binocle eval merge` prints. Raises EvalError.

    say: takes lines about what happens meanwhile.
    """
    import ray

    _check_tasks(plan)
    with contextlib.redirect_stdout(sys.stderr):  # where Ray tells of workers that died
        _do_parts(plan, ray, say)
    merged = subprocess.run([plan.program, "eval", "merge", plan.out], capture_output=True, text=True)
    if merged.returncode != 0:
        raise EvalError(merged.stderr.strip())
    return merged.stdout


def _check_tasks(plan: Plan) -> None:
    """A task that is none is told at once; every part would fail by it, as often as parts are tried."""
    for task in plan.tasks:
        told = subprocess.run([plan.program, "eval", "describe", task], capture_output=True, text=True)
        if told.returncode != 0:
            raise EvalError(told.stderr.strip())


def _do_parts(plan: Plan, ray: Any, say: Callable[[str], None]) -> None:
    if plan.address is None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        cpus = max(1, round(plan.cpus * (len(plan.servers) or plan.workers)))
        ray.init(num_cpus=cpus, object_store_memory=OBJECT_STORE_BYTES, include_dashboard=False, log_to_driver=False,
                 _node_ip_address="127.0.0.1")
    else:
        ray.init(address=plan.address, log_to_driver=False)
    try:
        _Driver(plan, ray, say).run()
    finally:
        ray.shutdown()


def _plan_of(arguments: Sequence[str]) -> Plan:
    words = list(arguments)
    split = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(prog="python -m binocle.eval_ray", description="binocle eval run in parts on a Ray cluster.",
                                     epilog="What follows -- goes to binocle eval run; paths in it must be absolute.")
    parser.add_argument("tasks", nargs="+", metavar="TASK", help="name or file of a task")
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", required=True, help="where journals and results go; what is there goes on")
    parser.add_argument("--model", help="model directory; with --server the model's name there")
    parser.add_argument("--workers", type=int, default=2, help="how many serve the model themselves")
    parser.add_argument("--server", action="append", default=[], metavar="HOST:PORT", help="a worker for this server instead (repeatable)")
    parser.add_argument("--shards", type=int, default=0, help="parts (default: four a worker); the same number again to go on")
    parser.add_argument("--attempts", type=int, default=3, help="how often a part is tried")
    parser.add_argument("--program", default="binocle")
    parser.add_argument("--serve-arguments", default="", metavar="TEXT", help="more for binocle serve, as a shell splits it")
    parser.add_argument("--cpus", type=float, default=1, help="processors of a worker")
    parser.add_argument("--gpus", type=float, default=0, help="accelerators of a worker")
    parser.add_argument("--ray-address", help="of a cluster, or auto (default: Ray on this machine alone)")
    args = parser.parse_args(words[:split])
    run_arguments = words[split + 1 :]
    for word in run_arguments:
        if word.split("=")[0] in NOT_FOR_PARTS:
            parser.error(f"{word} cannot follow --")
    for name in ("workers", "attempts"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} is {getattr(args, name)}, expected 1 or more")
    if args.shards < 0:
        parser.error(f"--shards is {args.shards}, expected 1 or more")
    model = str(Path(args.model).resolve()) if args.model and not args.server else args.model
    tasks = [str(Path(task).resolve()) if task.endswith(".json") else task for task in args.tasks]
    program = str(Path(args.program).resolve()) if "/" in args.program else args.program
    data, out = str(Path(args.data).resolve()), str(Path(args.out).resolve())
    return Plan(tasks, data, out, model, args.server, args.workers, args.shards, program, shlex.split(args.serve_arguments), run_arguments,
                args.attempts, args.cpus, args.gpus, args.ray_address)


def main() -> int:
    plan = _plan_of(sys.argv[1:])
    try:
        print(run(plan), end="")
    except ImportError as error:
        print(f"{error}; pip install 'binocle[ray]'", file=sys.stderr)
        return 1
    except EvalError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
