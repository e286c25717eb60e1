"""Models described."""

import math

from answers import FTZ, LLAVA, Answers
from program import GOLDEN, edit_json, main


class Inspecting(Answers):
    def test_the_description_agrees_with_itself_and_with_the_files(self):
        for name in ("llava", "binocle_ftz", "binocle_vo", "binocle_token_concat", "binocle_augment", "llava_model_prefix"):
            with self.subTest(name):
                info = self.fine("inspect", "--json", "--model", GOLDEN / name).json
                self.assertEqual(list(info), ["name", "family", "path", "parameters", "vocabulary", "context_tokens", "image_tokens", "image_token_id", "fusion", "attention",
                                              "composite_layers", "aligner", "conversation", "device", "parts", "memory", "tensors"])
                self.assertEqual(info["parameters"], sum(part["parameters"] for part in info["parts"]))
                sizes = [math.prod(tensor["shape"]) for tensor in info["tensors"]]
                widths = {"f32": 4, "f16": 2, "bf16": 2}
                self.assertEqual(info["memory"]["file_bytes"], sum(size * widths[tensor["dtype"]] for size, tensor in zip(sizes, info["tensors"])))
                self.assertLessEqual(info["parameters"], sum(sizes))
                self.assertGreater(info["parameters"], 0.9 * sum(sizes) if name != "binocle_augment" else 0)
                self.assertGreaterEqual(info["memory"]["planned_bytes"],
                                        info["memory"]["kv_bytes"] + info["memory"]["workspace_bytes"] + sum(part["weight_bytes"] + part["activation_bytes"] for part in info["parts"]))
                for part in info["parts"]:
                    self.assertEqual(set(part), {"name", "type", "properties", "parameters", "weight_bytes", "activation_bytes"})
                self.assertEqual(len({tensor["name"] for tensor in info["tensors"]}), len(info["tensors"]))

    def test_composite_layers_are_shown(self):
        def shown(*options):
            info = self.fine("inspect", "--json", "--model", *options).json
            return info["attention"], info["composite_layers"], info["aligner"]

        self.assertEqual(shown(GOLDEN / "binocle_vo"), ("composite", [0, 1, 2, 3], "vo"))
        self.assertEqual(shown(GOLDEN / "binocle_mixed_vo"), ("mixed", [0, 2], "vo"))
        self.assertEqual(shown(FTZ), ("stock", [], ""))
        self.assertEqual(shown(FTZ, "--composite-layers", "1-2"), ("mixed", [1, 2], "vo_ffn"))

    def test_the_plan_follows_the_limits(self):
        plans = [self.fine("inspect", "--json", LLAVA, *options).json["memory"]["kv_bytes"] for options in ([], ["--context-tokens", "64"])]
        self.assertEqual(plans[0], 8 * plans[1])

    def test_each_part_tells_how_its_matrices_are_kept(self):
        def kinds(*options):
            return {part["name"]: part["properties"]["compute"] for part in self.fine("inspect", "--json", *options).json["parts"]}

        self.assertEqual(set(kinds(FTZ).values()), {"f32"})
        want = {"anchor": "bf16, int8", "augment": "bf16, int8", "fusion": "int8", "projector": "f32", "language_model": "int8, int4"}
        options = ("--compute", "int4", "--compute-parts", "projector=f32")
        self.assertEqual(kinds(FTZ, *options), want)
        packed = self.folder / "packed"
        self.fine("quantize", "--model", FTZ, "--out", packed, *options)
        self.assertEqual(kinds(packed), want)

    def test_people_get_a_page_with_the_tensors_on_request(self):
        info = self.fine("inspect", "--json", FTZ).json
        brief, long = self.fine("inspect", FTZ).stdout, self.fine("inspect", FTZ, "--tensors").stdout
        self.assertIn(f"{len(info['tensors'])} tensors", brief)
        for part in info["parts"]:
            self.assertIn(part["type"], brief)
        for tensor in info["tensors"]:
            self.assertIn(tensor["name"], long)

    def test_what_a_terminal_would_obey_is_escaped(self):
        model = self.model("binocle_ftz")
        edit_json(model / "config.json", lambda c: c.update(name="\x1b]0;owned\x07\nmodèle"))
        self.assertTrue(self.fine("inspect", model).stdout.startswith(r"\x1b]0;owned\x07\nmodèle ("))
        self.assertEqual(self.fine("inspect", "--json", model).json["name"], "\x1b]0;owned\x07\nmodèle")


if __name__ == "__main__":
    main()
