"""Packing equals the rendered prompt, and the exported directory answers as the training's code does. Needs torch."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

try:
    import torch
    import torch.distributed as dist
except ImportError as error:
    raise unittest.SkipTest("needs training/requirements.txt") from error

HERE = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent)]

import train  # noqa: E402
from answer import Model  # noqa: E402
from export import export, read_back, rest_of, tensors_of  # noqa: E402
from learn import joint  # noqa: E402
from learn.data import view  # noqa: E402
from learn.flat import FlatModel, Rates  # noqa: E402
from learn.text import Packed, Words, append_question, collate  # noqa: E402
from nets.number import NUMBER  # noqa: E402
from nets.shape import DESIGNS  # noqa: E402
from world import words as W  # noqa: E402
from world.asking_more import ask  # noqa: E402
from world.facts import Facts  # noqa: E402
from learn.data import sight_at  # noqa: E402
from learn.stages import STAGES  # noqa: E402

TOKENIZER = HERE / "tokenizer/tokenizer.model"
SMALL = dict(layers=2, heads=2, width=64, ffn=96)


def small(name: str):
    """A design of the same topology that a test can afford."""
    d = DESIGNS[name]
    towers = {t: dataclasses.replace(getattr(d, t), width=32, layers=1, heads=2, ffn=64) for t in ("anchor", "augment")}
    return dataclasses.replace(d, **SMALL, **towers, fusion_heads=2)


def shaken(design, words) -> joint.JoinStage:
    torch.manual_seed(1)
    stage = joint.JoinStage(design, words)
    with torch.no_grad():
        for p in stage.parameters():
            p.add_(torch.randn_like(p) * 0.05)
            p.copy_(p.bfloat16().float())
    return stage


class Packing(unittest.TestCase):
    def test_word_by_word_equals_the_whole_string(self):
        words = Words(TOKENIZER)
        for index in range(40):
            sight, rng = sight_at("test of packing", index)
            for q in ask(Facts(sight), rng, W.TRAIN_WORDS):
                packed = Packed(0, 197)
                append_question(words, packed, q)
                whole = [1]
                for number, t in enumerate(q.turns):
                    whole += ([2] if number else []) + words.sp.encode(f"<|user|> {t.prompt}<|assistant|> {t.answer}")
                self.assertEqual(packed.tokens, whole)

    def test_what_is_written_is_spelled_letter_by_letter(self):
        words = Words(TOKENIZER)
        for text in ("EXIT", "KZ 42", "9706", "CAVE BALLOON"):
            self.assertEqual(len(words.sp.encode(" " + text)), len(text.replace(" ", "")))


class Stages(unittest.TestCase):
    def test_every_design_takes_a_step(self):
        words = Words(TOKENIZER)
        for name in DESIGNS:
            with self.subTest(name):
                stage = joint.JoinStage(small(name), words).to(NUMBER)
                batch = stage.make("test of stages", 0, 2, 0)
                stage.align = 0
                loss, report = stage.loss(batch, 0)
                loss.backward()
                self.assertTrue(torch.isfinite(loss))
                self.assertIn("exist", report)

    def test_frozen_towers_have_no_gradient_and_the_rest_has(self):
        stage = joint.JoinStage(small("default"), Words(TOKENIZER)).to(NUMBER)
        stage.align = 0
        stage.freeze_towers()
        stage.loss(stage.make("test of freezing", 0, 2, 1), 1)[0].backward()
        for name, p in stage.named_parameters():
            free = not name.startswith(("anchor", "augment", "oracle"))
            self.assertEqual(p.requires_grad, free, name)
            self.assertEqual(p.grad is not None, free, name)

    def test_all_stages_are_known(self):
        self.assertEqual(set(STAGES), {"anchor", "augment", "decoder", "join"})


class Resuming(unittest.TestCase):
    def weights(self, folder: str, *until: int, workers: int = 0):
        """Of a small decoder after runs that end at the given steps."""
        for steps in until:
            options = train.Options("decoder", 3, "small", 0.5, 2, 1, workers, 0, Path(folder), [], False, None, None, TOKENIZER)
            options.folder.mkdir(parents=True, exist_ok=True)
            train.run(0, options, until=steps)
        return torch.load(Path(folder) / "decoder/weights.pt")

    def test_a_cut_run_with_makers_of_its_own_ends_as_one_that_was_not(self):
        train.DESIGNS["small"] = small("default")
        with tempfile.TemporaryDirectory() as a, tempfile.TemporaryDirectory() as b:
            whole, cut = self.weights(a, 3), self.weights(b, 2, 3, workers=2)
        del train.DESIGNS["small"]
        for name, tensor in whole.items():
            self.assertTrue(torch.equal(tensor, cut[name]), name)


def stepped(rank: int, ranks: int, meeting: str) -> dict[str, torch.Tensor]:
    """A few matrices after steps by one of `ranks` processes, which writes them beside `meeting`."""
    torch.manual_seed(2)
    flat = FlatModel(torch.nn.Sequential(*(torch.nn.Linear(*sizes) for sizes in ((8, 8), (8, 8), (8, 8), (8, 12)))), rank, ranks)
    if ranks > 1:
        dist.init_process_group("gloo", init_method="file://" + meeting, rank=rank, world_size=ranks)
    for count in range(1, 4):
        flat.gradients.copy_(torch.randn(len(flat.gradients)))
        flat.step(Rates(0.1, 0.1), count)
    if ranks > 1:
        torch.save(flat.named_masters(), f"{meeting}.{rank}")
        dist.destroy_process_group()
    return flat.named_masters()


class Optimiser(unittest.TestCase):
    def test_processes_that_share_the_work_step_as_one_does(self):
        with tempfile.TemporaryDirectory() as folder:
            meeting = folder + "/meeting"
            torch.multiprocessing.spawn(stepped, (2, meeting), nprocs=2)
            alone = stepped(0, 1, "")
            for rank in range(2):
                shared = torch.load(f"{meeting}.{rank}")
                for name, tensor in alone.items():
                    self.assertLess((shared[name] - tensor).abs().max(), 1e-6, name)


class Export(unittest.TestCase):
    def test_the_default_is_small_enough(self):
        stage = joint.JoinStage(DESIGNS["default"], Words(TOKENIZER))
        tensors = tensors_of(dict(stage.named_parameters()), DESIGNS["default"])
        self.assertLessEqual(sum(t.numel() for t in tensors.values()) * 2, 32 * 2 ** 20)

    def test_a_directory_is_read_back(self):
        words = Words(TOKENIZER)
        for name in DESIGNS:
            with self.subTest(name):
                design = small(name)
                weights = {n: p.detach() for n, p in shaken(design, words).named_parameters()}
                shapes = {n: t.shape for n, t in weights.items()}
                again = {**rest_of(weights, design), **read_back(tensors_of(weights, design), shapes, design)}
                self.assertEqual(again.keys(), weights.keys())
                for key, tensor in weights.items():
                    self.assertTrue(torch.equal(again[key].float(), tensor.bfloat16().float()), key)

    def test_logits_agree(self):
        words, design = Words(TOKENIZER), small("default")
        stage = shaken(design, words)
        with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
            out = Path(folder)
            export(dict(stage.named_parameters()), out, design, "small")
            shutil.copyfile(TOKENIZER, out / "tokenizer.model")
            model = Model(out)
            sight, rng = sight_at("test of export", 0)
            sight.picture.save(out / "picture.png")
            pixels = {t: torch.from_numpy(view(sight.picture, t, design))[None] for t in design.uses}
            visual = stage.see(pixels)[1]
            other = model.visual_tokens(str(out / "picture.png"))
            self.assertLess((visual[0] - other).abs().max() / other.abs().max(), 1e-4)
            for q in ask(Facts(sight), rng, W.TRAIN_WORDS)[:4]:
                self.agree(stage, model, words, q, visual, other)

    @unittest.skipUnless(os.environ.get("BINOCLE"), "BINOCLE names no program")
    def test_the_runtime_answers_as_the_training_does_in_every_design(self):
        words = Words(TOKENIZER)
        for name in DESIGNS:
            with self.subTest(name), tempfile.TemporaryDirectory() as folder, torch.inference_mode():
                stage, out = shaken(small(name), words), Path(folder)
                export(dict(stage.named_parameters()), out, stage.design, "small")
                for file in ("tokenizer.model", "tokenizer_config.json"):
                    shutil.copyfile(TOKENIZER.parent / file, out / file)
                sight, rng = sight_at("test of the runtime", 0)
                sight.picture.save(out / "picture.png")
                pixels = {t: torch.from_numpy(view(sight.picture, t, stage.design))[None] for t in stage.design.uses}
                visual = stage.see(pixels)[1]
                q = next(q for q in ask(Facts(sight), rng, W.TRAIN_WORDS) if len(q.turns) == 1)
                packed = Packed(0, stage.design.visual + 1)
                append_question(words, packed, q)
                text = collate([packed], torch.zeros(1, stage.design.visual, 3, dtype=torch.long))
                hidden, _ = stage.decoder(visual, text.picture, text.tokens, text.positions, text.mask.float())
                mine = torch.log_softmax(stage.decoder.logits(hidden)[0, packed.targets[0][0]].float(), -1)
                command = [os.environ["BINOCLE"], "ask", "--model", folder, "--image", str(out / "picture.png"), "--json", "--max-new-tokens", "1",
                           "--logprobs", str(words.pieces), q.prompt]
                said = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)["logprobs"][0]
                theirs = torch.full_like(mine, float("nan"))
                for token, value in said:
                    theirs[token] = value
                self.assertLess((mine - theirs).abs().max(), 2e-3, name)

    def agree(self, stage, model, words, q, visual, other):
        packed = Packed(0, stage.design.visual + 1)
        append_question(words, packed, q)
        text = collate([packed], torch.zeros(1, stage.design.visual, 3, dtype=torch.long))
        hidden, _ = stage.decoder(visual, text.picture, text.tokens, text.positions, text.mask.float())
        mine = stage.decoder.logits(hidden)[0]
        embed = model.language["embed_tokens.weight"]
        rows = torch.cat((embed[1][None], other, embed[packed.tokens[1:]]))
        is_visual = torch.zeros(len(rows), dtype=torch.bool)
        is_visual[1:1 + len(other)] = True
        theirs = model.decode(rows, is_visual, [])
        self.assertLess((mine[-1] - theirs).abs().max() / theirs.abs().max(), 1e-4)


if __name__ == "__main__":
    unittest.main()
