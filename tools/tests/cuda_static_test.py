"""The static gate on kernels made up here: what it lets pass, and what it says of the rest."""

import os
import struct
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import cuda_static  # noqa: E402
from cuda_static import Kernel  # noqa: E402


def kernel(name="AttendTiles<64, false>", arch=90, registers=128, stack=0, shared=36864, blocks=4, mix=None):
    return Kernel(name, arch, registers, stack, shared, blocks, mix)


def cubin(functions, arch=90):
    """An image as nvcc's: of each function (its name, registers or None, bytes of stack) its code's section and its attributes."""
    names, symbols, info = b"\0", [b"\0" * 24], b""
    for index, (name, registers, stack) in enumerate(functions, 1):
        symbols.append(struct.pack("<IBBHQQ", len(names), 2, 0, 0, 0, 0))
        names += name.encode() + b"\0"
        for attribute, value in ((cuda_static.REGISTER_COUNT, registers), (cuda_static.FRAME_SIZE, stack)):
            if value is not None:
                info += struct.pack("<BBHII", 4, attribute, 8, index, value)
    bodies = [("", 0, b"", 0), (".symtab", 2, b"".join(symbols), 2), (".strtab", 3, names, 0), (".nv.info", 1, info, 0)]
    bodies += [(".text." + name, 1, b"\0" * 16, 0) for name, _, _ in functions]
    titles = b"\0" + b"".join(name.encode() + b"\0" for name, _, _, _ in bodies) + b".shstrtab\0"
    bodies.append((".shstrtab", 3, titles, 0))
    content, headers = b"\0" * 64, b""
    for name, kind, body, link in bodies:
        headers += struct.pack("<IIQQQQIIQQ", titles.index(name.encode() + b"\0"), kind, 0, 0, len(content), len(body), link, 0, 1, 0)
        content += body
    start = struct.pack("<4s12sHHIQQQIHHHHHH", b"\x7fELF", b"\x02\x01" + b"\0" * 10, 2, cuda_static.CUDA_MACHINE, 1, 0, 0, len(content), arch << 8, 64, 56, 0,
                        64, len(bodies), len(bodies) - 1)
    return start + content[64:] + headers


class GateTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.library, self.document = (os.path.join(self.folder.name, name) for name in ("library.so", "cuda.md"))
        with open(self.library, "wb") as file:
            file.write(b"nothing of the driver's")
        with open(self.document, "w", encoding="utf-8") as file:
            file.write(f"Before.\n\n{cuda_static.BEGIN}\n{cuda_static.END}\n\nAfter.\n")

    def problems(self, kernels):
        return list(cuda_static.problems(self.library, kernels, self.document))

    def test_what_was_written_passes(self):
        kernels = [kernel(mix={"all": 500, "mma": 64}), kernel(arch=80)]
        cuda_static.write(kernels, self.document)
        self.assertEqual(self.problems(kernels), [])
        with open(self.document, encoding="utf-8") as file:
            self.assertIn("500: 64 mma", file.read())

    def test_a_kernel_with_other_registers_is_drift(self):
        cuda_static.write([kernel()], self.document)
        found = self.problems([kernel(registers=129)])
        self.assertEqual(len(found), 2)
        self.assertIn("| 129 |", "".join(found))

    def test_without_nvdisasm_loops_are_left_alone(self):
        cuda_static.write([kernel(mix={"all": 500, "mma": 64})], self.document)
        self.assertEqual(self.problems([kernel()]), [])

    def test_spills_are_refused(self):
        kernels = [kernel(stack=8)]
        cuda_static.write(kernels, self.document)
        self.assertIn("a stack frame of 8 bytes, expected none", self.problems(kernels)[0])

    def test_of_another_compiler_spills_are_refused_and_drift_is_not(self):
        cuda_static.write([kernel()], self.document)
        self.assertEqual(list(cuda_static.problems(self.library, [kernel(registers=129)], None)), [])
        self.assertEqual(len(list(cuda_static.problems(self.library, [kernel(stack=8)], None))), 1)

    def kernels_of(self, *functions):
        with open(self.library, "wb") as file:
            file.write(b"a library around it " + cubin(functions))
        return cuda_static.kernels_of(self.library, None)

    def test_every_kernel_is_looked_at_whatever_its_name(self):
        kernels = self.kernels_of(("_Z7SpillerPKfPf", 32, 256), ("_ZN7binocle4cuda11Norm2KernelEv", 40, 0), ("plain_c", 16, 0))
        self.assertEqual([(k.name, k.registers, k.stack) for k in kernels], [("Norm2", 40, 0), ("Spiller", 32, 256), ("plain_c", 16, 0)])
        cuda_static.write(kernels, self.document)
        self.assertEqual(self.problems(kernels), ["Spiller on sm_90: a stack frame of 256 bytes, expected none: registers are spilled"])

    def test_functions_that_kernels_call_spill_no_less(self):
        kernels = self.kernels_of(("_ZN7binocle4cuda10NormKernelEv", 40, 0), ("_ZN7binocleL6helperEf", None, 8))
        cuda_static.write(kernels, self.document)
        self.assertEqual(self.problems(kernels), ["helper on sm_90: a stack frame of 8 bytes, expected none: registers are spilled"])

    def test_what_fits_nowhere_is_refused(self):
        kernels = [kernel(shared=300000, blocks=0)]
        cuda_static.write(kernels, self.document)
        self.assertIn("fit into no multiprocessor", self.problems(kernels)[0])

    def test_scalar_shared_loads_in_the_loop_of_tiles_are_refused(self):
        kernels = [kernel(mix={"all": 500, "scalar shared load": 3})]
        cuda_static.write(kernels, self.document)
        self.assertIn("3 of kind scalar shared load in the inner loop", self.problems(kernels)[0])


