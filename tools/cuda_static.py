#!/usr/bin/env python3
"""What the compiler made of the kernels, read off libbinocle_cuda.so: registers, spills, shared memory, occupancy, and what the inner loops are made of.

    tools/cuda_static.py check LIBRARY DOCUMENT      the gate: no spills, none of CUDA's driver, no worse than the table in DOCUMENT (docs/cuda.md), which
                                                     stands for one compiler; of another's library --other-compiler checks the rest
    tools/cuda_static.py write LIBRARY DOCUMENT      puts the table into DOCUMENT, between its marks
    tools/cuda_static.py show LIBRARY                prints it

Registers, stack frames and shared memory are read from the cubins in the library, which needs no tool of CUDA's. Instructions are counted where nvdisasm
is found (on PATH, or as --nvdisasm FILE; the Python package nvidia-cuda-nvdisasm has it); elsewhere `check` leaves those columns alone and says so.
Exits 1 when something is wrong, 0 else.
"""

import argparse
import collections
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile

FRAME_SIZE, REGISTER_COUNT, MAX_THREADS = 0x11, 0x2F, 0x05  # attributes of .nv.info
BEGIN, END = "<!-- cuda_static begin -->", "<!-- cuda_static end -->"
CUDA_MACHINE = 190  # EM_CUDA
DOCUMENTED = 90  # of the architectures the one whose table is kept

# What a multiprocessor has (CUDA C++ Programming Guide, compute capabilities 8.0, 9.0, 10.0).
Multiprocessor = collections.namedtuple("Multiprocessor", "registers threads blocks shared")
MULTIPROCESSORS = {
    80: Multiprocessor(65536, 2048, 32, 164 * 1024),
    90: Multiprocessor(65536, 2048, 32, 228 * 1024),
    100: Multiprocessor(65536, 2048, 32, 228 * 1024),
}
SHARED_OF_A_BLOCK = 1024  # that the system takes of each

Kernel = collections.namedtuple("Kernel", "name arch registers stack shared blocks mix")

# Kinds of instructions that the table counts.
MIX = [
    ("mma", re.compile(r"^(HMMA|IMMA|MMA)")),
    ("ldmatrix", re.compile(r"^LDSM")),
    ("async copy", re.compile(r"^LDGSTS")),
    ("scalar shared load", re.compile(r"^LDS(?!M)")),
    ("shared store", re.compile(r"^STS")),
    ("global load", re.compile(r"^LDG(?!STS)|^LD\.")),
    ("global store", re.compile(r"^STG|^ST\.")),
    ("local", re.compile(r"^(LDL|STL)")),
    ("shuffle", re.compile(r"^SHFL")),
    ("float", re.compile(r"^(FADD|FMUL|FFMA|FMNMX|FSEL|FSETP|MUFU)")),
]
# What an inner loop has no business with: a row is looked for by the kernel's name.
FORBIDDEN_IN_LOOP = {"AttendTiles": ["scalar shared load", "local"]}


class Problem(Exception):
    pass


def cubins(library):
    """The device images in a library: (architecture, bytes)."""
    data = pathlib.Path(library).read_bytes()
    found = []
    at = data.find(b"\x7fELF", 1)
    while at >= 0:
        if len(data) > at + 64 and data[at + 4] == 2 and struct.unpack_from("<H", data, at + 18)[0] == CUDA_MACHINE:
            flags = struct.unpack_from("<I", data, at + 48)[0]
            programs_at, sections_at = struct.unpack_from("<QQ", data, at + 32)
            program_size, programs, section_size, sections = struct.unpack_from("<HHHH", data, at + 54)
            end = at + max(programs_at + program_size * programs, sections_at + section_size * sections)
            found.append((architecture(flags), data[at:end]))
        at = data.find(b"\x7fELF", at + 4)
    if not found:
        raise Problem(f"{library}: no cubins; is it compiled with -no-compress?")
    return found


