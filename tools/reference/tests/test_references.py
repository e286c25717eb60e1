"""The oracles themselves: python -m unittest discover -s tools/reference/tests."""

from __future__ import annotations

import json
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoProcessor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import binocle_torch as bt  # noqa: E402
import dump  # noqa: E402
import golden  # noqa: E402
import manifest  # noqa: E402
from common import GOLDEN, setup, write_json, write_tensors  # noqa: E402
from reference_models import LlavaReference, load_reference  # noqa: E402

setup()
PICTURE = GOLDEN / "images" / "scene_61x83.png"


def saved(name: str) -> list[dict]:
    return json.loads((GOLDEN / name / "reference.json").read_text())["requests"]


class Transformers(unittest.TestCase):
    """transformers' own generate (with its cache) gives the tokens of the step loop."""

    def test_llama_generate(self) -> None:
        for name in ("llama", "llama_tied", "granite"):
            model = load_reference(GOLDEN / name).model
            for request in saved(name):
                ids = torch.tensor([request["prompt_token_ids"]])
                out = model.generate(
                    ids, attention_mask=torch.ones_like(ids), max_new_tokens=64, do_sample=False
                )
                self.assertEqual(out[0, ids.shape[1] :].tolist(), request["token_ids"], name)

    def test_llava_generate_through_auto_processor(self) -> None:
        for name in ("llava", "llava_full", "llava_model_prefix"):
            processor = AutoProcessor.from_pretrained(str(GOLDEN / name), use_fast=False)
            model = LlavaReference(GOLDEN / name).model
            for request in saved(name):
                images = [Image.open(GOLDEN / name / path) for path in request["images"]]
                inputs = processor(
                    images=images or None, text=request["prompt"], return_tensors="pt"
                )
                self.assertEqual(inputs["input_ids"][0].tolist(), request["prompt_token_ids"])
                out = model.generate(**inputs, max_new_tokens=64, do_sample=False)
                start = inputs["input_ids"].shape[1]
                self.assertEqual(out[0, start:].tolist(), request["token_ids"], name)


