#!/usr/bin/env python3
"""Several processes that answer as one: `binocle ask --tensor-parallel N` with the variables of torchrun."""

import json
import signal
import time

from program import GOLDEN, main, run
from ranks import Ranked, free_port
from server import READY_SECONDS, Server

LLAVA = GOLDEN / "llava"
# Log-probabilities of the goldens are held to 2e-5 of the largest logit, which is below 50 in these models (tests/testing/tolerances.cc).
LOGPROB = 1e-3


class TensorParallel(Ranked):
    def questions(self, name):
        """The golden model's own, as a file."""
        lines = []
        for request in json.loads((GOLDEN / name / "reference.json").read_text())["requests"]:
            if "prompt" not in request:  # one that is asked in ids
                continue
            line = {"id": request["id"], "prompt": request["prompt"], "prompt_format": request["prompt_format"],
                    "images": [str((GOLDEN / name / image).resolve()) for image in request["images"]]}
            lines.append(json.dumps(line | ({"system": request["system"]} if "system" in request else {})))
        return self.write(f"{name}.jsonl", "\n".join(lines) + "\n")

    def test_two_and_four_processes_answer_as_one(self):
        for name in ("llava", "binocle_mixed_vo_ffn", "binocle_vo_ffn", "llava_granite"):
            arguments = ["ask", "--model", GOLDEN / name, "--requests", self.questions(name), "--max-new-tokens", "24",
                         "--logprobs", "5", "--threads", "1"]
            alone = run(*arguments, seconds=120)
            self.assertEqual(alone.status, 0, alone.stderr)
            for size in (2, 4):
                with self.subTest(model=name, ranks=size):
                    leader, *others = self.answers(size, *arguments)
                    self.assertEqual((leader[0], leader[2]), (0, ""), leader)
                    for other in others:
                        self.assertEqual(other, (0, "", ""))
                    got = [json.loads(line) for line in leader[1].splitlines()]
                    self.assertEqual(len(got), len(alone.lines))
                    for one, many in zip(alone.lines, got, strict=True):
                        self.same(one, many)

    def same(self, one, many):
        self.assertEqual(many["token_ids"], one["token_ids"])
        for a, b in zip(one["logprobs"], many["logprobs"], strict=True):
            for (token, value), (other_token, other_value) in zip(a, b, strict=True):
                self.assertEqual(token, other_token)
                self.assertAlmostEqual(value, other_value, delta=LOGPROB)

    def long_run(self, size):
        path = self.write("many.jsonl", "".join(json.dumps({"prompt": "Hi", "max_new_tokens": 60}) + "\n" for _ in range(5000)))
        ranks = self.start(size, "ask", "--model", LLAVA, "--requests", path, "--threads", "1")
        ranks[0].wait_for_line()
        return ranks

    def test_when_rank_0_is_killed_the_others_end(self):
        ranks = self.long_run(4)
        ranks[0].process.kill()
        since = time.monotonic()
        for rank in ranks[1:]:
            status, out, err = rank.end(30)
            self.assertEqual((status, out), (1, ""))
            self.assertEqual(err, "UNAVAILABLE: tensor_parallel: rank 0 of 4 has left\n")
        self.assertLess(time.monotonic() - since, 20)
        ranks[0].end()

    def test_when_another_is_killed_requests_fail_and_say_why(self):
        ranks = self.long_run(4)
        ranks[2].process.kill()
        status, out, err = ranks[0].end()
        self.assertEqual(status, 1)
        failed = [line for line in map(json.loads, out.splitlines()) if "error" in line]
        self.assertIn("tensor_parallel: rank 2 of 4 has left", str(failed[-1]))
        self.assertIn("UNAVAILABLE", err)
        for rank in (ranks[1], ranks[3]):
            self.assertEqual(rank.end()[0], 1)
        ranks[2].end()

    def test_a_second_signal_ends_a_rank_that_waits(self):
        ranks = self.long_run(2)
        ranks[1].process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        self.assertIsNone(ranks[1].process.poll(), "one is rank 0's to act on")
        ranks[1].process.send_signal(signal.SIGTERM)
        self.assertEqual(ranks[1].end(10)[0], 1)
        self.assertEqual(ranks[0].end(30)[0], 1)

    def test_a_server_whose_rank_is_killed_says_so_and_ends(self):
        port = free_port()
        arguments = ["serve", "--model", LLAVA, "--threads", "1", "--tensor-parallel", "2"]
        other = self.rank(1, 2, port, arguments)
        variables = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        server = Server(self.folder, *arguments[1:], variables=variables)
        self.addCleanup(server.close)
        self.assertEqual(server.get("/readyz").status, 200)
        self.assertEqual(server.chat("hello", max_tokens=4).status, 200)
        other.process.kill()
        statuses, end = [], time.monotonic() + READY_SECONDS
        while server.process.poll() is None and time.monotonic() < end:
            try:
                reply = server.get("/readyz")
                statuses.append((reply.status, reply.json.get("error", "")))
            except OSError:
                pass
            time.sleep(0.02)
        self.assertEqual(server.wait(), 1)
        left = "tensor_parallel: rank 1 of 2 has left"
        self.assertTrue(any(status == 503 and left in error for status, error in statuses), statuses[-3:])
        *events, last = server.log.splitlines()
        self.assertEqual(last, f"UNAVAILABLE: {left}")
        failed = [line for line in map(json.loads, events) if line["event"] == "failed"]
        self.assertEqual([line["message"] for line in failed], [left])

    def test_a_plan_needs_no_launcher(self):
        check = run("serve", "--check", "--model", LLAVA, "--tensor-parallel", "2")
        self.assertEqual((check.status, check.stderr), (0, ""), check.stderr)
        self.assertIn("ok\n", check.stdout)

    def test_who_is_not_started_as_a_rank_is_told_how(self):
        alone = run("ask", "--model", LLAVA, "--tensor-parallel", "2", "Hi")
        self.assertEqual(alone.status, 2)
        self.assertIn("--tensor-parallel is 2, and none of RANK", alone.stderr)
        rank = self.rank(0, 4, free_port(), ["ask", "--model", LLAVA, "--tensor-parallel", "2", "Hi"])
        status, _, err = rank.end()
        self.assertEqual(status, 2)
        self.assertIn("--tensor-parallel is 2 and WORLD_SIZE is 4, expected the same", err)
        status, _, err = self.rank(0, 2, 99999, ["ask", "--model", LLAVA, "--tensor-parallel", "2", "Hi"]).end()
        self.assertEqual((status, err), (2, "INVALID_ARGUMENT: MASTER_PORT is 99999, expected 1 to 65535\n"))
        three = run("inspect", LLAVA, "--tensor-parallel", "3")
        self.assertEqual(three.status, 2)
        self.assertIn("--tensor-parallel is 3, expected a divisor of the 4 heads", three.stderr)

    def test_inspect_has_the_plan_of_a_rank(self):
        whole = run("inspect", LLAVA, "--json").json["memory"]
        share = run("inspect", LLAVA, "--json", "--tensor-parallel", "2").json["memory"]
        self.assertLess(share["planned_bytes"], whole["planned_bytes"])
        self.assertEqual(2 * share["kv_bytes"], whole["kv_bytes"])


if __name__ == "__main__":
    main()
