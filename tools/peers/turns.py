"""A turn of one side: what it measured, what it took, what else ran meanwhile."""

import os
import resource
import statistics
import time


def spread(values):
    """Median and quartiles."""
    values = list(values)
    if len(values) == 1:
        return {"median": values[0], "lower": values[0], "upper": values[0]}
    lower, _, upper = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": statistics.median(values), "lower": lower, "upper": upper}


def stage(seconds):
    """Of the seconds of a stage's calls, of which the first comes after loading."""
    return {"first": seconds[0], "seconds": statistics.median(seconds[1:])}


def busy_seconds():
    """Seconds that the machine's processors have worked, or that its host has taken."""
    with open("/proc/stat") as stat:
        ticks = [int(word) for word in stat.readline().split()[1:9]]
    user, nice, system, _idle, _wait, irq, softirq, steal = ticks
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def own_seconds():
    """Of this process and of its children that have ended."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def measured(side):
    """side()'s turn with "wall_seconds" and "others": the share of all processors' time that other
    processes had."""
    start, busy, own = time.monotonic(), busy_seconds(), own_seconds()
    turn = side()
    wall = time.monotonic() - start
    others = busy_seconds() - busy - (own_seconds() - own)
    return {
        **turn,
        "wall_seconds": wall,
        "others": max(0.0, others / (wall * os.cpu_count())),
    }


def peak_of(process):
    """Waits for a child and returns (its status, its VmHWM in bytes)."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss * 1024
