"""Ratios of two reports of a GPU, and what is said where one lacks a line."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "gpu"))
import ratios  # noqa: E402

SPEED = """an H100
copies: 2900 GB/s read and written
tower, 336 px, bf16: 0.700 ms
prefill 576 + 64, bf16, stock: 14.000 ms
prefill 576 + 64, bf16, composite vo: 9.000 ms
decode bf16  batch   1:    5.000 ms,    200.0 tokens/s,   2717 GB/s
decode bf16  batch 128:   20.000 ms,   6400.0 tokens/s,   3000 GB/s
"""
PEER = """tower ViT-L/14 at 336 px, bf16: 0.840 ms
prefill 576 + 64, bf16, stock: 16.800 ms
decode bf16  batch   1:   20.000 ms,     50.0 tokens/s
"""


class RatiosTest(unittest.TestCase):
    def test_each_is_beside_what_was_asked(self):
        self.assertEqual(list(ratios.ratios(SPEED, PEER)), [
            "tower beside the peer: 1.20, asked at least 1.20: reached",
            "prefill 576 + 64 beside the peer: 1.20, asked at least 1.30: missed",
            "decode, one sequence beside the peer: 4.00, asked at least 3.00: reached",
        ])

    def test_a_peer_that_ended_early_is_told_of(self):
        said = list(ratios.ratios(SPEED, PEER.split("decode")[0] + "Killed\n"))
        self.assertEqual(said[2], "decode, one sequence beside the peer: not compared, the peer's is not in the reports")


if __name__ == "__main__":
    unittest.main()
