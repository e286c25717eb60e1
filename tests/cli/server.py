"""What the tests of `binocle serve` share: a running server, and requests to it over HTTP."""

import http.client
import json
import os
import random
import re
import socket
import subprocess
import threading
import time
from contextlib import contextmanager

from program import GOLDEN, SANITIZED, Folder, environment, program

LLAVA = GOLDEN / "llava"
FTZ = GOLDEN / "binocle_ftz"
READY_SECONDS = 120 if SANITIZED else 30
CALL_SECONDS = 300 if SANITIZED else 60


class Reply:
    """A whole HTTP reply; `seconds` since the request began."""

    def __init__(self, status, headers, body, seconds):
        self.status, self.headers, self.body, self.seconds = status, headers, body, seconds

    @property
    def json(self):
        return json.loads(self.body)


class Server:
    """`binocle serve`, ready when made. Its log goes to a file of the folder."""

    count = 0

    def __init__(self, folder, *arguments, listen="127.0.0.1:0", http_address="127.0.0.1:0", port_file=None, variables=()):
        Server.count += 1
        self.port_file = port_file or folder / f"ports-{Server.count}.json"
        self.log_file = folder / f"serve-{Server.count}.log"
        before = self.written()
        command = [program(), "serve", "--listen", listen, "--http", http_address, "--port-file", self.port_file, *arguments]
        with open(self.log_file, "wb") as log:
            self.process = subprocess.Popen([os.fspath(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=environment() | dict(variables))
        try:
            ports = self.wait_for_ports(before)
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        self.grpc, self.http = ports["grpc"], ports["http"]

    def written(self):
        """When the port file was written; None where there is none."""
        try:
            return self.port_file.stat().st_mtime_ns
        except FileNotFoundError:
            return None

    def wait_for_ports(self, before):
        """What this process writes; an earlier server may have left a file."""
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}: {self.log}")
            if self.written() not in (before, None):
                return json.loads(self.port_file.read_text())
            time.sleep(0.005)
        raise AssertionError(f"not ready after {READY_SECONDS} s: {self.log}")

    @property
    def log(self):
        return self.log_file.read_text(errors="replace")

    @property
    def log_lines(self):
        return [json.loads(line) for line in self.log.splitlines()]

    def terminate(self):
        self.process.terminate()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def wait(self):
        """The exit status; a server that goes on is killed, and that is a failure."""
        try:
            return self.process.wait(CALL_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def close(self):
        if self.process.poll() is None:
            self.terminate()
            self.wait()

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.http, timeout=CALL_SECONDS)

    def call(self, method, path, body=None, token=None, headers=()):
        headers = {"Content-Type": "application/json", **dict(headers)}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        start = time.monotonic()
        connection = self.connect()
        try:
            connection.request(method, path, body if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read(), time.monotonic() - start)
        finally:
            connection.close()

    def get(self, path, **options):
        return self.call("GET", path, **options)

    def chat(self, question, token=None, headers=(), **options):
        return self.call("POST", "/v1/chat/completions", chat_body(question, **options), token, headers)

    def metrics(self):
        return parse_metrics(self.get("/metrics").body.decode())

    def metrics_when(self, come):
        """Those of which `come` is true, at last: a call is counted when its reply has left. After a while whatever there is."""
        end = time.monotonic() + CALL_SECONDS
        while True:
            reply = self.get("/metrics")  # 503 while a closed connection still has its thread
            samples = parse_metrics(reply.body.decode()) if reply.status == 200 else None
            if samples is not None and (come(samples) or time.monotonic() > end):
                return samples
            if time.monotonic() > end:
                raise AssertionError(f"/metrics: status {reply.status}")
            time.sleep(0.005)


def chat_body(question, model="llava", **options):
    return {"model": model, "messages": [{"role": "user", "content": question}], **options}


class Stream:
    """A streamed answer, read on a thread of its own."""

    def __init__(self, server, question, **options):
        self.connection = server.connect()
        self.connection.request("POST", "/v1/chat/completions", json.dumps(chat_body(question, stream=True, **options)), {"Content-Type": "application/json"})
        self.began = threading.Event()  # a part of the answer is there, or it failed
        self.text, self.finish_reason, self.done, self.error, self.times = "", None, False, None, []
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        try:
            response = self.connection.getresponse()
            if response.status != 200:
                raise AssertionError(f"status {response.status}: {response.read()!r}")
            for line in response:
                if not line.startswith(b"data: "):
                    continue
                self.times.append(time.monotonic())
                if line.startswith(b"data: [DONE]"):
                    self.done = True
                    continue
                event = json.loads(line[6:])
                if "error" in event:
                    raise AssertionError(f"{event}")
                for choice in event["choices"]:
                    self.text += choice["delta"].get("content") or ""
                    self.finish_reason = choice["finish_reason"] or self.finish_reason
                if self.text:
                    self.began.set()
        except Exception as error:
            self.error = error
        finally:
            self.began.set()
            self.connection.close()

    def finish(self):
        self.thread.join(CALL_SECONDS)
        return self


class Serving(Folder):
    """A test with servers, which end with it."""

    def serve(self, *arguments, **options):
        server = Server(self.folder, *arguments, **options)
        self.addCleanup(server.close)
        return server


@contextmanager
def taken_port():
    """A port of loopback on which somebody else listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def free_ports(count):
    """Ports of loopback that nobody has, and that the system gives nobody who asks for any: tests that run beside this one would get them."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        first_given = int(file.read().split()[0])
    ports = []
    while len(ports) < count:
        port = random.randrange(min(10000, first_given - 1000), first_given)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_]\w*="(?:[^"\\]|\\.)*",?)*\})? (\S+)$')
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')


def parse_metrics(text):
    """{name: {(("label", "value"), …): number}}; fails for what is not Prometheus' text format."""
    samples, types = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            if name in types:
                raise AssertionError(f"two types: {line}")
            types[name] = kind
        elif line.startswith("# HELP "):
            continue
        else:
            match = SAMPLE.match(line)
            if not match:
                raise AssertionError(f"no sample: {line}")
            name, labels, value = match.groups()
            family = re.sub("_(bucket|sum|count)$", "", name) if types.get(name) is None else name
            if family not in types:
                raise AssertionError(f"no type before: {line}")
            series = samples.setdefault(name, {})
            key = tuple(sorted(LABEL.findall(labels or "")))
            if key in series:
                raise AssertionError(f"twice: {line}")
            series[key] = float(value)
    return samples


def total(samples, name, **labels):
    """The sum of a metric over the series with these labels."""
    wanted = set(labels.items())
    return sum(value for key, value in samples.get(name, {}).items() if wanted <= set(key))