def architecture(flags):
    """Of ELF flags: the virtual architecture's number is in the second byte since CUDA 13, in the first before."""
    for shift in (8, 0):
        if (flags >> shift) & 0xFF in MULTIPROCESSORS:
            return (flags >> shift) & 0xFF
    raise Problem(f"a cubin of an unknown architecture, flags {flags:#x}")


class Elf:
    def __init__(self, data):
        self.data = data
        table, = struct.unpack_from("<Q", data, 40)
        size, count, names = struct.unpack_from("<HHH", data, 58)
        headers = [struct.unpack_from("<IIQQQQIIQQ", data, table + i * size) for i in range(count)]
        strings = self.bytes_of(headers[names])
        self.sections = [(text_at(strings, h[0]), h) for h in headers]

    def bytes_of(self, header):
        return b"" if header[1] == 8 else self.data[header[4]:header[4] + header[5]]

    def symbols(self):
        """Names by index."""
        for name, header in self.sections:
            if name == ".symtab":
                strings = self.bytes_of(self.sections[header[6]][1])
                entries = self.bytes_of(header)
                return [text_at(strings, struct.unpack_from("<I", entries, i)[0]) for i in range(0, len(entries), 24)]
        return []

    def by_function(self, wanted):
        """An attribute of .nv.info by function."""
        symbols, frames = self.symbols(), {}
        for name, header in self.sections:
            if name != ".nv.info":
                continue
            data, at = self.bytes_of(header), 0
            while at + 4 <= len(data):
                form, attribute, size = struct.unpack_from("<BBH", data, at)
                if form == 4 and attribute == wanted:
                    index, frame = struct.unpack_from("<II", data, at + 4)
                    frames[symbols[index]] = frame
                at += 4 + (size if form == 4 else 0)
        return frames


def text_at(strings, offset):
    return strings[offset:strings.index(b"\0", offset)].decode()


def short_name(mangled):
    """AttendTiles<128, false> of _ZN7binocle4cuda17AttendTilesKernelILi128ELb0EE…: the last name of the path, without Kernel, and its arguments. What is no
    such name stays as it is, as one of C."""
    start = re.match(r"_ZN?K?", mangled)
    if not start:
        return mangled
    base, at = None, start.end()
    while length := re.match(r"L?(\d+)", mangled[at:]):  # L: of its file alone
        at += length.end()
        base, at = mangled[at:at + int(length.group(1))], at + int(length.group(1))
    if not base:
        return mangled
    rest, arguments = mangled[at:], []
    if rest.startswith("I"):
        for value in re.findall(r"Li(\d+)E|Lb([01])E|(INS_4Bf16E|NS_4Bf16E|NS0_4Bf16E|S1_)|(?<=I)(f)E", rest.split("EvN")[0] + "E"):
            number, boolean, bf16, f32 = value
            arguments.append(number or (["false", "true"][int(boolean)] if boolean else "bf16" if bf16 else "f32"))
    return base.removesuffix("Kernel") + (f"<{', '.join(arguments)}>" if arguments else "")


