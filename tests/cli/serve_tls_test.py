"""`binocle serve` with TLS: who is believed, who is refused and with what, and that nothing secret is in its log.

Handshakes need Python and the openssl command; what gRPC calls a refusal is looked at where grpcio is installed.
"""

import shutil
import socket
import ssl
import subprocess
import sys
import unittest

from program import main, run
from server import CALL_SECONDS, LLAVA, Serving

try:
    import grpc
except ImportError:
    grpc = None

SKIPPED = 77
TOKENS = "secret-of-alice name=alice\nsecret-of-bob name=bob rpm=1\nsecret-of-carol name=carol max_in_flight=1\n"
ASK, GENERATE, SERVER_INFO = "/binocle.v1.VisionLanguageService/Ask", "/binocle.v1.VisionLanguageService/Generate", "/binocle.v1.ModelService/GetServerInfo"
PROMPT = b"\x22\x05a b c"  # GenerateRequest {prompt: "a b c"}, field 4


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


class Authority:
    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.certificate, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        openssl("req", "-x509", *self.new_key(self.key), "-subj", f"/CN={name}", "-days", "2", "-out", self.certificate)

    def new_key(self, path):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path]

    def issue(self, name, days=2):
        """(certificate, key) for 127.0.0.1 and localhost; negative days: expired."""
        certificate, key, request, names = (self.folder / f"{self.name}-{name}.{kind}" for kind in ("pem", "key", "csr", "ext"))
        openssl("req", *self.new_key(key), "-subj", f"/CN={name}", "-out", request)
        names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial", "-days", str(days), "-extfile", names, "-out", certificate)
        return certificate, key


class WithTls(Serving):
    def setUp(self):
        super().setUp()
        self.ours, self.other = Authority(self.folder, "ours"), Authority(self.folder, "other")

    def serve_tls(self, *arguments, days=2, clients=None):
        certificate, key = self.ours.issue("server", days)
        more = ["--tls-client-ca", clients.certificate] if clients else []
        return self.serve("--model", LLAVA, "--tls-certificate", certificate, "--tls-key", key, *more, *arguments)

    def assert_no_secret(self, server):
        """Neither tokens nor the base64 of keys are in the log."""
        server.close()
        log = server.log
        self.assertNotIn("secret-of", log)
        self.assertNotIn("PRIVATE KEY", log)
        for key in self.folder.glob("*.key"):
            for line in key.read_text().splitlines()[1:-1]:
                self.assertNotIn(line, log)


class Handshakes(WithTls):
    """The transport alone: what a TLS library says."""

    def reach(self, server, authority, identity=None, minimum=None, maximum=None):
        """The first bytes that the server sends, which are its HTTP/2 settings."""
        context = ssl.create_default_context(cafile=authority.certificate)
        context.set_alpn_protocols(["h2"])
        if identity:
            context.load_cert_chain(*identity)
        if maximum:
            context.maximum_version = maximum
        with socket.create_connection(("127.0.0.1", server.grpc), timeout=CALL_SECONDS) as plain:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
                self.assertEqual(secure.selected_alpn_protocol(), "h2")
                secure.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
                return secure.recv(9)

    def test_who_knows_the_authority_is_served_and_others_do_not_believe(self):
        server = self.serve_tls()
        self.assertEqual(self.reach(server, self.ours)[3], 4, "a SETTINGS frame")
        with self.assertRaisesRegex(ssl.SSLCertVerificationError, "unable to get local issuer|self.signed"):
            self.reach(server, self.other)
        self.assert_no_secret(server)

    def test_old_versions_are_refused(self):
        server = self.serve_tls()
        self.assertEqual(self.reach(server, self.ours, maximum=ssl.TLSVersion.TLSv1_2)[3], 4)
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{server.grpc}", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=CALL_SECONDS)
        self.assertNotEqual(done.returncode, 0)

    def test_an_expired_server_is_not_believed(self):
        server = self.serve_tls(days=-1)
        with self.assertRaisesRegex(ssl.SSLCertVerificationError, "expired"):
            self.reach(server, self.ours)

    def test_mutual_tls(self):
        server = self.serve_tls(clients=self.ours)
        self.assertEqual(self.reach(server, self.ours, self.ours.issue("client"))[3], 4)
        for identity in (None, self.other.issue("client"), self.ours.issue("late", days=-1)):
            with self.subTest(identity=identity), self.assertRaises((ssl.SSLError, ConnectionError, AssertionError)):
                self.assertEqual(len(self.reach(server, self.ours, identity)), 9, "closed")
        self.assert_no_secret(server)

    def test_plain_text_gets_nothing(self):
        server = self.serve_tls()
        with socket.create_connection(("127.0.0.1", server.grpc), timeout=CALL_SECONDS) as plain:
            plain.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
            try:
                received = plain.recv(9)
            except ConnectionError:
                received = b""
        self.assertNotEqual(received[3:4], b"\4", "no settings of HTTP/2")

    def test_files_that_do_not_fit_are_refused_before_it_listens(self):
        certificate, key = self.ours.issue("server")
        _, foreign = self.other.issue("server")
        locked = self.folder / "locked.key"
        openssl("ec", "-in", key, "-aes256", "-passout", "pass:secret-of-key", "-out", locked)
        for arguments, line in [
            (["--tls-certificate", certificate], "INVALID_ARGUMENT: --tls-key is missing, expected one for TLS"),
            (["--tls-key", key], "INVALID_ARGUMENT: --tls-certificate is missing, expected one for TLS"),
            (["--tls-certificate", certificate, "--tls-key", foreign], "INVALID_ARGUMENT: --tls-key is not the key of the certificate"),
            (["--tls-certificate", key, "--tls-key", key], "INVALID_ARGUMENT: --tls-certificate has no certificate in PEM form"),
            (["--tls-certificate", certificate, "--tls-key", locked], "INVALID_ARGUMENT: --tls-key has no private key in PEM form without a pass phrase"),
            (["--tls-certificate", certificate, "--tls-key", key, "--tls-client-ca", key], "INVALID_ARGUMENT: --tls-client-ca has no certificate in PEM form"),
        ]:
            with self.subTest(line=line):
                result = run("serve", "--model", LLAVA, "--listen", "127.0.0.1:0", "--http", "none", *arguments)
                self.assertEqual((result.stderr, result.stdout), (line + "\n", ""))
                self.assertIn(result.status, (1, 2))


