"""Every kind of bad input gives one clear line with the canonical code, a non-zero exit, bounded time and memory."""

import json
import os
import random
import re
import struct
import subprocess
import unittest

from program import (GOLDEN, MEMORY_BYTES, PICTURES, SANITIZED, SCENE, SECONDS, Folder, edit_header, edit_json, environment, main,
                     packed_zeros, png, program, run)

INVALID = "INVALID_ARGUMENT"
NOT_FOUND = "NOT_FOUND"
DENIED = "PERMISSION_DENIED"
EXHAUSTED = "RESOURCE_EXHAUSTED"
UNIMPLEMENTED = "UNIMPLEMENTED"

LLAVA = GOLDEN / "llava"
QUESTION = ["What is it?", "--max-new-tokens", "2"]


class BadInput(Folder):
    def refused(self, code, arguments, mentions=(), stdout=r"\Z", **options):
        """The run ends with one line `code: …` that mentions the given texts, and prints nothing else."""
        result = run(*arguments, **options)
        shown = f"\nexit {result.status}, stderr: {result.stderr[:2000]}\nstdout: {result.stdout[:300]}"
        self.assertGreater(result.status, -1, "ended by a signal (or took too long)" + shown)
        self.assertIn(result.status, (1, 2), "the exit status" + shown)
        lines = result.stderr.splitlines()
        self.assertEqual(len(lines), 1, "lines on stderr" + shown)
        self.assertTrue(lines[0].startswith(code + ": "), f"expected {code}" + shown)
        self.assertLess(len(lines[0].encode()), 8000, "the line is too long to read" + shown)
        self.assertRegex(lines[0], r"\A[^\x00-\x1f\x7f]*\Z", "control characters" + shown)
        for text in (mentions,) if isinstance(mentions, str) else mentions:
            self.assertIn(text, lines[0], "the line must say what is wrong" + shown)
        self.assertTrue(re.match(stdout, result.stdout), "stdout" + shown)
        self.assertLess(result.seconds, SECONDS, "too slow" + shown)
        if not SANITIZED:
            self.assertLess(result.memory, MEMORY_BYTES, "too much memory" + shown)
        return result

    def refused_picture(self, code, path, mentions=(), *options):
        self.refused(code, ["ask", "--model", LLAVA, "--image", path, *options, *QUESTION], mentions)

    def refused_model(self, code, model, mentions=()):
        """Asking and inspecting refuse it alike."""
        asked = self.refused(code, ["ask", "--model", model, "--image", SCENE, *QUESTION], mentions)
        inspected = self.refused(code, ["inspect", "--model", model], mentions)
        self.assertEqual(asked.stderr, inspected.stderr, "ask and inspect must say the same")

    def refused_table(self, rows, check):
        for name, *row in rows:
            with self.subTest(name):
                check(*row)


class Baseline(BadInput):
    """What the other tests damage works before."""

    def test_the_copies_answer(self):
        for name in ("llava", "binocle_ftz"):
            result = run("ask", "--model", self.model(name), "--image", SCENE, *QUESTION)
            self.assertEqual((result.status, result.stderr), (0, ""))
            self.assertTrue(result.stdout)


