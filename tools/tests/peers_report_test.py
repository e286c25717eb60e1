"""What bench_peers.py makes of turns."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from peers import report


def turn(side, round_, **seconds):
    stages = {stage: {"seconds": s, "first": 2 * s} for stage, s in seconds.items()}
    return {"side": side, "setting": "", "round": round_, "stages": stages, "peak_bytes": 1}


class Summary(unittest.TestCase):
    def test_a_side_that_keeps_no_picture_computes_it_for_another_question(self):
        turns = [
            turn("Binocle", 0, picture=2.0, second_question=0.5),
            turn("Peer", 0, picture=6.0),
            turn("Text", 0, prefill=1.0),
            turn("Peer", 1, picture=3.0),
            turn("Binocle", 1, picture=1.0, second_question=0.25),
        ]
        summary = report.summary(turns)
        self.assertEqual(summary["Peer"]["stages"]["picture"]["ratio"]["median"], 3.0)
        self.assertEqual(summary["Peer"]["stages"]["second_question"]["ratio"]["median"], 12.0)
        self.assertNotIn("first", summary["Peer"]["stages"]["second_question"])
        self.assertEqual(list(summary["Text"]["stages"]), ["prefill"])


if __name__ == "__main__":
    unittest.main()
