"""Interventions on the command line against transformers in eager mode with the same change applied to its weights.

The references are tests/golden/*/interventions.{json,safetensors} (tools/reference/interventions.py): 64 greedy tokens, and at each step
the most probable tokens that are left, most probable first.
"""

import json
import struct

from answers import Answers, golden_tensors
from program import GOLDEN, SCENE, edit_header, main

MODELS = ("llava_sinks", "binocle_sinks_vo", "binocle_sinks_mixed")
TOLERANCE = 1e-3  # of a natural logarithm


def top_five(path):
    """Per run the [64][5] pairs of id and logarithm that the reference kept; id -1 where fewer tokens are left."""
    found = {}
    for name, values in golden_tensors(path).items():
        if not name.endswith(".top5"):
            continue
        pairs = list(zip(map(int, values[0::2]), values[1::2]))
        found[name] = [[pair for pair in pairs[at : at + 5] if pair[0] >= 0] for at in range(0, len(pairs), 5)]
    return found


class Interventions(Answers):
    def ask_all(self, model, runs):
        requests = []
        for index, run in enumerate(runs):
            request = {key: run[key] for key in ("prompt", "prompt_format", "seed")}
            request["images"] = [str((GOLDEN / model / image).resolve()) for image in run["images"]]
            requests.append(request | run["options"] | {"id": index})
        path = self.requests(*requests)
        return self.fine("ask", "--model", GOLDEN / model, "--max-new-tokens", "64", "--logprobs", "8", "--requests", path).lines

    def test_tokens_and_probabilities_are_those_of_the_reference(self):
        for model in MODELS:
            runs = json.loads((GOLDEN / model / "interventions.json").read_text())["runs"]
            kept = top_five(GOLDEN / model / "interventions.safetensors")
            self.assertEqual(len(runs), len(kept))
            for index, (run, got) in enumerate(zip(runs, self.ask_all(model, runs))):
                with self.subTest(model=model, setting=run["name"], request=run["id"]):
                    self.assertNotIn("error", got)
                    self.assertEqual(got["prompt_token_ids"], run["prompt_token_ids"])
                    self.compare_steps(got["logprobs"], kept[f"run{index}.top5"])
                    self.assertEqual(got["token_ids"], run["token_ids"])
                    self.assertNotEqual(got["token_ids"], run["plain_token_ids"], "an intervention that changes nothing shows nothing")

    def compare_steps(self, got, want):
        self.assertEqual(len(got), len(want))
        for step, (found, expected) in enumerate(zip(got, want)):
            found = {token: value for token, value in found}
            for token, value in expected:
                self.assertAlmostEqual(found.get(token, float("inf")), value, delta=TOLERANCE, msg=f"step {step}, token {token}")

    def test_what_was_applied_comes_back_with_every_default(self):
        for model in MODELS:
            runs = json.loads((GOLDEN / model / "interventions.json").read_text())["runs"]
            for run, got in zip(runs, self.ask_all(model, runs)):
                with self.subTest(model=model, setting=run["name"]):
                    self.assertEqual(set(got["interventions"]), set(run["options"]))
                    for name, values in got["interventions"].items():
                        want = dict(run["applied"][name])
                        first, last = (want["layers"][0], want["layers"][-1]) if "layers" in want else (None, None)
                        if "layers" in want:
                            want["layers"] = f"{first}-{last}"
                        self.assertEqual(values, want)

    def test_rows_that_no_token_uses_cut_nothing(self):
        """A padded vocabulary whose spare rows win: the cuts of guidance and VCD go by the tokens that can come."""
        model = self.model("llava_sinks")
        tokens = 321  # of the tokenizer; the table has ten rows more

        def pad(header, data):
            entry = header["language_model.lm_head.weight"]
            self.assertEqual((entry["dtype"], entry["shape"][0]), ("F16", tokens + 10))
            begin, _ = entry["data_offsets"]
            row = 2 * entry["shape"][1]
            for spare in range(10):
                source = begin + (10 + spare // 2) * row
                values = struct.unpack_from(f"<{row // 2}e", data, source)
                # One of each pair is far above every token.
                scale = 6 if spare % 2 else -6
                struct.pack_into(f"<{row // 2}e", data, begin + (tokens + spare) * row, *(scale * v for v in values))

        edit_header(model / "language_model.safetensors", pad)
        for options in (["--vcd", "beta=0.1"], ["--guidance", "gamma=1.1,cut=0.1"]):
            with self.subTest(options=options):
                answer = self.ask("--prompt-format", "raw", "--image", SCENE, *options, "<image>red", model=model)
                self.assertEqual(answer["completion_tokens"], 6)
                self.assertLess(max(answer["token_ids"]), tokens)


if __name__ == "__main__":
    main()
