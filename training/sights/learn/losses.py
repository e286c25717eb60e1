"""The losses of what is seen: patch classes, letters, and where the fusion looks."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from nets import heads as H
from nets.shape import Design, grid

BACKGROUND_WEIGHT = 0.25
LOCAL_HEADS = 3  # of the fusion's four; the others look where they like


def _where(valid: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Mean cross-entropy and accuracy where `valid`."""
    logits, labels = logits[valid].float(), labels[valid]
    if not len(labels):
        return logits.sum() * 0, float("nan")
    return F.cross_entropy(logits, labels), (logits.argmax(-1) == labels).float().mean().item()


def letter_loss(letters: H.LetterHeads, place, x, labels) -> tuple[torch.Tensor, dict[str, float]]:
    """Both letters of each patch of a panel (none is a class), and the first one's place."""
    on_panel = labels["object"] >= H.SIGN_CLASS
    if not on_panel.any():
        return x.sum() * 0, {}
    x, first, second, places = (t[on_panel] for t in (x, labels["first"], labels["second"], labels["place"]))
    guess, other, where = letters.first(x).float(), letters.second(x).float(), place(x).float()
    loss = F.cross_entropy(guess, first) + 0.5 * F.cross_entropy(other, second)
    is_letter = first > 0
    report = {}
    if is_letter.any():
        loss = loss + 0.5 * F.cross_entropy(where[is_letter], places[is_letter])
        report["letter"] = (guess.argmax(-1) == first)[is_letter].float().mean().item()
        report["place"] = (where.argmax(-1) == places)[is_letter].float().mean().item()
    if (second > 0).any():
        report["second"] = (other.argmax(-1) == second)[second > 0].float().mean().item()
    return loss, report


def patch_loss(heads: H.PatchHeads, features, summary, labels, side: int) -> tuple[torch.Tensor, dict[str, float]]:
    """Object, colour, centre and letters of every patch, and presence where the tower is asked for it."""
    x, report = heads.norm(features), {}
    objects = labels["object"]
    logits = heads.object(x).float()
    weight = torch.where(objects > 0, 1.0, BACKGROUND_WEIGHT)
    each = F.cross_entropy(logits.flatten(0, 1), objects.flatten(), reduction="none").view_as(weight)
    loss = (each * weight).sum() / weight.sum()
    found = logits.argmax(-1) == objects
    named = (objects > 0) & (objects < H.SIGN_CLASS)
    report["objects"], report["background"] = found[named].float().mean().item(), found[objects == 0].float().mean().item()
    colour, report["colour"] = _where(labels["colour"] >= 0, heads.colour(x), labels["colour"])
    offset = (labels["centre"] - grid(side).to(x.device)) * side / 4  # in quarters of the grid: about -1..1 inside a thing
    seen = objects > 0
    centre = F.smooth_l1_loss(heads.centre(x).float()[seen], offset[seen])
    middle, report["middle"] = _where(named, heads.middle(x), labels["middle"])
    letter, more = letter_loss(heads.letters, heads.place, x, labels)
    loss, report = loss + 0.5 * colour + 0.5 * centre + 0.5 * middle + letter, report | more
    if heads.presence is None:
        return loss, report
    there = labels["presence"]
    guess = heads.presence(summary).float()
    report["presence"] = ((guess > 0) & (there > 0)).sum().item() / there.sum().item()
    return loss + 20 * F.binary_cross_entropy_with_logits(guess, there), report


def visual_loss(heads: H.VisualHeads, visual, labels) -> tuple[torch.Tensor, dict[str, float]]:
    """What the visual tokens themselves must say: object and letters."""
    x = heads.norm(visual)
    objects = labels["object"]
    weight = torch.where(objects > 0, 1.0, BACKGROUND_WEIGHT)
    each = F.cross_entropy(heads.object(x).float().flatten(0, 1), objects.flatten(), reduction="none").view_as(weight)
    letter, report = letter_loss(heads.letters, heads.place, x, labels)
    return (each * weight).sum() / weight.sum() + letter, report


def neighbourhood(design: Design) -> torch.Tensor:
    """[n_a, n_b]: the augmenting patches whose centre is within an anchor patch or next to it."""
    a, b = grid(design.anchor.side), grid(design.augment.side)
    reach = 0.5 / design.anchor.side + 0.5 / design.augment.side
    return ((a[:, None] - b[None]).abs().amax(-1) < reach).float()


def fusion_loss(p: torch.Tensor, near: torch.Tensor, heads: int) -> torch.Tensor:
    """Most heads of the fusion should look at the same place in the other view."""
    p = p.view(-1, heads, *p.shape[1:])[:, :LOCAL_HEADS].float()
    return -((p * near).sum(-1) + 1e-4).log().mean()