class BadPictures(BadInput):
    def test_a_missing_picture_is_not_found(self):
        self.refused_picture(NOT_FOUND, self.folder / "none.png", "none.png: no such file")
        self.refused_picture(NOT_FOUND, SCENE / "inside.png")

    def test_an_empty_picture_is_refused(self):
        self.refused_picture(INVALID, self.write("empty.jpg", b""), "is empty")

    def test_an_empty_or_endless_path_is_refused(self):
        self.refused_picture(NOT_FOUND, "")
        self.refused_picture(INVALID, "x" * 5000)

    def test_pictures_cut_off_anywhere_are_refused(self):
        for name in ("rgb.png", "grey.jpg", "progressive.jpg", "lossy.webp", "lossless.webp"):
            whole = (PICTURES / name).read_bytes()
            for part in (0.02, 0.3, 0.6, 0.9):
                with self.subTest(name, part=part):
                    self.refused_picture(INVALID, self.write("cut-" + name, whole[: int(len(whole) * part)]), "cut-" + name)

    def test_files_of_another_kind_say_what_they_are(self):
        kinds = {
            "a PDF document": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n",
            "text": b"This is not a picture.\n",
            "a GIF picture": b"GIF89a\x01\x00\x01\x00\x80\x00\x00" + bytes(40),
            "a BMP picture": b"BM" + struct.pack("<IHHI", 58, 0, 0, 54) + bytes(44),
            "a TIFF picture": b"II*\x00\x08\x00\x00\x00" + bytes(40),
            "SVG": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
            "a ZIP archive": b"PK\x03\x04" + bytes(60),
            "an executable": b"\x7fELF\x02\x01\x01" + bytes(60),
            "of an unknown kind": bytes(range(200, 256)),
        }
        for kind, content in kinds.items():
            for suffix in (".jpg", ".png"):
                with self.subTest(kind, suffix=suffix):
                    self.refused_picture(INVALID, self.write("other" + suffix, content), [kind, "JPEG, PNG or WebP"])

    def test_a_header_of_60000_by_60000_is_refused_before_decoding(self):
        self.refused_picture(EXHAUSTED, self.write("huge.png", png(60000, 60000, b"x")), "60000")
        self.refused_picture(EXHAUSTED, PICTURES / "huge.jpg", "huge.jpg")

    def test_a_zip_bomb_is_refused_without_unpacking_it(self):
        bomb = packed_zeros(256 << 20)
        self.refused_picture(INVALID, self.write("bomb.png", png(8, 8, bomb)), "corrupt PNG")
        self.refused_picture(INVALID, PICTURES / "bomb.png", "corrupt PNG")

    def test_damaged_pictures_are_refused(self):
        for name in ("checksum.png", "filter.png", "short.png", "no_palette.png", "no_zlib.png", "broken.webp", "no_end.jpg"):
            with self.subTest(name):
                self.refused_picture(INVALID, PICTURES / name, name)
        self.refused_picture(UNIMPLEMENTED, PICTURES / "animated.webp", "animated")

    def test_a_picture_without_pixels_is_refused(self):
        self.refused_picture(INVALID, self.write("flat.png", png(0, 7)), "0 x 7")

    def test_a_directory_or_a_device_is_no_picture(self):
        self.refused_picture(INVALID, self.folder, "is a directory")
        self.refused_picture(INVALID, "/dev/zero", "not a regular file")

    def test_a_pipe_without_a_writer_is_not_waited_for(self):
        pipe = self.folder / "pipe.png"
        os.mkfifo(pipe)
        self.refused_picture(INVALID, pipe, "not a regular file")

    def test_an_unreadable_picture_is_permission_denied(self):
        nobody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}  # root reads everything
        self.folder.chmod(0o755)
        model = self.model()
        try:
            if run("inspect", model, **nobody).status != 0:
                self.skipTest("another user cannot run the program where it lies")
        except PermissionError:
            self.skipTest("another user cannot run the program where it lies")
        for path, arguments in ((self.write("secret.png", png(2, 2)), ["--image", self.folder / "secret.png"]), (self.write("secret.jsonl", "{}"), ["--requests", self.folder / "secret.jsonl"]),
                                (model / "model.safetensors", []), (model / "config.json", [])):
            path.chmod(0)
            question = [] if "--requests" in arguments else QUESTION
            with self.subTest(path.name):
                self.refused(DENIED, ["ask", "--model", model, *arguments, *question], path.name, **nobody)
            path.chmod(0o644)

    def test_limits_on_bytes_and_pixels_hold(self):
        sparse = self.folder / "sparse.png"
        with open(sparse, "wb") as file:
            file.write(png(2, 2))
            file.truncate(3 << 30)
        self.refused_picture(EXHAUSTED, sparse, "the limit is 67108864")
        self.refused_picture(EXHAUSTED, SCENE, "the limit is 100", "--max-image-bytes", "100")
        self.refused_picture(EXHAUSTED, SCENE, "the limit is 4899", "--max-image-pixels", "4899")
        self.refused_picture(EXHAUSTED, SCENE, "the limit is 0", "--max-images", "0")


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
        self.refused_config(UNIMPLEMENTED, "llava", lambda c: c.update(model_type="qwen9_vl"), ["qwen9_vl", "binocle, llama, llava"])
        self.refused_config(INVALID, "llava", lambda c: c.pop("model_type") and None, "model_type is missing")
        self.refused_config(UNIMPLEMENTED, "binocle_ftz", lambda c: c["anchor_config"].update(model_type="eva"), "eva")
        self.refused_config(UNIMPLEMENTED, "binocle_ftz", lambda c: c["augment_config"].update(model_type="convnext"), "convnext")

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

    def test_a_text_model_takes_no_pictures(self):
        model = self.model("llama")
        for file in LLAVA.glob("tokenizer*"):
            (model / file.name).write_bytes(file.read_bytes())
        self.assertEqual(run("ask", "--model", model, *QUESTION).status, 0)
        for arguments in (["--image", SCENE], ["--fusion", "ftz"]):
            self.refused(INVALID, ["ask", "--model", model, *arguments, *QUESTION], "text model")

    def test_an_unknown_rope_scaling_is_unimplemented(self):
        for kind in ("yarn", "longrope"):
            self.refused_config(UNIMPLEMENTED, "binocle_ftz", lambda c, kind=kind: c["text_config"].update(rope_scaling={"rope_type": kind, "factor": 4.0}), kind)

    def test_an_absurd_context_does_not_take_the_memory_of_the_machine(self):
        self.refused_config(INVALID, "binocle_ftz", lambda c: c["text_config"].update(max_position_embeddings=10**15), "max_position_embeddings")

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
                if target != "/dev/zero" and file in ("tokenizer_config.json", "generation_config.json"):
                    continue  # they may be absent
                with self.subTest(file, target=target):
                    self.refused_model(code, model, file)


