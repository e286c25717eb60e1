"""The losses: patch classes, answers, and telling the attention where to look."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from nets import heads as H
from nets.shape import ANCHOR, AUGMENT, FUSION_HEADS, grid
from scenes.questions import KIND_ORDER
from .data import Text

BACKGROUND_WEIGHT = 0.25
# (layer, head) pairs, 0-based, of the decoder's supervised attention.
NAME_HEADS = ((1, 0), (2, 0))  # a name's last token -> the patches of what it names
LINK_HEADS = ((2, 1), (3, 1))  # the question's last token -> the first name
LINK_LAST_HEADS = ((2, 2), (3, 2))  # ... -> the last name
EVIDENCE_HEADS = ((3, 0), (4, 0))  # the token that predicts an answer word -> the patches of what it is about


def _where(valid: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean cross-entropy and accuracy where `valid`."""
    logits, labels = logits[valid].float(), labels[valid]
    if not len(labels):
        return logits.sum() * 0, torch.tensor(float("nan"))
    return F.cross_entropy(logits, labels), (logits.argmax(-1) == labels).float().mean()


def patch_loss(heads: H.PatchHeads, features, summary, labels, side: int) -> tuple[torch.Tensor, dict[str, float]]:
    """Object, colour and centre of every patch; letters and words for a tower that reads, presence for one with not."""
    x, report = heads.norm(features), {}
    objects = labels["object"]
    logits = heads.object(x).float()
    weight = torch.where(objects > 0, 1.0, BACKGROUND_WEIGHT)
    each = F.cross_entropy(logits.flatten(0, 1), objects.flatten(), reduction="none").view_as(weight)
    loss = (each * weight).sum() / weight.sum()
    found = logits.argmax(-1) == objects
    report["objects"] = found[objects > 0].float().mean().item()
    report["background"] = found[objects == 0].float().mean().item()
    colour, hit = _where(labels["colour"] >= 0, heads.colour(x), labels["colour"])
    report["colour"] = hit.item()
    offset = (labels["centre"] - grid(side)) * side / 4  # in quarters of the grid: about -1..1 inside a thing
    seen = objects > 0
    centre = F.smooth_l1_loss(heads.centre(x).float()[seen], offset[seen])
    loss = loss + 0.5 * colour + 0.5 * centre
    if not heads.reads:
        there = labels["presence"]
        guess = heads.presence(summary).float()
        report["presence"] = ((guess > 0) & (there > 0)).sum().item() / there.sum().item()
        middle = F.cross_entropy(heads.middle(x).float()[seen], labels["middle"][seen])
        report["middle"] = ((heads.middle(x).argmax(-1) == labels["middle"])[seen]).float().mean().item()
        return loss + middle + 5 * F.binary_cross_entropy_with_logits(guess, there), report
    on_sign = objects == H.SIGN_CLASS
    letter, _ = _where(on_sign, heads.letter(x), labels["letter"])
    _, report["letter"] = _where(labels["letter"] > 0, heads.letter(x).detach(), labels["letter"])
    place, _ = _where(labels["place"] >= 0, heads.place(x), labels["place"])
    word, report["word"] = _where(on_sign, heads.word(x), labels["word"])
    report["letter"], report["word"] = report["letter"].item(), report["word"].item()
    return loss + letter + 0.5 * place + word, report


def word_loss(head: H.WordHead, visual, labels) -> tuple[torch.Tensor, float]:
    """The sign's word from each of its visual tokens: cross-entropy and accuracy."""
    loss, hit = _where(labels["word"] >= 0, head(visual), labels["word"])
    return loss, hit.item()


def answer_loss(logits: torch.Tensor, text: Text) -> tuple[torch.Tensor, dict[str, float]]:
    """Weighted cross-entropy of the answer tokens, and the share of exact answers per kind.

    An answer is exact when each token is right given the right ones before it, which is when greedy decoding gives it.
    """
    batch, _, ids, weight, kind, question = text.targets
    each = F.cross_entropy(logits.float(), ids, reduction="none")
    wrong = (logits.argmax(-1) != ids).float()
    asked = batch * 64 + question
    size = int(asked.max()) + 1
    failed = torch.zeros(size).scatter_reduce_(0, asked, wrong, "amax")
    kinds = torch.full((size,), -1).scatter_(0, asked, kind)
    report = {name: 1 - failed[kinds == i].mean().item() for i, name in enumerate(KIND_ORDER) if (kinds == i).any()}
    return (each * weight).sum() / weight.sum(), report


def _mass_loss(p, heads, batch, row, allowed, share) -> torch.Tensor:
    """-log of the attention that falls on one owner's patches, `allowed` [R, n]; lowest at `share` for each owner.

    Where a name has k bearers each should get 1/k of the attention: the mean over equal parts is what counting reads.
    """
    total = 0.0
    for layer, head in heads:
        rows = p[layer][batch, head, row, :allowed.shape[1]].float()
        total = total - (share * (((rows * allowed).sum(-1) + 1e-4) / share).log()).sum() / share.sum()
    return total / len(heads)


def _link_loss(p, heads, batch, row, to, visual: int) -> torch.Tensor:
    total = 0.0
    for layer, head in heads:
        total = total - (p[layer][batch, head, row, visual + to].float() + 1e-4).log().mean()
    return total / len(heads)


def attention_loss(p: list[torch.Tensor], text: Text, visual: int) -> tuple[torch.Tensor, dict[str, float]]:
    """Names to their patches, the question's end to the names, answers to their evidence.

    Without it the decoder settles on a bag of objects and never learns to ground a name.
    """
    names = _mass_loss(p, NAME_HEADS, *text.names)
    evidence = _mass_loss(p, EVIDENCE_HEADS, *text.evidence)
    batch, row, first, last = text.links
    links = (_link_loss(p, LINK_HEADS, batch, row, first, visual)
             + _link_loss(p, LINK_LAST_HEADS, batch, row, last, visual))
    report = {"names": names.item(), "evidence": evidence.item(), "links": links.item()}
    return names + evidence + 0.5 * links, report


def _neighbourhood() -> torch.Tensor:
    """[n_a, n_b]: the augmenting patches whose centre is within an anchor patch or next to it."""
    a, b = grid(ANCHOR.side), grid(AUGMENT.side)
    reach = 0.5 / ANCHOR.side + 0.5 / AUGMENT.side
    return ((a[:, None] - b[None]).abs().amax(-1) < reach).float()


NEIGHBOURS = _neighbourhood()
LOCAL_HEADS = 4  # of the fusion; the others look where they like


def fusion_loss(p: torch.Tensor) -> torch.Tensor:
    """Most heads of the fusion should look at the same place in the other view."""
    p = p.view(-1, FUSION_HEADS, *p.shape[1:])[:, :LOCAL_HEADS].float()
    return -((p * NEIGHBOURS).sum(-1) + 1e-4).log().mean()
