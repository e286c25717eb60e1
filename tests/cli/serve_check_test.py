"""`binocle serve --check`, and what `serve` refuses: configurations, models, tokens, certificates."""

import re
import subprocess
import unittest

from program import TESTS, main, run
from server import FTZ, LLAVA, Serving, parse_metrics, taken_port


class Checking(Serving):
    def check(self, *arguments):
        return run("serve", "--check", *arguments)

    def content(self, *arguments):
        result = self.check(*arguments)
        self.assertEqual((result.status, result.stderr), (0, ""))
        self.assertEqual(result.stdout.splitlines()[-1], "ok")
        return result.stdout.splitlines()[:-1]

    def refused(self, line, *arguments, status=1):
        """`line` is a regular expression that matches all of stderr."""
        result = self.check(*arguments)
        self.assertRegex(result.stderr, rf"^{line}\n$")
        self.assertEqual((result.status, result.stdout), (status, ""), result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, "one line")


class Check(Checking):
    def test_the_default_model_and_several(self):
        self.assertRegex(self.content()[0], r"^binocle-tiny: .*/binocle-tiny, \d+ parameters, \d+ MiB$")
        names = [line.split(":")[0] for line in self.content("--model", LLAVA, "--model", f"b={FTZ}")]
        self.assertEqual(names, ["llava", "b"])

    def test_a_limit_that_the_plan_fits_is_enough_whatever_else_fits(self):
        plan = run("inspect", "--json", LLAVA).json["memory"]["planned_bytes"]
        for more in (0, 1, 1_000_000, 5_000_000, 20_000_000, 100_000_000):
            with self.subTest(more=more):
                self.content("--model", LLAVA, "--memory-limit", str(plan + more))
        self.refused("RESOURCE_EXHAUSTED: .*", "--model", LLAVA, "--memory-limit", str(plan - 1))

    def test_configurations_in_both_languages(self):
        yaml = self.write("serve.yaml", f"listen: 127.0.0.1:0\nhttp: none\nmax_sequences: 3\nmodels:\n  - name: a\n    path: {LLAVA}\n    context_tokens: 256\n  - path: {FTZ}\n")
        json = self.write("serve.json", f'{{"model": ["c={LLAVA}", "{FTZ}"], "max_images": 3, "allow_files": []}}')
        self.assertEqual([line.split(":")[0] for line in self.content("--config", yaml)], ["a", "binocle_ftz"])
        self.assertEqual([line.split(":")[0] for line in self.content("--config", json)], ["c", "binocle_ftz"])
        self.assertEqual([line.split(":")[0] for line in self.content("--config", yaml, "--model", FTZ)], ["binocle_ftz"], "the command line goes first")
        self.content("--config", self.write("empty.yaml", ""))

    def test_faults_of_a_configuration_have_file_and_line(self):
        for text, line, what in [("listen: none\nmax_picturs: 3\n", 2, "max_picturs is not an option of a configuration"), ("\nmax_images: three\n", 2, "--max-images is three, expected an integer.*"),
                                 ("workers: 2\nworkers: 3\n", 2, "workers comes twice"), ("check: true\n", 1, "check is not an option of a configuration"),
                                 (f"models:\n - path: {LLAVA}\n   listen: x\n", 3, "listen is not an option of a configuration"), ("a: [1\n", 2, ".*"), ("- a\n", 1, "is no mapping.*"),
                                 ("workers: [1]\n", 1, "workers is a list, expected one value"), ("workers: {a: 1}\n", 1, "workers is a mapping, expected a text, number, truth value or list"), ("models:\n - name: a\n", 2, "has no path, expected one"),
                                 (f"models:\n - path: {LLAVA}\n   memory_limit: many\n", 2, "--memory-limit is many, expected .*"),
                                 (f"models:\n - path: {LLAVA}\n   name:\n", 3, "name is null, expected a text.*"), ("models:\n", 1, "models is null, expected .*"),
                                 ("listen: none\nworkers: null\n", 2, "workers is null, expected a text, number, truth value or list .leave the line out for the default."),
                                 ("tokens: ~\n", 1, "tokens is null, .*"), ("http: none\ntokens:\n", 2, "tokens is null, .*"), ('tokens: ""\n', 1, "tokens is empty, .*"), ("allow_files: [null]\n", 1, "allow_files is null, .*"),
                                 ('log: none # it\'s "fine"\nhttp: "none\nworkers: 2\n', 2, "a quote begins and does not end, expected another \""), ("a: 'b''\n", 1, "a quote begins .*"),
                                 ("log: none\nworkers: 2\ntokens: 'x\n", 3, "a quote begins .*"), ('{"log": "none", "http": "none}', 1, "a quote begins .*")]:
            with self.subTest(text=text):
                path = self.write("bad.yaml", text)
                self.refused(rf"INVALID_ARGUMENT: {path}:{line}: {what}", "--config", path, status=2)
        self.refused(rf"INVALID_ARGUMENT: {path}:1: a quote .*", "--config", path, "--http", "none", status=2)
        path = self.write("bad.yaml", "workers: null\n")
        self.refused(rf"INVALID_ARGUMENT: {path}:1: workers is null.*", "--config", path, "--workers", "2", status=2)
        self.refused("NOT_FOUND: none.yaml: cannot be read", "--config", "none.yaml")
        for text, line, what in [("http: none\nworkers: 0\n", 2, "--workers is 0, expected 1 to 256"), ("max_sequences: 1\n", 1, "--max-sequences is 1, expected 2 to 1024"),
                                 ("stall_seconds: 0\n", 1, "--stall-seconds is 0, expected 1 to 3600"), ("listen: foo\n", 1, "--listen is foo, .*"),
                                 (f"models:\n - path: {LLAVA}\n   max_sequences: 1\n", 2, "--max-sequences is 1, .*")]:
            with self.subTest(text):
                path = self.write("range.yaml", text)
                self.refused(rf"INVALID_ARGUMENT: {path}:{line}: {what}", "--config", path, status=2)
        self.refused("INVALID_ARGUMENT: --workers is 300, .*", "--config", self.write("range.yaml", "workers: 0\n"), "--workers", "300", status=2)

    def test_what_would_open_the_server_or_take_a_limit_away(self):
        self.refused("INVALID_ARGUMENT: --tokens is empty, expected a file", "--tokens", "", status=2)
        path = self.write("empty_list.yaml", "http: none\ntokens: []\n")
        self.refused(rf"INVALID_ARGUMENT: {path}:2: tokens is an empty list, .*", "--config", path, status=2)
        path = self.write("no_models.yaml", "http: none\nmodels: []\n")
        self.refused(rf"INVALID_ARGUMENT: {path}:2: models is an empty list, .*", "--config", path, status=2)
        path = self.write("two.yaml", "http: none\n---\ntokens: tokens.txt\n")
        self.refused(rf"INVALID_ARGUMENT: {path}:3: begins a second document, expected one", "--config", path, status=2)
        self.refused("INVALID_ARGUMENT: --tls-client-ca is empty, expected a file", "--tls-client-ca=", status=2)
        self.refused("INVALID_ARGUMENT: --request-timeout-seconds is 1e-09, expected 0 or 0.001 to 86400", "--request-timeout-seconds", "1e-9", status=2)

    def test_values_and_what_they_name(self):
        for status, line, arguments in [
            (2, "INVALID_ARGUMENT: --workers is 0, expected 1 to 256", ["--workers", "0"]),
            (2, "INVALID_ARGUMENT: --stall-seconds is 0, expected 1 to 3600", ["--stall-seconds", "0"]),
            (2, "INVALID_ARGUMENT: --stall-seconds is 0.999, expected 1 to 3600", ["--stall-seconds", "0.999"]),
            (2, "INVALID_ARGUMENT: --max-sequences is 1, expected 2 to 1024", ["--max-sequences", "1"]),
            (2, "INVALID_ARGUMENT: --drain-seconds is -1, expected 0 to 86400", ["--drain-seconds", "-1"]),
            (2, "INVALID_ARGUMENT: --keepalive-seconds is 0.5, expected 1 to 3600", ["--keepalive-seconds", "0.5"]),
            (2, "INVALID_ARGUMENT: --listen is 127.0.0.1, expected HOST:PORT .*", ["--listen", "127.0.0.1"]),
            (2, "INVALID_ARGUMENT: --http is x:70000, expected HOST:PORT .*", ["--http", "x:70000"]),
            (2, "INVALID_ARGUMENT: --listen is 300.1.1.1:80, expected HOST:PORT .*", ["--listen", "300.1.1.1:80"]),
            (2, "INVALID_ARGUMENT: --http is a b:80, expected HOST:PORT .*", ["--http", "a b:80"]),
            (2, r"INVALID_ARGUMENT: --http is \[::g\]:80, expected HOST:PORT .*", ["--http", "[::g]:80"]),
            (2, "INVALID_ARGUMENT: --listen is unix:/no/folder/s.sock, expected a path in a folder .*", ["--listen", "unix:/no/folder/s.sock"]),
            (2, "INVALID_ARGUMENT: --cors-origin has .*expected https://HOST or .*", ["--cors-origin", "https://a\r\nX: y"]),
            (2, r"INVALID_ARGUMENT: --cors-origin is nonsense, expected https://HOST or \*", ["--cors-origin", "nonsense"]),
            (2, "INVALID_ARGUMENT: --cors-origin is https://a.example/page, .*", ["--cors-origin", "https://a.example/page"]),
            (1, "UNAVAILABLE: --listen is nohost.invalid:1, which cannot be had: .*", ["--listen", "nohost.invalid:1"]),
            (1, "UNAVAILABLE: --http is nohost.invalid:1, which cannot be had: .*", ["--http", "nohost.invalid:1"]),
            (2, "INVALID_ARGUMENT: --listen .*expected an address", ["--listen", "none", "--http", "none"]),
            (2, "INVALID_ARGUMENT: --max-message-bytes is 1, expected 1024 to 2147483647", ["--max-message-bytes", "1"]),
            (2, "INVALID_ARGUMENT: --log is xml, expected json or none", ["--log", "xml"]),
            (2, "INVALID_ARGUMENT: --allow-files is none, expected a directory", ["--allow-files", "none"]),
            (2, "INVALID_ARGUMENT: --model: two are called llava; .*", ["--model", LLAVA, "--model", f"llava={FTZ}"]),
            (1, "NOT_FOUND: none: no such model directory", ["--model", "none"]),
            (1, "FAILED_PRECONDITION: none/ports.json: cannot be written: No such file or directory", ["--port-file", "none/ports.json"]),
            (1, "NOT_FOUND: --tokens is none, expected a readable file of at most 16 MiB", ["--tokens", "none"]),
        ]:
            with self.subTest(arguments=arguments):
                self.refused(line, *arguments, status=status)

    def test_tokens_are_in_no_message(self):
        for text, line in [("short\n", r"\S+:1: the token has 5 bytes, expected 8 to 4096"), ("# a\n\nsecret-of-alice secret-of-bob\n", r"\S+:3: after the token, expected .*"),
                           ("secret-of-alice\nsecret-of-alice rpm=1\n", r"\S+:2: the token was there before"), ("secret-of-alice rpm=0\n", r"\S+:1: a limit is no number .*"), ("\n", r"\S+: has no token")]:
            with self.subTest(text=text):
                path = self.write("tokens", text)
                self.refused(f"INVALID_ARGUMENT: {line}", "--tokens", path, status=2)
                self.assertNotIn("secret", self.check("--tokens", path).stderr)

    def test_ports_that_are_taken(self):
        with taken_port() as port:
            address = f"127.0.0.1:{port}"
            self.content("--listen", address)  # does not listen
            for arguments in (["--listen", address, "--http", "127.0.0.1:0"], ["--listen", "127.0.0.1:0", "--http", address]):
                result = run("serve", "--model", LLAVA, *arguments)
                self.assertEqual((result.status, result.stdout, result.stderr.count("\n")), (1, "", 1), result.stderr)
                self.assertRegex(result.stderr, rf"^UNAVAILABLE: .*{address}.*\n$")


