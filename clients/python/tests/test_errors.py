"""What callers are told of failures."""

import pickle
import unittest

import grpc
from clients import with_both
from fake_server import Failure, retry_info
from google.rpc import error_details_pb2

import binocle
from binocle import _errors


@with_both
class Errors:
    def fail(self, code, message="told to", details=(), **options):
        self.server.failures = [Failure(code, message, details)]
        with self.assertRaises(binocle.Error) as caught:
            self.client.ask("Well?", **options)
        return caught.exception

    def test_all_faults_of_a_request_come_at_once(self):
        bad = error_details_pb2.BadRequest()
        bad.field_violations.add(field="sampling.temperature", description="is -1, expected 0 to 100")
        bad.field_violations.add(field="images[1].id", description="is not known")
        error = self.fail(grpc.StatusCode.INVALID_ARGUMENT, "two faults", [bad], metadata=[("x-request-id", "r7")])
        self.assertIsInstance(error, binocle.InvalidArgument)
        self.assertEqual((error.code, error.message, error.request_id), ("INVALID_ARGUMENT", "two faults", "r7"))
        self.assertEqual(
            error.violations,
            (
                binocle.FieldViolation("sampling.temperature", "is -1, expected 0 to 100"),
                binocle.FieldViolation("images[1].id", "is not known"),
            ),
        )
        self.assertEqual(str(error), "INVALID_ARGUMENT: two faults")

    def test_delay_and_reason(self):
        info = error_details_pb2.ErrorInfo(reason="TOKEN_RATE_LIMIT", domain="binocle")
        error = self.fail(grpc.StatusCode.RESOURCE_EXHAUSTED, details=[retry_info(30.25), info])
        self.assertEqual((error.retry_delay, error.reason), (30.25, "TOKEN_RATE_LIMIT"))
        self.assertTrue(error.request_id)

    def test_every_code(self):
        for code in grpc.StatusCode:
            if code in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE):
                continue
            error = self.fail(code)
            self.assertEqual(error.code, code.name)
            self.assertIs(type(error), _errors._CLASSES.get(code.name, binocle.Error))

    def test_details_that_are_damaged_hide_nothing(self):
        class Damaged(Failure):
            def abort(self, context):
                context.set_trailing_metadata((("grpc-status-details-bin", b"\xff\xff"),))
                context.abort(self.code, self.message)

        self.server.failures = [Damaged(grpc.StatusCode.NOT_FOUND)]
        with self.assertRaisesRegex(binocle.NotFound, "NOT_FOUND: told to"):
            self.client.ask("Well?")

    def test_a_message_above_the_limit(self):
        client = self.connect(self.server.address, max_message_bytes=1024)
        with self.assertRaises(binocle.ResourceExhausted):
            client.ask("Well?", [bytes(2048)])


class Values(unittest.TestCase):
    def test_an_error_survives_pickling(self):
        error = binocle.NotFound("NOT_FOUND", "no model x", (), 1.5, "WHY", "r7")
        back = pickle.loads(pickle.dumps(error))
        self.assertEqual((type(back), vars(back)), (binocle.NotFound, vars(error)))

    def test_classes_are_found_by_their_code(self):
        for code, kind in _errors._CLASSES.items():
            self.assertTrue(kind.__doc__.startswith(code + ":"), kind)


if __name__ == "__main__":
    unittest.main()
