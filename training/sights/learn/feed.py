"""Batches in their order, made by processes beside the one that trains."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
import time
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from typing import Callable, Iterable, Iterator

import torch

AHEAD = 2  # batches in the making or made, for each process

_make: Callable | None = None


def _begin(make: Callable) -> None:
    global _make
    _make = make
    torch.set_num_threads(1)
    threading.Thread(target=_follow, args=(os.getppid(),), daemon=True).start()


def _follow(parent: int) -> None:
    """Ends with who reads: an executor's processes outlive a parent that was killed, and with them its lock on the run."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _made(step: int) -> bytes:
    """Bytes, and not tensors in shared memory: containers have little of that."""
    return pickle.dumps(_make(step), pickle.HIGHEST_PROTOCOL)


def batches(make: Callable, steps: Iterable[int], workers: int) -> Iterator:
    """make(step) for each step, in order. With `workers`, by that many forked processes, `AHEAD` batches each ahead of the reader;
    what fails in one of them fails here. `make` has no business with CUDA: a forked process cannot use its parent's."""
    if not workers:
        yield from map(make, steps)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("fork"), _begin, (make,)) as pool:
        waiting = deque()
        for step in steps:
            waiting.append(pool.submit(_made, step))
            if len(waiting) > AHEAD * workers:
                yield pickle.loads(waiting.popleft().result())
        while waiting:
            yield pickle.loads(waiting.popleft().result())
