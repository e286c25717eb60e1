"""What the tests of `binocle client` share: a server of the default model, and the client against it."""

import tempfile
from pathlib import Path

from program import TESTS, run
from server import CALL_SECONDS, Server, Serving

HOME = TESTS.parent / "examples" / "images" / "home.png"
READ = TESTS.parent / "examples" / "images" / "read.png"
SHORT = ["--max-new-tokens", "12"]


class Asking(Serving):
    """A server for all tests of a class, and the client against it."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="binocle-")
        cls.addClassCleanup(folder.cleanup)
        cls.server = Server(Path(folder.name))
        cls.addClassCleanup(cls.server.close)

    def client(self, command, *arguments, server=None, seconds=CALL_SECONDS, **options):
        address = f"127.0.0.1:{(server or self.server).grpc}"
        return run("client", command, "--server", address, *arguments, seconds=seconds, **options)

    def fine(self, command, *arguments, **options):
        result = self.client(command, *arguments, **options)
        self.assertEqual((result.status, result.stderr), (0, ""))
        return result

    def fails(self, status, pattern, command, *arguments, **options):
        result = self.client(command, *arguments, **options)
        self.assertEqual((result.status, result.stdout), (status, ""), result.stderr)
        self.assertRegex(result.stderr, rf"\A{pattern}\n\Z")
