"""The losses of what is said: the answers, and telling the attention where to look."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from nets.decoder import Decoder
from world.questions import KIND_ORDER
from .text import Text

# (layer, head) pairs, 0-based, of the decoder's supervised attention.
NAME_HEADS = ((1, 0), (2, 0))  # a name's last token -> the patches of what it names
LINK_HEADS = ((2, 1), (3, 1))  # the question's last token -> the first name
LINK_LAST_HEADS = ((2, 2), (3, 2))  # ... -> the last name
EVIDENCE_HEADS = ((3, 0), (4, 0))  # the token that predicts an answer word -> the patches of what it is about
LETTER_HEADS = ((3, 3), (4, 3))  # the token that predicts a letter -> the patches that show it


def answer_loss(logits: torch.Tensor, text: Text) -> tuple[torch.Tensor, dict[str, float]]:
    """Weighted cross-entropy of the answer tokens, and the share of exact answers per kind."""
    line, _, ids, weight, kind, question = text.targets
    each = F.cross_entropy(logits.float(), ids, reduction="none")
    wrong = (logits.argmax(-1) != ids).float()
    asked = line * 64 + question
    size = int(asked.max()) + 1
    failed = torch.zeros(size, device=wrong.device).scatter_reduce_(0, asked, wrong, "amax").cpu()
    kinds = torch.full((size,), -1, device=kind.device).scatter_(0, asked, kind).cpu()
    report = {name: 1 - failed[kinds == i].mean().item() for i, name in enumerate(KIND_ORDER) if (kinds == i).any()}
    return (each * weight).sum() / weight.sum(), report


def _wanted(text: Text) -> list[tuple[tuple[tuple[int, int], ...], tuple]]:
    """Which heads are told to look where: (heads, (line, row, columns to look at [R, n] or index, share or None))."""
    line, row, first, last = text.links
    return [(NAME_HEADS, text.names), (EVIDENCE_HEADS, text.evidence), (LETTER_HEADS, text.letters),
            (LINK_HEADS, (line, row, first, None)), (LINK_LAST_HEADS, (line, row, last, None))]


def _mass_loss(rows, allowed, share) -> torch.Tensor:
    """-log of the attention that falls on one owner's patches, `allowed` [R, n]; lowest at `share` for each owner.

    Where a name has k bearers each should get 1/k of the attention: the mean over equal parts is what counting reads.
    """
    mass = (rows[:, :allowed.shape[1]] * allowed).sum(-1) + 1e-4
    return -(share * (mass / share.clamp_min(1e-3)).log()).sum() / share.sum().clamp_min(1e-3)


def attention_loss(p: list[torch.Tensor], text: Text, visual: int) -> tuple[torch.Tensor, dict[str, float]]:
    """Names to their patches, the question's end to the names, answers to their evidence, letters to theirs.

    Without it the decoder settles on a bag of objects and never learns to ground a name. Each layer's probabilities are
    indexed once: every indexing costs a gradient of their full size.
    """
    wanted, losses = _wanted(text), [0.0] * 5
    for layer in range(len(p)):
        asked = [(i, head, look) for i, (heads, look) in enumerate(wanted) for at, head in heads
                 if at == layer and len(look[0])]
        if not asked:
            continue
        line, row = (torch.cat([look[k] for _, _, look in asked]) for k in range(2))
        head = torch.cat([torch.full_like(look[0], head) for _, head, look in asked])
        found = p[layer][line, head, row].float().split([len(look[0]) for _, _, look in asked])
        for (i, _, (_, _, where, share)), rows in zip(asked, found):
            if share is None:
                part = -(rows.gather(1, (visual + where)[:, None]) + 1e-4).log().mean()
            else:
                part = _mass_loss(rows, where, share)
            losses[i] = losses[i] + part / len(wanted[i][0])
    names, evidence, letters, first, last = losses
    parts = {"names": names, "evidence": evidence, "letters": letters, "links": 0.5 * (first + last)}
    parts = {k: v for k, v in parts.items() if isinstance(v, torch.Tensor)}
    return sum(parts.values()), {k: v.item() for k, v in parts.items()}


def answer(decoder: Decoder, visual: torch.Tensor, text: Text) -> tuple[torch.Tensor, dict[str, float]]:
    """Answer loss plus the attention loss."""
    hidden, attentions = decoder(visual, text.picture, text.tokens, text.positions, text.mask)
    logits = decoder.logits(hidden[text.targets[0], text.targets[1]])
    loss, report = answer_loss(logits, text)
    look, looks = attention_loss(attentions, text, visual.shape[1])
    return loss + 0.3 * look, {"answer": loss.item(), **report, **looks}