def dynamic_shared(name):
    """As LaunchTiles has it: two stages of keys and values, in rows of an odd number of 16-byte chunks."""
    width = re.match(r"AttendTiles<(\d+)", name)
    return 4 * 64 * (int(width.group(1)) // 8 + 1) * 16 if width else 0


def threads_of(elf, mangled):
    """Of .nv.info.<kernel>: what __launch_bounds__ says."""
    for name, header in elf.sections:
        if name != ".nv.info." + mangled:
            continue
        data, at = elf.bytes_of(header), 0
        while at + 4 <= len(data):
            form, attribute, size = struct.unpack_from("<BBH", data, at)
            if form == 4 and attribute == MAX_THREADS:
                return struct.unpack_from("<III", data, at + 4)[0]
            at += 4 + (size if form == 4 else 0)
    return 1024


def occupancy(arch, registers, threads, shared):
    """Blocks that a multiprocessor has room for."""
    limits = MULTIPROCESSORS[arch]
    of_warp = max(1, (registers * 32 + 255) // 256) * 256
    warps = (threads + 31) // 32
    return min(limits.registers // (of_warp * warps), limits.threads // (warps * 32), limits.blocks,
               limits.shared // (shared + SHARED_OF_A_BLOCK))


def kernels_of(library, nvdisasm):
    found = []
    for arch, image in cubins(library):
        elf = Elf(image)
        frames, registers_of = elf.by_function(FRAME_SIZE), elf.by_function(REGISTER_COUNT)
        code = disassemble(nvdisasm, image) if nvdisasm and arch == DOCUMENTED else {}
        for section, header in elf.sections:
            if not section.startswith(".text."):
                continue
            # Also functions that were not inlined, whose registers are their callers'.
            mangled = section[len(".text."):]
            name = short_name(mangled)
            fixed = sum(h[5] for n, h in elf.sections if n == ".nv.shared." + mangled)
            # From sm_90 on what the system takes is in the section.
            fixed = max(0, fixed - SHARED_OF_A_BLOCK) if arch >= 90 else fixed
            registers, shared = registers_of.get(mangled, 0), fixed + dynamic_shared(name)
            blocks = occupancy(arch, registers, threads_of(elf, mangled), shared)
            found.append(Kernel(name, arch, registers, frames.get(mangled, 0), shared, blocks, inner_loop(code.get(mangled))))
    if not found:
        raise Problem(f"{library}: no kernels")
    return sorted(found, key=lambda k: (natural(k.name), k.arch))


def natural(name):
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def disassemble(nvdisasm, image):
    """Instructions by kernel: (address, opcode, operands)."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(image)
        file.flush()
        text = subprocess.run([nvdisasm, "-c", file.name], capture_output=True, text=True, check=False)
        if text.returncode != 0:
            raise Problem(f"nvdisasm: {text.stderr.strip()}")
    code, current = {}, None
    for line in text.stdout.splitlines():
        section = re.match(r"\s*\.section\s+\.text\.(\S+?),", line)
        if section:
            current = code.setdefault(section.group(1), [])
        label = re.match(r"(\.L_\S+):", line)
        if label and current is not None:
            current.append((label.group(1), None, None))
        instruction = re.match(r"\s*/\*([0-9a-f]+)\*/\s+(?:@!?\w+\s+)?([A-Z][A-Z0-9_.]*)\s*(.*)", line)
        if instruction and current is not None:
            current.append((int(instruction.group(1), 16), instruction.group(2), instruction.group(3)))
    return code


def inner_loop(code):
    """Counts of the longest innermost loop: from a label to a branch back to it, with no other such loop inside. None without code."""
    if not code:
        return None
    places, loops = {}, []
    for i, (at, opcode, operands) in enumerate(code):
        if opcode is None:
            places[at] = i
        elif opcode.startswith("BRA"):
            target = re.search(r"\(?(\.L_[^)`\s;]+)", operands)
            if target and target.group(1) in places:
                loops.append((places[target.group(1)], i))
    # A branch to itself stands behind every kernel's end.
    loops = [(begin, end) for begin, end in loops if end > begin + 1]
    inner = [a for a in loops if not any(b != a and a[0] <= b[0] and b[1] <= a[1] for b in loops)]
    if not inner:
        return {}
    begin, end = max(inner, key=lambda loop: weight(code[loop[0]:loop[1]]))
    counts = collections.Counter()
    for _, opcode, operands in code[begin:end + 1]:
        if opcode is None:
            continue
        counts["all"] += 1
        if opcode == "LDS" and operands.startswith("RZ"):
            continue  # reads nothing into nowhere: the compiler puts it before asynchronous copies
        for kind, pattern in MIX:
            if pattern.match(opcode):
                counts[kind] += 1
    return dict(counts)


def weight(code):
    """Loops of matrix products before others, longer before shorter."""
    return sum(1000 if opcode and MIX[0][1].match(opcode) else 1 for _, opcode, _ in code)


def mix_text(mix):
    if mix is None:
        return "not read"
    if not mix:
        return "no loop"
    return f"{mix['all']}: " + ", ".join(f"{mix[kind]} {kind}" for kind, _ in MIX if kind in mix)


def table(kernels):
    lines = ["| kernel | registers sm_80 / 90 / 100 | stack | shared memory | blocks per SM | inner loop on sm_90, instructions |", "|---|---|---|---|---|---|"]
    by_name = collections.defaultdict(dict)
    for kernel in kernels:
        by_name[kernel.name][kernel.arch] = kernel
    for name, of in by_name.items():
        archs = [of[arch] for arch in sorted(of)]
        documented = of.get(DOCUMENTED, archs[0])
        lines.append(f"| `{name}` | {' / '.join(str(k.registers) for k in archs)} | {max(k.stack for k in archs)} | {documented.shared} | "
                     f"{' / '.join(str(k.blocks) for k in archs)} | {mix_text(documented.mix)} |")
    return lines


def committed_table(document):
    text = pathlib.Path(document).read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise Problem(f"{document}: no marks {BEGIN} and {END}")
    return text.split(BEGIN)[1].split(END)[0].strip().splitlines()


def without_mix(line):
    return line.rsplit("|", 2)[0]


def problems(library, kernels, document):
    for kernel in kernels:
        if kernel.stack:
            yield f"{kernel.name} on sm_{kernel.arch}: a stack frame of {kernel.stack} bytes, expected none: registers are spilled"
        if kernel.blocks == 0:
            yield f"{kernel.name} on sm_{kernel.arch}: {kernel.registers} registers and {kernel.shared} bytes of shared memory fit into no multiprocessor"
        for part, kinds in FORBIDDEN_IN_LOOP.items():
            for kind in kinds:
                if kernel.name.startswith(part) and (kernel.mix or {}).get(kind):
                    yield f"{kernel.name} on sm_{kernel.arch}: {kernel.mix[kind]} of kind {kind} in the inner loop, expected none"
    if b"libcuda.so" in pathlib.Path(library).read_bytes() and needs_driver(library):
        yield f"{library}: needs libcuda.so, which machines without a driver do not have"
    if document is None:
        return
    got, want = table(kernels), committed_table(document)
    complete = all(kernel.mix is not None for kernel in kernels if kernel.arch == DOCUMENTED)
    compare = (lambda line: line) if complete else without_mix
    for line in sorted(set(map(compare, got)) ^ set(map(compare, want))):
        side = "compiled now" if line in set(map(compare, got)) else f"in {document}"
        yield f"{side}: {line}"


def needs_driver(library):
    shown = subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=True).stdout
    return "[libcuda.so" in shown


def write(kernels, document):
    text = pathlib.Path(document).read_text(encoding="utf-8")
    committed_table(document)
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    with open(document, "w", encoding="utf-8") as file:
        file.write(before + BEGIN + "\n" + "\n".join(table(kernels)) + "\n" + END + after)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["check", "write", "show"])
    parser.add_argument("library")
    parser.add_argument("document", nargs="?", default="docs/cuda.md")
    parser.add_argument("--nvdisasm", default=shutil.which("nvdisasm"))
    parser.add_argument("--other-compiler", action="store_true", help="the table stands for another compiler: check for spills and drivers alone")
    arguments = parser.parse_args()
    if not os.path.exists(arguments.library):
        parser.error(f"{arguments.library} does not exist; it is built where nvcc is (BINOCLE_CUDA)")
    try:
        kernels = kernels_of(arguments.library, arguments.nvdisasm)
        if arguments.command == "show":
            print("\n".join(table(kernels)))
        elif arguments.command == "write":
            if not arguments.nvdisasm:
                raise Problem("writing the table takes nvdisasm")
            write(kernels, arguments.document)
        else:
            document = None if arguments.other_compiler else arguments.document
            found = list(problems(arguments.library, kernels, document))
            compared = f"as {document} has them" if document else "not compared with the table"
            print("\n".join(found) if found else f"cuda_static: {len(kernels)} kernels, no spills, {compared}")
            if not arguments.nvdisasm:
                print("cuda_static: no nvdisasm, so inner loops were not read")
            return 1 if found else 0
    except Problem as problem:
        print(f"cuda_static: {problem}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
