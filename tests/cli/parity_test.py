"""binocle parity: models agree with their references, and a fault is reported at the stage where it was planted."""

import json
import shutil
import struct
import unittest

from answers import Answers
from program import GOLDEN, edit_header, edit_json, main, run


def reference(name):
    return GOLDEN / name / "reference"


class Parity(Answers):
    def parity(self, model, dump, *arguments):
        result = run("parity", model, dump, "--threads", "1", "--json", *arguments)
        self.assertEqual(result.stdout.count("\n"), 1, result.stderr)
        return result

    def first(self, model, dump, *arguments):
        """Where a comparison that must find a difference finds it: the stage and its indices."""
        result = self.parity(model, dump, *arguments)
        self.assertEqual(result.status, 1, result.stdout)
        self.assertRegex(result.stderr, r"\AFAILED_PRECONDITION: .* differs from .*\n\Z")
        self.assertFalse(result.json["agrees"])
        found = result.json["first_difference"]
        self.assertEqual(found, next(stage for stage in result.json["stages"] if not stage["agrees"]))
        return {key: found[key] for key in ("stage", "image", "request", "input", "layer") if key in found}

    def dump(self, name, edit=None):
        """A copy of a reference, with the picture files that it names."""
        shutil.copytree(GOLDEN / "images", self.folder / "images", dirs_exist_ok=True)
        folder = self.folder / f"dump-{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        for end in ("json", "safetensors"):
            shutil.copyfile(GOLDEN / name / f"reference.{end}", folder / f"reference.{end}")
        if edit:
            edit_json(folder / "reference.json", edit)
        return folder / "reference"

    def with_weight(self, name, tensor, file="model.safetensors"):
        """A copy of a model with one number of a tensor changed, its first."""
        model = self.model(name)

        def edit(header, data):
            begin = header[tensor]["data_offsets"][0]
            if header[tensor]["dtype"] == "F32":
                struct.pack_into("<f", data, begin, struct.unpack_from("<f", data, begin)[0] + 1)
            elif header[tensor]["dtype"] == "F16":
                struct.pack_into("<e", data, begin, struct.unpack_from("<e", data, begin)[0] + 1)
            else:
                bits = struct.unpack_from("<H", data, begin)[0] << 16
                value = struct.unpack("<f", struct.pack("<I", bits))[0] + 1
                struct.pack_into("<H", data, begin, struct.unpack("<I", struct.pack("<f", value))[0] >> 16)

        edit_header(model / file, edit)
        return model

    def with_setting(self, name, edit, file="config.json"):
        model = self.model(name)
        edit_json(model / file, edit)
        return model

    def binocle_with_weight(self, name, tensor):
        index = json.loads((GOLDEN / name / "model.safetensors.index.json").read_text())
        return self.with_weight(name, tensor, index["weight_map"][tensor])

    def test_models_and_towers_agree(self):
        for name, stage in (("llava", "projected"), ("binocle_ftz", "fused"), ("llama", "layer"), ("dinov2", "final norm")):
            found = self.parity(GOLDEN / name, reference(name)).json
            self.assertTrue(found["agrees"])
            self.assertIsNone(found["first_difference"])
            self.assertIn(stage, [row["stage"] for row in found["stages"]])

    def test_the_table_ends_with_one_line(self):
        result = self.fine("parity", GOLDEN / "llava", reference("llava"))
        lines = result.stdout.splitlines()
        self.assertRegex(lines[0], r"\Astage +compared +absolute +relative +expected\Z")
        self.assertRegex(lines[1], r"\Aimage 0, pixels.anchor +14700 +0 +exact +agrees\Z")
        self.assertEqual(lines[-1], "all stages agree")
        self.assertEqual(result.stderr, "")
        broken = self.with_weight("llava", "multi_modal_projector.linear_2.weight")
        result = run("parity", broken, reference("llava"))
        self.assertEqual(result.status, 1)
        self.assertRegex(
            result.stdout.splitlines()[-1],
            r"\Afirst difference: image 0, projected: \S+ relative, expected at most 0.0001: \[\d+, 0\] is \S+, expected \S+\Z",
        )
        self.assertEqual(
            result.stderr, f"FAILED_PRECONDITION: {broken}: differs from {reference('llava')} at image 0, projected\n"
        )

    def test_a_changed_weight_is_found_where_it_is(self):
        layer = "model.layers.1.mlp.down_proj.weight"
        self.assertEqual(self.first(self.with_weight("llama", layer), reference("llama")), {"stage": "layer", "request": 0, "layer": 1})
        embedding = "model.embed_tokens.weight"
        model = self.model("llama")

        def edit(header, data):
            row = header[embedding]["data_offsets"][0] + 2 * 14  # of id 1, with which every prompt begins
            struct.pack_into("<e", data, row, 1.5)

        edit_header(model / "model.safetensors", edit)
        self.assertEqual(self.first(model, reference("llama")), {"stage": "embeddings", "request": 0})
        self.assertEqual(self.first(self.with_weight("llama", "lm_head.weight"), reference("llama")), {"stage": "logits", "request": 0})
        tower = self.with_weight("clip", "vision_model.encoder.layers.2.self_attn.v_proj.bias")
        self.assertEqual(self.first(tower, reference("clip")), {"stage": "layer", "input": 0, "layer": 2})

    def test_a_changed_weight_of_a_fusion_or_of_the_last_layer_is_found(self):
        for name, tensor, where in (
            ("binocle_ftz", "augment.layernorm.bias", {"stage": "augment", "image": 0}),
            ("binocle_ftz", "fusion.out_proj.bias", {"stage": "fused", "image": 0}),
            ("binocle_ftz", "projector.linear_1.bias", {"stage": "projected", "image": 0}),
            ("binocle_mixed_vo", "language_model.model.layers.3.mlp.up_proj.weight", {"stage": "layer", "request": 0, "layer": 3}),
        ):
            self.assertEqual(self.first(self.binocle_with_weight(name, tensor), reference(name)), where, tensor)

    def test_a_changed_setting_is_found_where_it_acts(self):
        for name, edit, where in (
            ("llama", lambda c: c.update(rms_norm_eps=1e-5), {"stage": "layer", "request": 0, "layer": 0}),
            ("llama", lambda c: c.update(rope_theta=20000.0), {"stage": "layer", "request": 0, "layer": 0}),
            ("llava", lambda c: c.update(vision_feature_layer=-1), {"stage": "anchor", "image": 0}),
            ("clip", lambda c: c.update(layer_norm_eps=1e-2), {"stage": "embeddings", "input": 0}),
            ("clip_gelu", lambda c: c.update(hidden_act="quick_gelu"), {"stage": "layer", "input": 0, "layer": 0}),
        ):
            self.assertEqual(self.first(self.with_setting(name, edit), reference(name)), where, name)

    def test_another_resize_or_mean_is_found_in_the_pixels(self):
        for edit, image, where in (
            (lambda c: c.update(resample=2), 1, "another one after resize and crop"),  # picture 0 has the size already
            (lambda c: c.update(image_mean=[0.5, 0.5, 0.5]), 0, "its normalised values are not"),
        ):
            model = self.with_setting("llava", edit, "preprocessor_config.json")
            stages = self.parity(model, reference("llava")).json["stages"]
            wrong = [stage for stage in stages if not stage["agrees"]]
            self.assertEqual((wrong[0]["stage"], wrong[0]["image"]), ("pixels.anchor", image))
            self.assertIn(where, wrong[0]["where"])
            of_first = {stage["stage"] for stage in wrong if stage.get("image") == 0}
            self.assertLessEqual(of_first, {"pixels.anchor"}, "what is fed with the dump's pixels agrees")

    def test_another_tokenizer_is_found_in_the_prompt(self):
        model = self.with_setting("llava", lambda c: c.update(legacy=False), "tokenizer_config.json")
        self.assertEqual(self.first(model, reference("llava")), {"stage": "prompt", "request": 0})

    def test_another_token_is_found_with_its_lead(self):
        def edit(dump):
            dump["requests"][0]["token_ids"][63] = 5

        result = self.parity(GOLDEN / "llama", self.dump("llama", edit))
        first = result.json["first_difference"]
        self.assertEqual(first["stage"], "tokens")
        self.assertRegex(first["where"], r"\Aid 63 is \d+, expected 5, which leads by \S+ in the dump\Z")

    def test_the_tolerance_is_a_choice(self):
        model = self.with_setting("llama", lambda c: c.update(rms_norm_eps=1.1e-6))
        loose = self.parity(model, reference("llama"), "--tolerance", "0.05")
        self.assertTrue(loose.json["agrees"], loose.json["first_difference"])
        self.assertEqual(self.first(model, reference("llama"), "--tolerance", "1e-7")["layer"], 0)

    def test_dumps_of_other_models_and_broken_ones_are_errors(self):
        cut = self.dump("llama")
        path = cut.with_suffix(".safetensors")
        path.write_bytes(path.read_bytes()[:-7])
        vocabulary = self.dump("llama", lambda dump: dump["requests"][0]["token_ids"].append(331))
        family = self.dump("llama", lambda dump: dump.update(model_type="mistral"))
        long = self.dump("llama", lambda dump: dump["requests"][0].update(prompt_token_ids=[1] * 600))
        picture = self.dump("llava", lambda dump: dump.update(images=["none.png", *dump["images"][1:]]))
        for model, dump, message in (
            ("llama", self.folder / "none", r"NOT_FOUND: .*none.safetensors: no such file, expected a dump of two files"),
            ("llama", cut, r"INVALID_ARGUMENT: .*reference.safetensors: "),
            ("llama", vocabulary, r"FAILED_PRECONDITION: .*another model: requests\[0\] has id 331, expected 0 to 330"),
            ("llama", family, r"FAILED_PRECONDITION: .*another model: model_type is mistral, expected llama"),
            ("llama", long, r"FAILED_PRECONDITION: .*another model: requests\[0\] has 664 tokens, expected at most 512"),
            ("llama", reference("llava"), r"FAILED_PRECONDITION: .*another model: "),
            ("llava", picture, r"INVALID_ARGUMENT: .*requests\[\d\]: images"),
            ("images", reference("llava"), r"NOT_FOUND: .*config.json"),
        ):
            result = run("parity", GOLDEN / model, dump)
            self.assertEqual(result.status, 1, result.stdout)
            self.assertRegex(result.stderr, rf"\A{message}.*\n\Z")

    def test_command_lines_that_mean_nothing_are_refused(self):
        here = [GOLDEN / "llama", reference("llama")]
        for arguments, message in (
            ([], "the model is missing, expected MODEL DUMP"),
            (here[:1], "the dump is missing, expected MODEL DUMP"),
            ([*here, "more"], "more is one argument too many"),
            ([*here, "--tolerance", "small"], "--tolerance is small, expected a number"),
            ([*here, "--tolerance", "-1"], "--tolerance is -1"),
            ([*here, "--threads", "two"], "--threads is two"),
            ([*here, "--compute", "f8"], "--compute is f8"),
        ):
            result = run("parity", *arguments)
            self.assertEqual((result.status, result.stdout), (2, ""), arguments)
            self.assertTrue(result.stderr.startswith(f"INVALID_ARGUMENT: {message}"), result.stderr)
            self.assertEqual(result.stderr.count("\n"), 1)


if __name__ == "__main__":
    main()
