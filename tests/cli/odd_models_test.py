"""Models whose files leave something to be understood: it is understood as transformers and llama.cpp do, or refused by name."""

import json
import shutil
import struct

from answers import Answers
from program import GOLDEN, SCENE, main, run

NUMBER, TEXT = 6, 8  # types of a GGUF file's metadata
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


class Gguf:
    """A file of version 3: its metadata as (key, type, bytes), its tensors' entries and data."""

    def __init__(self, path):
        self.bytes, self.at = path.read_bytes(), 8
        tensors, entries = self.take("Q"), self.take("Q")
        self.metadata = [self.entry() for _ in range(entries)]
        self.tensors = [self.tensor() for _ in range(tensors)]
        self.data = self.bytes[-(-self.at // 32) * 32 :]

    def take(self, form):
        value = struct.unpack_from("<" + form, self.bytes, self.at)[0]
        self.at += struct.calcsize("<" + form)
        return value

    def text(self):
        length = self.take("Q")
        self.at += length
        return self.bytes[self.at - length : self.at].decode()

    def skip(self, kind):
        if kind == TEXT:
            self.text()
        elif kind == 9:
            inner, count = self.take("I"), self.take("Q")
            for _ in range(count):
                self.skip(inner)
        else:
            self.at += SIZES[kind]

    def entry(self):
        key, kind = self.text(), self.take("I")
        begin = self.at
        self.skip(kind)
        return key, kind, self.bytes[begin : self.at]

    def tensor(self):
        begin = self.at
        name = self.text()
        extents = self.take("I")
        self.at += 8 * extents + 12
        return name, self.bytes[begin : self.at]

    def set(self, key, kind=None, value=b""):
        self.metadata = [entry for entry in self.metadata if entry[0] != key]
        if kind is not None:
            self.metadata.append((key, kind, value))
        return self

    def write(self, path):
        name = lambda text: struct.pack("<Q", len(text)) + text.encode()  # noqa: E731
        head = b"GGUF" + struct.pack("<IQQ", 3, len(self.tensors), len(self.metadata))
        head += b"".join(name(key) + struct.pack("<I", kind) + value for key, kind, value in self.metadata)
        head += b"".join(entry for _, entry in self.tensors)
        path.write_bytes(head + bytes(-len(head) % 32) + self.data)
        return path


def number(value):
    return NUMBER, struct.pack("<f", value)


def text(value):
    return TEXT, struct.pack("<Q", len(value)) + value.encode()


def read_safetensors(path):
    """The header's entries, and the data."""
    data = path.read_bytes()
    length = struct.unpack_from("<Q", data)[0]
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def write_safetensors(path, entries, data):
    header = json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)


class OddModels(Answers):
    def first(self, model, *arguments):
        answer = self.fine("ask", "--model", model, "--prompt-format", "raw", "--json", "--max-new-tokens", "1", "--logprobs", "1", *arguments, "hello there").json
        return answer["prompt_token_ids"], answer["logprobs"]

    def gguf(self, name="llava"):
        return Gguf(GOLDEN / "gguf_models" / f"{name}.gguf")

    def test_a_whole_file_goes_before_an_index(self):
        model = self.folder / "model"
        shutil.copytree(GOLDEN / "llava", model)
        wanted = self.first(model)
        (model / "old.safetensors").write_bytes(b"no model at all")
        (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"lm_head.weight": "old.safetensors"}}))
        self.assertEqual(self.first(model), wanted)

    def test_linear_scaling_is_read_however_it_is_said(self):
        plain = self.first(self.gguf().write(self.folder / "plain.gguf"))
        said = [self.gguf().set("llama.rope.scaling.type", *text("linear")).set("llama.rope.scaling.factor", *number(8)),
                self.gguf().set("llama.rope.scaling.factor", *number(8)), self.gguf().set("llama.rope.scale_linear", *number(8))]
        scaled = [self.first(file.write(self.folder / f"{i}.gguf")) for i, file in enumerate(said)]
        self.assertNotEqual(scaled[0], plain)
        self.assertEqual(scaled, [scaled[0]] * 3)
        for file in (self.gguf().set("llama.rope.scaling.factor", *number(0)),
                     self.gguf().set("llama.rope.scaling.type", *text("none")).set("llama.rope.scaling.factor", *number(8))):
            self.assertEqual(self.first(file.write(self.folder / "none.gguf")), plain)

    def test_what_every_model_of_an_architecture_has_may_not_be_missing(self):
        for name, part, found in (("qwen2", ".bias", "q_proj.bias"), ("qwen3", "_norm.weight", "q_norm.weight")):
            file = self.gguf(name)
            kept = [tensor for tensor in file.tensors if not (tensor[0].startswith("blk.") and "attn_" in tensor[0] and tensor[0].endswith(part)
                                                              and not tensor[0].endswith("attn_norm.weight"))]
            self.assertLess(len(kept), len(file.tensors))
            file.tensors = kept
            file.metadata += [entry for entry in self.gguf().metadata if entry[0].startswith("tokenizer.")]
            result = run("inspect", "--model", file.write(self.folder / f"{name}.gguf"))
            self.assertEqual(result.status, 1)
            self.assertRegex(result.stderr, rf"\AINVALID_ARGUMENT: .*missing: .*{found}")

    def test_roles_of_a_llama_vocabulary_are_the_usual_ones(self):
        file = self.gguf()
        wanted = self.first(file.write(self.folder / "said.gguf"))
        for role in ("bos", "eos", "unknown"):
            file.set(f"tokenizer.ggml.{role}_token_id")
        self.assertEqual(self.first(file.write(self.folder / "unsaid.gguf")), wanted)
        self.assertEqual(wanted[0][0], 1)

    def test_an_adapter_may_not_change_a_head_that_nobody_reads(self):
        model, adapter = self.folder / "model", self.folder / "adapter"
        shutil.copytree(GOLDEN / "llama_tied", model)
        shutil.copyfile(GOLDEN / "llava" / "tokenizer.model", model / "tokenizer.model")
        entries, data = read_safetensors(model / "model.safetensors")
        name = next(name for name in entries if name.endswith("embed_tokens.weight"))
        begin, end = entries[name]["data_offsets"]
        rows, width = entries[name]["shape"]
        entries["lm_head.weight"] = entries[name] | {"data_offsets": [len(data), len(data) + end - begin]}
        write_safetensors(model / "model.safetensors", entries, data + data[begin:end])
        adapter.mkdir()
        (adapter / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 1, "lora_alpha": 1, "target_modules": ["lm_head"]}))
        half = {"dtype": "F32", "shape": [1, width], "data_offsets": [0, 4 * width]}
        other = {"dtype": "F32", "shape": [rows, 1], "data_offsets": [4 * width, 4 * (width + rows)]}
        write_safetensors(adapter / "adapter_model.safetensors", {"base_model.model.lm_head.lora_A.weight": half, "base_model.model.lm_head.lora_B.weight": other},
                          struct.pack("<f", 1) * (width + rows))
        result = run("convert", "--model", model, "--lora", adapter, "--out", self.folder / "merged")
        self.assertRegex(result.stderr, r"\AINVALID_ARGUMENT: .*the adapter changes lm_head\.weight, which the model does not read")
        self.assertFalse((self.folder / "merged").exists())

    def test_a_mark_is_text_where_no_picture_can_be(self):
        self.fine("ask", "--model", GOLDEN / "gguf_models" / "llava.gguf", "--conversation", "plain", "--max-new-tokens", "1", "What is <image>?")
        refused = run("ask", "--model", GOLDEN / "llava", "What is <image>?")
        self.assertRegex(refused.stderr, r"\AINVALID_ARGUMENT: prompt: has 1 <image> mark")

    def test_features_before_all_layers_have_nothing_to_be_modulated_by(self):
        model = self.folder / "model"
        shutil.copytree(GOLDEN / "llava", model)
        config = json.loads((model / "config.json").read_text())
        config["vision_feature_layer"] = 0
        (model / "config.json").write_text(json.dumps(config))
        result = run("ask", "--model", model, "--image", SCENE, "--modulate", "alpha=0.7,beta=0.4,layers=0-1", "What?")
        self.assertEqual(result.status, 2)
        self.assertRegex(result.stderr, r"\AFAILED_PRECONDITION: --modulate goes by ")


if __name__ == "__main__":
    main()
