#!/usr/bin/env python3
"""Binocle beside OpenVINO GenAI and llama.cpp on this machine's CPU, at one shape. Linux.

    tools/bench_peers.py setup --binocle PROGRAM [--gguf]
    tools/bench_peers.py run --binocle PROGRAM --json FILE [--markdown FILE] [--kinds int8]
                             [--llama-cpp BUILD] [-- OPTIONS OF bench model]
    tools/bench_peers.py table FILE…

setup makes, under --work (build/peers), a venv with OpenVINO, a model of random weights in the
shape of TinyLlama-1.1B with CLIP ViT-L/14-336, its exports and GGUFs; what is there stays. In a
round of run each side has a turn, a process of its own: it loads, and calls each stage once and
then --calls times. Who begins moves on from round to round. Each turn of Binocle probes the
machine's limits. The JSON file has every turn and is written after each; table writes the
Markdown of such files.
"""

import argparse
import datetime
import functools
import json
import os
import pathlib
import subprocess
import sys
import urllib.request

from peers import binocle_side, llama_peer, openvino_peer, report
from peers.turns import measured

HERE = pathlib.Path(__file__).resolve().parent
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
SEEDS_PER_TURN = 1000


class Work:
    """The folder of what setup makes."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.venv = self.folder / "venv"
        self.python = self.venv / "bin" / "python"
        self.model = self.folder / "tinyllava-1.1b"
        self.openvino = self.folder / "openvino"

    def gguf(self, kind):
        return self.folder / f"tinyllama-1.1b-{llama_peer.DTYPES[kind]}.gguf"


def make_venv(work, packages_of):
    subprocess.run([sys.executable, "-m", "venv", work.venv], check=True)
    pip = [work.python, "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    requirements = HERE / "peers" / "requirements.txt"
    if packages_of:
        # What is installed there in the pinned version is not downloaded again: torch, above all.
        (site,) = work.venv.glob("lib/python*/site-packages")
        (others,) = pathlib.Path(packages_of).resolve().glob("lib/python*/site-packages")
        (site / "outside.pth").write_text(f"{others}\n")
    elif answers(TORCH_INDEX):
        torch = [line for line in requirements.read_text().split("\n") if line.startswith("torch")]
        subprocess.run([*pip, "--index-url", TORCH_INDEX, *torch], check=True)
    else:
        print(f"setup: {TORCH_INDEX} cannot be reached, torch comes from PyPI", file=sys.stderr)
    subprocess.run([*pip, "-r", requirements], check=True)


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=10):
            return True
    except OSError:
        return False


def make_random(program, preset, dtype, out):
    call = [program, "make-random", "--preset", preset, "--dtype", dtype, "--out", out]
    subprocess.run(call, check=True, stdout=sys.stderr)


def check_program(program):
    if not (program.is_file() and os.access(program, os.X_OK)):
        sys.exit(f"bench_peers: --binocle is {program}, expected a program")


def read_record(path):
    """What `run` wrote."""
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        sys.exit(f"bench_peers: {path}: {error}")
    if not isinstance(record, dict) or "turns" not in record:
        sys.exit(f"bench_peers: {path} has no turns, expected what `run --json` wrote")
    return record


def setup(args):
    check_program(args.binocle)
    work = Work(args.work)
    work.folder.mkdir(parents=True, exist_ok=True)
    if not work.python.exists():
        make_venv(work, args.packages_of)
    if not work.model.exists():
        make_random(args.binocle, "tinyllava-1.1b", "bf16", work.model)
    for kind in args.kinds:
        if args.gguf and not work.gguf(kind).exists():
            make_random(args.binocle, "tinyllama-1.1b", llama_peer.DTYPES[kind], work.gguf(kind))
    formats = [openvino_peer.FORMATS[kind] for kind in args.kinds]
    script = HERE / "peers" / "openvino_export.py"
    subprocess.run([work.python, script, work.model, work.openvino, *formats], check=True)


def sides_of(kind, args, work, plan):
    """[(side, setting, round → turn)] of a kind, Binocle first."""
    model = args.model.format(kind=kind) if args.model else work.model
    options = [*args.options]
    sides = [
        ("Binocle", " ".join(options),
         lambda _: binocle_side.turn(args.binocle, model, kind, plan, options)),
    ]  # fmt: skip
    if work.python.exists() and (work.openvino / openvino_peer.FORMATS[kind]).exists():
        for setting in openvino_peer.SETTINGS[kind]:
            if args.settings and setting not in args.settings:
                continue
            ask = functools.partial(
                openvino_peer.turn, work.python, work.openvino, kind, setting, plan
            )
            sides.append(("OpenVINO", setting, lambda n, ask=ask: ask(SEEDS_PER_TURN * n)))
    if args.llama_cpp:
        program = llama_peer.bench_program(args.llama_cpp)
        gguf = work.gguf(kind)
        if not gguf.is_file():
            sys.exit(f"bench_peers: {gguf} is missing; setup --gguf makes what llama.cpp reads")
        sides.append(("llama.cpp", "", lambda _: llama_peer.turn(program, gguf, plan)))
    return sides


def missing(args, work):
    """What a reader of the table has to know is not there."""
    notes = []
    absent = [k for k in args.kinds if not (work.openvino / openvino_peer.FORMATS[k]).exists()]
    if absent or not work.python.exists():
        notes.append(f"OpenVINO: not measured in {', '.join(absent or args.kinds)}: no setup.")
    if not args.llama_cpp:
        notes.append("llama.cpp: not measured, no build was given.")
    return notes


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            family = value.strip()
        if key.strip() == "model":
            number = value.strip()
        if key.strip() == "stepping":
            return f"{family} (model {number})"
    return os.uname().machine


def machine():
    return {
        "processor": processor(),
        "processors": os.cpu_count(),
        "memory_gib": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30,
        "kernel": os.uname().release,
        "level": "",
    }


def versions(args, work):
    out = {"Binocle": binocle_side.version(args.binocle).removeprefix("binocle ")}
    commit = subprocess.run(
        ["git", "-C", HERE, "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    )
    if commit.returncode == 0:
        out["Binocle"] += f" (tree at {commit.stdout.strip()})"
    if work.python.exists():
        out |= openvino_peer.versions(work.python)
    return out


def shown_command(words):
    """As it was typed, of paths the last part only: tables name no folder of a machine."""
    return "tools/bench_peers.py " + " ".join(
        pathlib.PurePath(word).name if os.sep in word and " " not in word else word
        for word in words
    )


def take_turn(record, kind, round_, side):
    name, setting, turn = side
    label = {"kind": kind, "round": round_, "side": name, "setting": setting}
    print(f"{kind}, round {round_}: {report.name_of(label)}", file=sys.stderr)
    try:
        done = {**label, **measured(lambda: turn(round_))}
    except RuntimeError as error:
        record["notes"].append(f"{kind}, {report.name_of(label)}, round {round_}: {error}")
        print(record["notes"][-1], file=sys.stderr)
        return
    record["turns"].append(done)
    if "bench" in done:
        record["machine"]["level"] = done["bench"]["cpu_level"]
    if name == "llama.cpp":
        record["versions"][name] = done["version"]


def run(args):
    check_program(args.binocle)
    if not args.json.parent.is_dir():
        sys.exit(f"bench_peers: --json is {args.json}, expected a file in a folder that is there")
    work = Work(args.work)
    keys = ("threads", "rounds", "calls", "prompt_tokens", "text_tokens", "decode_tokens", "kinds")
    plan = {key: getattr(args, key) for key in keys}
    record = {
        "command": shown_command(sys.argv[1:]),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "machine": machine(),
        "versions": versions(args, work),
        "plan": plan,
        "notes": missing(args, work),
        "turns": [],
    }
    for kind in args.kinds:
        sides = sides_of(kind, args, work, plan)
        for round_ in range(args.rounds):
            begins = round_ % len(sides)
            for side in sides[begins:] + sides[:begins]:
                take_turn(record, kind, round_, side)
                args.json.write_text(json.dumps(record, indent=1) + "\n")
    if not record["turns"]:
        sys.exit("bench_peers: no turn came to its end")
    write_tables([record], args)


def write_tables(records, args):
    text = "\n".join(report.markdown(record, args.most_others) for record in records)
    if args.markdown:
        args.markdown.write_text(text)
    else:
        print(text, end="")


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def parse():
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    commands = parser.add_subparsers(dest="do", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--binocle", required=True, type=pathlib.Path, help="the program")
    common.add_argument("--work", default="build/peers", help="folder of what setup makes")
    kinds = list(openvino_peer.FORMATS)
    common.add_argument("--kinds", nargs="+", choices=kinds, default=kinds, help="default: all")

    setup_ = commands.add_parser("setup", parents=[common])
    setup_.add_argument(
        "--packages-of", help="a venv whose packages may be used: a torch that is there"
    )
    setup_.add_argument("--gguf", action="store_true", help="make what llama.cpp reads")

    tables = argparse.ArgumentParser(add_help=False)
    tables.add_argument("--markdown", type=pathlib.Path, help="the table; default: stdout")
    tables.add_argument(
        "--most-others",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="leave out turns in which other processes had more of the processors, e.g. 0.03",
    )

    run_ = commands.add_parser("run", parents=[common, tables])
    run_.add_argument("--model", help="what Binocle loads; {kind} in it is int8 and so on")
    run_.add_argument("--settings", nargs="+", help="of OpenVINO, by name; default: all")
    run_.add_argument("--llama-cpp", help="build folder that has bin/llama-bench")
    for name, value in (("threads", 2), ("rounds", 5), ("calls", 3), ("prompt-tokens", 512),
                        ("text-tokens", 64), ("decode-tokens", 32)):  # fmt: skip
        run_.add_argument(f"--{name}", type=positive, default=value, help=f"default: {value}")
    run_.add_argument("--json", type=pathlib.Path, required=True, help="every turn, as JSON")
    run_.add_argument("options", nargs="*", help="of binocle bench model, after --")

    table = commands.add_parser("table", parents=[tables])
    table.add_argument("files", nargs="+", type=pathlib.Path)
    return parser.parse_args()


def main():
    args = parse()
    if args.do == "table":
        write_tables([read_record(file) for file in args.files], args)
    elif args.do == "setup":
        setup(args)
    else:
        run(args)


if __name__ == "__main__":
    main()