class BadWeights(BadInput):
    def refused_weights(self, edit, mentions, code=INVALID):
        model = self.model()
        edit_header(model / "model.safetensors", edit)
        self.refused_model(code, model, mentions)

    def test_missing_weights_are_not_found(self):
        model = self.model()
        (model / "model.safetensors").unlink()
        self.refused_model(NOT_FOUND, model, "model.safetensors: no such file")

    def test_missing_extra_and_mis_shaped_tensors_are_reported_at_once(self):
        def edit(header, _):
            names = sorted(name for name in header if name != "__metadata__")
            header["surprise"] = header.pop(names[0])
            shape = header[names[1]]["shape"]
            header[names[1]]["shape"] = [1, *shape]

        self.refused_weights(edit, ["1 missing: ", "1 mis-shaped: ", "1 unexpected: surprise"])

    def test_each_problem_alone_is_reported(self):
        def renamed(header, _):
            header["surprise"] = header.pop(sorted(header)[-1])

        def transposed(header, _):
            name = next(n for n in header if n != "__metadata__" and len(header[n]["shape"]) == 2 and header[n]["shape"][0] != header[n]["shape"][1])
            header[name]["shape"].reverse()

        self.refused_weights(renamed, ["missing", "unexpected: surprise"])
        self.refused_weights(transposed, "1 mis-shaped: ")

    def test_weights_that_are_not_finite_are_refused(self):
        for name, bits in (("NaN", 0x7E00), ("infinity", 0x7C00), ("-infinity", 0xFC00)):
            def edit(header, data, bits=bits):
                tensor = next(n for n in sorted(header) if n != "__metadata__" and header[n]["dtype"] == "F16")
                begin = header[tensor]["data_offsets"][0]
                data[begin + 4 : begin + 6] = struct.pack("<H", bits)

            with self.subTest(name):
                self.refused_weights(edit, ["not finite", "element 2"])

    def test_hostile_headers_are_refused(self):
        def first(header):
            return header[next(n for n in header if n != "__metadata__" and n.endswith("weight"))]

        def entry(**values):
            return lambda header, _: first(header).update(values)

        def overlap(header, _):
            names = sorted((n for n in header if n != "__metadata__"), key=lambda n: header[n]["data_offsets"])
            for a, b in zip(names, names[1:]):
                if header[a]["data_offsets"][1] - header[a]["data_offsets"][0] == header[b]["data_offsets"][1] - header[b]["data_offsets"][0]:
                    header[b]["data_offsets"] = header[a]["data_offsets"]
                    return

        def past_the_end(header, data):
            begin, end = first(header)["data_offsets"]
            first(header)["data_offsets"] = [len(data), len(data) + end - begin]

        rows = [
            ("overlap", overlap, "overlap"), ("past the end", past_the_end, "data_offsets"), ("past 64 bits", entry(data_offsets=[0, 2**70]), "data_offsets"),
            ("backwards", entry(data_offsets=[100, 0]), "data_offsets"), ("negative offsets", entry(data_offsets=[-8, 0]), "data_offsets"),
            ("one offset", entry(data_offsets=[0]), "data_offsets"), ("offsets as text", entry(data_offsets="0-8"), "data_offsets"),
            ("negative shape", entry(shape=[-1, -70]), "extents"), ("overflowing shape", entry(shape=[2**40, 2**40]), "63 bits"),
            ("fractional shape", entry(shape=[1.5, 2]), "extents"), ("shape of many dimensions", entry(shape=[1] * 50), "data_offsets"),
            ("no shape", entry(shape=None), "shape"), ("unknown dtype", entry(dtype="F7"), "dtype"), ("dtype of another size", entry(dtype="F32"), "data_offsets"),
            ("entry is a number", lambda header, _: header.update(x=3), "expected an object"), ("a list", lambda header, _: [1], "expected an object"),
            ("nothing", lambda header, _: {}, "end"),
        ]
        self.refused_table(rows, self.refused_weights)

    def test_damaged_files_are_refused(self):
        whole = (LLAVA / "model.safetensors").read_bytes()
        (length,) = struct.unpack("<Q", whole[:8])
        rows = [("empty", b""), ("seven bytes", whole[:7]), ("cut in the header", whole[:200]), ("cut in the data", whole[:-1]), ("longer", whole + b"\0"),
                ("header longer than memory", struct.pack("<Q", 2**63) + whole[8:]), ("header of all ones", b"\xff" * 8 + whole[8:]),
                ("header longer than the file", struct.pack("<Q", len(whole)) + whole[8:]), ("header length 0", struct.pack("<Q", 0) + whole[8:]),
                ("header one byte short", struct.pack("<Q", length - 1) + whole[8:]), ("nested header", struct.pack("<Q", 1 << 20) + b"[" * (1 << 20)),
                ("a pickle", b"\x80\x02}q\x00." * 100), ("zeros", bytes(100_000))]
        for name, content in rows:
            with self.subTest(name):
                model = self.model()
                (model / "model.safetensors").write_bytes(content)
                self.refused_model(INVALID, model, "model.safetensors: ")

    def test_weights_that_are_a_pipe_are_refused(self):
        model = self.model()
        (model / "model.safetensors").unlink()
        os.mkfifo(model / "model.safetensors")
        self.refused_model(INVALID, model, "not a regular file")

    def refused_index(self, code, edit, mentions):
        model = self.model("binocle_ftz")
        edit_json(model / "model.safetensors.index.json", edit)
        self.refused_model(code, model, mentions)

    def test_an_index_that_names_a_missing_shard_is_not_found(self):
        self.refused_index(NOT_FOUND, lambda i: i["weight_map"].update(x="model-7-of-9.safetensors"), "model-7-of-9.safetensors: no such file")

    def test_an_index_stays_in_its_folder(self):
        for name in ("../../etc/passwd", "/etc/passwd", "..", ".", "", "a/b.safetensors", 7, None):
            with self.subTest(name):
                self.refused_index(INVALID, lambda i, name=name: i["weight_map"].update(x=name), "file name" if isinstance(name, str) else "a string")

    def test_a_damaged_index_is_refused(self):
        self.refused_index(INVALID, lambda i: i.pop("weight_map") and None, "weight_map")
        self.refused_index(INVALID, lambda i: i.update(weight_map={}), "weight_map is empty")
        self.refused_index(INVALID, lambda i: i.update(weight_map=[1]), "weight_map")
        self.refused_index(INVALID, lambda i: [i], "expected an object")


