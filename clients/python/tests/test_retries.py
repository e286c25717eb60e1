"""What is tried again, when, and for how long; cancellation; streams that end early."""

import asyncio
import gc
import random
import threading
import time
import unittest
from unittest import mock

import grpc
from clients import QUICK, with_both
from fake_server import WORDS, Failure, FakeServer, retry_info

import binocle

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


@with_both
class Retries:
    def test_unavailable_is_tried_again_with_the_same_request_id(self):
        self.server.failures = [Failure(UNAVAILABLE)] * 4
        self.assertEqual(self.client.ask("Well?").answer, "a green heart")
        self.assertEqual(len({sent["x-request-id"] for sent in self.server.metadata}), 1)
        self.assertEqual(len(self.server.metadata), 5)

    def test_a_stream_that_a_proxy_resets_is_tried_again(self):
        self.server.failures = [Failure(grpc.StatusCode.INTERNAL, "Received RST_STREAM with error code 2")]
        self.client.ask("What?")
        self.server.failures = [Failure(grpc.StatusCode.INTERNAL, "a defect")]
        with self.assertRaisesRegex(binocle.Error, "INTERNAL: a defect"):
            self.client.ask("What?")

    def test_attempts_have_an_end(self):
        self.server.failures = [Failure(UNAVAILABLE, "the server is about to stop")] * 9
        with self.assertRaisesRegex(binocle.Unavailable, "UNAVAILABLE: the server is about to stop"):
            self.client.list_models()
        self.assertEqual(len(self.server.requests), QUICK.max_attempts)

    def test_the_server_s_delay_is_waited_for(self):
        self.server.failures = [Failure(EXHAUSTED, details=[retry_info(0.3)])]
        self.client.embed(texts=["a"])
        first, second = self.server.times
        self.assertGreaterEqual(second - first, 0.3)

    def test_a_delay_beyond_the_deadline_is_not_waited_for(self):
        self.server.failures = [Failure(EXHAUSTED, details=[retry_info(60)])]
        begin = time.monotonic()
        with self.assertRaises(binocle.ResourceExhausted) as caught:
            self.client.ask("Well?", timeout=5)
        self.assertLess(time.monotonic() - begin, 2)
        self.assertEqual(caught.exception.retry_delay, 60)

    def test_what_is_too_large_stays_so(self):
        for code in (EXHAUSTED, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL):
            self.server.requests.clear()
            self.server.failures = [Failure(code)]
            with self.assertRaises(binocle.Error):
                self.client.ask("Well?")
            self.assertEqual(len(self.server.requests), 1)

    def test_an_upload_is_sent_again_whole(self):
        self.server.failures = [Failure(UNAVAILABLE)]
        self.assertEqual(self.client.upload(b"picture").bytes, 7)
        self.assertEqual(self.server.requests[0], self.server.requests[1])

    def test_a_server_that_comes_late_is_reached(self):
        address = self.server.address
        client = self.connect(address)
        self.server.close()
        later = threading.Timer(0.4, self.restart)
        later.start()
        self.addCleanup(later.join)
        self.assertTrue(client.list_models(timeout=20))

    def restart(self):
        with mock.patch.object(FakeServer, "listen", self.server.address):
            server = FakeServer()
        self.addCleanup(server.close)

    def test_retries_may_be_off(self):
        client = self.connect(self.server.address, retry=binocle.Retry(max_attempts=1))
        self.server.failures = [Failure(UNAVAILABLE)]
        with self.assertRaises(binocle.Unavailable):
            client.ask("Well?")
        self.assertEqual(len(self.server.requests), 1)


