"""`binocle serve` under more than it takes, with tokens, and what operators see: log lines and metrics."""

import threading

from program import SANITIZED, main
from server import CALL_SECONDS, LLAVA, Serving, Stream, chat_body, total

LONG = {"max_tokens": 340, "temperature": 1}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
REFUSED_SECONDS = 5 if SANITIZED else 0.5  # the promise is 0.05; machines of tests are busy


def at_once(count, call):
    """The results of call(0) … call(count − 1), made on threads of their own."""
    results = [None] * count
    def one(i):
        results[i] = call(i)
    threads = [threading.Thread(target=one, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


class Overload(Serving):
    def test_too_many_requests_are_told_so_at_once_while_others_go_on(self):
        server = self.serve("--model", LLAVA, "--max-queued-requests", "2", "--max-sequences", "2")
        running = [Stream(server, "a b c", seed=seed, **LONG) for seed in range(2)]
        for stream in running:
            stream.began.wait(CALL_SECONDS)
        replies = at_once(24, lambda i: server.chat("hello", seed=i, **LONG))
        for stream in running:
            stream.finish()
            self.assertEqual((stream.error, stream.done), (None, True))
        refused = [reply for reply in replies if reply.status == 429]
        served = [reply for reply in replies if reply.status == 200]
        self.assertEqual(len(refused) + len(served), len(replies), {reply.status for reply in replies})
        self.assertGreaterEqual(len(served), 2)
        self.assertGreater(len(refused), 0)
        for reply in refused:
            self.assertGreater(int(reply.headers["Retry-After"]), 0)
            self.assertEqual(reply.json["error"]["type"], "rate_limit_error")
        seconds = sorted(reply.seconds for reply in refused)
        print(f"overload: {len(served)} answered, {len(refused)} refused in {1000 * seconds[len(seconds) // 2]:.1f} ms (median), {1000 * seconds[-1]:.1f} ms (longest)")
        self.assertLess(seconds[-1], REFUSED_SECONDS)
        samples = server.metrics_when(lambda samples: total(samples, "binocle_queued_requests") == 0)
        self.assertEqual(total(samples, "binocle_requests_total", outcome="RESOURCE_EXHAUSTED"), len(refused))
        self.assertEqual(total(samples, "binocle_queued_requests"), 0)
        self.assertEqual(server.chat("hello", max_tokens=4).status, 200, "afterwards there is room")

    def test_more_connections_than_allowed(self):
        server = self.serve("--model", LLAVA, "--max-connections", "2")
        held = [server.connect() for _ in range(2)]
        for connection in held:
            connection.request("GET", "/healthz")
            connection.getresponse().read()
        reply = server.get("/v1/models")
        self.assertEqual(reply.status, 503)
        self.assertEqual(server.get("/healthz").status, 200)
        self.assertGreater(int(reply.headers["Retry-After"]), 0)
        for connection in held:
            connection.close()
        samples = server.metrics_when(lambda samples: True)
        self.assertGreaterEqual(total(samples, "binocle_http_refused_total"), 1)

    def test_a_request_that_takes_longer_than_allowed(self):
        server = self.serve("--model", LLAVA, "--request-timeout-seconds", "0.05")
        reply = server.chat("a b c", n=16, **LONG)
        self.assertEqual((reply.status, reply.json["error"]["code"]), (504, "deadline_exceeded"))


class Tokens(Serving):
    TOKENS = "# the tokens of a test\nsecret-of-alice name=alice\nsecret-of-bob name=bob rpm=3\nsecret-of-carol max_in_flight=1\n"

    def test_who_may_call_and_how_often(self):
        server = self.serve("--model", LLAVA, "--tokens", self.write("tokens", self.TOKENS))
        for path in ("/healthz", "/readyz", "/metrics"):
            self.assertEqual(server.get(path).status, 200, path)
        ask = lambda token: server.chat("hello", token=token, max_tokens=2)
        for token in (None, "secret-of-mallory", "secret-of-alice-", "alice"):
            reply = ask(token)
            self.assertEqual((reply.status, reply.json["error"]["type"]), (401, "authentication_error"), token)
        self.assertEqual(server.get("/v1/models").status, 401)
        self.assertEqual([ask("secret-of-alice").status for _ in range(5)], [200] * 5)
        replies = [ask("secret-of-bob") for _ in range(4)]
        self.assertEqual([reply.status for reply in replies], [200, 200, 200, 429])
        self.assertGreater(int(replies[3].headers["Retry-After"]), 0)

        def long_answer(_):
            body = chat_body("a b c", **LONG)
            return server.call("POST", "/v1/chat/completions", body, "secret-of-carol").status
        statuses = at_once(4, long_answer)
        self.assertIn(200, statuses)
        self.assertIn(429, statuses)
        server.close()
        self.assertNotIn("secret", server.log)
        names = {line["token"] for line in server.log_lines if "token" in line}
        self.assertEqual(names, {"alice", "bob", "token-4"})


class Records(Serving):
    def test_log_lines_have_ids_and_traces(self):
        server = self.serve("--model", LLAVA)
        headers = {"X-Request-Id": "my-id.1", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
        self.assertEqual(server.chat("hello", headers=headers, max_tokens=2).headers["X-Request-Id"], "my-id.1")
        own = server.chat("hello", headers={"X-Request-Id": 'no "id"', "traceparent": "rubbish"}, max_tokens=2).headers["X-Request-Id"]
        server.chat("hello", model="none")
        server.close()
        lines = server.log_lines
        self.assertEqual([line["event"] for line in lines], ["started", "call", "call", "call", "draining", "stopped"])
        for line in lines:
            self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        # A line is written behind its reply, so that the next call's may come first.
        first, second, third = sorted(lines[1:4], key=lambda line: (line["code"], line["request_id"] != "my-id.1"))
        self.assertEqual((first["request_id"], first["trace_id"], first["code"], first["method"]), ("my-id.1", TRACE, "200", "POST /v1/chat/completions"))
        self.assertEqual(second["request_id"], own)
        self.assertNotIn("trace_id", second)
        self.assertEqual(third["code"], "404")
        for line in lines[1:4]:
            self.assertEqual((line["protocol"], line["peer"]), ("http", "127.0.0.1"))
            self.assertGreaterEqual(line["ms"], 0)
        self.assertNotIn("hello", server.log, "what people ask is not logged")

    def test_no_log_when_told_so(self):
        server = self.serve("--model", LLAVA, "--log", "none")
        self.assertEqual(server.chat("hello", max_tokens=2).status, 200)
        server.close()
        self.assertEqual(server.log, "")

    def test_metrics_add_up(self):
        server = self.serve("--model", LLAVA, "--max-sequences", "4")
        replies = at_once(8, lambda i: server.chat("hello", seed=i, temperature=1, max_tokens=5 + i))
        self.assertEqual({reply.status for reply in replies}, {200})
        stream = Stream(server, "hello", max_tokens=9, n=2).finish()
        self.assertTrue(stream.done)
        self.assertEqual(server.chat("hello", model="none").status, 404)
        self.assertEqual(server.call("POST", "/v1/chat/completions", {"model": "llava"}).status, 400)

        chats = {"protocol": "http", "method": "/v1/chat/completions"}
        samples = server.metrics_when(lambda samples: total(samples, "binocle_calls_total", **chats) == 11)
        usages = [reply.json["usage"] for reply in replies]
        self.assertEqual(total(samples, "binocle_requests_total", model="llava"), 9)
        completion = total(samples, "binocle_tokens_total", kind="completion")
        self.assertEqual(completion, total(samples, "binocle_answer_tokens_total"))
        self.assertGreaterEqual(completion, sum(usage["completion_tokens"] for usage in usages))
        self.assertEqual(total(samples, "binocle_tokens_total", kind="prompt"), sum(usage["prompt_tokens"] for usage in usages) + usages[0]["prompt_tokens"])
        calls = {code: total(samples, "binocle_calls_total", code=code, **chats) for code in ("200", "400", "404")}
        self.assertEqual(calls, {"200": 9, "400": 1, "404": 1})
        for name in ("binocle_queued_requests", "binocle_active_requests", "binocle_running_answers"):
            self.assertEqual(total(samples, name), 0, name)
        pages = {state: total(samples, "binocle_kv_pages", state=state) for state in ("all", "free", "prefix")}
        self.assertEqual(pages["free"] + pages["prefix"], pages["all"], "no page is lost")
        for name in ("binocle_request_seconds", "binocle_time_to_first_token_seconds", "binocle_queue_seconds"):
            self.assertEqual(total(samples, f"{name}_count"), 9, name)
        for name, series in samples.items():
            if name.endswith("_bucket"):
                self.check_histogram(samples, name[: -len("_bucket")], series)

    def check_histogram(self, samples, name, series):
        by_labels = {}
        for key, count in series.items():
            labels = tuple(pair for pair in key if pair[0] != "le")
            by_labels.setdefault(labels, []).append((float(dict(key)["le"]), count))
        for labels, buckets in by_labels.items():
            counts = [count for _, count in sorted(buckets)]
            self.assertEqual(counts, sorted(counts), name)
            self.assertEqual(counts[-1], samples[f"{name}_count"][labels], name)

    def test_counters_only_grow(self):
        server = self.serve("--model", LLAVA)
        earlier = server.metrics()
        for i in range(3):
            server.chat("hello", max_tokens=3 + i)
            later = server.metrics()
            for name in later:
                if name.endswith(("_total", "_count")):
                    for labels, value in earlier.get(name, {}).items():
                        self.assertGreaterEqual(later[name][labels], value, name)
            earlier = later


if __name__ == "__main__":
    main()
