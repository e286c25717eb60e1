"""Random damage to pictures, models and requests: an answer or one line with a code, never a crash."""

import json
import os
import random

from bad_input import EXHAUSTED, INVALID, LLAVA, NOT_FOUND, QUESTION, UNIMPLEMENTED, BadInput
from program import MEMORY_BYTES, PICTURES, SANITIZED, SCENE, SECONDS, main, run


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

    def answers_or_codes(self, result, count):
        """`count` lines, each an answer or an error with a code."""
        self.assertIn(result.status, (0, 1), f"\nexit {result.status}, stderr: {result.stderr[:3000]}")
        self.assertEqual(len(result.lines), count)
        for line in result.lines:
            self.assertTrue("answer" in line or line["error"]["code"] in (INVALID, NOT_FOUND, EXHAUSTED, UNIMPLEMENTED), line)

    def test_pictures(self):
        for name in ("rgb.png", "interlaced.png", "palette.png", "grey.jpg", "exif_6.jpg", "progressive.jpg", "lossy.webp", "rgba.webp"):
            whole = (PICTURES / name).read_bytes()
            pictures = [self.write(f"{seed}-{name}", self.damaged(whole, random.Random(f"{name} {seed}"))) for seed in range(self.ROUNDS)]
            lines = "".join(json.dumps({"id": path.name, "prompt": QUESTION[0], "images": [str(path)], "max_new_tokens": 2}) + "\n" for path in pictures)
            with self.subTest(name):
                result = run("ask", "--model", LLAVA, "--requests", self.write(name + ".jsonl", lines), seconds=6 * SECONDS)
                self.answers_or_codes(result, self.ROUNDS)
                self.assertNotIn("\n", "".join(line["error"]["message"] for line in result.lines if "error" in line))
                if not SANITIZED:
                    self.assertLess(result.memory, MEMORY_BYTES)
                # Alone it is told as a line of stderr.
                self.survives("ask", "--model", LLAVA, "--image", pictures[0], *QUESTION)

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
        self.answers_or_codes(result, 50 * self.ROUNDS)


if __name__ == "__main__":
    main()