class BinocleAgainstLlava(unittest.TestCase):
    """fusion "anchor" with stock attention on LLaVA's weights is LLaVA."""

    def convert(self, source: Path, target: Path) -> None:
        config = json.loads((source / "config.json").read_text())
        names = {
            "language_model.": "language_model.",
            "vision_tower.": "anchor.",
            "multi_modal_projector.": "projector.",
        }
        weights = {
            new + key[len(old) :]: value.float()
            for key, value in load_file(source / "model.safetensors").items()
            for old, new in names.items()
            if key.startswith(old)
        }
        write_tensors(target / "model.safetensors", weights)
        anchor = config["vision_config"] | {
            "vision_feature_select_strategy": config["vision_feature_select_strategy"]
        }
        write_json(
            target / "config.json",
            {
                "model_type": "binocle",
                "format_version": 1,
                "image_token_index": config["image_token_index"],
                "anchor_config": anchor,
                "fusion_config": {"type": "anchor"},
                "text_config": config["text_config"],
            },
        )

    def test_same_stages_and_logits(self) -> None:
        for name in ("llava", "llava_full"):
            with tempfile.TemporaryDirectory() as folder:
                self.convert(GOLDEN / name, Path(folder))
                ours = bt.Binocle(Path(folder))
            theirs = LlavaReference(GOLDEN / name)
            stages = theirs.encode(Image.open(PICTURE))
            mine = ours.encode({"anchor": stages["pixels.anchor"]})
            torch.testing.assert_close(mine["anchor"], stages["anchor"], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(mine["projected"], stages["projected"], atol=1e-5, rtol=1e-5)
            ids = saved(name)[0]["prompt_token_ids"]
            torch.testing.assert_close(
                ours.forward(ids, mine["projected"])[0],
                theirs.forward(ids, stages["projected"])[0],
                atol=2e-5,
                rtol=1e-5,
            )


class CompositeAttention(unittest.TestCase):
    """The mask oracle against the aligner written out, layer by layer."""

    def setUp(self) -> None:
        self.model = bt.Binocle(GOLDEN / "binocle_vo")
        self.ids = saved("binocle_vo")[1][
            "prompt_token_ids"
        ]  # two pictures, text before, between, after
        self.visual = torch.tensor(self.ids) == 3
        self.x = 0.7 * torch.randn(1, len(self.ids), 32, generator=torch.Generator().manual_seed(5))
        self.rotary = self.model.lm.model.rotary_emb(self.x, torch.arange(len(self.ids))[None])

    def layer(self, aligner: str) -> torch.Tensor:
        layer = self.model.lm.model.layers[1]
        return bt.composite_layer(layer, self.x, self.visual, aligner, self.rotary)[0]

    def test_visual_rows_are_the_aligner(self) -> None:
        layer, x = self.model.lm.model.layers[1], self.x[0, self.visual]
        v = layer.self_attn.v_proj(layer.input_layernorm(x)).reshape(len(x), 2, 12)
        vo = x + layer.self_attn.o_proj(v.repeat_interleave(2, dim=1).reshape(len(x), -1))
        ffn = vo + layer.mlp(layer.post_attention_layernorm(vo))
        for aligner, want in (("vo", vo), ("vo_ffn", ffn), ("none", x)):
            torch.testing.assert_close(self.layer(aligner)[self.visual], want, atol=1e-5, rtol=1e-5)

    def test_text_rows_do_not_depend_on_the_aligner_within_one_layer(self) -> None:
        text = ~self.visual
        for aligner in ("vo_ffn", "none"):
            torch.testing.assert_close(self.layer(aligner)[text], self.layer("vo")[text])

    def test_text_rows_are_stock_rows(self) -> None:
        mask = bt.causal_mask(len(self.ids))[None, None]
        stock = self.model.lm.model.layers[1](
            self.x, attention_mask=mask, position_embeddings=self.rotary
        )[0]
        torch.testing.assert_close(
            self.layer("vo")[~self.visual], stock[~self.visual], atol=1e-6, rtol=1e-6
        )

    def test_text_before_a_picture_does_not_see_it(self) -> None:
        first = int(self.visual.nonzero()[0])
        tokens = torch.randn(int(self.visual.sum()), 32, generator=torch.Generator().manual_seed(6))
        a, b = (self.model.forward(self.ids, t)[0] for t in (tokens, tokens + 1))
        self.assertTrue(torch.equal(a[:first], b[:first]))
        self.assertFalse(torch.allclose(a[-1], b[-1], atol=1e-2))


class Fusion(unittest.TestCase):
    def setUp(self) -> None:
        self.model = bt.Binocle(GOLDEN / "binocle_ftz")
        generator = torch.Generator().manual_seed(7)
        self.a, self.b = (
            torch.randn(25, 24, generator=generator),
            torch.randn(36, 30, generator=generator),
        )
        self.config = {"num_attention_heads": 3}

    def test_zero_output_projection_leaves_the_norm_of_a(self) -> None:
        w = self.model.fusion | {
            k: torch.zeros_like(v) for k, v in self.model.fusion.items() if "out_proj" in k
        }
        want = F.layer_norm(self.a, (24,), w["norm.weight"], w["norm.bias"])
        torch.testing.assert_close(bt.ftz(self.a, self.b, w, self.config), want)

    def test_order_of_b_does_not_matter(self) -> None:
        shuffled = self.b[torch.randperm(36, generator=torch.Generator().manual_seed(8))]
        torch.testing.assert_close(
            bt.ftz(self.a, shuffled, self.model.fusion, self.config),
            bt.ftz(self.a, self.b, self.model.fusion, self.config),
            atol=1e-5,
            rtol=1e-5,
        )

    def test_cross_attention_is_torch_attention(self) -> None:
        w = self.model.fusion
        q, k, v = (
            bt.linear(x, w, f"{n}_proj").reshape(len(x), 3, 12).transpose(0, 1)[None]
            for x, n in ((self.a, "q"), (self.b, "k"), (self.b, "v"))
        )
        mixed = F.scaled_dot_product_attention(q, k, v)[0].transpose(0, 1).reshape(25, 36)
        torch.testing.assert_close(
            bt.cross_attention(self.a, self.b, w, 3),
            bt.linear(mixed, w, "out_proj"),
            atol=1e-5,
            rtol=1e-5,
        )

    def test_resampling_is_bilinear_with_half_pixel_centres(self) -> None:
        def axis(n: int, m: int) -> torch.Tensor:  # [m, n] weights
            table = torch.zeros(m, n)
            for i in range(m):
                at = max((i + 0.5) * n / m - 0.5, 0.0)
                low = min(int(at), n - 1)
                table[i, low] += 1 - (at - low)
                table[i, min(low + 1, n - 1)] += at - low
            return table

        for grid in ((5, 5), (7, 3), (9, 11)):
            rows = torch.cat([self.a[:1, :1].expand(1, 30), self.b])
            got = bt.resample(bt.Features(rows, (6, 6), True), grid)
            planes = self.b.reshape(6, 6, 30)
            want = torch.einsum(
                "ys,xt,std->yxd", axis(6, grid[0]), axis(6, grid[1]), planes
            ).reshape(-1, 30)
            torch.testing.assert_close(got[1:], want, atol=1e-5, rtol=1e-5)
            self.assertTrue(torch.equal(got[0], rows[0]))


class Goldens(unittest.TestCase):
    def test_manifest(self) -> None:
        self.assertEqual(manifest.check(GOLDEN), [])

    def test_dump_repeats_a_reference(self) -> None:
        for name in ("binocle_mixed_vo", "clip"):
            with tempfile.TemporaryDirectory() as folder:
                dump.dump(GOLDEN / name, Path(folder) / "again", None, None)
                again = load_file(str(Path(folder) / "again.safetensors"))
            for key, tensor in load_file(str(GOLDEN / name / "reference.safetensors")).items():
                np.testing.assert_array_equal(tensor.numpy(), again[key].numpy(), err_msg=key)

    def test_tokens_vary_and_margins_hold(self) -> None:
        for path in sorted(GOLDEN.glob("*/reference.json")):
            for request in json.loads(path.read_text()).get("requests", []):
                self.assertGreaterEqual(request["min_margin"], golden.MIN_MARGIN, path)
                self.assertGreaterEqual(len(set(request["token_ids"])), golden.MIN_DISTINCT, path)

    def test_pictures_matter(self) -> None:
        """Another picture gives other tokens: a run cannot pass with the picture ignored."""
        for path in sorted(GOLDEN.glob("*/reference.json")):
            requests = json.loads(path.read_text()).get("requests", [])
            if not requests or not requests[0]["images"]:
                continue
            model = load_reference(path.parent)
            request = dict(
                requests[0], images=["../images/scene_70x70.png"] * len(requests[0]["images"])
            )
            run = dump.greedy(model, request, dump.encode_all(model, [request], path.parent))
            self.assertNotEqual(run.token_ids, requests[0]["token_ids"], path)


if __name__ == "__main__":
    unittest.main()
