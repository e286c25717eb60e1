#!/usr/bin/env python3
"""Two `binocle serve` behind nginx with deploy/nginx.conf: balancing, a server that is killed under load, one that drains, TLS in front.

    nginx_test.py PROGRAM [unittest arguments]        PROGRAM: build/dev/bin/binocle

Needs nginx (Debian: nginx-light), openssl, and a Python with the client's requirements and stubs; exits with 77 (ctest: skipped) where one
is missing. Everything is on loopback, on ports that are free.

    python3 -m venv .venv && .venv/bin/pip install --require-hashes -r clients/python/tests/requirements.txt
    (cd clients/python && ../../.venv/bin/python generate.py)
    .venv/bin/python tests/deploy/nginx_test.py build/dev/bin/binocle
"""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from collections import Counter
from http.client import HTTPSConnection
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tests" / "cli"), str(REPOSITORY / "clients" / "python")]
SKIPPED = 77
NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
try:
    import binocle
except ImportError as error:
    print(f"skipped: {error}; see {Path(__file__).name}")
    sys.exit(SKIPPED)
for name, found in (("nginx", NGINX), ("openssl", shutil.which("openssl"))):
    if not found:
        print(f"skipped: no {name}; see {Path(__file__).name}")
        sys.exit(SKIPPED)

from program import SCENE, main  # noqa: E402
from server import CALL_SECONDS, LLAVA, Server, chat_body, free_ports, total  # noqa: E402

CONFIGURATION = REPOSITORY / "deploy" / "nginx.conf"
ROOM = ["--model", LLAVA, "--max-sequences", "16", "--kv-tokens", "8192", "--threads", "1"]
NAME = "vision.example.org"
THREADS = 8
# Clients move from one connection to the next all the time, and a reload that misses one of them does not last for minutes.
CONNECTION_SECONDS = 2
# Texts of 200 tokens, which take some tenths of a second, by their seeds.
QUESTION = {"prompt": "a b c", "max_new_tokens": 200, "temperature": 1.0}
SEEDS = range(24)


def make_certificate(folder):
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={NAME}",
               "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", folder / "binocle.key", "-out", folder / "binocle.pem"]
    subprocess.run(command, check=True, capture_output=True)


