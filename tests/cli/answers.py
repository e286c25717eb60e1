"""What the tests of good input share: runs that end well, and their answers."""

import json

from program import GOLDEN, Folder, run

LLAVA = GOLDEN / "llava"
FTZ = GOLDEN / "binocle_ftz"
OTHER_SCENE = GOLDEN / "images" / "scene_61x83.png"
SHORT = ["--max-new-tokens", "6"]


class Answers(Folder):
    def fine(self, *arguments, **options):
        result = run(*arguments, **options)
        self.assertEqual(result.status, 0, result.stderr)
        return result

    def ask(self, *arguments, model=LLAVA, **options):
        """The JSON object of one question."""
        result = self.fine("ask", "--model", model, "--json", *SHORT, *arguments, **options)
        self.assertEqual(result.stderr, "")
        self.assertEqual(result.stdout.count("\n"), 1, "one line")
        return result.json

    def ask_file(self, path, *arguments, **options):
        result = self.fine("ask", "--model", LLAVA, *SHORT, "--requests", path, *arguments, **options)
        self.assertEqual(result.stderr, "", "nothing on stderr unless it is a terminal")
        return result.lines

    def requests(self, *requests, name="requests.jsonl"):
        return self.write(name, "".join(json.dumps(request) + "\n" for request in requests))
