"""`binocle serve` from outside: when it is ready, what it answers, how it ends and begins anew."""

import base64
import http.client
import json
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

from program import SCENE, main, program, run
from server import CALL_SECONDS, FTZ, LLAVA, Serving, Stream, free_ports, taken_port

LONG = {"max_tokens": 340, "temperature": 1}  # what the context leaves
ROOM = ["--max-sequences", "16", "--kv-tokens", "8192"]
PICTURE = "data:image/png;base64," + base64.b64encode(SCENE.read_bytes()).decode()
# Prompt, with the picture, max_new_tokens, temperature, seed.
QUESTIONS = [("hello", False, 12, 0, 0), ("What is it?", True, 12, 0, 0), ("What is it?", True, 12, 0.7, 1), ("What is it?", True, 12, 0.7, 2),
             ("Where is the cat?", True, 20, 1.3, 18446744073709551615), ("a b c", False, 24, 1, 7), ("a b c", False, 24, 0.2, 7)]


def content(prompt, picture):
    parts = [{"type": "text", "text": prompt}]
    return parts + [{"type": "image_url", "image_url": {"url": PICTURE}}] if picture else parts


class Life(Serving):
    def test_the_port_file_is_there_while_the_server_is_ready(self):
        stale = self.write("ports.json", '{"grpc":1,"http":2}\n')
        server = self.serve("--model", LLAVA, port_file=stale)
        ports = json.loads(stale.read_text())
        self.assertEqual(ports, {"grpc": server.grpc, "http": server.http})
        self.assertNotIn(1, ports.values())
        self.assertEqual(server.get("/readyz").status, 200)
        self.assertEqual(server.get("/healthz").status, 200)
        server.terminate()
        self.assertEqual(server.wait(), 0)
        self.assertFalse(stale.exists())

    def test_a_server_that_cannot_start_leaves_no_port_file(self):
        stale = self.write("ports.json", '{"grpc":1,"http":2}\n')
        with taken_port() as port:
            for option, other in (("--listen", "--http"), ("--http", "--listen")):
                result = run("serve", "--model", LLAVA, option, f"127.0.0.1:{port}", other, "127.0.0.1:0", "--port-file", stale)
                self.assertEqual((result.status, result.stdout), (1, ""))
                self.assertRegex(result.stderr, rf"^UNAVAILABLE: .*127\.0\.0\.1:{port}.*\n$")
                self.assertFalse(stale.exists())

    def test_a_host_that_nobody_knows(self):
        result = run("serve", "--model", LLAVA, "--listen", "none", "--http", "nobody.invalid:0")
        self.assertRegex(result.stderr, r"^UNAVAILABLE: --(listen|http) is nobody\.invalid:0, which cannot be had: .+\n$")

    def test_two_models_by_name(self):
        server = self.serve("--model", f"first={LLAVA}", "--model", f"second={FTZ}")
        self.assertEqual([model["id"] for model in server.get("/v1/models").json["data"]], ["first", "second"])
        answers = {name: server.chat("hello", model=name, max_tokens=8).json for name in ("first", "second")}
        for name, model in (("first", LLAVA), ("second", FTZ)):
            own = run("ask", "--model", model, "--json", "--max-new-tokens", "8", "hello").json
            self.assertEqual(answers[name]["choices"][0]["message"]["content"], own["answer"])
            self.assertEqual(answers[name]["model"], name)
        self.assertEqual(server.chat("hello", model="third").status, 404)

    def test_killed_and_started_on_the_same_ports_at_once(self):
        grpc, http = free_ports(2)
        fixed = {"listen": f"127.0.0.1:{grpc}", "http_address": f"127.0.0.1:{http}", "port_file": self.folder / "ports.json"}
        for _ in range(3):
            server = self.serve("--model", LLAVA, *ROOM, **fixed)
            self.assertEqual((server.grpc, server.http), (grpc, http))
            streams = [Stream(server, "a b c", seed=i, n=8, **LONG) for i in range(4)]
            for stream in streams:
                stream.began.wait(CALL_SECONDS)
            server.kill()
            # A fast machine may have done with the first.
            self.assertFalse(all(stream.finish().done for stream in streams))
            self.assertTrue(fixed["port_file"].exists(), "nobody was there to remove it")
        server = self.serve("--model", LLAVA, **fixed)
        self.assertEqual(server.chat("hello", max_tokens=4).status, 200)
        server.terminate()
        self.assertEqual(server.wait(), 0)
        logs = {f"serve-{i}.log" for i in range(1000)}
        self.assertEqual([path.name for path in self.folder.iterdir() if path.name not in logs], [], "a file was left behind")


