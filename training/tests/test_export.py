"""The exported directory answers as the training's fast code does. Needs torch and transformers."""

import sys
import tempfile
import unittest
from pathlib import Path

try:
    import torch
except ImportError as error:
    raise unittest.SkipTest("needs training/requirements.txt") from error

HERE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HERE))

from answer import Model  # noqa: E402
from export import export  # noqa: E402
from learn import data  # noqa: E402
from learn.data import Words, append_question, Packed, collate_text, make_batch, scene_at  # noqa: E402
from learn.stages import JoinStage  # noqa: E402
from nets.shape import ANCHOR, AUGMENT  # noqa: E402
from scenes.render import render  # noqa: E402

TOKENIZER = HERE.parent / "models/binocle-tiny/tokenizer.model"


class Packing(unittest.TestCase):
    def test_word_by_word_equals_the_whole_string(self):
        words = Words(TOKENIZER)
        for index in range(60):
            for q in scene_at("test of packing", index)[1]:
                packed = Packed()
                append_question(words, packed, q)
                whole = words.sp.encode(f"<image><|user|> {q.prompt}<|assistant|> {q.answer}")
                self.assertEqual(packed.tokens[:1] + [3] + packed.tokens[1:], [1] + whole)
                self.assertEqual([t[1] for t in packed.targets][:-1], whole[1 - len(packed.targets):])


class Export(unittest.TestCase):
    def test_logits_agree(self):
        torch.manual_seed(1)
        words = Words(TOKENIZER)
        stage = JoinStage(words)
        with torch.no_grad():
            for p in stage.parameters():
                p.add_(torch.randn_like(p) * 0.05)
                p.copy_(p.bfloat16().float())
        with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
            out = Path(folder)
            export({n: p for n, p in stage.named_parameters()}, out)
            (out / "tokenizer.model").write_bytes(TOKENIZER.read_bytes())
            model = Model(out)
            scene, questions = scene_at("test of export", 0)
            render(scene).save(out / "picture.png")
            batch = make_batch("test of export", 0, 1, words, "anchor augment text")
            pixels = model.anchor_processor(render(scene), return_tensors="pt")["pixel_values"]
            self.assertLess((pixels - stage_pixels(scene, "anchor")).abs().max(), 1e-5)
            pixels_b = model.augment_processor(render(scene), return_tensors="pt")["pixel_values"]
            self.assertLess((pixels_b - stage_pixels(scene, "augment")).abs().max(), 1e-5)
            visual = stage.bridge(stage.anchor(pixels)[0], stage.augment(pixels_b)[0])[0]
            other = model.visual_tokens(str(out / "picture.png"))
            self.assertLess((visual[0] - other).abs().max() / other.abs().max(), 1e-4)
            for q in questions[:4]:
                packed = Packed()
                append_question(words, packed, q)
                text = collate_text([packed], batch.anchor_labels["owner"])
                hidden, _ = stage.decoder(visual, text.tokens, text.positions, text.mask.float())
                mine = stage.decoder.logits(hidden)[0]
                rows = torch.cat((model.language["embed_tokens.weight"][1][None], other,
                                  model.language["embed_tokens.weight"][packed.tokens[1:]]))
                is_visual = torch.zeros(len(rows), dtype=torch.bool)
                is_visual[1:1 + len(other)] = True
                theirs = model.decode(rows, is_visual, [])
                self.assertLess((mine[-1] - theirs).abs().max() / theirs.abs().max(), 1e-4)


def stage_pixels(scene, view: str) -> torch.Tensor:
    if view == "anchor":
        return torch.from_numpy(data.pixels(render(scene), ANCHOR.image, data.CLIP_MEAN, data.CLIP_STD))[None]
    return torch.from_numpy(data.pixels(render(scene), AUGMENT.image, data.IMAGENET_MEAN, data.IMAGENET_STD))[None]


if __name__ == "__main__":
    unittest.main()
