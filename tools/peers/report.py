"""Sums up turns, and writes them as Markdown."""

from peers.turns import spread

# Heading and unit of each.
STAGES = {
    "prefill": ("prefill {prompt_tokens}", "tokens/s"),
    "decode": ("decode after {prompt_tokens}", "tokens/s"),
    "encode": ("picture through towers and projector", "s"),
    "picture": ("picture + {text_tokens} text tokens to the first token", "s"),
    "picture_again": ("the same picture behind other text", "s"),
    "second_question": ("another question about the picture", "s"),
}
# What a side takes for these that keeps nothing of a picture: all of it once more.
ALL_AGAIN = {"picture_again": "picture", "second_question": "picture"}
RATES = {
    "read_rate": "read {median:.1f} [{lower:.1f}–{upper:.1f}] GB/s",
    "f32_rate": "f32 {median:.0f}",
    "bf16_rate": "bf16 {median:.0f}",
    "int8_rate": "int8 {median:.0f} [{lower:.0f}–{upper:.0f}] Gop/s",
}


def name_of(turn):
    return f"{turn['side']}, {turn['setting']}" if turn["setting"] else turn["side"]


def names(turns):
    """Binocle first, then as they come."""
    found = list(dict.fromkeys(name_of(turn) for turn in turns))
    return sorted(found, key=lambda name: not name.startswith("Binocle"))


def seconds_by_round(turns, name, stage, field="seconds"):
    return {
        turn["round"]: turn["stages"][stage][field]
        for turn in turns
        if name_of(turn) == name and field in turn["stages"].get(stage, {})
    }


def ratios(own, other):
    """Within each round: how many times as long the other side took. Above 1 the first is ahead."""
    return [other[round_] / own[round_] for round_ in own if round_ in other]


def summary(turns):
    """Of one kind's turns: {name: {stage: seconds, ratio, first; load, peak}}."""
    base = next((name for name in names(turns) if name.startswith("Binocle")), None)
    out = {}
    for name in names(turns):
        stages = {}
        for stage in STAGES:
            theirs = seconds_by_round(turns, name, stage)
            if not theirs:
                theirs = seconds_by_round(turns, name, ALL_AGAIN.get(stage))
            if not theirs:
                continue
            stages[stage] = {"seconds": spread(theirs.values())}
            first = seconds_by_round(turns, name, stage, "first")
            if first:
                stages[stage]["first"] = spread(first.values())
            ratio = ratios(seconds_by_round(turns, base, stage), theirs)
            if name != base and ratio:
                stages[stage]["ratio"] = spread(ratio)
        own = [turn for turn in turns if name_of(turn) == name]
        out[name] = {"stages": stages, "peak_bytes": max(turn["peak_bytes"] for turn in own)}
        loads = [turn["load_seconds"] for turn in own if "load_seconds" in turn]
        if loads:
            out[name]["load_seconds"] = spread(loads)
    return out


def figure(stage, seconds, plan):
    """Median and quartiles in the stage's unit."""
    rows = {"prefill": plan["prompt_tokens"], "decode": 1}.get(stage)
    values = [seconds[key] for key in ("median", "lower", "upper")]
    if rows:
        values = [rows / value for value in values]
        return "{:.1f} [{:.1f}–{:.1f}]".format(values[0], *sorted(values[1:]))
    return "{:.3f} [{:.3f}–{:.3f}]".format(*values)


def interval(s, text):
    return text.format(s["median"]) + " [{lower:.2f}–{upper:.2f}]".format(**s)


def stage_rows(of, plan):
    for stage, (heading, unit) in STAGES.items():
        for name, side in of.items():
            if stage not in side["stages"]:
                continue
            s = side["stages"][stage]
            yield (
                f"{heading.format(**plan)}, {unit}",
                name,
                figure(stage, s["seconds"], plan),
                interval(s["ratio"], "{:.2f} ×") if "ratio" in s else "",
                f"{s['first']['median']:.3f} s" if "first" in s else "",
            )


def side_rows(of):
    for name, side in of.items():
        load = interval(side["load_seconds"], "{:.2f} s") if "load_seconds" in side else ""
        yield name, load, f"{side['peak_bytes'] / 1e9:.2f} GB"


def table(header, rows):
    """A first cell is written once where it repeats."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    last = None
    for row in rows:
        lines.append("| " + " | ".join(("" if row[0] == last else row[0], *row[1:])) + " |")
        last = row[0]
    return lines


def probes(turns):
    parts = []
    for rate, text in RATES.items():
        values = [turn["machine"][rate] / 1e9 for turn in turns if "machine" in turn]
        if any(values):
            parts.append(text.format(**spread(values)))
    return ", ".join(parts) or "not measured"


def head(run):
    plan, machine = run["plan"], run["machine"]
    return [
        f"`{run['command']}`, {run['date']}.",
        f"{machine['processor']}, {machine['processors']} processors, level {machine['level']}, "
        f"{machine['memory_gib']:.0f} GiB; {plan['threads']} threads.",
        "Versions: " + ", ".join(f"{name} {v}" for name, v in run["versions"].items()) + ".",
        f"Sides take turns, each in a process of its own: {plan['rounds']} rounds, in each the "
        f"median of {plan['calls']} calls after the first. Medians and quartiles of the rounds; "
        "ratios are formed within a round, and above 1 Binocle is ahead.",
        *run["notes"],
    ]


def of_kind(run, kind):
    turns = [turn for turn in run["turns"] if turn["kind"] == kind]
    others = max(turn["others"] for turn in turns)
    of = summary(turns)
    stages = table(
        ("work", "side", "median", "Binocle is ahead", "first call"), stage_rows(of, run["plan"])
    )
    return [
        "",
        f"**{kind}.** The machine, by Binocle's probes: {probes(turns)}. Other processes had up to "
        f"{100 * others:.0f} % of the processors in a turn.",
        "",
        *stages,
        "",
        *table(("side", "load", "most resident"), side_rows(of)),
    ]


def markdown(run, most_others):
    """Turns in which other processes had more than that share of the processors are left out."""
    turns = [turn for turn in run["turns"] if turn["others"] <= most_others]
    left_out = len(run["turns"]) - len(turns)
    lines = head(run)
    if left_out:
        lines.append(
            f"{left_out} of {len(run['turns'])} turns are left out: other processes had more than "
            f"{100 * most_others:.0f} % of the processors."
        )
    run = {**run, "turns": turns}
    for kind in run["plan"]["kinds"]:
        if any(turn["kind"] == kind for turn in run["turns"]):
            lines += of_kind(run, kind)
    return "\n".join(lines) + "\n"
