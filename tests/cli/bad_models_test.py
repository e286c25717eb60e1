"""Model directories whose configuration is missing, odd or of an unknown kind are refused."""

import os

from bad_input import EXHAUSTED, INVALID, LLAVA, NOT_FOUND, QUESTION, UNIMPLEMENTED, BadInput
from program import SCENE, edit_header, edit_json, main, run


class BadConfigurations(BadInput):
    def refused_config(self, code, name, edit, mentions, file="config.json"):
        model = self.model(name)
        edit_json(model / file, edit)
        self.refused_model(code, model, mentions)

    def test_a_model_that_is_not_there_is_not_found(self):
        self.refused_model(NOT_FOUND, self.folder / "none", "none: no such model directory")

    def test_a_file_is_no_model_directory(self):
        self.refused_model(INVALID, SCENE, "is not a directory")
        self.refused_model(INVALID, "/dev/zero", "is not a directory")

    def test_a_directory_without_a_config_is_not_found(self):
        self.refused_model(NOT_FOUND, self.folder, "config.json: no such file")

    def test_a_config_that_is_no_object_is_refused(self):
        rows = [("empty", b"", "not valid JSON"), ("text", b"model_type: llava\n", "not valid JSON"), ("cut off", b'{"model_type": "lla', "not valid JSON"),
                ("a list", b"[1, 2]", "expected an object"), ("a number", b"3", "expected an object"), ("nested", b"[" * 200_000, "nested deeper"),
                ("nested objects", b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested deeper"), ("no UTF-8", b'{"model_type": "\xff\xfe"}', "not valid JSON"),
                ("binary", bytes(range(256)), "not valid JSON")]
        for name, content, mention in rows:
            with self.subTest(name):
                model = self.model()
                (model / "config.json").write_bytes(content)
                self.refused_model(INVALID, model, ["config.json", mention])

    def test_a_config_that_is_a_directory_or_a_pipe_is_refused(self):
        for make in (os.mkdir, os.mkfifo):
            model = self.model()
            (model / "config.json").unlink()
            make(model / "config.json")
            self.refused_model(INVALID, model, "config.json")

    def test_an_unknown_architecture_is_unimplemented(self):
        self.refused_config(UNIMPLEMENTED, "llava", lambda c: c.update(model_type="qwen9_vl"), ["qwen9_vl", "binocle, granite, llama, llava"])
        self.refused_config(INVALID, "llava", lambda c: c.pop("model_type") and None, "model_type is missing")
        self.refused_config(UNIMPLEMENTED, "binocle_ftz", lambda c: c["anchor_config"].update(model_type="eva"), "eva")
        self.refused_config(UNIMPLEMENTED, "binocle_ftz", lambda c: c["augment_config"].update(model_type="convnext"), "convnext")

    def test_tiles_that_the_reference_could_not_cut_are_refused(self):
        for value in ([], "auto", [[70]], [[70, 71]], [[0, 70]], [[70, 70, 70]], [["70", 70]], [[70.5, 70]], [[70 * 257, 70]], [[70, 70]] * 1025):
            with self.subTest(value=str(value)[:40]):
                model = self.model("llava_next")
                for name in ("config.json", "preprocessor_config.json"):
                    edit_json(model / name, lambda c, v=value: c.update(image_grid_pinpoints=v))
                self.refused_model(INVALID, model, ["image_grid_pinpoints", "multiples of 70"])
        one = {"image_grid_pinpoints": [[140, 140]]}
        self.refused_config(INVALID, "llava_next", lambda c: c.update(one), ["preprocessor_config.json", "image_grid_pinpoints"])
        self.refused_config(INVALID, "llava_next", lambda c: c.update(vision_feature_select_strategy="full"), ["vision_feature_select_strategy", "patches of a square"])
        for value in ("square", "anyres", "anyres_max_", "anyres_max_0", "anyres_max_9x", "anyres_max_-1", "anyres_max_99999999999999999999"):
            self.refused_config(INVALID, "llava_onevision", lambda c, v=value: c.update(vision_aspect_ratio=v), ["vision_aspect_ratio", "anyres_max_N"])

    def test_values_out_of_the_documented_set_are_refused(self):
        def text(**values):
            return lambda c: c["text_config"].update(values)

        def anchor(**values):
            return lambda c: c["anchor_config"].update(values)

        def augment(**values):
            return lambda c: c["augment_config"].update(values)

        def fusion(**values):
            return lambda c: c["fusion_config"].update(values)

        rows = [
            ("unknown fusion", fusion(type="glue"), "glue"),
            ("unknown fusion key", fusion(gain=2), "unknown key gain"),
            ("fusion heads that do not divide", fusion(num_attention_heads=7), "hidden_size"),
            ("unknown norm", fusion(norm="batch"), "norm"),
            ("format version", lambda c: c.update(format_version=2), "format_version"),
            ("no format version", lambda c: c.pop("format_version") and None, "format_version is missing"),
            ("unknown conversation", lambda c: c.update(conversation="shouting"), "shouting"),
            ("image token past the vocabulary", lambda c: c.update(image_token_index=331), "image_token_index is 331"),
            ("negative image token", lambda c: c.update(image_token_index=-1), "image_token_index is -1"),
            ("no text model", lambda c: c.pop("text_config") and None, "text_config is missing"),
            ("text model is a list", lambda c: c.update(text_config=[]), "text_config"),
            ("patch larger than the picture", anchor(patch_size=80), "patch_size is 80"),
            ("picture size that the processor does not make", anchor(image_size=84), "84"),
            ("anchor heads that do not divide", anchor(num_attention_heads=7), "num_attention_heads=7"),
            ("unknown activation", anchor(hidden_act="tanh"), "hidden_act"),
            ("feature layer outside", anchor(vision_feature_layer=-9), "vision_feature_layer -9"),
            ("unknown selection", anchor(vision_feature_select_strategy="best"), "vision_feature_select_strategy"),
            ("text heads that do not divide", text(num_attention_heads=5, head_dim=None), "num_attention_heads=5"),
            ("key heads that do not divide", text(num_key_value_heads=3), "num_key_value_heads is 3"),
            ("odd head", text(head_dim=11), "head_dim is 11"),
            ("huge head", text(head_dim=1 << 20), "head_dim"),
            ("negative width", text(hidden_size=-32), "hidden_size is -32"),
            ("zero width", text(hidden_size=0), "hidden_size is 0"),
            ("huge width", text(hidden_size=10**18), "hidden_size is 1000000000000000000"),
            ("wider than any integer", text(hidden_size=10**40), "hidden_size"),
            ("fractional width", text(hidden_size=32.5), "hidden_size is 32.5"),
            ("width as text", text(hidden_size="32"), "hidden_size"),
            ("zero layers", text(num_hidden_layers=0), "num_hidden_layers is 0"),
            ("a million layers", text(num_hidden_layers=1_000_000), "num_hidden_layers"),
            ("zero patch", anchor(patch_size=0), "patch_size is 0"),
            ("huge tower", anchor(image_size=1 << 30), "image_size"),
            ("negative registers", augment(num_register_tokens=-4), "num_register_tokens is -4"),
            ("negative epsilon", text(rms_norm_eps=-1), "rms_norm_eps"),
            ("zero theta", text(rope_theta=0), "rope_theta"),
            ("end token past the vocabulary", text(eos_token_id=1000), "eos_token_id is 1000"),
            ("a tied head as text", text(tie_word_embeddings="no"), "tie_word_embeddings"),
            ("composite layers outside", lambda c: c.update(composite_attention={"layers": [0, 9]}), "layers"),
            ("composite layers beyond any integer", lambda c: c.update(composite_attention={"layers": [1e300]}), "layers"),
            ("fractional composite layers", lambda c: c.update(composite_attention={"layers": [0.5]}), "layers"),
            ("unknown aligner", lambda c: c.update(composite_attention={"aligner": "glue"}), "aligner"),
            ("unknown key of composite attention", lambda c: c.update(composite_attention={"layer": "all"}), "unknown key layer"),
            ("unknown projector", lambda c: c.update(projector_config={"type": "resampler"}), "type"),
        ]
        self.refused_table(rows, lambda edit, mention: self.refused_config(INVALID, "binocle_ftz", edit, mention))

    def text_model(self, layers=3, **values):
        """The golden text model with a tokenizer, more layers (copies of its first) and other values in its config.json."""
        model = self.model("llama")
        for file in LLAVA.glob("tokenizer*"):
            (model / file.name).write_bytes(file.read_bytes())

        def grow(header, data):
            first = {name: entry for name, entry in header.items() if ".layers.0." in name}
            for layer in range(3, layers):
                for name, entry in first.items():
                    begin, end = entry["data_offsets"]
                    header[name.replace(".0.", f".{layer}.", 1)] = {**entry, "data_offsets": [len(data), len(data) + end - begin]}
                    data += data[begin:end]

        edit_header(model / "model.safetensors", grow)
        edit_json(model / "config.json", lambda c: c.update(num_hidden_layers=layers, **values))
        return model

    def test_a_text_model_takes_no_pictures(self):
        model = self.text_model()
        self.assertEqual(run("ask", "--model", model, *QUESTION).status, 0)
        self.refused(INVALID, ["ask", "--model", model, "--image", SCENE, *QUESTION], "text model")
        self.refused(INVALID, ["ask", "--model", model, "--fusion", "ftz", *QUESTION], ["--fusion is ftz", "text model"], status=2)

    def test_an_unknown_rope_scaling_is_unimplemented(self):
        for kind in ("yarn", "longrope"):
            self.refused_config(UNIMPLEMENTED, "binocle_ftz", lambda c, kind=kind: c["text_config"].update(rope_scaling={"rope_type": kind, "factor": 4.0}), kind)

    def test_an_absurd_context_does_not_take_the_memory_of_the_machine(self):
        self.refused_config(INVALID, "binocle_ftz", lambda c: c["text_config"].update(max_position_embeddings=10**15), "max_position_embeddings")

    def test_a_model_larger_than_the_machine_is_described_and_not_loaded(self):
        model = self.text_model(layers=256, max_position_embeddings=1 << 24)
        plan = run("inspect", "--json", model).json["memory"]["planned_bytes"]
        machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        self.assertGreater(plan, 5 << 40)
        if plan <= machine:
            self.skipTest("this machine has more memory than that")
        arguments = ["ask", "--model", model, *QUESTION]
        self.refused(EXHAUSTED, arguments, [f"the plan needs {plan} bytes", f"this machine has {machine}"])
        self.refused(EXHAUSTED, [*arguments, "--memory-limit", "2T"], [f"the plan needs {plan} bytes", f"the memory limit is {2 << 40}"])
        self.assertEqual(run(*arguments, "--context-tokens", "64").status, 0)

    def test_sizes_that_the_weights_do_not_have_are_refused(self):
        rows = [("width", lambda c: c["text_config"].update(hidden_size=64)), ("layers", lambda c: c["text_config"].update(num_hidden_layers=900)),
                ("vocabulary", lambda c: c["text_config"].update(vocab_size=1 << 24)), ("tower", lambda c: c["anchor_config"].update(hidden_size=16384, num_attention_heads=256)),
                ("patch", lambda c: c["anchor_config"].update(patch_size=10)), ("ffn", lambda c: c["text_config"].update(intermediate_size=1 << 20))]
        self.refused_table(rows, lambda edit: self.refused_config(INVALID, "binocle_ftz", edit, "the weights do not fit the configuration"))

    def test_a_missing_preprocessor_is_not_found(self):
        for name in ("llava", "binocle_ftz"):
            model = self.model(name)
            (model / "preprocessor_config.json").unlink()
            self.refused_model(NOT_FOUND, model, "preprocessor_config.json: no such file")

    def test_an_odd_preprocessor_is_refused(self):
        rows = [("std 0", {"image_std": [0, 0.5, 0.5]}, "image_std"), ("two means", {"image_mean": [0.5, 0.5]}, "image_mean"),
                ("unknown filter", {"resample": 17}, "resample is 17"), ("filter by name", {"resample": "bicubic"}, "resample"),
                ("size 0", {"size": {"shortest_edge": 0}}, "shortest_edge is 0"), ("huge size", {"size": {"shortest_edge": 10**9}}, "shortest_edge"),
                ("unknown size", {"size": {"longest_edge": 70}}, "longest_edge"), ("size as text", {"size": "70"}, "size"),
                ("negative crop", {"crop_size": {"height": -70, "width": 70}}, "height is -70"), ("another crop", {"crop_size": {"height": 71, "width": 71}}, "71"),
                ("no crop", {"do_center_crop": False}, "does not fix the size"), ("unknown type", {"image_processor_type": "OwlImageProcessor"}, "OwlImageProcessor"),
                ("no type", {"image_processor_type": None}, "image_processor_type is missing"), ("flag as text", {"do_resize": "yes"}, "do_resize")]
        self.refused_table(rows, lambda values, mention: self.refused_config(INVALID, "llava", lambda c: c.update(values), mention, "preprocessor_config.json"))

    def test_a_preprocessor_without_the_second_tower_is_refused(self):
        self.refused_config(INVALID, "binocle_ftz", lambda c: c.pop("augment") and None, "augment is missing", "preprocessor_config.json")

    def test_end_tokens_outside_the_vocabulary_are_refused(self):
        for value in (331, -1, [2, 10**12], 10**30, "2", 2.5):
            with self.subTest(value):
                self.refused_config(INVALID, "llava", lambda c, value=value: c.update(eos_token_id=value), "eos_token_id", "generation_config.json")


    def test_files_of_a_model_that_are_links_to_nowhere_or_to_devices_are_refused(self):
        for file in ("config.json", "preprocessor_config.json", "model.safetensors", "tokenizer.model", "tokenizer_config.json", "generation_config.json"):
            for target, code in (("/dev/zero", INVALID), (file, INVALID), ("none", NOT_FOUND)):
                model = self.model()
                (model / file).unlink()
                (model / file).symlink_to(target)
                if target == "none" and file in ("tokenizer_config.json", "generation_config.json"):
                    continue  # they may be absent
                with self.subTest(file, target=target):
                    self.refused_model(code, model, file)


if __name__ == "__main__":
    main()
