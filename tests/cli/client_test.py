"""`binocle client` from outside: every command gives what the engine gives."""

import hashlib
import json
import math

from asking import HOME, READ, SHORT, Asking
from program import SCENE, main, run
from server import CALL_SECONDS

# What the same question may be asked with.
OPTIONS = {
    "greedy": ["--image", HOME, "What is in the picture?"],
    "no picture": ["Hello"],
    "two pictures": ["--image", HOME, "--image", READ, "Which <image> or <image>?"],
    "sampling": ["--image", HOME, "--temperature", "1", "--top-k", "40", "--top-p", "0.9", "--min-p", "0.01", "--repetition-penalty", "1.2", "--seed", "7", "What?"],
    "system": ["--image", HOME, "--system", "Be short.", "What is it?"],
    "raw": ["--image", HOME, "--prompt-format", "raw", "<image> It is"],
    "stop": ["--image", HOME, "--stop", "e", "--stop", "zz", "What is it?"],
    "interventions": ["--image", HOME, "--var", "p=0.5,rho=0.4,layers=1-3,dims=1+2", "--pai", "alpha=0.3", "--guidance", "gamma=1.2", "What is it?"],
    "contrast": ["--image", HOME, "--vcd", "steps=200", "--temperature", "0.5", "--seed", "3", "What is it?"],
    "choices": ["--image", HOME, "--choices", "yes", "--choices", "no", "Is there a cat?"],
    "regex": ["--image", HOME, "--regex", "[a-z]{3}[0-9]", "What is it?"],
    "schema": ["--image", HOME, "--json-schema", '{"type": "integer"}', "How many?"],
}
# Of --json: what a server does not tell, and what time and chance change.
UNTOLD = ("device", "compute")
CHANGING = ("timings_ms", "cache", "model")


class Answers(Asking):
    def test_answers_are_those_of_ask(self):
        for name, arguments in OPTIONS.items():
            with self.subTest(name):
                own = run("ask", *SHORT, *arguments, seconds=CALL_SECONDS)
                self.assertEqual(own.status, 0, own.stderr)
                self.assertEqual(self.fine("ask", *SHORT, *arguments).stdout, own.stdout)

    def test_json_is_that_of_ask(self):
        for name in ("greedy", "sampling", "interventions", "schema"):
            arguments = [*SHORT, "--json", "--n", "2", "--logprobs", "3", "--grounding", *OPTIONS[name]]
            with self.subTest(name):
                own, asked = run("ask", *arguments, seconds=CALL_SECONDS).json, self.fine("ask", *arguments).json
                self.assertEqual(set(own) - set(asked), set(UNTOLD))
                self.assertEqual(set(asked) - set(own), set())
                for key in set(asked) - set(CHANGING):
                    self.assertEqual(asked[key], own[key], key)
                self.assertEqual(asked["timings_ms"].keys(), own["timings_ms"].keys())

    def test_several_answers_and_in_one_piece(self):
        arguments = ["--n", "3", "--temperature", "1", "--seed", "5", *SHORT, "--image", HOME, "What is it?"]
        own = run("ask", *arguments, seconds=CALL_SECONDS)
        self.assertEqual(self.fine("ask", *arguments).stdout, own.stdout)
        self.assertEqual(self.fine("ask", "--no-stream", *arguments).stdout, own.stdout)
        self.assertIn(b"first token", self.client("ask", "--timings", *arguments).stderr_bytes)

    def test_an_uploaded_picture_is_the_picture(self):
        ids = self.fine("upload", HOME, SCENE).stdout.split()
        self.assertEqual(ids, [hashlib.sha256(path.read_bytes()).hexdigest() for path in (HOME, SCENE)])
        question = [*SHORT, "What is in the picture?"]
        sent = self.fine("ask", "--image", HOME, *question).stdout
        self.assertEqual(self.fine("ask", "--image", f"upload:{ids[0]}", *question).stdout, sent)

    def test_priority_and_attention_go_with_the_request(self):
        attention = self.fine("ask", "--json", *SHORT, "Hello").json["attention"]
        arguments = ["--priority", "5", *SHORT, "Hello"]
        if attention in ("stock", "composite"):
            arguments = ["--attention", attention, *arguments]
        self.assertEqual(self.fine("ask", *arguments).stdout, self.fine("ask", *SHORT, "Hello").stdout)

    def test_vectors(self):
        (line,) = self.fine("embed", "--image", HOME).lines
        self.assertEqual((line["image"], line["rows"], len(line["vectors"]), len(line["vectors"][0])), (str(HOME), 1, 1, line["width"]))
        lines = self.fine("embed", "--image", HOME, "--text", "a key", "--text", "a dog", "--normalize").lines
        self.assertEqual([[key for key in ("image", "text") if key in each] for each in lines], [["image"], ["text"], ["text"]])
        for each in lines:
            self.assertAlmostEqual(math.sqrt(sum(x * x for x in each["vectors"][0])), 1, places=4)
        self.assertNotEqual(lines[1]["vectors"], lines[2]["vectors"])
        (tokens,) = self.fine("embed", "--text", "a key", "--pooling", "tokens").lines
        self.assertGreater(tokens["rows"], 1)
        self.assertEqual(len(tokens["vectors"]), tokens["rows"])

    def test_explanations_are_those_of_explain(self):
        question = [*SHORT, "--image", HOME, "What is it?"]
        own, asked = self.folder / "own", self.folder / "asked"
        local = run("explain", "--out", own, *question, seconds=CALL_SECONDS)
        self.assertEqual(local.status, 0, local.stderr)
        self.assertEqual(self.fine("explain", "--out", asked, *question).stdout, local.stdout)
        self.assertEqual(sorted(p.name for p in asked.iterdir()), sorted(p.name for p in own.iterdir()))
        mine, theirs = (json.loads((folder / "explanation.json").read_text()) for folder in (own, asked))
        self.assertEqual(theirs["explanation"], mine["explanation"])
        for picture in own.glob("*.png"):
            self.assertEqual((asked / picture.name).read_bytes(), picture.read_bytes())
        self.fails(1, "ALREADY_EXISTS: .*", "explain", "--out", asked, *question)