class ExampleConfiguration(Checking):
    """deploy/serve.yaml: it is right, has every option, and shows the defaults."""

    FILE = TESTS.parent / "deploy" / "serve.yaml"

    def options(self):
        """{"max_images": "64", "tokens": None, …} of the help."""
        found = re.findall(r"^  --([a-z-]+)(?: (?:TEXT|INT|FLOAT)(?:=(\S+))?)?", run("serve", "--help").stdout, re.MULTILINE)
        return {name.replace("-", "_"): default or None for name, default in found if name not in ("help", "config", "check")}

    def test_it_is_right(self):
        self.assertEqual(self.content("--config", self.FILE), self.content())

    def test_it_has_every_option_and_the_defaults(self):
        text, options = self.FILE.read_text(), self.options()
        self.assertGreater(len(options), 30)
        for option, default in options.items():
            with self.subTest(option=option):
                line = re.search(rf"^(# )?{option}: (\S+)", text, re.MULTILINE)
                self.assertTrue(line, "not in the file")
                commented, value = line.groups()
                if default is not None:
                    self.assertEqual((commented, value), (None, default))

    def test_what_is_commented_out_is_an_option_too(self):
        names = {name for name in re.findall(r"^# ([a-z_]+): ", self.FILE.read_text(), re.MULTILINE)}
        self.assertEqual(names - set(self.options()), set())
        self.assertIn("tokens", names)