class Answers(Serving):
    def test_answers_are_those_of_ask(self):
        server = self.serve("--model", LLAVA)
        lines = [json.dumps({"prompt": prompt, "images": [str(SCENE)] if picture else [], "max_new_tokens": most, "temperature": temperature, "seed": seed})
                 for prompt, picture, most, temperature, seed in QUESTIONS]
        asked = run("ask", "--model", LLAVA, "--requests", self.write("questions.jsonl", "\n".join(lines) + "\n"))
        self.assertEqual(asked.status, 0, asked.stderr)
        for question, own in zip(QUESTIONS, asked.lines, strict=True):
            prompt, picture, most, temperature, seed = question
            options = {"max_tokens": most, "temperature": temperature, "seed": seed}
            with self.subTest(question=question):
                whole = server.chat(content(prompt, picture), binocle={}, **options).json
                choice = whole["choices"][0]
                self.assertEqual(choice["binocle"]["token_ids"], own["token_ids"])
                self.assertEqual(choice["message"]["content"], own["answer"])
                self.assertEqual(choice["finish_reason"], own["finish_reason"])
                self.assertEqual(whole["usage"]["prompt_tokens"], own["prompt_tokens"])
                stream = Stream(server, content(prompt, picture), **options).finish()
                self.assertEqual((stream.text, stream.done, stream.error), (own["answer"], True, None))
        self.assertGreater(len({tuple(line["token_ids"]) for line in asked.lines}), 4, "seeds and temperatures tell apart")

    def test_neighbours_change_no_answer(self):
        server = self.serve("--model", LLAVA, *ROOM)
        options = [{"seed": seed, "temperature": 1, "max_tokens": 40} for seed in range(8)]
        alone = [server.chat("a b c", **each).json["choices"][0]["message"]["content"] for each in options]
        together = [Stream(server, "a b c", **each) for each in options]
        self.assertEqual([stream.finish().text for stream in together], alone)


