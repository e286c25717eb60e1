"""Makes tests/golden/<case>/attention.{json,safetensors}: attention_goldens.py [--out DIR] [--only CASE ...].
intervention_goldens.py must have written its files: this takes some of its runs.

Per run, for the rows that gave the first tokens of the answer, of transformers' eager attention with the run's interventions applied:
`maps` [tokens, visual tokens], the weights that made the output, mean over layers and heads; `grounding` [tokens], the mean weight on
visual keys that are no sinks over the image-centric heads, before redistribution; `last_row` [L, prompt], the weights of the prompt's
last row, mean over heads. The answer is given, so that one pass over prompt and answer shows all its rows.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from common import GOLDEN, read_json, setup, write_json, write_tensors
from intervention_options import Interventions, Var
from interventions import Answer, Pictures, decoder_layers, steering_of
from reference_models import ReferenceModel, load_reference
from steering import Masses, VarSteering, steered

TOKENS = 8
NAMES = ("plain", "var_paper", "var_paper_other_numbers", "modulate", "pai_from_decode", "guidance_pai")
CASES = ("llava_sinks", "binocle_sinks_mixed")
DEFAULT_TESTS = {"mass": 0.2, "rho": 0.5}  # of image-centric heads, unless VAR's paper form brings its own


@dataclass
class Recorder(VarSteering):
    """VAR as the run has it, or none, with every layer's weights before and after it."""

    on: bool = True
    before: dict[int, torch.Tensor] = field(default_factory=dict)
    after: dict[int, torch.Tensor] = field(default_factory=dict)

    def change_weights(self, layer: int, weights: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        self.before[layer] = weights
        self.after[layer] = super().change_weights(layer, weights, positions) if self.on else weights
        return self.after[layer]


def forced(model: ReferenceModel, folder: Path, run: dict[str, Any], tokens: list[int]) -> Recorder:
    """One pass over the prompt and the answer's first tokens."""
    pictures = Pictures(model, folder)
    found = [pictures[path] for path in run["images"]]
    options = Interventions.parse(run["options"], run["seed"]).filled(len(decoder_layers(model)), folder)
    answer = Answer(run, options, run["prompt_token_ids"])
    steering = steering_of(model, answer, [pixels for pixels, _ in found], folder, None)
    visual = torch.tensor(answer.prompt_ids) == model.image_id
    # Sinks count for grounding whether VAR is on or not; without --var a model without sink_dims.json has none that are known.
    nothing = Var(dims=[0], tau=float("inf")).filled(len(decoder_layers(model)), folder)
    recorder = Recorder(options.var or nothing, visual, on=options.var is not None)
    steering.var = recorder
    ids = answer.prompt_ids + tokens[: TOKENS - 1]
    with steered(decoder_layers(model), steering):
        model.forward(ids, torch.cat([features for _, features in found]))
    return recorder


def grounding(recorder: Recorder, row: int, tests: dict[str, float]) -> float:
    masses = []
    for layer, weights in recorder.before.items():
        sinks = recorder.sinks[layer]
        visual = torch.nn.functional.pad(recorder.visual, (0, len(sinks) - len(recorder.visual)))
        m = Masses.of(weights.double(), visual, sinks)
        centric = (m.visual >= tests["mass"]) & (m.plain >= tests["rho"] * m.visual) & (m.visual > 0)
        masses.append(m.plain[:, row][centric[:, row]])
    kept = torch.cat(masses)
    return float(kept.mean()) if len(kept) else 0.0


def tensors_of(recorder: Recorder, tests: dict[str, float]) -> dict[str, torch.Tensor]:
    prompt = len(recorder.visual)
    rows = range(prompt - 1, prompt - 1 + TOKENS)
    after = torch.stack([recorder.after[layer] for layer in sorted(recorder.after)]).double()  # [L, H, Q, K]
    visual = recorder.visual.nonzero()[:, 0]
    return {
        "maps": after[:, :, rows][..., visual].mean((0, 1)).float(),
        "grounding": torch.tensor([grounding(recorder, row, tests) for row in rows]),
        "last_row": after[:, :, prompt - 1, :prompt].mean(1).float(),
    }


def write_case(case: str, out: Path) -> None:
    folder = out / case
    model = load_reference(folder)
    saved = read_json(folder / "interventions.json")["runs"]
    first = next(run for run in saved if run["name"] == "var_paper")
    plain = first | {"name": "plain", "options": {}, "token_ids": first["plain_token_ids"], "applied": {}}
    runs, tensors = [], {}
    for name in NAMES:
        run = plain if name == "plain" else next((r for r in saved if r["name"] == name), None)
        if run is None:
            continue
        var = run["applied"].get("var")
        tests = {key: var[key] for key in DEFAULT_TESTS} if var else DEFAULT_TESTS
        for key, value in tensors_of(forced(model, folder, run, run["token_ids"]), tests).items():
            tensors[f"{name}.{key}"] = value
        runs.append({key: run[key] for key in ("name", "images", "prompt", "prompt_format", "options", "seed")} | {"token_ids": run["token_ids"][:TOKENS]})
    write_json(folder / "attention.json", {"runs": runs})
    write_tensors(folder / "attention.safetensors", tensors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=GOLDEN)
    parser.add_argument("--only", nargs="+", default=list(CASES), choices=CASES)
    args = parser.parse_args()
    setup()
    for case in args.only:
        write_case(case, args.out)


if __name__ == "__main__":
    main()
