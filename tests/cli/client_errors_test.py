"""`binocle client` where something is wrong: no server, the request, the token, the certificate, the time."""

import shutil
import signal
import subprocess
import time
import unittest

from asking import HOME, SHORT, Asking
from program import PICTURES, SCENE, SECONDS, environment, main, program, run
from server import CALL_SECONDS, free_ports

LONG = ["--regex", "[a-z]{400}", "--max-new-tokens", "400", "--n", "16"]  # seconds


class Failures(Asking):
    def test_nobody_there(self):
        (port,) = free_ports(1)
        for command in (["ask", "--attempts", "2", "Hello"], ["health"], ["models", "--attempts", "1"], ["load", "--attempts", "1"]):
            result = run("client", command[0], "--server", f"127.0.0.1:{port}", *command[1:], seconds=CALL_SECONDS)
            self.assertEqual((result.status, result.stdout), (1, ""))
            self.assertRegex(result.stderr, rf"\AUNAVAILABLE: 127\.0\.0\.1:{port}: .*\n\Z")

    def test_a_server_that_comes_late_is_waited_for(self):
        (port,) = free_ports(1)
        command = [program(), "client", "ask", "--server", f"127.0.0.1:{port}", "--attempts", "1000", *SHORT, "Hello"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as client:
            time.sleep(0.5)
            self.serve(listen=f"127.0.0.1:{port}")
            out, err = client.communicate(timeout=CALL_SECONDS)
        self.assertEqual((client.returncode, err, out.decode()), (0, b"", self.fine("ask", *SHORT, "Hello").stdout))

    def test_what_is_wrong_with_a_request(self):
        text = self.write("text.png", "this is no picture")
        self.fails(1, rf"INVALID_ARGUMENT: {text}: .*", "ask", "--image", text, "What?")
        self.fails(1, rf"INVALID_ARGUMENT: {text}: .*", "ask", "--no-stream", "--image", HOME, "--image", text, "What?")
        self.fails(1, rf"INVALID_ARGUMENT: {text}: .*", "embed", "--image", text)
        self.fails(1, r"NOT_FOUND: nowhere\.png: no such file", "ask", "--image", "nowhere.png", "What?")
        self.fails(1, rf"INVALID_ARGUMENT: {PICTURES}: is a directory.*", "ask", "--image", PICTURES, "What?")
        self.fails(1, r"NOT_FOUND: upload:0{64}: .*upload it again", "ask", "--image", "upload:" + 64 * "0", "What?")
        self.fails(1, r"PERMISSION_DENIED: file:///etc/hosts: .*", "ask", "--image", "file:///etc/hosts", "What?")
        self.fails(1, r"NOT_FOUND: --model is other, expected one of: binocle-tiny", "ask", "--model", "other", "What?")
        self.fails(2, r"INVALID_ARGUMENT: --regex .*", "ask", "--regex", "(", "What?")
        self.fails(2, r"INVALID_ARGUMENT: --var\.p .*", "ask", "--image", HOME, "--var", "p=2", "What?")
        self.fails(2, r"INVALID_ARGUMENT: --priority is 101, .*", "ask", "--priority", "101", "What?")
        self.fails(2, r"UNIMPLEMENTED: --pooling .*|INVALID_ARGUMENT: --pooling .*", "embed", "--text", "a", "--pooling", "class")

    def test_all_faults_are_told(self):
        self.fails(2, r"INVALID_ARGUMENT: --var\.p is 2, .*; .*priority is 101, .*", "ask", "--image", HOME, "--var", "p=2", "--priority", "101", "What?")

    def test_deadline(self):
        # Whoever sees it first: the client, or the server, which the deadline is sent to.
        self.fails(1, r"DEADLINE_EXCEEDED: .*(no answer within 0\.01 s|its deadline passed before it was done)", "ask", "--timeout", "0.01", "--no-stream", *LONG, "Hello")

    def test_too_large(self):
        server = self.serve("--max-message-bytes", "20K")
        large = self.write("large.png", SCENE.read_bytes() + bytes(30_000))
        self.fails(1, "RESOURCE_EXHAUSTED: .*", "ask", "--image", large, "What?", server=server)

    def test_tokens(self):
        tokens = self.write("tokens", "a-token-of-some-length name=mine\n")
        server = self.serve("--tokens", tokens)
        right, wrong = self.write("right", "a-token-of-some-length\n"), self.write("wrong", "another-token-of-a-length\n")
        self.fine("ask", "--token-file", right, *SHORT, "Hello", server=server)
        self.fails(1, "UNAUTHENTICATED: .*", "ask", "Hello", server=server)
        self.fails(1, "(UNAUTHENTICATED|PERMISSION_DENIED): .*", "ask", "--token-file", wrong, "Hello", server=server)
        self.assertEqual(self.fine("health", server=server).stdout, "SERVING\n")
        for name, content in (("empty", "\n"), ("odd", "two words")):
            self.fails(2, "INVALID_ARGUMENT: --token.*", "ask", "--token-file", self.write(name, content), "Hello", server=server)
        self.fails(1, "NOT_FOUND: .*", "ask", "--token-file", "nowhere", "Hello", server=server)

    @unittest.skipUnless(shutil.which("openssl"), "no openssl to make certificates with")
    def test_tls(self):
        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

        for name in ("ca", "other"):
            openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-keyout", f"{name}.key", "-out", f"{name}.pem")
        self.write("names", "subjectAltName=DNS:localhost\n")
        for name in ("server", "client"):
            openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
            openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", f"{name}.pem")
        at = {path.name: path for path in self.folder.iterdir()}
        server = self.serve("--tls-certificate", at["server.pem"], "--tls-key", at["server.key"], "--tls-client-ca", at["ca.pem"])
        believe = ["--tls-ca", at["ca.pem"], "--tls-server-name", "localhost"]
        mine = ["--tls-certificate", at["client.pem"], "--tls-key", at["client.key"]]
        once = ["--attempts", "1"]
        self.fine("ask", *believe, *mine, *SHORT, "Hello", server=server)
        self.fails(1, "UNAVAILABLE: .*", "ask", *believe, *once, "Hello", server=server)
        self.fails(1, "UNAVAILABLE: .*", "ask", "--tls-ca", at["other.pem"], "--tls-server-name", "localhost", *mine, *once, "Hello", server=server)
        self.fails(1, "UNAVAILABLE: .*", "ask", *once, "Hello", server=server)
        self.fails(2, "INVALID_ARGUMENT: --tls-ca is .*, which is no PEM file", "ask", "--tls-ca", SCENE, "Hello", server=server)
        self.fails(1, "NOT_FOUND: --tls-ca is nowhere, .*", "ask", "--tls-ca", "nowhere", "Hello", server=server)

    def test_interrupt_cancels_the_call(self):
        address = f"127.0.0.1:{self.server.grpc}"
        for piece in ([], ["--no-stream"]):
            command = [program(), "client", "ask", "--server", address, *piece, *LONG, "Hello"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as client:
                self.wait_until(lambda: self.in_flight() > 1, "the call is there")
                client.send_signal(signal.SIGINT)
                _, err = client.communicate(timeout=SECONDS)
            self.assertEqual(client.returncode, 1, err)
            self.assertRegex(err.decode(), r"\ACANCELLED: .*\n\Z")
            self.wait_until(lambda: self.in_flight() == 1, "the server does not go on with what nobody waits for")

    def in_flight(self):
        return self.fine("info", "--json").json["in_flight"]

    def wait_until(self, condition, what):
        end = time.monotonic() + CALL_SECONDS
        while not condition():
            self.assertLess(time.monotonic(), end, what)


if __name__ == "__main__":
    main()
