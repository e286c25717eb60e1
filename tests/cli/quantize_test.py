"""Models packed ahead of time: they answer as their originals loaded with the same kind, and what is wrong with them is said."""

import json
import struct
from pathlib import Path

from answers import FTZ, LLAVA, Answers
from program import GOLDEN, main, run

PICTURE = GOLDEN / "images" / "scene_70x70.png"


def header_of(path):
    """The JSON of a safetensors file, and where its data begin."""
    content = path.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + size]), 8 + size


class Quantizing(Answers):
    def packed(self, model, compute, *options):
        out = self.folder / f"{Path(model).name}_{compute}"
        self.fine("quantize", "--model", model, "--compute", compute, "--out", out, *options)
        return out

    def answer(self, model, *options):
        return self.ask("--logprobs", "3", "--image", PICTURE, *options, "What is it?", model=model)

    def test_answers_are_those_of_the_same_kind_bit_for_bit(self):
        # How a kind is packed is asked of two models; which matrices a family has, with one kind each.
        for model, kinds in ((LLAVA, ("bf16", "int8", "int4")), (FTZ, ("bf16", "int8", "int4")), (GOLDEN / "llava_siglip", ("int4",)),
                             (GOLDEN / "tinyllava", ("int8",)), (GOLDEN / "assembled_clip_dinov2_mof", ("int4",))):
            for compute in kinds:
                with self.subTest(model.name, compute=compute):
                    want, got = self.answer(model, "--compute", compute), self.answer(self.packed(model, compute))
                    self.assertEqual(got["logprobs"], want["logprobs"])
                    self.assertEqual((got["compute"], want["compute"]), (compute, compute))

    def test_parts_may_be_of_other_kinds(self):
        parts = "vision=f32,head=bf16"
        packed = self.packed(LLAVA, "int8", "--compute-parts", parts)
        self.assertEqual(self.answer(packed)["logprobs"], self.answer(LLAVA, "--compute", "int8", "--compute-parts", parts)["logprobs"])
        names = header_of(packed / "model.safetensors")[0]
        self.assertIn("packed.language_model.lm_head.bf16", names)
        self.assertFalse([name for name in names if name.startswith("packed.anchor")], "a part of f32 stays as it is")

    def test_one_and_two_threads_give_the_same(self):
        for compute in ("bf16", "int8", "int4"):
            one, two = (self.answer(FTZ, "--compute", compute, "--threads", n) for n in ("1", "2"))
            self.assertEqual(one["logprobs"], two["logprobs"], compute)

    def test_a_text_model_with_a_tied_head_keeps_its_table(self):
        model = self.folder / "text"
        self.fine("make-random", "--preset", "tiny-llama", "--out", model)
        packed = self.packed(model, "int4")
        want, got = (self.ask("--logprobs", "3", "What?", *more, model=where) for where, more in ((model, ("--compute", "int4")), (packed, ())))
        self.assertEqual(want["logprobs"], got["logprobs"])

    def test_packed_bytes_begin_with_lines(self):
        header, data = header_of(self.packed(LLAVA, "int4") / "model.safetensors")
        self.assertEqual(data % 64, 0)
        for name, tensor in header.items():
            if name.startswith("packed."):
                self.assertEqual(tensor["data_offsets"][0] % 64, 0, name)

    def test_refusals_are_one_line_and_leave_nothing(self):
        out, packed = self.folder / "out", self.packed(LLAVA, "int8")
        for words, status, says in [
            (["--model", LLAVA], 2, "--out is missing"),
            (["--out", out], 2, "--model is missing"),
            (["--model", LLAVA, "--out", out, "--compute", "f32"], 2, "--compute is f32, expected bf16, int8 or int4"),
            (["--model", LLAVA, "--out", out, "--compute", "int3"], 2, "--compute is int3"),
            (["--model", LLAVA, "--out", out, "--compute", "blocks"], 2, "--compute is blocks, which are as they are stored"),
            (["--model", LLAVA, "--out", out, "--compute-parts", "head=blocks"], 2, "--compute-parts is blocks"),
            (["--model", LLAVA, "--out", out, "--compute-parts", "nose=int8"], 2, "--compute-parts names nose"),
            (["--model", LLAVA, "--out", LLAVA / "inner"], 2, "which is inside"),
            (["--model", packed, "--out", out], 1, "is packed already (int8)"),
            (["--model", next((GOLDEN / "gguf_models").glob("*.gguf")), "--out", out], 1, "is a GGUF file"),
            (["--model", self.folder / "none", "--out", out], 1, "NOT_FOUND"),
        ]:
            with self.subTest(says):
                result = run("quantize", *map(str, words))
                self.assertEqual(result.status, status, result.stderr)
                self.assertIn(says, result.stderr)
                self.assertEqual(len(result.stderr.splitlines()), 1)
                self.assertFalse(out.exists())
        result = run("ask", "--model", packed, "--compute", "int4", "What?")
        self.assertIn("--compute is int4, but the model is packed as int8", result.stderr)

    def damaged(self, model, change):
        """A packed model whose header went through `change`; what is said of it."""
        path = model / "model.safetensors"
        before = path.read_bytes()
        header, data = header_of(path)
        content = bytearray(before[data:])
        change(header, content)
        text = json.dumps(header).encode()
        text += b" " * (-(len(text) + 8) % 64)
        path.write_bytes(struct.pack("<Q", len(text)) + text + content)
        result = run("inspect", "--model", model)
        path.write_bytes(before)
        self.assertEqual(result.status, 1, result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1)
        return result.stderr

    def test_damaged_packed_matrices_are_named(self):
        model = self.packed(LLAVA, "int8")
        name = "packed.language_model.lm_head.int8"

        def shorter(header, content):
            begin, end = header[name]["data_offsets"]
            header[name] = {"dtype": "U8", "shape": [end - begin - 64], "data_offsets": [begin, end - 64]}
            header["rest"] = {"dtype": "U8", "shape": [64], "data_offsets": [end - 64, end]}

        def of_halves(header, content):
            begin, end = header[name]["data_offsets"]
            header[name] = {"dtype": "F16", "shape": [(end - begin) // 2], "data_offsets": [begin, end]}

        def infinite(header, content):
            # Behind panels of bytes lie scales and starts, as many bytes each.
            end = header[name]["data_offsets"][1]
            rows = header["language_model.model.embed_tokens.weight"]["shape"][0]
            scales = end - 2 * 4 * (-(-rows // 64) * 64)
            content[scales : scales + 4] = struct.pack("<f", float("inf"))

        def missing(header, content):
            header["packed.language_model.other.int8"] = header.pop(name)

        self.assertIn(f"{name} is u8", self.damaged(model, shorter))
        self.assertIn(f"{name} is f16", self.damaged(model, of_halves))
        self.assertIn(f"{name} scale 0", self.damaged(model, infinite))
        self.assertIn("missing", self.damaged(model, missing))

    def test_other_widths_than_those_it_was_packed_with_are_refused(self):
        """Panels are padded, so the bytes of a slightly narrower matrix are as many."""
        model = self.packed(FTZ, "int8")
        path = model / "config.json"
        before = path.read_text()
        width = json.loads(before)["text_config"]["intermediate_size"]
        path.write_text(before.replace(f'"intermediate_size": {width}', f'"intermediate_size": {width - 2}', 1))
        result = run("ask", "--model", model, "What?")
        path.write_text(before)
        self.assertEqual(result.status, 1, result.stdout)
        self.assertIn("was packed with another shape", result.stderr)


if __name__ == "__main__":
    main()