class Tls(Checking):
    def openssl(self, *arguments):
        try:
            subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)
        except FileNotFoundError:
            self.skipTest("no openssl")

    def certificate(self, name):
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                     "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", f"{name}.key", "-out", f"{name}.pem")
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    def test_certificates_and_keys(self):
        certificate, key = self.certificate("server")
        other, other_key = self.certificate("other")
        self.content("--tls-certificate", certificate, "--tls-key", key, "--tls-client-ca", other)
        self.refused("INVALID_ARGUMENT: --tls-key is not the key of the certificate", "--tls-certificate", certificate, "--tls-key", other_key, status=2)
        self.refused("INVALID_ARGUMENT: --tls-key is missing, expected one for TLS", "--tls-certificate", certificate, status=2)
        self.refused("INVALID_ARGUMENT: --tls-certificate is missing, expected one for TLS", "--tls-client-ca", other, status=2)
        self.refused("INVALID_ARGUMENT: --tls-certificate has no certificate in PEM form", "--tls-certificate", key, "--tls-key", key, status=2)
        self.refused("NOT_FOUND: --tls-key is none.key, .*", "--tls-certificate", certificate, "--tls-key", "none.key")
        self.openssl("ec", "-in", "server.key", "-aes128", "-passout", "pass:secret", "-out", "locked.key")
        self.refused("INVALID_ARGUMENT: --tls-key has no private key in PEM form without a pass phrase",
                     "--tls-certificate", certificate, "--tls-key", self.folder / "locked.key", status=2)


class Metrics(unittest.TestCase):
    def test_what_is_no_metric_is_found(self):
        for text in ("a 1\n", "# TYPE a counter\na 1\na 2\n", "# TYPE a counter\na{b=1} 1\n", "# TYPE a counter\na one two\n"):
            with self.subTest(text=text), self.assertRaises(AssertionError):
                parse_metrics(text)


if __name__ == "__main__":
    main()