class Draining(Serving):
    def test_sigterm_under_load_loses_no_accepted_request(self):
        server = self.serve("--model", LLAVA, *ROOM)
        seeds = range(16)
        choices = [server.chat("a b c", seed=seed, **LONG).json["choices"][0] for seed in seeds]
        alone = [(choice["message"]["content"], choice["finish_reason"]) for choice in choices]
        # A call is logged after its reply has left.
        end = time.monotonic() + CALL_SECONDS
        while sum(line["event"] == "call" for line in server.log_lines) < len(seeds) and time.monotonic() < end:
            time.sleep(0.01)
        before = len(server.log_lines)
        streams = [Stream(server, "a b c", seed=seed, **LONG) for seed in seeds]
        for stream in streams:
            stream.began.wait(CALL_SECONDS)

        outcomes, stop = [], threading.Event()

        def newcomer():
            """Short questions one after another, each on a connection of its own, until nobody listens."""
            while not stop.is_set():
                try:
                    reply = server.chat("hello", max_tokens=2)
                    outcomes.append((reply.status, reply.headers.get("Retry-After")))
                    if reply.status == 200 and reply.json["choices"][0]["finish_reason"] is None:
                        outcomes.append(("cut", None))
                except (ConnectionError, OSError) as error:
                    # Nobody there, or the connection was closed before a byte of a reply: a request that was not accepted.
                    outcomes.append((type(error).__name__, None))
                    if isinstance(error, ConnectionRefusedError):
                        return

        newcomers = [threading.Thread(target=newcomer) for _ in range(2)]
        for thread in newcomers:
            thread.start()
        time.sleep(0.05)
        signalled = time.monotonic()
        server.terminate()
        self.assertEqual(server.wait(), 0)
        ended = time.monotonic() - signalled
        stop.set()
        for thread in newcomers:
            thread.join()

        for seed, stream in zip(seeds, streams):
            stream.finish()
            self.assertEqual((stream.error, stream.done), (None, True), seed)
            self.assertEqual((stream.text, stream.finish_reason), alone[seed], seed)
        tally = {}
        for status, retry in outcomes:
            tally[status] = tally.get(status, 0) + 1
            self.assertIn(status, (200, 503, "ConnectionRefusedError", "ConnectionResetError", "BrokenPipeError", "RemoteDisconnected"), outcomes[-5:])
            if status == 503:
                self.assertGreater(int(retry), 0)
        self.assertGreater(tally.get(503, 0), 0, f"somebody came while it drained: {tally}")
        calls = [line for line in server.log_lines[before:] if line["event"] == "call"]
        answered = [line for line in calls if line["code"] == "200" and not line.get("cut")]
        self.assertEqual(len(answered), len(streams) + tally.get(200, 0), "every request that began has ended well")
        self.assertEqual(server.log_lines[-1]["event"], "stopped")
        print(f"drained in {ended:.2f} s: {len(streams)} streams whole; newcomers {tally}")

    def test_what_takes_longer_than_the_patience_is_cancelled(self):
        server = self.serve("--model", LLAVA, "--drain-seconds", "0", *ROOM)
        # Twice as many answers as there is room for: when the first has begun, others still wait, however quick the machine is.
        streams = [Stream(server, "a b c", seed=seed, n=8, **LONG) for seed in range(4)]
        streams[0].began.wait(CALL_SECONDS)
        server.terminate()
        self.assertEqual(server.wait(), 0)
        self.assertFalse(all(stream.finish().done for stream in streams))
        self.assertIn("cancelled", server.log_lines[-1]["message"])

    def test_a_log_that_nobody_reads_stops_nothing(self):
        port_file = self.folder / "unread.json"
        command = [program(), "serve", "--model", LLAVA, "--listen", "none", "--http", "127.0.0.1:0", "--port-file", port_file, "--drain-seconds", "1"]
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            while not port_file.exists() or not port_file.read_text().endswith("\n"):
                self.assertIsNone(process.poll())
                time.sleep(0.01)
            connection = http.client.HTTPConnection("127.0.0.1", json.loads(port_file.read_text())["http"], timeout=CALL_SECONDS)
            for _ in range(1500):  # a pipe holds some 350 lines
                connection.request("GET", "/healthz")
                self.assertEqual(connection.getresponse().read(), b'{"status":"ok"}')
            connection.close()
            process.terminate()
            self.assertEqual(process.wait(CALL_SECONDS), 0)
        finally:
            process.kill()
            process.communicate()

    def test_other_weights_have_another_fingerprint(self):
        def fingerprint(model):
            return self.serve("--model", f"one={model}").chat("hello", model="one", max_tokens=1).json["system_fingerprint"]

        copy = Path(shutil.copytree(LLAVA, self.folder / LLAVA.name))
        self.assertEqual(fingerprint(copy), fingerprint(LLAVA))
        weights = copy / "model.safetensors"
        data = bytearray(weights.read_bytes())
        data[-4] ^= 1  # the least bit of a number
        weights.write_bytes(data)
        self.assertNotEqual(fingerprint(copy), fingerprint(LLAVA))

    def test_a_signal_while_models_load_ends_it(self):
        for seconds in (0.0, 0.02, 0.05):
            command = [program(), "serve", "--model", LLAVA, "--listen", "none", "--http", "127.0.0.1:0"]
            process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            time.sleep(seconds)
            process.terminate()
            process.communicate(timeout=CALL_SECONDS)
            self.assertIn(process.returncode, (0, -signal.SIGTERM))  # before it waits for signals, they end it as they end any process

    def test_a_second_signal_ends_it(self):
        server = self.serve("--model", LLAVA, *ROOM)
        streams = [Stream(server, "a b c", seed=seed, n=8, **LONG) for seed in range(4)]
        streams[0].began.wait(CALL_SECONDS)
        server.terminate()
        time.sleep(0.1)
        server.terminate()
        self.assertEqual(server.wait(), 130)
        for stream in streams:
            stream.finish()


if __name__ == "__main__":
    main()