class BadTokenizers(BadInput):
    def test_a_missing_tokenizer_is_not_found(self):
        model = self.model()
        (model / "tokenizer.model").unlink()
        self.refused_model(NOT_FOUND, model, "tokenizer.model: no such file")

    def test_a_damaged_tokenizer_is_refused(self):
        whole = (LLAVA / "tokenizer.model").read_bytes()
        rows = [("empty", b""), ("text", b"these are not pieces"), ("cut off", whole[: len(whole) // 2 + 1]), ("random", bytes(range(256)) * 20),
                ("first byte", b"\xff" + whole[1:]), ("a length past the end", b"\x0a\xff\xff\xff\xff\x0f" + whole)]
        for name, content in rows:
            with self.subTest(name):
                model = self.model()
                (model / "tokenizer.model").write_bytes(content)
                self.refused_model(INVALID, model, "tokenizer.model")

    def test_a_tokenizer_larger_than_the_vocabulary_is_refused(self):
        model = self.model("binocle_ftz")
        pieces = b""
        for i in range(200):
            text = f"piece{i}".encode()
            piece = b"\x0a" + bytes([len(text)]) + text + b"\x15" + struct.pack("<f", -20.0)
            pieces += b"\x0a" + bytes([len(piece)]) + piece
        with open(model / "tokenizer.model", "ab") as file:
            file.write(pieces)
        self.refused_model(INVALID, model, "tokenizer")

    def test_an_odd_tokenizer_configuration_is_refused(self):
        rows = [("another class", {"tokenizer_class": "WhisperTokenizer"}, UNIMPLEMENTED, "WhisperTokenizer"),
                ("id out of range", {"added_tokens_decoder": {"99999999999": {"content": "<x>"}}}, INVALID, "added_tokens_decoder"),
                ("negative id", {"added_tokens_decoder": {"-1": {"content": "<x>"}}}, INVALID, "added_tokens_decoder"),
                ("id as text", {"added_tokens_decoder": {"one": {"content": "<x>"}}}, INVALID, "one"),
                ("no content", {"added_tokens_decoder": {"320": {}}}, INVALID, "content"), ("legacy as text", {"legacy": "yes"}, INVALID, "legacy")]
        for name, values, code, mention in rows:
            with self.subTest(name):
                model = self.model()
                edit_json(model / "tokenizer_config.json", lambda c: c.update(values))
                self.refused_model(code, model, mention)


class BadRequests(BadInput):
    def refused_ask(self, code, arguments, mentions=(), **options):
        self.refused(code, ["ask", "--model", LLAVA, *arguments], mentions, **options)

    def test_image_marks_must_match_the_pictures(self):
        raw = ["--prompt-format", "raw"]
        rows = [("none for one", [*raw, "--image", SCENE, "What?"]), ("two for one", [*raw, "--image", SCENE, "<image><image> What?"]),
                ("one for none", [*raw, "<image> What?"]), ("one for two", [*raw, "--image", SCENE, "--image", SCENE, "<image> What?"]),
                ("chat, two for one", ["--image", SCENE, "<image> <image> What?"]), ("chat, one for none", ["<image> What?"]),
                ("a thousand", [*raw, "--image", SCENE, "<image>" * 1000])]
        self.refused_table(rows, lambda arguments: self.refused_ask(INVALID, arguments, "<image>"))

    def test_a_prompt_longer_than_the_context_is_refused(self):
        self.refused_ask(INVALID, ["word " * 2000], ["prompt: has ", "context of"])
        self.refused_ask(INVALID, ["--image", SCENE, "--context-tokens", "20", "What?", "--max-new-tokens", "2"], "context of 20")
        self.refused_ask(INVALID, ["--image", SCENE] * 40 + ["What?"], "40 pictures")

    def test_too_many_pictures_are_refused(self):
        self.refused_ask(EXHAUSTED, ["--image", SCENE] * 65 + ["What?"], "65 pictures")

    def test_an_empty_question_is_refused(self):
        self.refused_ask(INVALID, [""], "question")
        self.refused_ask(INVALID, ["--image", SCENE], "question")

    def test_a_prompt_that_is_no_utf8_is_read_with_replacement_characters(self):
        for text in (b"\xff\xfe", b"caf\xe9?", b"\xf0\x9f", b"\xed\xa0\x80", b"\xc0\xaf"):
            with self.subTest(text):
                result = run("ask", "--model", LLAVA, "--max-new-tokens", "2", "--json", b"What is " + text)
                self.assertEqual((result.status, result.stderr), (0, ""))
                self.assertEqual(result.json["finish_reason"], "length")

    def test_a_prompt_of_a_mebibyte_is_refused_in_bounded_time(self):
        # The operating system takes 128 KiB in one argument, so the large ones come in a file.
        for text in ("a" * (1 << 20), "word " * (1 << 18), "é" * (1 << 19), "<image>" * (1 << 17), "\u2581" * (1 << 18), " " * (1 << 20)):
            path = self.write("large.jsonl", json.dumps({"prompt": text}) + "\n")
            with self.subTest(text[:7]):
                self.refused_ask(INVALID, ["--requests", path], "1 of 1 requests failed", stdout=r'\{"id":1,"error":\{"code":"(INVALID_ARGUMENT|RESOURCE_EXHAUSTED)","message":"[^\n]{,200}\n\Z')

    def test_options_out_of_range_are_refused(self):
        rows = {
            "--temperature": ["nan", "inf", "-0.5", "101", "hot", "1e999", ""], "--top-p": ["2", "-0.1", "nan", "x"], "--min-p": ["1.5", "-1", "nan"],
            "--repetition-penalty": ["0", "-1", "nan", "1000"], "--top-k": ["-1", "1e99", "2.5", "k", "9223372036854775808"],
            "--max-new-tokens": ["0", "-5", "1e99", "99999999", "9223372036854775808", "many", "2.5"], "--seed": ["-1", "18446744073709551616", "1.5", "seed"],
            "--n": ["0", "-1", "65", "1000000000", "two"], "--logprobs": ["-1", "100000", "all"], "--threads": ["-1", "1025", "99999999999", "two"],
            "--context-tokens": ["-1", "99999999999", "x"], "--prefill-chunk-tokens": ["0", "-1", "65537", "nan"], "--max-images": ["-1", "5000"],
            "--max-image-bytes": ["0", "-1", "1e30", "99999999999999"], "--max-image-pixels": ["0", "-1", "99999999999999"],
            "--memory-limit": ["nan", "-1", "0", "lots", "1X", "1e99", "inf", "5 apples", ""], "--stop": ["", "x" * 5000], "--prompt-format": ["html", ""],
            "--fusion": ["glue", "ftz"], "--attention": ["linear"], "--aligner": ["glue"], "--device": ["tpu"], "--compute": ["f8"],
            "--composite-layers": ["5-1", "0-99", "-1", "x", "1-", "0-99999999999999999999", "1,2"],
        }
        for option, values in rows.items():
            for value in values:
                with self.subTest(option, value=value):
                    self.refused_ask(INVALID, ["--image", SCENE, *QUESTION[:1], f"{option}={value}"])

    def test_options_name_themselves_and_what_was_found(self):
        for option, value in (("--temperature", "nan"), ("--top-p", "2"), ("--n", "0"), ("--seed", "-1"), ("--threads", "-1"), ("--memory-limit", "lots"),
                              ("--composite-layers", "5-1"), ("--max-new-tokens", "1e99")):
            with self.subTest(option):
                result = run("ask", "--model", LLAVA, "What?", f"{option}={value}")
                self.assertIn(option.lstrip("-").replace("-", "_"), result.stderr.lower().replace("-", "_"))
                self.assertIn(value.replace("5-1", "5"), result.stderr)

    def test_a_memory_limit_below_the_plan_is_refused(self):
        self.refused_ask(EXHAUSTED, ["What?", "--memory-limit", "1K"], ["memory_limit is 1024", "binocle inspect"])

    def test_devices_and_kinds_of_numbers_to_come_are_unimplemented(self):
        for option, value in (("--device", "cuda"), ("--device", "cuda:1"), ("--compute", "int8"), ("--compute", "bf16")):
            with self.subTest(option, value=value):
                self.refused_ask(UNIMPLEMENTED, ["What?", option, value], value)

    def test_options_that_contradict_each_other_are_refused(self):
        rows = [["--attention", "stock", "--composite-layers", "0-1"], ["--prompt-format", "raw", "--system", "Be brief."],
                ["--requests", "x.jsonl"], ["--logprobs", "3"]]
        for options in rows:
            with self.subTest(options):
                self.refused_ask(INVALID, ["What?", *options])
        self.refused(INVALID, ["chat", "--model", LLAVA, "--prompt-format", "raw"], "raw")
        self.refused(INVALID, ["chat", "--model", LLAVA, "--n", "2"], "--n")
        self.refused(INVALID, ["inspect", LLAVA, "--model", LLAVA], "--model")

    def test_unknown_commands_and_options_are_refused(self):
        for arguments in ([], ["answer"], ["ask", "What?", "--temprature", "1"], ["ask", "What?", "more"], ["inspect", "a", "b"], ["--verbose"],
                          ["ask", "What?", "--image"], ["ask", "--model"], ["\x1b[31m\n"], [b"\xff\xfe"]):
            with self.subTest(arguments):
                self.refused(INVALID, arguments, "binocle --help")

    def test_output_that_cannot_be_written_is_an_error(self):
        for arguments in (["ask", "--model", str(LLAVA), *QUESTION], ["inspect", "--model", str(LLAVA)], ["inspect", "--json", "--model", str(LLAVA)]):
            with open("/dev/full", "wb") as full:
                done = subprocess.run([program(), *arguments], stdout=full, stderr=subprocess.PIPE, timeout=SECONDS, env=environment(), check=False)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr.decode(), r"\A[A-Z_]+: standard output: [^\n]+\n\Z")


class BadRequestFiles(BadInput):
    def refused_requests(self, code, path, mentions=(), **options):
        return self.refused(code, ["ask", "--model", LLAVA, "--max-new-tokens", "2", "--requests", path], mentions, **options)

    def test_a_missing_file_is_not_found(self):
        self.refused_requests(NOT_FOUND, self.folder / "none.jsonl", "none.jsonl")

    def test_a_directory_is_refused(self):
        self.refused_requests(INVALID, self.folder, "is a directory")

    def test_a_file_without_requests_is_refused(self):
        for content in ("", "\n\n  \n"):
            self.refused_requests(INVALID, self.write("empty.jsonl", content), "no requests")

    def test_an_endless_file_is_refused(self):
        self.refused_requests(EXHAUSTED, "/dev/zero", "longer than")

    def test_a_line_of_100_megabytes_is_refused(self):
        path = self.folder / "long.jsonl"
        with open(path, "wb") as file:
            file.write(b'{"prompt": "')
            for _ in range(100):
                file.write(b"a" * 1_000_000)
            file.write(b'"}\n')
        self.refused_requests(EXHAUSTED, path, "line 1 is longer than")

    def test_bad_lines_become_errors_in_order_and_the_run_goes_on(self):
        good = {"prompt": "What is it?"}
        rows = [
            ("good", json.dumps({"id": "first", **good}), None),
            ("text", "What is it?", "not valid JSON"), ("a list", "[1]", "expected an object"), ("a number", "3", "expected an object"),
            ("cut off", '{"prompt": "Wha', "not valid JSON"), ("binary", b"\x00\x01\x02\xff\xfe\x80", "not valid JSON"), ("no UTF-8", b'{"prompt": "\xff"}', "not valid JSON"),
            ("two objects", '{"prompt": "a"} {"prompt": "b"}', "not valid JSON"), ("NaN", '{"prompt": "a", "temperature": NaN}', "not valid JSON"),
            ("nested", '{"prompt": ' + "[" * 100_000, "nested too deeply"), ("nested behind text", '{"a": "' + "]" * 200_000 + '", "prompt": ' + "[" * 150_000 + "]" * 150_000 + "}", "nested too deeply"),
            ("no prompt", "{}", "prompt"), ("empty prompt", '{"prompt": ""}', "prompt"), ("prompt is a number", '{"prompt": 7}', "prompt is 7"),
            ("unknown key", json.dumps({"temprature": 1, **good}), "temprature"), ("duplicate key", '{"prompt": "a", "prompt": "b"}', "prompt"),
            ("temperature as text", json.dumps({"temperature": "hot", **good}), "temperature"), ("temperature beyond", json.dumps({"temperature": 1000, **good}), "temperature"),
            ("temperature overflow", '{"prompt": "a", "temperature": 1e999}', ""), ("fractional count", json.dumps({"max_new_tokens": 2.5, **good}), "max_new_tokens"),
            ("no new tokens", json.dumps({"max_new_tokens": 0, **good}), "max_new_tokens"), ("huge count", '{"prompt": "a", "n": 18446744073709551615}', "n is"),
            ("negative seed", json.dumps({"seed": -1, **good}), "seed"), ("stop is a number", json.dumps({"stop": 3, **good}), "stop"),
            ("empty stop", json.dumps({"stop": [""], **good}), "stop"), ("images is a number", json.dumps({"images": 3, **good}), "images"),
            ("image is an object", json.dumps({"images": [{}], **good}), "images"), ("missing picture", json.dumps({"images": ["none.png"], **good}), "none.png"),
            ("a NUL in a path", json.dumps({"images": [str(SCENE) + "\0.png"], **good}), "NUL"),
            ("unknown format", json.dumps({"prompt_format": "html", **good}), "prompt_format"), ("messages beside prompt", json.dumps({"messages": [], **good}), "messages"),
            ("no messages", '{"messages": []}', "messages"), ("message is text", '{"messages": ["hello"]}', "messages"),
            ("unknown role", '{"messages": [{"role": "system", "text": "x"}]}', "role"), ("unknown key in a message", '{"messages": [{"role": "user", "txet": "x"}]}', "txet"),
            ("assistant last", '{"messages": [{"role": "user", "text": "x"}, {"role": "assistant", "text": "y"}]}', "messages"),
            ("two users", '{"messages": [{"role": "user", "text": "x"}, {"role": "user", "text": "y"}]}', ""),
            ("good", json.dumps({"id": "last", **good}), None),
        ]
        content = b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for _, line, _ in rows)
        bad = sum(mention is not None for _, _, mention in rows)
        result = self.refused_requests(INVALID, self.write("mixed.jsonl", content), f"{bad} of {len(rows)} requests failed", stdout=r".*")
        self.assertEqual(len(result.lines), len(rows))
        for number, ((name, _, mention), line) in enumerate(zip(rows, result.lines), 1):
            with self.subTest(name):
                if mention is None:
                    self.assertIn("answer", line)
                    continue
                self.assertEqual(sorted(line), ["error", "id"])
                self.assertEqual(line["id"], number)
                self.assertEqual(sorted(line["error"]), ["code", "message"])
                self.assertEqual(line["error"]["code"], NOT_FOUND if name == "missing picture" else INVALID)
                self.assertIn(mention, line["error"]["message"])
                self.assertNotIn("\n", line["error"]["message"])

    def test_an_error_carries_the_id_of_its_request(self):
        lines = [{"id": "a", "prompt": ""}, {"id": {"x": 1}, "temprature": 1}, {"id": [2], "prompt": "?", "images": ["none.png"]}]
        path = self.write("ids.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
        result = self.refused_requests(INVALID, path, "3 of 3", stdout=r".*")
        self.assertEqual([line["id"] for line in result.lines], [line["id"] for line in lines])

    def test_many_brackets_in_a_prompt_are_just_text(self):
        path = self.write("brackets.jsonl", json.dumps({"prompt": "[" * 60 + "{" * 1200}) + "\n")
        result = self.refused_requests(INVALID, path, "1 of 1", stdout=r".*")
        self.assertIn("prompt: has ", result.lines[0]["error"]["message"])  # too long for the context, not nested


class RandomDamage(BadInput):
    """Bytes changed, cut out and repeated: an answer or one line with a code, never a crash. BINOCLE_DAMAGES=N tries harder."""

    ROUNDS = int(os.environ.get("BINOCLE_DAMAGES", "8"))

    def damaged(self, content, source):
        content = bytearray(content)
        for _ in range(source.randint(1, 4)):
            at = source.randrange(len(content))
            kind = source.randrange(4)
            if kind == 0:
                content[at] = source.randrange(256)
            elif kind == 1:
                content[at : at + 4] = source.choice([b"\xff\xff\xff\xff", bytes(4), b"\x80\x00\x00\x00", b"\x7f\xff\xff\xff"])
            elif kind == 2:
                del content[at : at + source.randint(1, 40)]
            else:
                content[at:at] = content[at : at + source.randint(1, 40)]
        return bytes(content)

    def survives(self, *arguments):
        result = run(*arguments)
        shown = f"\nexit {result.status}, stderr: {result.stderr[:3000]}"
        self.assertIn(result.status, (0, 1), shown)
        if result.status == 1:
            self.assertRegex(result.stderr, r"\A(INVALID_ARGUMENT|NOT_FOUND|UNIMPLEMENTED|RESOURCE_EXHAUSTED): [^\n]+\n\Z", shown)
        if not SANITIZED:
            self.assertLess(result.memory, MEMORY_BYTES, shown)

    def damages(self, name, content, path, *arguments):
        for seed in range(self.ROUNDS):
            with self.subTest(name, seed=seed):
                path.write_bytes(self.damaged(content, random.Random(f"{name} {seed}")))
                self.survives("ask", *arguments, *QUESTION)

    def test_pictures(self):
        for name in ("rgb.png", "interlaced.png", "palette.png", "grey.jpg", "exif_6.jpg", "progressive.jpg", "lossy.webp", "rgba.webp"):
            path = self.folder / name
            self.damages(name, (PICTURES / name).read_bytes(), path, "--model", LLAVA, "--image", path)

    def test_model_files(self):
        model = self.model()
        for name, front in (("tokenizer.model", None), ("model.safetensors", 10_000), ("config.json", None), ("preprocessor_config.json", None), ("tokenizer_config.json", None)):
            whole = (model / name).read_bytes()
            for seed in range(self.ROUNDS):
                with self.subTest(name, seed=seed):
                    (model / name).write_bytes(self.damaged(whole[:front], random.Random(f"{name} {seed}")) + (whole[front:] if front else b""))
                    self.survives("ask", "--model", model, "--image", SCENE, *QUESTION)
            (model / name).write_bytes(whole)

    def test_request_lines(self):
        line = json.dumps({"id": 1, "prompt": "What \u00e9?", "images": [str(SCENE)], "stop": ["a"], "temperature": 0.5, "max_new_tokens": 2, "n": 2}).encode()
        content = b"".join(self.damaged(line, random.Random(seed)).replace(b"\n", b" ") + b"\n" for seed in range(50 * self.ROUNDS))
        result = run("ask", "--model", LLAVA, "--requests", self.write("damaged.jsonl", content), seconds=6 * SECONDS)
        self.assertIn(result.status, (0, 1), result.stderr[:3000])
        self.assertEqual(len(result.lines), 50 * self.ROUNDS)
        for line in result.lines:
            self.assertTrue("answer" in line or line["error"]["code"] in (INVALID, NOT_FOUND, EXHAUSTED), line)


class BadSessions(BadInput):
    def test_a_chat_that_cannot_begin_is_refused(self):
        self.refused(NOT_FOUND, ["chat", "--model", self.folder / "none"], "no such model directory")
        self.refused(NOT_FOUND, ["chat", "--model", LLAVA, "--image", self.folder / "none.png"], "none.png: no such file")


if __name__ == "__main__":
    main()