@unittest.skipUnless(grpc, "grpcio is not installed")
class Codes(WithTls):
    """What a gRPC client is told."""

    def call(self, server, authority, identity=None, token=None, method=SERVER_INFO, request=b"", secure=True):
        """(code, trailing metadata) of a call."""
        if secure:
            certificate, key = (path.read_bytes() for path in identity) if identity else (None, None)
            channel = grpc.secure_channel(f"127.0.0.1:{server.grpc}", grpc.ssl_channel_credentials(authority.certificate.read_bytes(), key, certificate))
        else:
            channel = grpc.insecure_channel(f"127.0.0.1:{server.grpc}")
        with channel:
            try:
                channel.unary_unary(method)(request, timeout=CALL_SECONDS, metadata=[("authorization", f"Bearer {token}")] if token else [])
            except grpc.RpcError as error:
                return error.code().name, dict(error.trailing_metadata() or ())
            return "OK", {}

    def test_refused_handshakes_are_unavailable(self):
        server = self.serve_tls(clients=self.ours)
        client = self.ours.issue("client")
        self.assertEqual(self.call(server, self.ours, client)[0], "OK")
        for what, arguments in {"the server's authority is not known": (self.other, client), "no certificate": (self.ours, None),
                                "a certificate of another authority": (self.ours, self.other.issue("client")), "an expired certificate": (self.ours, self.ours.issue("late", days=-1))}.items():
            with self.subTest(what):
                self.assertEqual(self.call(server, *arguments)[0], "UNAVAILABLE")
        self.assertEqual(self.call(server, self.ours, secure=False)[0], "UNAVAILABLE")
        self.assertEqual(self.call(self.serve_tls(days=-1), self.ours)[0], "UNAVAILABLE")
        self.assert_no_secret(server)

    def test_tokens_over_tls(self):
        server = self.serve_tls("--tokens", self.write("tokens", TOKENS))
        for token, reason in ((None, b"TOKEN_MISSING"), ("secret-of-mallory", b"TOKEN_UNKNOWN"), ("secret-of-alice2", b"TOKEN_UNKNOWN"), ("alice", b"TOKEN_UNKNOWN")):
            with self.subTest(token=token):
                code, metadata = self.call(server, self.ours, token=token)
                self.assertEqual(code, "UNAUTHENTICATED")
                self.assertIn(reason, metadata["grpc-status-details-bin"])
        self.assertEqual({self.call(server, self.ours, token="secret-of-alice")[0] for _ in range(5)}, {"OK"})
        self.assertEqual(self.call(server, self.ours, token="secret-of-bob")[0], "OK")
        code, metadata = self.call(server, self.ours, token="secret-of-bob")
        self.assertEqual(code, "RESOURCE_EXHAUSTED")
        for detail in (b"TOKEN_RATE_LIMIT", b"google.rpc.RetryInfo"):
            self.assertIn(detail, metadata["grpc-status-details-bin"])
        # Health asks for no token.
        self.assertEqual(self.call(server, self.ours, method="/grpc.health.v1.Health/Check")[0], "OK")

        with grpc.secure_channel(f"127.0.0.1:{server.grpc}", grpc.ssl_channel_credentials(self.ours.certificate.read_bytes())) as channel:
            metadata = [("authorization", "Bearer secret-of-carol")]
            stream = channel.unary_stream(GENERATE)(PROMPT, timeout=CALL_SECONDS, metadata=metadata)
            next(stream)
            code, metadata = self.call(server, self.ours, token="secret-of-carol")
            self.assertEqual(code, "RESOURCE_EXHAUSTED")
            self.assertIn(b"TOKEN_IN_FLIGHT_LIMIT", metadata["grpc-status-details-bin"])
            stream.cancel()
        self.assert_no_secret(server)
        calls = [line for line in server.log_lines if line["event"] == "call"]
        self.assertEqual({line["token"] for line in calls if "token" in line}, {"alice", "bob", "carol"})


if __name__ == "__main__":
    if not shutil.which("openssl"):
        print("skipped: no openssl")
        sys.exit(SKIPPED)
    main()