@with_both
class Streams:
    def test_a_stream_without_a_delta_is_tried_again(self):
        for point in ("start", "delta"):
            self.server.requests.clear()
            self.server.point = point
            self.server.failures = [Failure(UNAVAILABLE), Failure(EXHAUSTED, details=[retry_info(0.01)])]
            self.assertEqual(self.client.stream("Well?").result().answer, "a green heart")
            self.assertEqual(len(self.server.requests), 3)

    def test_a_stream_with_a_delta_is_not(self):
        self.server.point = "after"
        self.server.failures = [Failure(UNAVAILABLE)]
        stream = self.client.stream("Well?")
        self.assertEqual(next(stream).text, "a ")
        with self.assertRaises(binocle.Unavailable):
            next(stream)
        with self.assertRaises(binocle.Unavailable):
            stream.result()
        self.assertEqual(len(self.server.requests), 1)

    def test_closing_a_stream_cancels_the_call(self):
        self.server.hold = threading.Event()
        stream = self.client.stream("Well?")
        self.assertEqual(next(stream).text, "a ")
        stream.close()
        self.assertTrue(self.server.cancelled.wait(5))
        self.assertEqual(list(stream), [])
        with self.assertRaises(binocle.Cancelled):
            stream.result()

    def test_dropping_a_stream_cancels_the_call(self):
        self.server.hold = threading.Event()
        stream = self.client.stream("Well?")
        self.assertEqual(next(stream).text, "a ")
        del stream
        gc.collect()
        self.client.list_models()  # lets the loop of an AsyncClient turn
        self.assertTrue(self.server.cancelled.wait(5))

    def test_the_deadline_is_for_the_whole_answer(self):
        self.server.hold = threading.Event()
        begin = time.monotonic()
        stream = self.client.stream("Well?", timeout=2)
        self.assertEqual(next(stream).text, "a ")
        with self.assertRaises(binocle.DeadlineExceeded):
            next(stream)
        self.assertLess(time.monotonic() - begin, 10)
        self.assertTrue(self.server.cancelled.wait(5))

    def test_a_stream_that_is_cut_is_no_answer(self):
        self.server.cut = True
        with self.assertRaisesRegex(binocle.Error, "DATA_LOSS: the stream ended without `finished`"):
            self.client.stream("Well?").result()


class Waiting(unittest.TestCase):
    def test_another_thread_closes_a_stream_that_waits(self):
        server = FakeServer()
        self.addCleanup(server.close)
        server.failures = [Failure(UNAVAILABLE, details=[retry_info(30)])]
        with binocle.Client(server.address, timeout=60) as client:
            stream = client.stream("Well?")
            threading.Timer(0.3, stream.close).start()
            begin = time.monotonic()
            self.assertEqual(list(stream), [])
            self.assertLess(time.monotonic() - begin, 5)

    def test_cancelling_a_task_cancels_the_call(self):
        server = FakeServer()
        self.addCleanup(server.close)
        server.hold = threading.Event()

        async def run():
            async with binocle.AsyncClient(server.address) as client:
                task = asyncio.ensure_future(client.stream("Well?").result())
                while not server.requests:
                    await asyncio.sleep(0.01)
                task.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await task
                self.assertTrue(await asyncio.get_running_loop().run_in_executor(None, server.cancelled.wait, 5))

        asyncio.run(run())

    def test_a_wait_that_ends_early_leaves_the_answer_to_the_next(self):
        server = FakeServer()
        self.addCleanup(server.close)
        server.hold = threading.Event()

        async def run():
            async with binocle.AsyncClient(server.address) as client:
                stream = client.stream("Well?")
                first = await stream.__anext__()
                for _ in range(2):
                    with self.assertRaises(asyncio.TimeoutError):
                        await asyncio.wait_for(stream.__anext__(), 0.1)
                server.hold.set()
                return first.text + "".join([delta.text async for delta in stream])

        self.assertEqual(asyncio.run(run()), "".join(WORDS))


class Pauses(unittest.TestCase):
    def test_pauses_double_up_to_a_limit_and_differ(self):
        retry = binocle.Retry(max_attempts=10, initial_backoff=0.2, max_backoff=1.0)
        error = binocle.Unavailable("UNAVAILABLE", "")
        random.seed(1)
        for attempts, backoff in ((1, 0.2), (2, 0.4), (3, 0.8), (4, 1.0), (9, 1.0)):
            pauses = {retry.pause(error, attempts) for _ in range(50)}
            self.assertTrue(all(backoff / 2 <= pause <= backoff for pause in pauses), (attempts, pauses))
            self.assertGreater(len(pauses), 10)
        self.assertIsNone(retry.pause(error, 10))

    def test_never_before_the_server_s_time(self):
        error = binocle.ResourceExhausted("RESOURCE_EXHAUSTED", "", retry_delay=2.0)
        pauses = [binocle.Retry().pause(error, 1) for _ in range(50)]
        self.assertTrue(all(2.0 <= pause <= 2.2 for pause in pauses))

    def test_values_that_make_no_sense(self):
        for options in ({"max_attempts": 0}, {"initial_backoff": 0}, {"initial_backoff": 9, "max_backoff": 1}):
            with self.assertRaises(ValueError):
                binocle.Retry(**options)


if __name__ == "__main__":
    unittest.main()