class Nginx:
    """nginx in the foreground with deploy/nginx.conf, whose addresses, files and life of a connection are exchanged, and nothing else."""

    def __init__(self, folder, grpc_ports, http_ports):
        self.folder = folder
        (self.port,) = free_ports(1)
        self.down = set()
        self.grpc_ports, self.http_ports = grpc_ports, http_ports
        make_certificate(folder)
        self.write()
        self.process = subprocess.Popen([NGINX, "-p", folder, "-c", folder / "nginx.conf", "-g", "daemon off;"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + CALL_SECONDS
        while self.process.poll() is None and time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.005)
        self.close()
        raise AssertionError(f"nginx does not listen: {(folder / 'error.log').read_text() if (folder / 'error.log').exists() else 'no log'}")

    def write(self):
        text = CONFIGURATION.read_text()

        def exchange(old, new):
            nonlocal text
            if text.count(old) != 1:
                raise AssertionError(f"{CONFIGURATION.name} has {text.count(old)} times {old!r}")
            text = text.replace(old, new)

        user = "user root root;\n" if os.geteuid() == 0 else ""  # the folder is this user's alone
        exchange("worker_processes auto;", f"{user}worker_processes 2;")
        exchange("/var/log/nginx/error.log", f"{self.folder}/error.log")
        exchange("/var/log/nginx/access.log", f"{self.folder}/access.log")
        exchange("/run/nginx.pid", f"{self.folder}/nginx.pid")
        exchange("\nhttp {\n", "\nhttp {\n" + "".join(f"  {kind}_temp_path {self.folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "scgi", "uwsgi")))
        exchange("keepalive_time 5m;", f"keepalive_time {CONNECTION_SECONDS}s;")
        exchange("listen 443 ssl http2;", f"listen 127.0.0.1:{self.port} ssl http2;")
        exchange("/etc/nginx/binocle.pem", f"{self.folder}/binocle.pem")
        exchange("/etc/nginx/binocle.key", f"{self.folder}/binocle.key")
        for i in range(2):
            for written, port in ((50051 + i, self.grpc_ports[i]), (8080 + i, self.http_ports[i])):
                exchange(f"server 127.0.0.1:{written} max_fails=1 fail_timeout=2s;",
                         f"server 127.0.0.1:{port} max_fails=1 fail_timeout=2s{' down' if i in self.down else ''};")
        (self.folder / "nginx.conf").write_text(text)

    def reload(self, down=()):
        """As an operator: marks servers, `nginx -s reload`, and waits until the workers that knew no better have ended their streams."""
        self.down = set(down)
        self.write()
        before = self.workers()
        self.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + CALL_SECONDS
        while self.workers() & before or not self.workers():
            if time.monotonic() > end:
                raise AssertionError("nginx did not reload: " + self.errors)
            time.sleep(0.005)

    def workers(self):
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return set(children)

    @property
    def errors(self):
        return (self.folder / "error.log").read_text()

    @property
    def calls(self):
        return (self.folder / "access.log").read_text().splitlines()

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(CALL_SECONDS)


class Load:
    """Questions over gRPC, one after another on each of some threads, whole and streamed in turn. Whoever is told to try again does."""

    def __init__(self, client, answers, threads=THREADS):
        self.client, self.answers = client, answers
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.right, self.wrong, self.failed, self.again = 0, [], [], Counter()
        self.slowest = 0.0
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self, i):
        while not self.stop.is_set():
            seed, streamed = SEEDS[i % len(SEEDS)], i % 2 == 0
            i += THREADS + 1
            start = time.monotonic()
            answer = self.ask(seed, streamed)
            with self.lock:
                self.slowest = max(self.slowest, time.monotonic() - start)
                if answer == self.answers[seed]:
                    self.right += 1
                elif answer is not None:
                    self.wrong.append((seed, streamed, answer))

    def ask(self, seed, streamed):
        """A stream that broke after its first words is the application's to begin anew: the client package does not say words twice."""
        for _ in range(5):
            try:
                if not streamed:
                    return self.client.ask(seed=seed, **QUESTION).answer
                text = ""
                for delta in self.client.stream(seed=seed, **QUESTION):
                    text += delta.text
                return text
            except binocle.Error as error:
                with self.lock:
                    self.again[f"{'stream' if streamed else 'ask'}: {error}"] += 1
                last = error
        with self.lock:
            self.failed.append(last)
        return None

    def wait_for(self, more):
        end, before = time.monotonic() + CALL_SECONDS, self.right
        while self.right < before + more and time.monotonic() < end:
            time.sleep(0.005)

    def finish(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(CALL_SECONDS)
        return self


class Behind(unittest.TestCase):
    """Two servers behind nginx for all tests of a class, which leave both running."""

    right_answers = None  # by their seeds; every server gives them

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="binocle-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        ports = free_ports(4)
        cls.grpc, cls.http = ports[:2], ports[2:]
        cls.servers = [cls.begin(i) for i in range(2)]
        cls.nginx = Nginx(cls.folder, cls.grpc, cls.http)
        cls.addClassCleanup(cls.nginx.close)

    @classmethod
    def begin(cls, i):
        server = Server(cls.folder, *ROOM, listen=f"127.0.0.1:{cls.grpc[i]}", http_address=f"127.0.0.1:{cls.http[i]}")
        cls.addClassCleanup(server.close)
        return server

    def client(self, **options):
        tls = binocle.Tls(ca=self.folder / "binocle.pem", server_name=NAME)
        client = binocle.Client(f"127.0.0.1:{self.nginx.port}", tls=tls, timeout=CALL_SECONDS, **options)
        self.addCleanup(client.close)
        return client

    def direct(self, i):
        client = binocle.Client(f"127.0.0.1:{self.grpc[i]}", timeout=CALL_SECONDS)
        self.addCleanup(client.close)
        return client

    def answers(self):
        if Behind.right_answers is None:
            client = self.direct(0)
            Behind.right_answers = {seed: client.ask(seed=seed, **QUESTION).answer for seed in SEEDS}
        return Behind.right_answers

    def https(self, method, path, body=None):
        """A response whose body is not read yet, and its connection."""
        context = ssl.create_default_context(cafile=self.folder / "binocle.pem")
        context.check_hostname = False  # the connection is to an address
        connection = HTTPSConnection("127.0.0.1", self.nginx.port, context=context, timeout=CALL_SECONDS)
        self.addCleanup(connection.close)
        connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.connection = connection
        return response

    def counts(self, method="Generate"):
        return [int(total(server.metrics(), "binocle_calls_total", protocol="grpc", method=method, code="OK")) for server in self.servers]

    def seconds_until_it_works(self, i, since):
        while self.counts()[i] == 0:
            self.assertLess(time.monotonic() - since, CALL_SECONDS, f"server {i} gets no load")
            time.sleep(0.005)
        return time.monotonic() - since

    def assert_all_right(self, load):
        self.assertEqual((load.wrong, load.failed), ([], []), load.again)
        self.assertGreater(load.right, 0)


class Answers(Behind):
    def test_grpc_and_http_on_one_port_say_what_the_servers_say(self):
        client, direct = self.client(), self.direct(0)
        picture = {"prompt": "What is it?", "images": [SCENE], "max_new_tokens": 12}
        own = direct.ask(**picture)
        self.assertEqual(client.ask(**picture).answer, own.answer)
        self.assertEqual("".join(delta.text for delta in client.stream(**picture)), own.answer)
        self.assertEqual(client.health("binocle.v1.VisionLanguageService"), "serving")
        with self.assertRaises(binocle.InvalidArgument) as caught:
            client.ask("hello", temperature=-1)
        self.assertEqual(caught.exception.violations[0].field, "sampling.temperature", "details of a status go through")
        with self.assertRaises(binocle.DeadlineExceeded):
            client.ask(timeout=0.01, n=16, **QUESTION)

        whole = self.https("POST", "/v1/chat/completions", chat_body("hello", max_tokens=8))
        self.assertEqual(whole.status, 200)
        self.assertEqual(json.loads(whole.read())["choices"][0]["message"]["content"], direct.ask("hello", max_new_tokens=8).answer)
        self.assertEqual(self.https("GET", "/v1/models").status, 200)
        self.assertEqual(self.https("GET", "/").status, 200)
        for path in ("/metrics", "/healthz", "/readyz"):
            self.assertEqual(self.https("GET", path).status, 404, path)

    def test_events_come_as_they_are_made(self):
        response = self.https("POST", "/v1/chat/completions", chat_body("a b c", stream=True, max_tokens=340, temperature=1, n=8))
        times = [time.monotonic() for line in response if line.startswith(b"data: ")]
        self.assertGreater(len(times), 1000)
        self.assertLess(times[100] - times[0], (times[-1] - times[0]) / 2, "not all at the end")
        self.assertGreater(len({round(at, 2) for at in times}), 5, "not in a few lumps")

    def test_a_client_that_leaves_ends_its_request(self):
        long = {"max_new_tokens": 340, "temperature": 1.0, "n": 16}

        def cancelled():
            return sum(total(server.metrics(), "binocle_requests_total", outcome="cancelled") for server in self.servers)

        before = cancelled()
        with self.client().stream("a b c", **long) as stream:
            next(stream)
        response = self.https("POST", "/v1/chat/completions", chat_body("a b c", stream=True, max_tokens=340, temperature=1, n=16))
        response.readline()
        response.connection.close()
        response.close()
        end = time.monotonic() + CALL_SECONDS

        while cancelled() < before + 2:
            self.assertLess(time.monotonic(), end, [server.metrics().get("binocle_requests_total") for server in self.servers])
            time.sleep(0.005)

    def test_a_large_picture_goes_through_and_what_is_too_large_gets_its_code(self):
        client = self.client(max_message_bytes=200 << 20)
        padded = SCENE.read_bytes() + bytes(60 << 20)  # decoders stop at the end of the picture
        try:
            self.assertEqual(client.upload(padded).bytes, len(padded))
        except binocle.ResourceExhausted as error:
            self.fail(f"{error}")
        with self.assertRaises(binocle.ResourceExhausted):
            client.ask("What is it?", images=[SCENE.read_bytes() + bytes(81 << 20)])

    def test_an_upload_is_kept_by_the_server_that_got_it(self):
        uploaded = self.direct(0).upload(SCENE)
        picture = {"prompt": "What is it?", "images": [binocle.Image(id=uploaded.id)], "max_new_tokens": 4}
        self.assertTrue(self.direct(0).ask(**picture).answer is not None)
        with self.assertRaises(binocle.NotFound):
            self.direct(1).ask(**picture)


class Balance(Behind):
    def test_streams_go_to_both(self):
        answers = self.answers()
        before = self.counts("Ask")
        load = Load(self.client(), answers)
        load.wait_for(200)
        load.finish()
        self.assert_all_right(load)
        self.assertEqual(load.again, {})
        generate, ask = self.counts("Generate"), [now - then for now, then in zip(self.counts("Ask"), before)]
        print(f"balance: {generate} streams and {ask} whole answers over one connection")
        self.assertGreaterEqual(min(generate), 0.3 * sum(generate))


class Killed(Behind):
    def test_a_server_is_killed_under_load_and_comes_back(self):
        load = Load(self.client(retry=binocle.Retry(max_attempts=8)), self.answers())
        self.addCleanup(load.finish)
        load.wait_for(20)
        self.servers[1].kill()
        at = time.monotonic()
        load.wait_for(40)
        alone = time.monotonic() - at
        self.servers[1] = self.begin(1)
        back = self.seconds_until_it_works(1, time.monotonic())
        load.wait_for(40)
        load.finish()
        self.assert_all_right(load)
        self.assertLessEqual(sum(load.again.values()), 2 * THREADS, load.again)
        print(f"killed: {load.right} answers, all right; asked again by the application: {dict(load.again)}; slowest {load.slowest:.2f} s; "
              f"alone for {alone:.1f} s, load {back:.1f} s after the restart")


class Drained(Behind):
    """Each test has servers of its own: one of them is not there at its end."""

    def check_drained(self, server, before):
        self.assertEqual(server.wait(), 0)
        self.assertEqual(server.log_lines[-1]["message"], "every request has ended")
        calls = [line for line in server.log_lines[before:] if line["event"] == "call" and line["protocol"] == "grpc"]
        codes = Counter(line["code"] for line in calls)
        self.assertEqual(set(codes) - {"OK", "UNAVAILABLE"}, set(), "every accepted request has ended well")
        return codes


class MarkedDownFirst(Drained):
    def test_nobody_is_refused(self):
        load = Load(self.client(retry=binocle.Retry(max_attempts=1)), self.answers())
        self.addCleanup(load.finish)
        load.wait_for(20)
        before = len(self.servers[1].log_lines)
        self.nginx.reload(down=[1])
        self.servers[1].terminate()
        codes = self.check_drained(self.servers[1], before)
        load.wait_for(20)
        self.servers[1] = self.begin(1)
        self.nginx.reload()
        back = self.seconds_until_it_works(1, time.monotonic())
        load.wait_for(20)
        load.finish()
        self.assert_all_right(load)
        self.assertEqual(load.again, {}, "without retries")
        self.assertEqual(set(codes), {"OK"})
        print(f"drained, marked down first: {load.right} answers, none refused; it ended {codes['OK']} calls; load {back:.1f} s after the reload")


class OverHttp(Drained):
    def test_nginx_asks_the_other_server(self):
        """Neither a server that is killed nor one that drains is seen by clients that have no retries, as long as answers are whole."""
        body = chat_body("a b c", max_tokens=200, temperature=1, seed=3)
        expected = json.loads(self.https("POST", "/v1/chat/completions", body).read())["choices"][0]["message"]["content"]
        outcomes, stop = Counter(), threading.Event()

        def ask():
            while not stop.is_set():
                reply = self.https("POST", "/v1/chat/completions", body)
                text = reply.read()
                right = reply.status == 200 and json.loads(text)["choices"][0]["message"]["content"] == expected
                outcomes["right" if right else f"{reply.status}: {text[:80]!r}"] += 1

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()

        def more(count):
            end, before = time.monotonic() + CALL_SECONDS, outcomes.total()
            while outcomes.total() < before + count and time.monotonic() < end:
                time.sleep(0.005)

        more(10)
        self.servers[1].kill()
        more(20)
        self.servers[1] = self.begin(1)
        # nginx tries the server that failed with one request each fail_timeout until one is answered. Until then no other may leave.
        end = time.monotonic() + CALL_SECONDS
        while total(self.servers[1].metrics(), "binocle_calls_total", protocol="http", method="/v1/chat/completions", code="200") < 5:
            self.assertLess(time.monotonic(), end, "the server that came back gets no load")
            time.sleep(0.005)
        self.servers[0].terminate()
        self.assertEqual(self.servers[0].wait(), 0)
        more(10)
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(set(outcomes), {"right"}, outcomes)
        print(f"http: {outcomes['right']} answers, all right, with one server killed and later the other drained")


class NotMarkedDown(Drained):
    def test_clients_try_again(self):
        load = Load(self.client(retry=binocle.Retry(max_attempts=12)), self.answers())
        self.addCleanup(load.finish)
        load.wait_for(20)
        before = len(self.servers[1].log_lines)
        start = time.monotonic()
        self.servers[1].terminate()
        codes = self.check_drained(self.servers[1], before)
        ended = time.monotonic() - start
        load.wait_for(20)
        load.finish()
        self.assert_all_right(load)
        print(f"drained in {ended:.2f} s: {load.right} answers, all right; calls of the server since: {dict(codes)}; by the application: {dict(load.again)}")


if __name__ == "__main__":
    main()
