"""Makes tests/golden/<case>/composite.json: composite_goldens.py [--out DIR] [--only CASE ...].
golden.py and intervention_goldens.py must have written the checkpoints.

How far LLaVA's next-token distributions move when some layers of its stock language model become
composite (docs/composite.md): transformers' layers one after the other, a composite one under the
mask that lets each visual row see itself alone (binocle_torch.composite_layer). The answer is the
stock model's own greedy one; every other pass reads it as given.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

import conversations
from binocle_torch import causal_mask, composite_layer
from common import GOLDEN, read_json, setup, write_compact_json
from reference_models import LlavaReference

CASES = ("llava", "llava_sinks")
ALIGNERS = ("vo_ffn", "vo", "none")
IMAGES = tuple(f"../images/scene_{size}.png" for size in ("61x83", "130x70", "70x70"))
PROMPT = "Describe the picture."
TOKENS = 16
# What is nearer to a tie than these could come out either way in f32.
MIN_MARGIN, MIN_GAP = 1e-3, 1e-3


def logits_of(
    model: LlavaReference, ids: list[int], visual: torch.Tensor, layers: set[int], aligner: str
) -> torch.Tensor:
    """[T, V] with these layers composite; none: the stock model."""
    tokens = torch.tensor([ids])
    shown = tokens == model.image_id
    lm = model.model.model.language_model
    x = model.model.get_input_embeddings()(tokens).masked_scatter(shown[..., None], visual)
    rotary = lm.rotary_emb(x, torch.arange(len(ids))[None])
    mask = causal_mask(len(ids))[None, None]
    for index, layer in enumerate(lm.layers):
        if index in layers:
            x = composite_layer(layer, x, shown[0], aligner, rotary)
        else:
            x = layer(x, attention_mask=mask, position_embeddings=rotary)
    return model.model.lm_head(lm.norm(x))[0]


@dataclass
class Asked:
    prompt: list[int]
    answer: list[int]
    visual: torch.Tensor
    stock: torch.Tensor  # [TOKENS, V]

    def rows(self, logits: torch.Tensor) -> torch.Tensor:
        """Those that give the answer's tokens, of the prompt's last row on."""
        return logits[len(self.prompt) - 1 :]


def margin(logits: torch.Tensor) -> float:
    top = logits.topk(2).values
    return float((top[:, 0] - top[:, 1]).min())


def ask(model: LlavaReference, picture: Path) -> Asked:
    """The greedy answer of transformers' own forward pass."""
    visual = model.encode(Image.open(picture))["projected"]
    text = conversations.render("vicuna_v1", [(PROMPT, None)], None, [1])
    request = {"id": "", "images": [str(picture)], "prompt": text, "prompt_format": "raw"}
    prompt = model.prompt(request, len(visual))
    ids, rows = list(prompt), []
    for _ in range(TOKENS):
        rows.append(model.forward(ids, visual)[0][-1])
        ids.append(int(rows[-1].argmax()))
    answer = ids[len(prompt) :]
    if margin(torch.stack(rows)) < MIN_MARGIN or set(answer) & model.special_ids:
        raise RuntimeError(f"the answer about {picture} could come out otherwise")
    return Asked(prompt, answer, visual, torch.stack(rows))


def multiply_adds(model: LlavaReference, asked: Asked, layers: set[int], aligner: str) -> int:
    """Of the visual rows: one for each weight of a projection, two heads' width for each key."""
    config = model.model.config.text_config
    seen = 2 * config.num_attention_heads * config.head_dim
    places = [i for i, token in enumerate(asked.prompt) if token == model.image_id]
    total = 0
    for index, layer in enumerate(model.model.model.language_model.layers):
        of = {name: p.numel() for name, p in layer.named_parameters() if "_proj" in name}
        kv = of["self_attn.k_proj.weight"] + of["self_attn.v_proj.weight"]
        out = of["self_attn.o_proj.weight"]
        ffn = sum(n for name, n in of.items() if name.startswith("mlp."))
        if index in layers:
            used = kv + (aligner != "none") * out + (aligner == "vo_ffn") * ffn
            total += len(places) * used
        else:
            total += len(places) * sum(of.values()) + sum(seen * (p + 1) for p in places)
    return total


def measure(
    model: LlavaReference, asked: list[Asked], layers: set[int], aligner: str
) -> dict[str, Any]:
    """KL divergence from stock in nats, mean over the answers' tokens; tokens that change; how much
    of the visual rows' arithmetic is saved."""
    sums, changed, count, before, after = 0.0, 0, 0, 0, 0
    for a in asked:
        logits = a.rows(logits_of(model, a.prompt + a.answer[:-1], a.visual, layers, aligner))
        if margin(logits) < MIN_MARGIN / 10:
            raise RuntimeError(f"{aligner} {sorted(layers)}: how many tokens change is uncertain")
        p, q = (torch.log_softmax(x.double(), dim=-1) for x in (a.stock, logits))
        sums += float((p.exp() * (p - q)).sum())
        changed += int((logits.argmax(-1) != torch.tensor(a.answer)).sum())
        count += len(a.answer)
        before += multiply_adds(model, a, set(), aligner)
        after += multiply_adds(model, a, layers, aligner)
    return {"movement": sums / count, "changed_tokens": changed, "saved": 1 - after / before}


def run(model: LlavaReference, asked: list[Asked], aligner: str) -> dict[str, Any]:
    count = model.model.config.text_config.num_hidden_layers
    alone = [{"layer": i} | measure(model, asked, {i}, aligner) for i in range(count)]
    order = sorted(alone, key=lambda m: m["movement"])
    for a, b in zip(order, order[1:], strict=False):
        if b["movement"] - a["movement"] < MIN_GAP * b["movement"]:
            raise RuntimeError(f"{aligner}: {a['layer']} and {b['layer']} could change places")
    together, layers = [], set()
    for m in order:
        layers.add(m["layer"])
        together.append({"layer": m["layer"]} | measure(model, asked, layers, aligner))
    return {"aligner": aligner, "alone": alone, "together": together}


def write_case(case: str, out: Path) -> None:
    folder = out / case
    model = LlavaReference(folder)
    asked = [ask(model, folder / path) for path in IMAGES]
    for a in asked:  # the layers one by one are the model
        again = a.rows(logits_of(model, a.prompt + a.answer[:-1], a.visual, set(), "vo_ffn"))
        torch.testing.assert_close(again, a.stock, rtol=1e-5, atol=1e-5)
    write_compact_json(
        folder / "composite.json",
        {
            "model_type": read_json(folder / "config.json")["model_type"],
            "prompt": PROMPT,
            "images": list(IMAGES),
            "answers": [{"prompt_token_ids": a.prompt, "token_ids": a.answer} for a in asked],
            "runs": [run(model, asked, aligner) for aligner in ALIGNERS],
        },
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=GOLDEN)
    parser.add_argument("--only", nargs="+", default=list(CASES), choices=CASES)
    args = parser.parse_args()
    setup()
    for case in args.only:
        write_case(case, args.out)


if __name__ == "__main__":
    main()
