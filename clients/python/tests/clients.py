"""Both clients behind one face, so that every test runs with both."""

import asyncio
import inspect
import unittest

from fake_server import FakeServer

import binocle

QUICK = binocle.Retry(initial_backoff=0.01, max_backoff=0.05)


class Waiting:
    """An AsyncClient or AsyncStream whose awaitables are waited for."""

    def __init__(self, inner, loop):
        self.inner, self.loop = inner, loop

    def __getattr__(self, name):
        attribute = getattr(self.inner, name)
        if not callable(attribute):
            return attribute

        def call(*arguments, **options):
            async def run():
                result = attribute(*arguments, **options)
                return await result if inspect.isawaitable(result) else result

            result = self.loop.run_until_complete(run())
            return Waiting(result, self.loop) if isinstance(result, binocle.AsyncStream) else result

        return call

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return self.loop.run_until_complete(self.inner.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None


class WithServer:
    """A fake server for each test, and clients of the class's kind."""

    def setUp(self):
        self.server = FakeServer()
        self.addCleanup(self.server.close)
        self.client = self.connect(self.server.address, retry=QUICK, timeout=10)

    def connect(self, address, **options):
        client = self.make(address, **options)
        self.addCleanup(client.close)
        return client


class Sync(WithServer):
    def make(self, address, **options):
        return binocle.Client(address, **options)


class Async(WithServer):
    def setUp(self):
        self.loop = asyncio.new_event_loop()
        self.addCleanup(self.loop.close)
        super().setUp()

    def make(self, address, **options):
        return Waiting(binocle.AsyncClient(address, **options), self.loop)


def with_both(tests):
    """Two test cases of one class of tests, as a decorator; they are found in the class's module by their names."""
    module = inspect.getmodule(tests)
    for kind in (Sync, Async):
        name = f"{tests.__name__}{kind.__name__}"
        setattr(module, name, type(name, (tests, kind, unittest.TestCase), {"__module__": module.__name__}))
    return tests
