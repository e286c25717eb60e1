"""The composite layers' reference: python -m unittest discover -s tools/reference/tests."""

from __future__ import annotations

import sys
import unittest
from functools import cache
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import composite_goldens as cg  # noqa: E402
from common import GOLDEN, read_json, setup  # noqa: E402
from reference_models import LlavaReference  # noqa: E402

setup()


@cache
def model(case: str) -> LlavaReference:
    return LlavaReference(GOLDEN / case)


@cache
def asked(case: str) -> cg.Asked:
    return cg.ask(model(case), GOLDEN / case / cg.IMAGES[0])


class Composite(unittest.TestCase):
    def logits(self, case: str, layers: set[int], aligner: str) -> torch.Tensor:
        a = asked(case)
        ids = a.prompt + a.answer[:-1]
        return a.rows(cg.logits_of(model(case), ids, a.visual, layers, aligner))

    def test_no_layer_is_the_model_and_moves_nothing(self) -> None:
        for case in cg.CASES:
            torch.testing.assert_close(
                self.logits(case, set(), "vo_ffn"), asked(case).stock, rtol=1e-5, atol=1e-5
            )
            found = cg.measure(model(case), [asked(case)], set(), "vo_ffn")
            self.assertLess(found["movement"], 1e-9)
            self.assertEqual((found["changed_tokens"], found["saved"]), (0, 0))

    def test_the_last_layer_is_free_whatever_the_aligner(self) -> None:
        for case in cg.CASES:
            last = len(model(case).model.model.language_model.layers) - 1
            stock = self.logits(case, set(), "vo_ffn")
            for aligner in cg.ALIGNERS:
                torch.testing.assert_close(
                    self.logits(case, {last}, aligner), stock, rtol=1e-6, atol=1e-6
                )
                other = self.logits(case, {0}, aligner)
                self.assertGreater(float((other - stock).abs().max()), 1e-2, "others are not")

    def test_what_is_saved_is_what_the_goldens_say(self) -> None:
        for case in cg.CASES:
            for saved in read_json(GOLDEN / case / "composite.json")["runs"]:
                rows = [m["saved"] for m in saved["together"]]
                self.assertEqual(rows, sorted(rows))
                self.assertLess(rows[-1], 1)
                if saved["aligner"] == "vo_ffn":
                    self.assertEqual(saved, cg.run(model(case), self.all_of(case), "vo_ffn"))

    def all_of(self, case: str) -> list[cg.Asked]:
        return [cg.ask(model(case), GOLDEN / case / path) for path in cg.IMAGES]


if __name__ == "__main__":
    unittest.main()
