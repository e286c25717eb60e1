"""The interventions' references: python -m unittest discover -s tools/reference/tests."""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
import unittest
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import dump  # noqa: E402
import intervention_goldens as ig  # noqa: E402
import interventions as iv  # noqa: E402
import steering as st  # noqa: E402
import token_sets as ts  # noqa: E402
from checkpoints_sinks import CASES, DIMS  # noqa: E402
from common import GOLDEN, setup, write_json  # noqa: E402
from intervention_options import Interventions, Modulate, Var  # noqa: E402
from reference_models import ReferenceModel, load_reference  # noqa: E402

setup()
Patch = Callable[[], AbstractContextManager[Any]]


@cache
def model(name: str) -> ReferenceModel:
    return load_reference(GOLDEN / name)


@cache
def pictures(name: str) -> iv.Pictures:
    return iv.Pictures(model(name), GOLDEN / name)


@cache
def saved(name: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    folder = GOLDEN / name
    info = json.loads((folder / "interventions.json").read_text())
    return info, load_file(str(folder / "interventions.safetensors"))


def saved_runs(name: str, option: str = "") -> list[tuple[dict[str, Any], torch.Tensor]]:
    info, tensors = saved(name)
    tops = [tensors[f"run{i}.top{ig.TOP}"] for i in range(len(info["runs"]))]
    pairs = zip(info["runs"], tops, strict=True)
    return [(r, top) for r, top in pairs if not option or option in r["options"]]


def again(name: str, golden: dict[str, Any], texts: dict[str, str], **more: Any) -> iv.Answer:
    request = {k: golden[k] for k in ("id", "images", "prompt", "prompt_format")}
    options = Interventions.parse(texts, golden["seed"])
    return iv.run(model(name), GOLDEN / name, request, options, pictures(name), **more)


def largest_difference(answer: iv.Answer, golden: dict[str, Any], top: torch.Tensor) -> float:
    """Of log-probabilities, up to and including the first step with another token."""
    pairs = zip(answer.token_ids, golden["token_ids"], strict=True)
    same = next((i for i, (a, b) in enumerate(pairs) if a != b), len(answer.out) - 1)
    mine = torch.log_softmax(torch.stack(answer.out[: same + 1]).double(), -1)
    ids, theirs = top[: same + 1, :, 0].long(), top[: same + 1, :, 1].double()
    listed = ids >= 0
    return (mine.gather(1, ids.clamp_min(0)) - theirs)[listed].abs().max().item()


class WorkedExample(unittest.TestCase):
    """papers.md 3.3: one head, one text row, seven keys."""

    WEIGHTS = torch.tensor([0.30, 0.20, 0.10, 0.05, 0.05, 0.20, 0.10])
    VISUAL = torch.tensor([False, True, True, True, True, False, False])
    SINKS = torch.tensor([True, True, False, False, False, False, False])

    def redistribute(self, rules: st.Rules | None = None, **numbers: Any) -> torch.Tensor:
        """The share is 0.5 but for rounding, so rho stays off it."""
        var = Var(**({"layers": (0, 0), "dims": (0,), "rho": 0.49} | numbers))
        steering = st.VarSteering(var, self.VISUAL, rules or st.Rules.of(var.compat))
        steering.sinks[0] = self.SINKS
        changed = steering.change_weights(0, self.WEIGHTS[None, None], torch.tensor([6]))
        return changed[0, 0]

    def check(self, found: torch.Tensor, wanted: list[float]) -> None:
        torch.testing.assert_close(found, torch.tensor(wanted), atol=1e-7, rtol=1e-6)
        self.assertAlmostEqual(float(found.sum()), 1.0, places=6)

    def test_paper_recycles_p(self) -> None:
        self.check(self.redistribute(p=0.6), [0.12, 0.08, 0.25, 0.125, 0.125, 0.20, 0.10])

    def test_release_keeps_p(self) -> None:
        wanted = [0.18, 0.12, 0.20, 0.10, 0.10, 0.20, 0.10]
        self.check(self.redistribute(p=0.6, rho=0.51, compat="release"), wanted)
        self.check(self.redistribute(st.Rules(share="release"), p=0.6), wanted)
        self.check(self.redistribute(p=0.4), wanted)

    def test_no_redistribution_is_the_identity_bit_for_bit(self) -> None:
        self.assertTrue(torch.equal(self.redistribute(p=0.0), self.WEIGHTS))

    def test_thresholds_leave_the_row_alone(self) -> None:
        for numbers in ({"rho": 0.51}, {"mass": 0.41}):
            self.assertTrue(torch.equal(self.redistribute(p=0.6, **numbers), self.WEIGHTS))

    def test_release_bounds_the_share_of_the_sinks(self) -> None:
        """Half of the visual mass lies on the sink: at rho 0.6 only the release keeps the head."""
        changed = {c: self.redistribute(p=0.5, rho=0.6, compat=c) for c in st.SINKS}
        self.assertTrue(torch.equal(changed["paper"], self.WEIGHTS))
        self.assertFalse(torch.equal(changed["release"], self.WEIGHTS))

    def test_visual_rows_and_rows_before_the_last_image(self) -> None:
        visual = torch.tensor([False, True, False, True, False])
        rows = torch.arange(5)
        self.assertEqual(st.paper_rows(rows, visual).tolist(), [True, False, True, False, True])
        self.assertEqual(st.release_rows(rows, visual).tolist(), [False] * 4 + [True])

    def test_no_visual_key_without_a_sink(self) -> None:
        """Everything visual is a sink: there is nobody to give to."""
        with mock.patch.object(WorkedExample, "SINKS", self.VISUAL):
            for numbers in ({"rho": 0.0}, {"rho": 1.0, "compat": "release"}):
                self.assertTrue(torch.equal(self.redistribute(p=0.5, **numbers), self.WEIGHTS))


class Sinks(unittest.TestCase):
    def test_phi_is_at_most_the_root_of_the_width(self) -> None:
        x = torch.zeros(1, 64)
        x[0, 11] = -3.0
        self.assertAlmostEqual(float(st.phi(x, (11, 40))), 8.0, places=5)
        self.assertEqual(float(st.phi(x, (40,))), 0.0)

    def test_paper_includes_tau_and_release_does_not(self) -> None:
        x = torch.zeros(2, 64)
        x[:, 11] = 1.0
        positions = torch.tensor([3, 4])
        var = Var(tau=float(st.phi(x, (11,))[0]), dims=(11,))
        self.assertEqual(st.paper_sinks(x, var, positions, 4).tolist(), [True, True])
        self.assertEqual(st.release_sinks(x, var, positions, 4).tolist(), [False, False])
        low = Var(tau=7.0, dims=(11,))
        self.assertEqual(st.release_sinks(x, low, positions, 4).tolist(), [True, False])


class Scores(unittest.TestCase):
    SCORES = torch.tensor([[[2.0, -2.0, 1.0], [2.0, -2.0, 1.0]]])

    def test_positive_and_negative_scores_rise(self) -> None:
        steering = st.ScoreSteering(torch.tensor([0.7, 0.7, 0.0]), (0, 0), first_row=2)
        changed = steering.change_scores(0, self.SCORES, torch.tensor([1, 2]))
        self.assertTrue(torch.equal(changed[0, 0], self.SCORES[0, 0]))
        torch.testing.assert_close(changed[0, 1], torch.tensor([3.4, -0.6, 1.0]))

    def test_head_factors(self) -> None:
        gains, factors = torch.tensor([0.5, 0.0, 0.0]), torch.tensor([[0.0, 2.0]])
        steering = st.ScoreSteering(gains, (0, 0), 0, factors)
        changed = steering.change_scores(0, self.SCORES.expand(2, 2, 3), torch.tensor([1, 2]))
        self.assertEqual(changed[:, :, 0].tolist(), [[2.0, 2.0], [4.0, 4.0]])


class TokenSets(unittest.TestCase):
    def test_ties_go_to_the_lower_index(self) -> None:
        self.assertEqual(ts.largest(torch.tensor([1.0, 2.0, 2.0, 0.0, 2.0]), 2), [1, 2])

    def test_summary_is_taken_from_the_boosted(self) -> None:
        sets = ts.TokenSets(local=[1, 2], summary=[2, 5], spatial=[5, 7])
        self.assertEqual(sets.boosted, [1, 7])

    def test_outliers(self) -> None:
        """1..8: quartiles 2.75 and 6.25, fence 11.5."""
        scores = torch.tensor([1.0, 2, 3, 4, 5, 6, 7, 8])
        self.assertEqual(ts.outliers(scores)[0], 0.0)
        self.assertEqual(ts.outliers(torch.cat([scores[:7], torch.tensor([12.0])]))[0], 1 / 8)

    def test_sets_of_a_picture(self) -> None:
        """Against the tower's attention written out, in float64."""
        name, path = "llava_sinks", "../images/scene_70x70.png"
        pixels = pictures(name)[path][0]["anchor"]
        tower = ts.anchor_tower(model(name))
        sets = ts.token_sets(tower, pixels, Modulate(local=0.25, spatial=0.2))
        attention = [a[0].double() for a in tower(pixels[None], output_attentions=True).attentions]
        first, late = attention[0], attention[1]  # of three layers
        by_class = [sum(a[h, 0, 1:] for h in range(2)).tolist() for a in (first, late)]
        asked = [sum(first[:, q, 1 + p].mean() for q in range(26)) for p in range(25)]

        def best(values: list[float], count: int) -> list[int]:
            return sorted(sorted(range(25), key=lambda i: -values[i])[:count])

        fence = np.percentile(by_class[1], 75) * 2.5 - np.percentile(by_class[1], 25) * 1.5
        self.assertEqual(sets.local, best(by_class[0], 6))
        self.assertEqual(sets.summary, best(by_class[1], sum(v > fence for v in by_class[1])))
        self.assertEqual(sets.spatial, best(asked, 5))
        self.assertTrue(set(sets.local) & set(sets.summary))

    def test_places_of_patches(self) -> None:
        for name, wanted in {
            "llava": [0, 1, 2],
            "llava_full": [1, 2, 3],
            "binocle_ftz": [0, 1, 2],
            "binocle_channel_concat_full": [1, 2, 3],
            "binocle_token_concat": [0, 1, 2],
            "binocle_interleave": [0, 2, 4],
        }.items():
            config = json.loads((GOLDEN / name / "config.json").read_text())
            self.assertEqual(ts.patch_places(config, 3), wanted, name)


class SecondSequences(unittest.TestCase):
    def test_guidance(self) -> None:
        p, u = torch.tensor([0.7, 0.25, 0.05]), torch.tensor([0.5, 0.3, 0.2])
        out, _ = iv.guided(p.log() + 3, u.log() - 1, 2.0, 0.1)
        torch.testing.assert_close(out[:2].exp().float(), (p * p / u)[:2])
        self.assertEqual(out[2], -torch.inf)
        same, _ = iv.guided(p.log(), u.log(), 1.0, 0.01)
        torch.testing.assert_close(same.exp().float(), p)

    def test_contrast_cuts_raw_logits(self) -> None:
        clean, noisy = torch.tensor([2.0, 1.0, -1.0]), torch.tensor([1.0, 3.0, 0.0])
        out, distance = iv.contrasted(clean, noisy, 0.5, 0.1)
        torch.testing.assert_close(out[:2].float(), torch.tensor([2.5, 0.0]))
        self.assertEqual(out[2], -torch.inf)
        self.assertAlmostEqual(distance, 3.0 - np.log(10.0), places=6)

    def test_noise_schedule(self) -> None:
        """The closed formula in float64; the first value and the values of the goldens."""
        steps = np.linspace(-6, 6, 1000)
        wanted = np.cumprod(1 - (1 / (1 + np.exp(-steps)) * (0.005 - 1e-5) + 1e-5))
        found = iv.noise_schedule()
        np.testing.assert_allclose(found.numpy(), wanted, rtol=2e-5)
        self.assertAlmostEqual(float(found[0]), 1 - 2.2337e-5, places=7)
        for step, value in saved("llava_sinks")[0]["noise_schedule"].items():
            self.assertAlmostEqual(float(found[int(step)]), value, places=7)

    def test_noise_is_one_stream_over_pictures_and_towers(self) -> None:
        shapes = {"augment": (3, 28, 28), "anchor": (3, 70, 70)}
        clean = [{role: torch.ones(shape) for role, shape in shapes.items()} for _ in range(2)]
        found = iv.noised(clean, 500, seed=7)
        kept = iv.noise_schedule()[500]
        torch.manual_seed(7)
        for picture in found:
            for role in ("anchor", "augment"):
                wanted = kept.sqrt() + (1 - kept).sqrt() * torch.randn(shapes[role])
                self.assertTrue(torch.equal(picture[role], wanted))


class Options(unittest.TestCase):
    def test_defaults_are_filled_in(self) -> None:
        texts = {"var": "p=0.4,rho=0.8,dims=3+7", "pai": "alpha=0.2"}
        filled = Interventions.parse(texts).filled(6, GOLDEN)
        self.assertEqual(
            filled.var, Var(p=0.4, rho=0.8, tau=20, mass=0.2, layers=(2, 4), dims=(3, 7))
        )
        self.assertEqual(filled.pai.layers, (2, 5))
        release = Interventions.parse({"var": "dims=3,compat=release"}).filled(6, GOLDEN)
        self.assertEqual(release.var.layers, (2, 5))

    def test_saved_dims_bring_their_tau(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            write_json(Path(folder) / "sink_dims.json", {"dims": [3, 7], "tau": 6.5})
            for text, dims, tau in (
                ("p=0.6", (3, 7), 6.5),
                ("tau=5", (3, 7), 5.0),
                ("dims=1", (1,), 20.0),
            ):
                var = Interventions.parse({"var": text}).filled(6, Path(folder)).var
                self.assertEqual((var.dims, var.tau), (dims, tau))

    def test_refusals(self) -> None:
        for texts in (
            {"var": "q=1"},
            {"var": "p=1,p=1"},
            {"var": "compat=other"},
            {"pai": "alpha=1", "modulate": "alpha=1"},
            {"guidance": "gamma=1", "vcd": "alpha=1"},
        ):
            with self.assertRaises(ValueError):
                Interventions.parse(texts)
        for text in ("dims=1,layers=4-6", "dims=1,layers=3-2", "p=0.5"):
            with self.assertRaises(ValueError):
                Interventions.parse({"var": text}).filled(6, GOLDEN)


class Runs(unittest.TestCase):
    def test_without_intervention_it_is_the_plain_reference(self) -> None:
        """With a cache and without, on every kind of model that sees pictures."""
        for name in ("llava", "llava_full", "llava_sinks", "binocle_sinks_mixed"):
            golden = json.loads((GOLDEN / name / "reference.json").read_text())["requests"][0]
            for cached in (True, False):
                answer = again(name, golden | {"seed": 0}, {}, cached=cached)
                self.assertEqual(answer.token_ids, golden["token_ids"], name)

    def test_stock_attention_bit_for_bit(self) -> None:
        """Inside `steered` with nothing to do, and with VAR at p=0 and modulation at 0."""
        for name in ("llava_sinks", "binocle_sinks_vo"):
            golden = saved_runs(name)[0][0]
            visual = torch.cat([pictures(name)[path][1] for path in golden["images"]])
            stock = model(name).forward(golden["prompt_token_ids"], visual)[0][-1].double()
            for texts in (
                {},
                {"var": f"p=0,tau=5,dims={DIMS}"},
                {"modulate": "alpha=0,beta=0"},
                {"pai": "alpha=0"},
                {"var": f"p=1,tau=5,dims={DIMS},compat=release"},
            ):
                answer = again(name, golden, texts, cached=False, steps=1)
                self.assertTrue(torch.equal(answer.out[0], stock), texts)

    def test_a_cache_changes_nothing(self) -> None:
        for golden, top in saved_runs("llava_sinks")[::3]:
            answer = again("llava_sinks", golden, golden["options"], cached=False)
            self.assertEqual(answer.token_ids, golden["token_ids"])
            self.assertLess(largest_difference(answer, golden, top), 1e-4)

    def test_rows_keep_their_sums(self) -> None:
        sums = []

        def watch(self: st.VarSteering, layer: int, weights: torch.Tensor, *rest: Any) -> Any:
            changed = stock(self, layer, weights, *rest)
            sums.append((changed.sum(-1) - weights.sum(-1)).abs().max().item())
            return changed

        stock = st.VarSteering.change_weights
        golden = saved_runs("llava_sinks", "var")[0][0]
        with mock.patch.object(st.VarSteering, "change_weights", watch):
            again("llava_sinks", golden, golden["options"], steps=8)
        self.assertGreater(len(sums), 8)
        self.assertLess(max(sums), 1e-6)

    def test_the_second_sequence_of_guidance_has_no_image_position(self) -> None:
        golden = saved_runs("llava_sinks", "guidance")[0][0]
        image = model("llava_sinks").image_id
        seen = []

        def watch(self: iv.CachedSequence) -> torch.Tensor:
            seen.append(self.ids.count(image))
            return stock(self)

        stock = iv.CachedSequence.next_logits
        with mock.patch.object(iv.CachedSequence, "next_logits", watch):
            again("llava_sinks", golden, golden["options"], steps=2)
        self.assertEqual(seen, [golden["image_tokens"], 0] * 2)

    def test_command_line(self) -> None:
        golden = saved_runs("llava_sinks", "modulate")[0][0]
        with tempfile.TemporaryDirectory() as folder:
            requests, out = Path(folder) / "requests.json", Path(folder) / "out.json"
            keys = ("id", "images", "prompt", "prompt_format")
            write_json(requests, [{k: golden[k] for k in keys}])
            arguments = ["", str(GOLDEN / "llava_sinks"), "--requests", str(requests)]
            arguments += ["--out", str(out), "--modulate", golden["options"]["modulate"]]
            with mock.patch.object(sys, "argv", [*arguments, "--max-new-tokens", "5"]):
                iv.main()
            found = json.loads(out.read_text())["requests"][0]
        self.assertEqual(found["token_ids"], golden["token_ids"][:5])
        self.assertEqual([step[0][0] for step in found["logprobs"]], found["token_ids"])
        self.assertEqual(found["interventions"], golden["applied"])


class Goldens(unittest.TestCase):
    def test_they_come_out_again(self) -> None:
        for name in CASES:
            for golden, top in saved_runs(name)[:: 4 if name == "llava_sinks" else 6]:
                answer = again(name, golden, golden["options"])
                self.assertEqual(answer.token_ids, golden["token_ids"])
                self.assertTrue(torch.equal(answer.log_probs(ig.TOP).float(), top))

    def test_tokens_change_and_decisions_are_clear(self) -> None:
        for name in CASES:
            self.assertEqual({r["name"] for r, _ in saved_runs(name)}, set(ig.PLANS[name][0]))
            for golden, top in saved_runs(name):
                pairs = zip(golden["token_ids"], golden["plain_token_ids"], strict=True)
                changed = sum(a != b for a, b in pairs)
                self.assertEqual(changed, golden["changed_tokens"])
                self.assertGreaterEqual(changed, ig.MIN_CHANGED)
                for kind, distance in golden["distances"].items():
                    self.assertGreaterEqual(distance, ig.MIN_DISTANCE[kind], (name, kind))
                self.assertTrue(all(golden.get("var_decisions", {"": 1}).values()))
                self.assertEqual(top[:, 0, 0].tolist(), golden["token_ids"])

    def test_plain_tokens(self) -> None:
        for name in CASES:
            golden = saved_runs(name)[-1][0]
            request = {k: golden[k] for k in ("id", "images", "prompt", "prompt_format")}
            encoded = dump.encode_all(model(name), [request], GOLDEN / name)
            found = dump.greedy(model(name), request, encoded).token_ids
            self.assertEqual(found, golden["plain_token_ids"])

    def test_stages(self) -> None:
        """phi of the stage dump from the hidden states that transformers itself returns."""
        name = "llava_sinks"
        info, tensors = saved(name)
        request, ids = info["stages"]["request"], info["stages"]["prompt_token_ids"]
        visual = torch.cat([pictures(name)[path][1] for path in request["images"]])
        states = model(name).forward(ids, visual)[1]
        phi = torch.stack(
            [
                (x[:, [11, 40]].abs() / x.pow(2).mean(-1, keepdim=True).sqrt()).amax(-1)
                for x in states
            ]
        )
        torch.testing.assert_close(tensors["stages.plain.phi"], phi, atol=2e-5, rtol=1e-5)
        sinks = (phi >= 5).byte()
        self.assertTrue(torch.equal(tensors["stages.plain.sinks"], sinks))
        places = torch.tensor(ids) == model(name).image_id
        visual_sinks = sinks[1:, places].sum(1)
        self.assertTrue(bool((visual_sinks > 0).all()) and bool((visual_sinks < 12).all()))
        self.assertTrue(bool(sinks[1:, 0].all()), "<s> is a sink in every layer but the first")
        self.assertFalse(bool(sinks[0].any()))


class Slips(unittest.TestCase):
    """What an implementation could get wrong shows in some golden, far above float noise."""

    def check(self, what: str, option: str, patch: Patch, also: str = "") -> None:
        worst = 0.0
        for golden, top in saved_runs("llava_sinks", option):
            if also in golden["options"][option]:
                with patch():
                    answer = again("llava_sinks", golden, golden["options"])
                worst = max(worst, largest_difference(answer, golden, top))
                if worst > 1e-2:
                    return
        self.fail(f"{what}: no golden shows it, largest difference {worst}")

    def test_each_difference_of_the_release(self) -> None:
        other = {"paper": "release", "release": "paper"}
        for part in ("sinks", "heads", "share", "rows"):

            def flipped(cls: type, compat: str, part: str = part) -> st.Rules:
                rules = cls(compat, compat, compat, compat)
                return dataclasses.replace(rules, **{part: other[compat]})

            self.check(
                part,
                "var",
                lambda rule=flipped: mock.patch.object(st.Rules, "of", classmethod(rule)),
            )

    def test_generated_tokens_that_are_no_sinks(self) -> None:
        def prompt_only(x: torch.Tensor, var: Var, at: torch.Tensor, prompt: int) -> torch.Tensor:
            return (st.phi(x, var.dims) >= var.tau) & (at < prompt)

        rules = {"paper": prompt_only, "release": prompt_only}
        self.check("generated sinks", "var", lambda: mock.patch.dict(st.SINKS, rules))

    def test_order_of_the_noise(self) -> None:
        stock = iv.noised

        def backwards(found: list[Any], steps: int, seed: int) -> list[Any]:
            return stock(found[::-1], steps, seed)[::-1]

        def each_anew(found: list[Any], steps: int, seed: int) -> list[Any]:
            return [stock([picture], steps, seed)[0] for picture in found]

        def one_step_off(found: list[Any], steps: int, seed: int) -> list[Any]:
            return stock(found, steps - 1, seed)

        for slip in (backwards, each_anew, one_step_off):
            self.check(
                slip.__name__, "vcd", lambda slip=slip: mock.patch.object(iv, "noised", slip)
            )

    def test_no_cut(self) -> None:
        def everything(out: torch.Tensor, *rest: Any) -> tuple[torch.Tensor, float]:
            return out, 1.0

        for option in ("guidance", "vcd"):
            self.check("cut", option, lambda: mock.patch.object(iv, "excluded", everything))

    def test_scores_multiplied_and_start_and_factors_ignored(self) -> None:
        stock = st.ScoreSteering.change_scores

        def multiplied(self: Any, layer: int, scores: torch.Tensor, at: Any) -> torch.Tensor:
            changed = stock(self, layer, scores, at)
            return torch.where(scores < 0, 2 * scores - changed, changed)

        def early(self: Any, layer: int, scores: torch.Tensor, at: Any) -> torch.Tensor:
            sooner = dataclasses.replace(self, first_row=len(self.gains) - 1)
            return stock(sooner, layer, scores, at)

        def uniform(self: Any, layer: int, scores: torch.Tensor, at: Any) -> torch.Tensor:
            return stock(dataclasses.replace(self, head_factors=None), layer, scores, at)

        for slip, option, also in (
            (multiplied, "modulate", ""),
            (multiplied, "pai", ""),
            (early, "modulate", "start=decode"),
            (early, "pai", "start=decode"),
            (uniform, "modulate", "calibrated"),
        ):
            self.check(
                slip.__name__,
                option,
                lambda slip=slip: mock.patch.object(st.ScoreSteering, "change_scores", slip),
                also,
            )


if __name__ == "__main__":
    unittest.main()