class ReadingTest(unittest.TestCase):
    def test_names_are_those_of_the_source(self):
        self.assertEqual(cuda_static.short_name("_ZN7binocle4cuda17AttendTilesKernelILi128ELb0EEEvNS0_13AttentionWorkINS_4Bf16EEE"), "AttendTiles<128, false>")
        self.assertEqual(cuda_static.short_name("_ZN7binocle4cuda12_GLOBAL__N_110NormKernelIfEEvNS0_8NormWorkEPT_"), "Norm<f32>")
        self.assertEqual(cuda_static.short_name("_ZN7binocle4cuda12_GLOBAL__N_116MergePartsKernelENS0_9MergeWorkE"), "MergeParts")
        self.assertEqual(cuda_static.short_name("_ZN7binocle4cuda12_GLOBAL__N_111Norm2KernelILb1EEEv"), "Norm2<true>")
        self.assertEqual(cuda_static.short_name("_Z7SpillerPKfPf"), "Spiller")
        self.assertEqual(cuda_static.short_name("_ZN7binocleL6helperEf"), "helper")
        self.assertEqual(cuda_static.short_name("memset_32"), "memset_32")

    def test_occupancy_is_the_least_of_the_limits(self):
        self.assertEqual(cuda_static.occupancy(90, 168, 128, 0), 3)  # registers
        self.assertEqual(cuda_static.occupancy(90, 32, 1024, 0), 2)  # threads
        self.assertEqual(cuda_static.occupancy(90, 32, 128, 100 * 1024), 2)  # shared memory
        self.assertEqual(cuda_static.occupancy(90, 16, 32, 0), 32)  # blocks

    def test_the_longest_loop_with_products_is_the_inner_one(self):
        loop = [(".L_x_1", None, None), (0, "HMMA.16816", "R0"), (16, "BRA", "`(.L_x_1)")]
        outer = [(".L_x_0", None, None), *loop, (32, "LDS", "R1, [R2]"), (48, "BRA", "`(.L_x_0)"), (".L_x_2", None, None), (64, "BRA", "`(.L_x_2)")]
        self.assertEqual(cuda_static.inner_loop(outer), {"all": 2, "mma": 1})


if __name__ == "__main__":
    unittest.main()
