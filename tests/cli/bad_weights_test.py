"""Weights and tokenizers that are missing, damaged or hostile are refused."""

import os
import struct

from bad_input import INVALID, LLAVA, NOT_FOUND, UNIMPLEMENTED, BadInput
from program import edit_header, edit_json, main


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
        self.refused_model(NOT_FOUND, model, "has no tokenizer, expected tokenizer.model or tokenizer.json")

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


if __name__ == "__main__":
    main()
