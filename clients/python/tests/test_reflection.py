"""The client of tests/clients, which has reflection alone, against the fake server; test_server.py runs it against a real one."""

import subprocess
import sys
import unittest
from pathlib import Path

from fake_server import FakeServer

SCRIPT = Path(__file__).resolve().parents[3] / "tests" / "clients" / "reflection_client.py"
PICTURE = Path(__file__).resolve().parents[3] / "examples" / "images" / "home.png"


def run(address):
    return subprocess.run([sys.executable, SCRIPT, address, PICTURE], capture_output=True, text=True)


@unittest.skipUnless(SCRIPT.exists(), "the repository is not around")
class Reflection(unittest.TestCase):
    def test_everything_is_found(self):
        server = FakeServer()
        self.addCleanup(server.close)
        done = run(server.address)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("stream: 3 deltas, the same answer", done.stdout)


if __name__ == "__main__":
    unittest.main()