class About(Asking):
    def test_health(self):
        self.assertEqual(self.fine("health").stdout, "SERVING\n")
        self.assertEqual(self.fine("health", "binocle.v1.VisionLanguageService").stdout, "SERVING\n")
        self.fails(1, "NOT_FOUND: .*", "health", "such.a.Service")

    def test_models(self):
        (model,) = self.fine("models", "--json").json
        inspected = run("inspect", "--json").json
        self.assertEqual(model["name"], "binocle-tiny")
        for key in ("family", "parameters", "context_tokens", "image_tokens"):
            self.assertEqual(model[key], inspected[key])
        self.assertIn("binocle-tiny", self.fine("models").stdout)

    def test_info(self):
        info = self.fine("info", "--json").json
        self.assertEqual((info["in_flight"], info["draining"]), (1, False))
        self.assertEqual(info["limits"]["max_image_bytes"], 64 << 20)
        self.assertIn(f"limits.max_image_bytes {64 << 20}\n", self.fine("info").stdout)
        self.assertIn(info["version"], run("--version").stdout)

    def test_usage(self):
        for arguments in ([], ["ask"], ["embed"], ["upload"], ["explain", "--out", "x", "--image", HOME], ["ask", "--logprobs", "2", "Hello"],
                          ["embed", "--text", "a", "--pooling", "most"], ["ask", "--timeout", "-1", "Hello"], ["ask", "--attempts", "0", "Hello"],
                          ["ask", "--attention", "some", "Hello"], ["ask", "--tls-key", SCENE, "Hello"], ["load", "--requests", "0"], ["load", "--cancel-share", "2"],
                          ["load", "--prompt", ""], ["nothing"], ["ask", "--nothing", "Hello"], ["ask", "--n", "0", "Hello"]):
            with self.subTest(arguments):
                result = run("client", *arguments)
                self.assertEqual((result.status, result.stdout), (2, ""), result.stderr)
                self.assertRegex(result.stderr, r"\AINVALID_ARGUMENT: .*\n\Z")


if __name__ == "__main__":
    main()
