"""nvcc's PTX of the attention kernel with tensor cores gives the explicit matrix: the assembly in our wrappers has its operands in order.

Skipped where nvcc or numpy is not found.
"""

import os
import re
import shutil
import struct
import subprocess
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools", "ptx"))
try:
    import numpy as np
    from interpreter import Memory, Program, PtxError
except ImportError:
    np = None

NVCC = shutil.which("nvcc")
PLAIN, KEY_GAIN = 0, 1
VISUAL, SINK = 1, 2


def compile_ptx(source):
    """None where there is no compiler."""
    if NVCC is None or np is None:
        return None
    command = [NVCC, "-ptx", "-std=c++20", "-O2", "-arch=compute_80", "-I", ROOT, "-I", os.path.join(ROOT, "include"), os.path.join(ROOT, source), "-o", "-"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def as_bf16(x):
    bits = x.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def from_bf16(x):
    return (x.astype(np.uint32) << 16).view(np.float32)


class Problem:
    """One tile: `rows` rows that end a sequence of `keys`, causal, in pages that are not in order."""

    def __init__(self, d, heads, kv_heads, rows, keys, seed=1, varied=False):
        random = np.random.default_rng(seed)
        self.d, self.heads, self.kv_heads, self.rows, self.keys, self.varied = d, heads, kv_heads, rows, keys, varied
        self.scale = float(np.float32(d**-0.5))
        self.width = next(w for w in (32, 64, 80, 96, 128) if d <= w)
        self.page_count = (keys + 63) // 64
        self.q = as_bf16(random.standard_normal((rows, heads, d)))
        shape = (self.page_count, kv_heads, 64, self.width)
        self.k, self.v = (as_bf16(random.standard_normal(shape) * (np.arange(self.width) < d)) for _ in range(2))
        # What is behind the last key is nobody's: NaN, which a weight of 0 does not take away.
        self.k[0, :, (keys - 1) % 64 + 1:] = self.v[0, :, (keys - 1) % 64 + 1:] = 0xFFFF
        self.pages = np.arange(self.page_count, dtype=np.int32)[::-1].copy()
        self.gain = random.standard_normal(self.page_count * 64).astype(np.float32) * 0.5
        self.classes = np.where(np.arange(self.page_count * 64) % 5 == 0, VISUAL | SINK, VISUAL).astype(np.uint8)
        self.classes[:10] = 0

    def solve(self, program):
        memory, group = Memory(), self.heads // self.kv_heads
        rows = np.array([[r, r, 0, self.keys - self.rows + r + 1] for r in range(self.rows)], np.int32)
        first_end = self.keys - self.rows + 1
        tile = np.array([0, self.rows, 0, self.page_count, 0, self.keys, 0, first_end // 64 * 64, 0], np.int32)
        policy = struct.pack("<ifQQQ", PLAIN, 0, 0, 0, 0)
        if self.varied:
            policy = struct.pack("<ifQQQ", KEY_GAIN, 0, memory.put(self.gain), 0, memory.put(self.classes))
        outs = [memory.reserve(self.rows * self.heads * size * 4) for size in (self.d, 1, self.d, 1)]
        parameters = struct.pack("<5if", self.heads, self.kv_heads, group, self.d, self.width, self.scale)
        parameters += struct.pack("<QqQQ", memory.put(self.q), self.heads * self.d, memory.put(self.k), memory.put(self.v))
        parameters += struct.pack("<QQQQ", memory.put(tile), memory.put(rows), memory.put(self.pages), memory.put(policy))
        parameters += struct.pack("<i?3x4Q", 1, self.varied, *outs)
        name = f"AttendTilesKernelILi{self.width}ELb{int(self.varied)}E"
        program.launch(name, (1, self.kv_heads), 128, parameters, 4 * 64 * (self.width + 8) * 2, memory)
        shapes = [(self.rows, self.heads, self.d), (self.rows, self.heads)] * 2
        return [memory.get(out, np.float32, shape) for out, shape in zip(outs, shapes)]

    def reference(self):
        """O and LSE, and those of visual keys that are no sinks, in double."""
        q, k, v = (from_bf16(x).astype(np.float64) for x in (self.q, self.k, self.v))
        k = k[self.pages].transpose(0, 2, 1, 3).reshape(-1, self.kv_heads, self.width)[:self.keys, :, :self.d]
        v = v[self.pages].transpose(0, 2, 1, 3).reshape(-1, self.kv_heads, self.width)[:self.keys, :, :self.d]
        k, v = (np.repeat(x, self.heads // self.kv_heads, axis=1) for x in (k, v))
        scores = np.einsum("rhd,khd->rhk", q, k) * self.scale
        if self.varied:
            scores += self.gain[:self.keys] * np.abs(scores)
        seen = np.arange(self.keys) <= self.keys - self.rows + np.arange(self.rows)[:, None, None]
        content = seen & (self.classes[:self.keys] == VISUAL)
        results = []
        with np.errstate(divide="ignore", invalid="ignore"):  # rows that see no content
            for keep in (seen, content):
                kept = np.where(keep, scores, -np.inf)
                lse = np.log(np.exp(kept - 10).sum(-1)) + 10
                results += [np.einsum("rhk,khd->rhd", np.exp(kept - lse[..., None]), v), lse]
        return results

    def errors(self, program):
        got, want = self.solve(program), self.reference()
        return [float(np.nan_to_num(np.abs(g - w), nan=np.inf).max()) for g, w in zip(got, want)][:4 if self.varied else 2]


@unittest.skipIf(np is None, "numpy is not installed")
@unittest.skipIf(NVCC is None, "nvcc is not found")
class TilesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.text = compile_ptx("attention/attention_tiles_cuda.cu")
        cls.program = Program(cls.text)

    def expect_right(self, problem, program):
        errors = problem.errors(program)
        for error in errors[0::2]:
            self.assertLess(error, 1.5e-2)
        for error in errors[1::2]:
            self.assertLess(error, 1e-4)

    def test_every_width_equals_the_matrix(self):
        for d in (32, 64, 80, 96, 128):
            with self.subTest(d=d):
                self.expect_right(Problem(d, 2, 1, 5, 70), self.program)

    def test_a_head_between_widths_and_a_full_tile(self):
        self.expect_right(Problem(72, 4, 2, 32, 130), self.program)
        self.expect_right(Problem(24, 1, 1, 64, 64), self.program)
        self.expect_right(Problem(64, 1, 1, 1, 1), self.program)

    def test_gains_and_content_equal_the_matrix(self):
        program = Program(compile_ptx("attention/attention_tiles_varied_cuda.cu"))
        self.expect_right(Problem(64, 4, 2, 9, 100, varied=True), program)
        self.expect_right(Problem(128, 2, 1, 5, 70, varied=True), program)

    def assert_found(self, old, new):
        """An operand swapped in the assembly, as a wrapper might have it, is seen."""
        text, changed = re.subn(old, new, self.text)
        self.assertGreater(changed, 0)
        try:
            errors = Problem(64, 2, 1, 5, 70).errors(Program(text))
        except PtxError:
            return
        self.assertTrue(errors[0] > 1.5e-2 or errors[1] > 1e-4, errors)

    def test_swapped_halves_of_the_right_matrix_are_found(self):
        self.assert_found(r"(mma\.sync[^{]*\{[^}]*\}, *\{[^}]*\}, *)\{(%r\d+), *(%r\d+)\}", r"\1{\3, \2}")

    def test_swapped_rows_of_the_left_matrix_are_found(self):
        self.assert_found(r"(mma\.sync[^{]*\{[^}]*\}, *)\{(%r\d+), *(%r\d+),", r"\1{\3, \2,")

    def test_a_matrix_that_is_not_transposed_is_found(self):
        self.assert_found(r"\.x4\.trans\.", ".x4.")

    def test_matrices_in_another_order_are_found(self):
        self.assert_found(r"(ldmatrix\S+) \{(%r\d+), *(%r\d+), *(%r\d+), *(%r\d+)\}", r"\1 {\2, \4, \3, \5}")

    def test_swapped_halves_of_a_pair_are_found(self):
        self.assert_found(r"(cvt\.rn\.bf16x2\.f32) +(%r\d+), *(%f\d+), *(%f\d+)", r"\1 \2, \4, \3")

    def test_a_copy_that_ignores_its_flag_is_found(self):
        self.assert_found(r"(cp\.async\.cg\S+ \[%r\d+\], *\[%rd\d+\], *16, *)%r\d+", r"\g<1>16")

    def test_a_wait_for_too_little_is_found(self):
        self.assert_found(r"cp\.async\.wait_group +1", "cp.async.wait_group 2")


if __name__ == "__main__":
    unittest.main()
