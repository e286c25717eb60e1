"""What the tests of good input share: runs that end well, and their answers."""

import json
import struct

from program import GOLDEN, Folder, run

LLAVA = GOLDEN / "llava"
FTZ = GOLDEN / "binocle_ftz"
OTHER_SCENE = GOLDEN / "images" / "scene_61x83.png"
SHORT = ["--max-new-tokens", "6"]


def golden_tensors(path):
    """The f32 tensors of a safetensors file, flat."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    found = {}
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = (8 + length + at for at in entry["data_offsets"])
            found[name] = struct.unpack(f"<{(end - begin) // 4}f", data[begin:end])
    return found


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
