"""The interventions of docs/interventions.md on stock transformers, an oracle for the C++ program:

    interventions.py MODEL --requests FILE --out FILE [--var TEXT] [--modulate TEXT] [--pai TEXT]
                     [--guidance TEXT] [--vcd TEXT] [--seed N] [--max-new-tokens N] [--no-cache]

MODEL is a LLaVA or a Binocle directory, FILE a JSON list of {id, images, prompt, prompt_format}
(images relative to MODEL). Greedy; end tokens do not stop a run. OUT gets, per request, the ids and
the ten largest log-probabilities of every step. LLaVA runs as LlavaForConditionalGeneration with
eager attention and a key/value cache (the prompt, then one token at a time); Binocle directories,
and LLaVA with --no-cache, compute the whole sequence again at every step.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import DynamicCache

from common import read_json, setup, write_compact_json
from intervention_options import KINDS, Interventions, saved_head_factors
from reference_models import (
    BinocleReference,
    LlavaReference,
    ReferenceModel,
    Request,
    Stages,
    load_reference,
    pixels_of,
)
from steering import Rules, ScoreSteering, Steering, VarSteering, steered
from token_sets import TokenSets, leading_tower, patch_places, token_sets

NOISE_STEPS = 1000
ROLES = ("anchor", "augment")


# --- sequences ------------------------------------------------------------------------------------


def decoder_layers(model: ReferenceModel) -> torch.nn.ModuleList:
    if isinstance(model, LlavaReference):
        return model.model.model.language_model.layers
    assert isinstance(model, BinocleReference)
    return model.model.lm.model.layers


@dataclass
class Sequence:
    """Ids with their visual tokens, and what their attention goes through."""

    model: ReferenceModel
    ids: list[int]
    visual: torch.Tensor | None  # [image positions, D]
    steering: Steering = field(default_factory=Steering)

    def append(self, token: int) -> None:
        self.ids.append(token)

    def next_logits(self) -> torch.Tensor:
        """[V], after the last id; everything computed again."""
        with steered(decoder_layers(self.model), self.steering):
            return self.model.forward(self.ids, self.visual)[0][-1]


@dataclass
class CachedSequence(Sequence):
    """Stock LLaVA with a cache: the prompt in one pass, then a token a step."""

    cache: DynamicCache = field(default_factory=DynamicCache)

    def next_logits(self) -> torch.Tensor:
        llava = self.model.model
        self.steering.past = self.cache.get_seq_length()
        tokens = torch.tensor([self.ids[self.steering.past :]])
        x = llava.get_input_embeddings()(tokens)
        places = tokens == self.model.image_id
        if places.any():
            x = x.masked_scatter(places[..., None], self.visual)
        with steered(decoder_layers(self.model), self.steering):
            out = llava(inputs_embeds=x, past_key_values=self.cache, use_cache=True)
        return out.logits[0, -1]


# --- second sequences -----------------------------------------------------------------------------


def guided(
    logits: torch.Tensor, second: torch.Tensor, gamma: float, cut: float
) -> tuple[torch.Tensor, float]:
    """(u + gamma (l - u) with -inf where excluded, distance of the nearest token to the cut)."""
    log_p, log_u = (torch.log_softmax(x.double(), -1) for x in (logits, second))
    return excluded(log_u + gamma * (log_p - log_u), log_p, cut)


def contrasted(
    logits: torch.Tensor, second: torch.Tensor, alpha: float, beta: float
) -> tuple[torch.Tensor, float]:
    """VCD: ((1 + alpha) logits - alpha second with -inf where excluded, distance to the cut)."""
    clean = logits.double()
    return excluded((1 + alpha) * clean - alpha * second.double(), clean, beta)


def excluded(out: torch.Tensor, clean: torch.Tensor, cut: float) -> tuple[torch.Tensor, float]:
    """Without the tokens that the clean sequence finds less than `cut` times as likely as its best
    one."""
    above = clean - (clean.max() + torch.tensor(cut, dtype=torch.float64).log())
    return out.masked_fill(above < 0, -torch.inf), above.abs().min().item()


def noise_schedule() -> torch.Tensor:
    """cumprod(1 - beta) [1000], in f32 as the released code has it."""
    steps = torch.linspace(-6, 6, NOISE_STEPS)
    betas = torch.sigmoid(steps) * (0.5e-2 - 1e-5) + 1e-5
    return torch.cumprod(1 - betas, dim=0)


def noised(pictures: list[Stages], steps: int, seed: int, roles: tuple[str, ...] = ROLES) -> list[Stages]:
    """Every picture, in the order of the request, for every tower that fusion takes: anchor before augment."""
    kept = noise_schedule()[steps]
    torch.manual_seed(seed)

    def noise(clean: torch.Tensor) -> torch.Tensor:
        return kept.sqrt() * clean + (1 - kept).sqrt() * torch.randn(clean.shape)

    return [{role: noise(p[role]) for role in roles if role in p} for p in pictures]


# --- one answer -----------------------------------------------------------------------------------


@dataclass
class Answer:
    request: Request
    options: Interventions  # filled
    prompt_ids: list[int]
    token_ids: list[int] = field(default_factory=list)
    out: list[torch.Tensor] = field(default_factory=list)  # [V] a step, -inf where excluded
    margins: dict[str, float] = field(default_factory=dict)
    steering: Steering = field(default_factory=Steering)
    sets: list[TokenSets] = field(default_factory=list)

    def log_probs(self, count: int) -> torch.Tensor:
        """[steps, count, 2]: id and log-probability; -1 and -inf where fewer tokens are left."""
        values, ids = torch.log_softmax(torch.stack(self.out).double(), -1).topk(count)
        ids = torch.where(values.isinf(), -1, ids)
        return torch.stack([ids.double(), values], -1)

    def note(self, name: str, distance: float) -> None:
        self.margins[name] = min(self.margins.get(name, float("inf")), distance)


class Pictures:
    """Pixels and visual tokens of pictures, each computed once."""

    def __init__(self, model: ReferenceModel, root: Path):
        self.model, self.root = model, root
        self.found: dict[str, tuple[Stages, torch.Tensor]] = {}

    def __getitem__(self, path: str) -> tuple[Stages, torch.Tensor]:
        if path not in self.found:
            pixels = pixels_of(self.model.processors, Image.open(self.root / path))
            self.found[path] = pixels, self.model.encode_pixels(pixels)["projected"]
        return self.found[path]


def score_steering(
    model: ReferenceModel,
    options: Interventions,
    visual: torch.Tensor,
    sets: list[TokenSets],
    folder: Path,
) -> ScoreSteering | None:
    kind = options.pai or options.modulate
    if kind is None:
        return None
    gains = torch.zeros(len(visual))
    factors = None
    if options.pai is not None:
        gains[visual] = options.pai.alpha
    elif sets:
        per_image = int(visual.sum()) // len(sets)
        places = patch_places(read_json(folder / "config.json"), len(sets[0].scores["local"]))
        starts = visual.nonzero()[::per_image, 0].tolist()
        for start, chosen in zip(starts, sets, strict=True):
            gains[[start + places[p] for p in chosen.boosted]] = options.modulate.alpha
            gains[[start + places[p] for p in chosen.summary]] = options.modulate.beta
        if options.modulate.heads == "calibrated":
            factors = torch.tensor(saved_head_factors(folder))
    first_row = len(visual) - (1 if kind.start == "prefill" else 0)
    return ScoreSteering(gains, kind.layers, first_row, factors)


def steering_of(
    model: ReferenceModel, answer: Answer, pixels: list[Stages], folder: Path, rules: Rules | None
) -> Steering:
    options = answer.options
    visual = torch.tensor(answer.prompt_ids) == model.image_id
    if options.modulate is not None:
        role, tower = leading_tower(model)
        answer.sets = [token_sets(tower, p[role], options.modulate) for p in pixels]
    steering = Steering(scores=score_steering(model, options, visual, answer.sets, folder))
    if options.var is not None:
        steering.var = VarSteering(options.var, visual, rules or Rules.of(options.var.compat))
    return steering


def second_sequence(
    model: ReferenceModel, answer: Answer, pixels: list[Stages], kind: type[Sequence]
) -> Sequence | None:
    options = answer.options
    if options.guidance is not None:
        return kind(model, [i for i in answer.prompt_ids if i != model.image_id], None)
    if options.vcd is not None and pixels:
        roles = ROLES if leading_tower(model)[0] == "anchor" else ("augment",)
        noisy = noised(pixels, options.vcd.steps, options.seed, roles)
        tokens = torch.cat([model.encode_pixels(p)["projected"] for p in noisy])
        return kind(model, list(answer.prompt_ids), tokens)
    return None


def combine(
    logits: torch.Tensor, second: Sequence | None, options: Interventions, answer: Answer
) -> torch.Tensor:
    if second is None:
        return logits.double()
    if options.guidance is not None:
        how = options.guidance
        out, nearest = guided(logits, second.next_logits(), how.gamma, how.cut)
    else:
        out, nearest = contrasted(logits, second.next_logits(), options.vcd.alpha, options.vcd.beta)
    answer.note("cut", nearest)
    return out


def run(
    model: ReferenceModel,
    folder: Path,
    request: Request,
    options: Interventions,
    pictures: Pictures,
    *,
    steps: int = 64,
    cached: bool = True,
    rules: Rules | None = None,
    trace: bool = False,
    accept: Callable[[Answer], None] = lambda answer: None,
) -> Answer:
    """Greedy. `accept` sees the answer after every step and may raise to end a search early."""
    found = [pictures[path] for path in request["images"]]
    pixels = [p for p, _ in found]
    visual = torch.cat([tokens for _, tokens in found]) if found else None
    prompt = model.prompt(request, [{"projected": tokens} for _, tokens in found])
    options = options.filled(len(decoder_layers(model)), folder)
    answer = Answer(request, options, prompt)
    kind = CachedSequence if cached and isinstance(model, LlavaReference) else Sequence
    answer.steering = steering_of(model, answer, pixels, folder, rules)
    if trace:
        answer.steering.var.trace = {"phi": {}, "masses": {}}
    clean = kind(model, list(prompt), visual, answer.steering)
    second = second_sequence(model, answer, pixels, kind)
    for _ in range(steps):
        out = combine(clean.next_logits(), second, options, answer)
        best = out.topk(2).values
        answer.note("top", float(best[0] - best[1]))
        answer.out.append(out)
        answer.token_ids.append(int(out.argmax()))
        accept(answer)
        for sequence in filter(None, (clean, second)):
            sequence.append(answer.token_ids[-1])
    return answer


# --- command line ---------------------------------------------------------------------------------


def to_json(answer: Answer, model: ReferenceModel) -> dict[str, Any]:
    steps = [
        [[int(i), round(p, 6)] for i, p in step if i >= 0] for step in answer.log_probs(10).tolist()
    ]
    return {
        "id": answer.request["id"],
        "interventions": answer.options.to_json(),
        "prompt_token_ids": answer.prompt_ids,
        "token_ids": answer.token_ids,
        "answer": model.text(answer.token_ids),
        "logprobs": steps,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--requests", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    for name in KINDS:
        parser.add_argument(f"--{name}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--no-cache", action="store_true")
    args = parser.parse_args()
    setup()
    options = Interventions.parse({name: getattr(args, name) for name in KINDS}, args.seed)
    model = load_reference(args.model)
    pictures = Pictures(model, args.model)
    answers = [
        run(
            model,
            args.model,
            request,
            options,
            pictures,
            steps=args.max_new_tokens,
            cached=not args.no_cache,
        )
        for request in read_json(args.requests)
    ]
    write_compact_json(args.out, {"requests": [to_json(answer, model) for answer in answers]})


if __name__ == "__main__":
    main()
