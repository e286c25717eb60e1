"""How a chat is written: --conversation, and models whose own template is not known."""

import hashlib

from answers import LLAVA, Answers
from bad_input import BadInput
from program import GOLDEN, SCENE, edit_json, main

PRECONDITION = "FAILED_PRECONDITION"
GGUF = GOLDEN / "gguf_models" / "llava.gguf"  # of its text model alone
TEMPLATE = "{{ messages[0]['content'] }} shouted"
DIGEST = hashlib.sha256(TEMPLATE.encode()).hexdigest()


class Conversations(Answers, BadInput):
    def ids(self, model, question, *options):
        return self.ask(question, *options, model=model)["prompt_token_ids"]

    def test_a_style_by_name_writes_the_whole_prompt(self):
        for name, text in (("llava_hf", "USER: <image>\nWhat? ASSISTANT:"), ("llava_next_mistral", "[INST] <image>\nWhat? [/INST]"),
                           ("llava_chatml", "<|im_start|>user\n<image>\nWhat?<|im_end|>\n<|im_start|>assistant\n"), ("plain", "<image>\nWhat?\n")):
            with self.subTest(name):
                chat = self.ids(LLAVA, "What?", "--image", SCENE, "--conversation", name)
                self.assertEqual(chat, self.ids(LLAVA, text, "--image", SCENE, "--prompt-format", "raw"))
        self.assertEqual(self.ids(LLAVA, "What?"), self.ids(LLAVA, "What?", "--conversation", "vicuna_v1"))

    def test_a_text_models_template_writes_its_own_beginning(self):
        bos, *text = self.ids(GGUF, "<|user|>\nWhat?</s>\n<|assistant|>\n", "--prompt-format", "raw")
        self.assertEqual(bos, 1)
        self.assertEqual(self.ids(GGUF, "What?", "--conversation", "zephyr"), text)
        # Its <s> is the template's: the tokenizer adds none.
        self.assertEqual([bos, *self.ids(GGUF, "What?", "--conversation", "llama2")], self.ids(GGUF, "<s>[INST] What? [/INST]", "--prompt-format", "raw"))

    def test_an_unknown_template_is_refused_when_a_chat_is_asked_for_and_only_then(self):
        for name, content in (("chat_template.jinja", TEMPLATE), ("tokenizer_config.json", None)):
            with self.subTest(name):
                model = self.model("llava")
                if content is None:
                    edit_json(model / name, lambda c: c.update(chat_template=[{"name": "default", "template": TEMPLATE}]))
                else:
                    (model / name).write_text(content)
                self.refused(PRECONDITION, ["ask", "--model", model, "What?"],
                             [model.name, name, DIGEST, "--prompt-format raw", "--conversation", "llava_hf", "qwen2_5"])
                self.assertEqual(self.ids(model, "What?", "--prompt-format", "raw"), self.ids(LLAVA, "What?", "--prompt-format", "raw"))
                self.assertEqual(self.ids(model, "What?", "--conversation", "chatml"), self.ids(LLAVA, "What?", "--conversation", "chatml"))
                info = self.fine("inspect", "--json", "--model", model).json
                self.assertEqual(info["conversation"], f"unknown (sha256 {DIGEST})")
                self.assertIn(DIGEST, self.fine("inspect", model).stdout)
                named = self.fine("inspect", "--json", "--model", model, "--conversation", "qwen3").json
                self.assertEqual(named["conversation"], "qwen3")

    def test_a_binocle_directory_is_not_made_with_a_guess(self):
        model, out = self.model("llava"), self.folder / "out"
        (model / "chat_template.jinja").write_text(TEMPLATE)
        command = ["convert", "--model", model, "--to", "binocle", "--out", out]
        self.refused(PRECONDITION, command, [DIGEST, "--conversation", "llava_hf"])
        self.fine(*command, "--conversation", "chatml")
        self.assertEqual(self.ids(out, "What?"), self.ids(LLAVA, "What?", "--conversation", "chatml"))

    def test_a_binocle_directory_has_the_last_word_but_one(self):
        model = self.model("binocle_ftz")
        (model / "chat_template.jinja").write_text(TEMPLATE)
        self.assertEqual(self.fine("inspect", "--json", "--model", model).json["conversation"], "binocle")
        edit_json(model / "config.json", lambda c: c.update(conversation="qwen2_5"))
        self.assertEqual(self.fine("inspect", "--json", "--model", model).json["conversation"], "qwen2_5")
        self.assertEqual(self.fine("inspect", "--json", "--model", model, "--conversation", "plain").json["conversation"], "plain")

    def test_what_cannot_be_is_refused(self):
        self.refused("INVALID_ARGUMENT", ["ask", "--model", LLAVA, "What?", "--conversation", "shout"], "INVALID_ARGUMENT: --conversation is 'shout', expected one of plain, ", status=2)
        self.refused("INVALID_ARGUMENT", ["ask", "--model", LLAVA, "What?", "--conversation="], "--conversation is empty", status=2)
        self.refused("INVALID_ARGUMENT", ["ask", "--model", LLAVA, "What?", "--conversation", "mistral_v0_1", "--system", "Be brief."],
                     "system: conversation mistral_v0_1 has no place for it")


if __name__ == "__main__":
    main()
