"""The package beside others: descriptors that somebody else has too, names, types."""

import importlib.util
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent


def python(*arguments, **options):
    return subprocess.run([sys.executable, *arguments], cwd=PACKAGE, capture_output=True, text=True, **options)


class Beside(unittest.TestCase):
    def run_imports(self, *imports):
        done = python("-W", "error", "-c", "; ".join(f"import {name}" for name in imports))
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_google_s_protos_may_be_there_before_and_after(self):
        theirs = ("google.rpc.error_details_pb2", "google.rpc.status_pb2", "grpc_health.v1.health_pb2")
        self.run_imports(*theirs, "binocle")
        self.run_imports("binocle", *theirs)

    def test_stubs_that_somebody_made_of_the_same_files_may_be_there(self):
        program = """
import sys
from pathlib import Path
import generate
generate.run_protoc(generate.proto_root(), sys.argv[1])
Path(sys.argv[1], "binocle").rename(Path(sys.argv[1], "theirs"))
for made in Path(sys.argv[1], "theirs", "v1").glob("*.py"):
    made.write_text(made.read_text().replace("from binocle.v1 import", "from theirs.v1 import"))
sys.path.append(sys.argv[1])
import binocle
from theirs.v1 import vision_language_service_pb2 as theirs
from binocle._proto.v1 import vision_language_service_pb2 as ours
assert theirs is not ours and theirs.AskRequest(prompt="a").SerializeToString() == ours.AskRequest(prompt="a").SerializeToString()
"""
        with tempfile.TemporaryDirectory() as folder:
            done = python("-c", program, folder)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_no_module_but_binocle_is_added(self):
        program = "import sys; import binocle; print({name.split('.')[0] for name in sys.modules if 'binocle' in name})"
        self.assertEqual(python("-c", program).stdout.strip(), "{'binocle'}")


@unittest.skipUnless(importlib.util.find_spec("mypy"), "needs mypy")
class Types(unittest.TestCase):
    def check(self, source, *expected):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "user.py")
            path.write_text(source)
            done = python("-m", "mypy", str(path))
        for part in expected:
            self.assertIn(part, done.stdout)
        self.assertEqual(done.returncode, 1 if expected else 0, done.stdout)

    def test_the_package_is_typed(self):
        done = python("-m", "mypy")
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_options_are_typed_for_users(self):
        self.check("""
import binocle
client = binocle.Client("127.0.0.1:50051", tls=binocle.Tls(ca="ca.pem"))
answer: str = client.ask("Well?", ["a.png", b"", binocle.Image(id="ab")], temperature=0.5, var=binocle.Var(p=0.5)).answer
for delta in client.stream("Well?", choices=["yes", "no"], json_schema=None):
    text: str = delta.text
async def ask(client: binocle.AsyncClient) -> float:
    async with client.stream("Well?") as stream:
        return (await stream.result()).timings.first_token
""")
        self.check(
            'import binocle\nbinocle.Client("a:1").ask("Well?", temprature=1, n="2", prompt_format="row")\n',
            'Unexpected keyword argument "temprature"', 'Argument "n"', 'Argument "prompt_format"',
        )


if __name__ == "__main__":
    unittest.main()
