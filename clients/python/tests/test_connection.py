"""TLS, mutual TLS, addresses and the settings of a connection."""

import json
import shutil
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import grpc
from clients import QUICK
from fake_server import FakeServer

import binocle
from binocle._connection import Connection, target_of


class Authority:
    """Makes certificates in a folder of its own."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.run("req", "-x509", *self.new(name), "-days", "1", "-subj", f"/CN={name}")

    def issue(self, name):
        """(certificate, key) of a host or client, signed by this authority."""
        extensions = Path(self.folder, "extensions")
        extensions.write_text(f"subjectAltName=DNS:{name},IP:127.0.0.1\n")
        self.run("req", *self.new(name), "-out", f"{name}.csr", "-subj", f"/CN={name}")
        self.run("x509", "-req", "-in", f"{name}.csr", "-CA", f"{self.name}.pem", "-CAkey", f"{self.name}.key",
                 "-CAcreateserial", "-days", "1", "-extfile", str(extensions), "-out", f"{name}.pem")
        return self.path(name + ".pem"), self.path(name + ".key")

    @staticmethod
    def new(name):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem")

    def run(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def path(self, name):
        return Path(self.folder, name)

    @property
    def certificate(self):
        return self.path(f"{self.name}.pem")


@unittest.skipUnless(shutil.which("openssl"), "needs the openssl program to make certificates")
class TlsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.ours, cls.other = Authority(folder.name, "ours"), Authority(folder.name, "other")
        cls.server_pair = cls.ours.issue("localhost")
        cls.client_pair = cls.ours.issue("client")

    def serve(self, client_ca=None):
        certificate, key = (path.read_bytes() for path in self.server_pair)
        credentials = grpc.ssl_server_credentials(
            [(key, certificate)], client_ca.read_bytes() if client_ca else None, client_ca is not None
        )
        server = FakeServer(credentials)
        self.addCleanup(server.close)
        return server

    def connect(self, server, **tls):
        client = binocle.Client(server.address, tls=binocle.Tls(**tls), token="s3cret", retry=QUICK, timeout=10)
        self.addCleanup(client.close)
        return client

    def test_the_right_authority_as_a_path_or_as_bytes(self):
        server = self.serve()
        for ca in (self.ours.certificate, self.ours.certificate.read_bytes()):
            self.assertTrue(self.connect(server, ca=ca).list_models())
        self.assertEqual(server.metadata[0]["authorization"], "Bearer s3cret")

    def test_a_wrong_authority_is_unavailable_and_learns_no_token(self):
        server = self.serve()
        for ca in (self.other.certificate, None):
            with self.assertRaises(binocle.Unavailable):
                self.connect(server, ca=ca).list_models()
        self.assertEqual(server.metadata, [])

    def test_a_wrong_name_is_refused_and_another_may_be_expected(self):
        server = self.serve()
        with self.assertRaises(binocle.Unavailable):
            self.connect(server, ca=self.ours.certificate, server_name="example.org").list_models()
        self.assertTrue(self.connect(server, ca=self.ours.certificate, server_name="localhost").list_models())

    def test_mutual_tls(self):
        server = self.serve(client_ca=self.ours.certificate)
        certificate, key = self.client_pair
        self.assertTrue(self.connect(server, ca=self.ours.certificate, certificate=certificate, key=key).list_models())
        with self.assertRaises(binocle.Unavailable):
            self.connect(server, ca=self.ours.certificate).list_models()

    def test_a_plain_client_is_not_served(self):
        with self.assertRaises(binocle.Unavailable), binocle.Client(self.serve().address, retry=QUICK) as client:
            client.list_models()

    def test_half_a_pair(self):
        with self.assertRaisesRegex(ValueError, "certificate and key go together"):
            binocle.Client("127.0.0.1:1", tls=binocle.Tls(certificate=self.client_pair[0]))

    def test_a_key_is_not_shown(self):
        self.assertNotIn("s3cret", repr(binocle.Tls(certificate=b"c", key=b"s3cret")))


class Addresses(unittest.TestCase):
    def test_targets(self):
        for address, target in (
            ("127.0.0.1:50051", "127.0.0.1:50051"),
            ("dns:///binocle:50051", "dns:///binocle:50051"),
            ("unix:/run/binocle.sock", "unix:/run/binocle.sock"),
            (["10.0.0.1:1", "10.0.0.2:2"], "ipv4:10.0.0.1:1,10.0.0.2:2"),
            (["[::1]:1", "[::2]:2"], "ipv6:[::1]:1,[::2]:2"),
        ):
            self.assertEqual(target_of(address), target)

    def test_several_addresses_are_numbers_of_one_family(self):
        for address in ([], ["a.example:1"], ["10.0.0.1:1", "[::1]:1"], ["10.0.0.1"]):
            with self.assertRaisesRegex(ValueError, "expected IP:PORT of one family"):
                target_of(address)


class Draining(unittest.TestCase):
    def test_calls_go_to_no_server_that_drains(self):
        servers = [FakeServer(), FakeServer()]
        for server in servers:
            self.addCleanup(server.close)
        with binocle.Client([server.address for server in servers], retry=QUICK) as client:
            while not all(server.metadata for server in servers):  # connections take their time
                client.list_models()
            servers[0].health.enter_graceful_shutdown()
            until = time.monotonic() + 5
            while time.monotonic() < until:  # its health arrives a moment later
                before = len(servers[0].metadata)
                for _ in range(8):
                    client.list_models()
                if len(servers[0].metadata) == before:
                    break
            self.assertEqual(len(servers[0].metadata), before)


class Settings(unittest.TestCase):
    def make(self, **changed):
        settings = {"address": "127.0.0.1:1", "token": None, "tls": False, "timeout": 120.0, "retry": binocle.Retry(),
                    "keepalive": 20.0, "max_message_bytes": 64 << 20}
        return Connection(**{**settings, **changed})

    def test_keepalive_fits_the_server_s(self):
        options = dict(self.make().options)
        self.assertEqual((options["grpc.keepalive_time_ms"], options["grpc.keepalive_timeout_ms"]), (20_000, 10_000))
        with self.assertRaisesRegex(ValueError, "expected at least 10 seconds"):
            self.make(keepalive=9.9)

    def test_messages_and_balancing(self):
        options = dict(self.make().options)
        self.assertEqual(options["grpc.max_receive_message_length"], 64 << 20)
        in_turn = {"loadBalancingConfig": [{"round_robin": {}}]}
        self.assertEqual(json.loads(options["grpc.service_config"]), in_turn)
        for several in (["127.0.0.1:1", "127.0.0.1:2"], "dns:///binocle:50051"):
            config = json.loads(dict(self.make(address=several).options)["grpc.service_config"])
            self.assertEqual(config, {**in_turn, "healthCheckConfig": {"serviceName": ""}})

    def test_a_call_always_has_a_deadline(self):
        for timeout in (0, -1, float("inf"), float("nan")):
            with self.assertRaisesRegex(ValueError, "timeout"):
                self.make(timeout=timeout)


if __name__ == "__main__":
    unittest.main()
