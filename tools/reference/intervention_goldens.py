"""Makes tests/golden/<case>/interventions.{json,safetensors}: intervention_goldens.py [--out DIR]
[--only CASE ...]. golden.py must have written the checkpoints.

Every run is a template whose first acceptable filler word is taken, as in golden.py. Acceptable:
the tokens vary and differ from those without intervention, and no decision (the best token, a sink,
a head of VAR, a token at the cut, a patch in a set) is so near to its threshold that another
correct implementation could take it the other way.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from checkpoints_sinks import CASES, DIMS
from common import GOLDEN, normal, setup, write_compact_json, write_json, write_tensors
from golden import AROUND, FILLERS, MIN_DISTINCT, MIN_MARGIN, TWO
from intervention_options import Interventions
from interventions import Answer, Pictures, noise_schedule, noised, run
from reference_models import ReferenceModel, Request, load_reference
from tokenizers_tiny import WORDS

STEPS, TOP = 64, 5
MIN_CHANGED = 16  # of the 64 tokens
# What a decision must keep from its threshold: relative, but for the first and the last.
MIN_DISTANCE = {"top": MIN_MARGIN, "sink": 1e-3, "head": 1e-3, "set": 1e-3, "cut": 5e-4}
ALL_FILLERS = (*FILLERS, *(word for word in WORDS if word not in FILLERS))
SEED = 3  # of every golden with VCD

SINKS = f"dims={DIMS}"
VAR = {
    "var_paper": {"var": f"p=0.6,rho=0.5,tau=5,{SINKS}"},
    "var_paper_other_numbers": {
        "var": f"p=0.9,rho=0.8,tau=4,mass=0.1,layers=1-5,{SINKS}",
    },
    "var_release": {"var": f"p=0.6,rho=0.5,tau=5,{SINKS},compat=release"},
    "var_release_other_numbers": {
        "var": f"p=0.25,rho=0.3,tau=4.5,mass=0.15,layers=1-4,{SINKS},compat=release",
    },
}
MODULATE = {
    "modulate": {"modulate": "alpha=0.7,beta=0.4"},
    "modulate_calibrated": {
        "modulate": "alpha=0.5,beta=0.8,local=0.35,spatial=0.2,layers=1-4,"
        "heads=calibrated,start=decode",
    },
}
PAI = {
    "pai": {"pai": "alpha=0.5"},
    "pai_from_decode": {"pai": "alpha=0.3,layers=0-4,start=decode"},
}
GUIDANCE = {
    "guidance_pai": {"guidance": "gamma=1.1", "pai": "alpha=0.2"},
    "guidance_pai_from_decode": {
        "guidance": "gamma=1.6,cut=0.02",
        "pai": "alpha=0.5,start=decode",
    },
    "guidance_modulate": {"guidance": "gamma=1.1,cut=0.1", "modulate": "alpha=0.7,beta=0.4"},
    "guidance_modulate_spatial": {
        "guidance": "gamma=2,cut=0.05",
        "modulate": "alpha=0.4,beta=0.6,local=0.1,spatial=0.3,start=decode",
    },
}
VCD = {
    "vcd": {"vcd": "alpha=1,beta=0.1,steps=500"},
    "vcd_other_numbers": {"vcd": "alpha=0.5,beta=0.2,steps=900"},
    "vcd_var": {"vcd": "alpha=1,beta=0.1,steps=500", "var": f"p=0.6,rho=0.5,tau=5,{SINKS}"},
}
EVERY = VAR | MODULATE | PAI | GUIDANCE | VCD
ONE_OF_EACH = (
    "var_paper",
    "var_paper_other_numbers",
    "var_release",
    "modulate",
    "pai",
    "guidance_pai",
    "guidance_modulate",
    "vcd",
)
PLANS: dict[str, tuple[tuple[str, ...], list[Request]]] = {
    "llava_sinks": (tuple(EVERY), [AROUND, TWO]),
    "binocle_sinks_vo": (ONE_OF_EACH, [TWO, AROUND]),
    "binocle_sinks_mixed": (("var_paper", "var_release", "modulate", "vcd"), [TWO, AROUND]),
}


class Rejected(Exception):
    pass


def distances(answer: Answer) -> dict[str, float]:
    """Smallest distance of every kind of decision from its threshold."""
    found = dict(answer.margins)
    if answer.steering.var is not None:
        found |= answer.steering.var.margins
    if answer.sets:
        found["set"] = min(s.slack for s in answer.sets)
    return found


def reject_near_decisions(answer: Answer) -> None:
    for name, distance in distances(answer).items():
        if distance < MIN_DISTANCE[name]:
            raise Rejected(f"{name}: {distance:.2e}")


def reject_forbidden(answer: Answer, model: ReferenceModel) -> None:
    last = answer.token_ids[-1]
    if last in model.special_ids or last >= model.vocab_limit:
        raise Rejected(f"id {last} came out")


class Search:
    """Runs of one checkpoint. Runs without intervention are kept: many settings ask for them."""

    def __init__(self, folder: Path):
        self.folder, self.model = folder, load_reference(folder)
        self.pictures = Pictures(self.model, folder)
        self.plain: dict[str, Answer | None] = {}

    def run(self, request: Request, options: Interventions, **more: Any) -> Answer:
        return run(self.model, self.folder, request, options, self.pictures, steps=STEPS, **more)

    def accept(self, answer: Answer) -> None:
        reject_near_decisions(answer)
        reject_forbidden(answer, self.model)

    def without(self, request: Request) -> Answer:
        key = repr(request)
        if key not in self.plain:
            try:
                self.plain[key] = self.run(request, Interventions(), accept=self.accept)
            except Rejected:
                self.plain[key] = None
        if self.plain[key] is None:
            raise Rejected("without intervention")
        return self.plain[key]

    def attempt(self, request: Request, options: Interventions) -> tuple[Answer, Answer]:
        plain = self.without(request)
        answer = self.run(request, options, accept=self.accept)
        if len(set(answer.token_ids)) < MIN_DISTINCT:
            raise Rejected("few different tokens")
        if sum(changes(answer, plain)) < MIN_CHANGED:
            raise Rejected("hardly changes anything")
        counts = answer.steering.var.counts if answer.steering.var else {"": 1}
        if not all(counts.values()):
            raise Rejected("a test of VAR always has the same result")
        return answer, plain

    def first_acceptable(self, request: Request, options: Interventions) -> tuple[Answer, Answer]:
        reasons = []
        for filler in ALL_FILLERS:
            filled = request | {"prompt": request["prompt"].replace("{}", filler)}
            try:
                return self.attempt(filled, options)
            except Rejected as reason:
                reasons.append(str(reason))
        raise RuntimeError(f"no filler is acceptable for {request['id']}: {reasons}")


def changes(answer: Answer, plain: Answer) -> list[bool]:
    return [a != b for a, b in zip(answer.token_ids, plain.token_ids, strict=True)]


def run_json(name: str, answer: Answer, plain: Answer, model: ReferenceModel) -> dict[str, Any]:
    changed = changes(answer, plain)
    values = {
        "name": name,
        **answer.request,
        "options": EVERY[name],
        "seed": answer.options.seed,
        "applied": answer.options.to_json(),
        "prompt_token_ids": answer.prompt_ids,
        "image_tokens": answer.prompt_ids.count(model.image_id),
        "token_ids": answer.token_ids,
        "answer": model.text(answer.token_ids),
        "plain_token_ids": plain.token_ids,
        "changed_tokens": sum(changed),
        "first_changed": changed.index(True),
        "distances": {k: round(v, 6) for k, v in distances(answer).items()},
    }
    if answer.steering.var is not None:
        values["var_decisions"] = answer.steering.var.counts
    return values


def write_head_factors(folder: Path, layers: int, heads: int) -> None:
    """Factors between 0.4 and 1.6, of mean 1 in every layer."""
    rows = []
    for layer in range(layers):
        drawn = torch.linspace(0.4, 1.6, heads)[normal(f"head {layer}", (heads,), 1).argsort()]
        rows.append([round(x, 2) for x in drawn.tolist()])
    values = {"factors": [c for row in rows for c in row], "layers": layers, "heads": heads}
    write_json(folder / "head_sensitivity.json", values)


def stages(search: Search, request: Request) -> Iterator[tuple[str, torch.Tensor]]:
    """phi, sinks and masses of the prompt, without redistribution (p=0) and with it."""
    every = f"rho=0.5,tau=5,layers=0-5,{SINKS}"
    for name, text in (("plain", f"p=0,{every}"), ("var", EVERY["var_paper"]["var"])):
        options = Interventions.parse({"var": text})
        answer = run(
            search.model, search.folder, request, options, search.pictures, steps=1, trace=True
        )
        var, length = answer.steering.var, len(answer.prompt_ids)
        layers = sorted(var.trace["phi"])
        yield f"stages.{name}.phi", torch.stack([var.trace["phi"][n] for n in layers])
        yield f"stages.{name}.sinks", torch.stack([var.sinks[n][:length] for n in layers]).byte()
        acting = sorted(var.trace["masses"])
        yield f"stages.{name}.masses", torch.stack([var.trace["masses"][n] for n in acting])


def sets_json(answer: Answer) -> list[dict[str, Any]]:
    return [
        {
            "image": path,
            "local": s.local,
            "summary": s.summary,
            "spatial": s.spatial,
            "boosted": s.boosted,
        }
        for path, s in zip(answer.request["images"], answer.sets, strict=True)
    ]


def set_scores(answer: Answer) -> Iterator[tuple[str, torch.Tensor]]:
    for path, sets in zip(answer.request["images"], answer.sets, strict=True):
        for name, scores in sets.scores.items():
            yield f"sets.{Path(path).stem}.{name}", scores


def vcd_stages(search: Search, answer: Answer) -> Iterator[tuple[str, torch.Tensor]]:
    """Noised pixels (the first 16 of each tower) and the visual tokens made from them."""
    clean = [search.pictures[path][0] for path in answer.request["images"]]
    vcd = answer.options.vcd
    for i, pixels in enumerate(noised(clean, vcd.steps, answer.options.seed)):
        for role, values in pixels.items():
            yield f"vcd.image{i}.noised.{role}", values.flatten()[:16]
        yield f"vcd.image{i}.projected", search.model.encode_pixels(pixels)["projected"]


def make(name: str, root: Path) -> None:
    folder = root / name
    names, requests = PLANS[name]
    if name == "llava_sinks":
        write_head_factors(folder, 6, 4)
    search = Search(folder)
    info: dict[str, Any] = {"runs": [], "sets": {}}
    tensors: dict[str, torch.Tensor] = {}
    for setting in names:
        options = Interventions.parse(EVERY[setting], SEED if "vcd" in EVERY[setting] else 0)
        for request in requests:
            answer, plain = search.first_acceptable(request, options)
            index = len(info["runs"])
            info["runs"].append(run_json(setting, answer, plain, search.model))
            tensors[f"run{index}.top{TOP}"] = answer.log_probs(TOP).float()
            print(name, setting, describe(info["runs"][-1]), flush=True)
            if answer.sets:
                info["sets"].setdefault(setting, []).extend(sets_json(answer))
                tensors |= dict(set_scores(answer))
            if setting == "vcd" and request is TWO and name != "binocle_sinks_mixed":
                tensors |= dict(vcd_stages(search, answer))
    first = info["runs"][0]
    kept = {k: first[k] for k in ("id", "images", "prompt", "prompt_format")}
    tensors |= dict(stages(search, kept))
    info["stages"] = {"request": kept, "prompt_token_ids": first["prompt_token_ids"]}
    schedule = noise_schedule()
    info["noise_schedule"] = {str(t): schedule[t].item() for t in (0, 1, 250, 500, 900, 999)}
    write_tensors(folder / "interventions.safetensors", tensors)
    write_compact_json(folder / "interventions.json", info)


def describe(values: dict[str, Any]) -> str:
    return (
        f"{values['id']}: {values['prompt']!r} changes {values['changed_tokens']} tokens from "
        f"{values['first_changed']} on, {values['distances']} {values.get('var_decisions', '')}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=GOLDEN)
    parser.add_argument("--only", nargs="*", help="cases; all by default")
    args = parser.parse_args()
    setup()
    for name in args.only or CASES:
        make(name, args.out)


if __name__ == "__main__":
    main()
