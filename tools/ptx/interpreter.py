"""Runs nvcc's PTX of a kernel, a block at a time, on the CPU: what the emulator of tests/simt cannot see, the assembly of our wrappers and the compiler's front.

    program = Program(open("kernel.ptx").read())
    memory = Memory()
    q = memory.put(array)                     # an address
    program.launch("AttendTilesKernelILi64ELb0E", grid=(1, 2), threads=128, parameters=struct.pack(…), shared=36864, memory=memory)
    result = memory.get(out, np.float32, (64, 64))

Threads of a block go in step, as numpy arrays; where they part, those that are furthest behind go first, so that they meet again. Only instructions that
our kernels have are here; another one is an error that names it. Asynchronous copies arrive when they are waited for, and not before.
"""

import re
import struct

import numpy as np

WARP = 32
GLOBAL_BASE = 1 << 32

REGISTERS = {"p": np.bool_, "f": np.float32, "fd": np.float64, "r": np.uint32, "rd": np.uint64, "rs": np.uint16, "h": np.uint16}
TYPES = {"pred": np.bool_, "f32": np.float32, "f64": np.float64, "b16": np.uint16, "u16": np.uint16, "s16": np.int16, "b32": np.uint32, "u32": np.uint32,
         "s32": np.int32, "b64": np.uint64, "u64": np.uint64, "s64": np.int64, "u8": np.uint8, "s8": np.int8, "b8": np.uint8}
WIDER = {np.uint32: np.uint64, np.int32: np.int64, np.uint16: np.uint32, np.int16: np.int32}


class PtxError(Exception):
    pass


class Memory:
    """Global memory: arrays at addresses, with gaps between, so that an access past one is found."""

    def __init__(self, size=1 << 24):
        self.bytes = np.full(size, 0xFF, np.uint8)
        self.valid = np.zeros(size, np.bool_)
        self.used = 256

    def reserve(self, size):
        at = self.used
        self.used = (at + size + 511) // 256 * 256
        self.valid[at:at + size] = True
        return GLOBAL_BASE + at

    def put(self, array):
        data = np.ascontiguousarray(array).view(np.uint8).reshape(-1) if isinstance(array, np.ndarray) else np.frombuffer(array, np.uint8)
        address = self.reserve(len(data))
        self.bytes[address - GLOBAL_BASE:address - GLOBAL_BASE + len(data)] = data
        return address

    def get(self, address, dtype, shape):
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return self.bytes[address - GLOBAL_BASE:address - GLOBAL_BASE + size].view(dtype).reshape(shape)

    def places(self, addresses, size):
        places = addresses.astype(np.int64) - GLOBAL_BASE
        if len(places) and (places.min() < 0 or places.max() + size > len(self.bytes)):
            raise PtxError(f"an access of {size} bytes outside of global memory")
        grid = places[:, None] + np.arange(size)
        if not self.valid[grid].all():
            raise PtxError(f"an access of {size} bytes outside of every array")
        if (places % size).any():
            raise PtxError(f"an access of {size} bytes at an address that is no multiple")
        return grid


class Instruction:
    def __init__(self, text, place):
        self.text, self.place = text, place
        match = re.match(r"(?:@(!?)(%p\d+)\s+)?([\w.:]+)\s*(.*)$", text)
        self.negated, self.predicate, opcode, operands = match.groups()
        self.parts = opcode.split(".")
        self.operands = split_operands(operands)

    @property
    def base(self):
        return self.parts[0]


def split_operands(text):
    """`{%r1, %r2}, [%rd1+8], 3` as three."""
    parts, depth, current = [], 0, ""
    for c in text:
        depth += (c in "{[") - (c in "}]")
        if c == "," and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += c
    return [p for p in parts + [current.strip()] if p]


class Program:
    def __init__(self, text):
        text = re.sub(r"//[^\n]*", "", text)
        self.shared_symbols = dict(re.findall(r"\.shared\s+\.align\s+\d+\s+\.b8\s+(\w+)\[(\d*)\]", text))
        self.kernels = {}
        for match in re.finditer(r"\.entry\s+(\w+)\s*\((.*?)\).*?\n\{(.*?)\n\}", text, re.S):
            self.kernels[match.group(1)] = self.parse(match.group(3), re.findall(r"(\w+_param_\d+)", match.group(2)))

    @staticmethod
    def parse(body, parameters):
        instructions, labels = [], {}
        for piece in re.split(r"[;\n]", re.sub(r"\{([^{}\n]*)\}", lambda m: "{" + m.group(1) + "}", body)):
            piece = piece.strip()
            if not piece or piece.startswith(".") or piece in "{}":
                continue
            label = re.match(r"(\$\w+):$", piece)
            if label:
                labels[label.group(1)] = len(instructions)
            else:
                instructions.append(Instruction(piece, len(instructions)))
        return instructions, labels, parameters

    def kernel(self, part):
        found = [name for name in self.kernels if part in name]
        if len(found) != 1:
            raise PtxError(f"{len(found)} kernels have {part} in their names")
        return self.kernels[found[0]]

    def launch(self, part, grid, threads, parameters, shared, memory):
        instructions, labels, names = self.kernel(part)
        if len(names) != 1:
            raise PtxError("kernels of one parameter, a struct")
        for y in range(grid[1]):
            for x in range(grid[0]):
                block = Block(self, instructions, labels, (x, y), grid, threads, parameters, shared, memory)
                block.parameter = names[0]
                block.run()


class Block:
    def __init__(self, program, instructions, labels, index, grid, threads, parameters, shared, memory):
        self.instructions, self.labels, self.index, self.grid, self.threads = instructions, labels, index, grid, threads
        self.parameters = np.frombuffer(parameters, np.uint8)
        self.memory = memory
        self.registers = {}
        self.symbols, end = {}, shared
        for name, size in program.shared_symbols.items():
            self.symbols[name] = end if size else 0
            end += (int(size) + 15) // 16 * 16 if size else 0
        self.shared = np.full(end, 0xFF, np.uint8)
        self.pc = np.zeros(threads, np.int64)
        self.waits = np.zeros(threads, np.bool_)
        self.done = np.zeros(threads, np.bool_)
        self.open_group, self.groups = [], []
        self.mask = np.ones(threads, np.bool_)
        self.all = True
        lane = np.arange(threads)
        self.special = {"%tid.x": lane, "%tid.y": lane * 0, "%tid.z": lane * 0, "%ctaid.x": lane * 0 + index[0], "%ctaid.y": lane * 0 + index[1],
                        "%ntid.x": lane * 0 + threads, "%ntid.y": lane * 0 + 1, "%laneid": lane % WARP}

    # Threads and steps.

    def run(self):
        while not self.done.all():
            running = ~(self.done | self.waits)
            if not running.any():
                # A barrier: all that are left wait at it.
                self.pc[self.waits] += 1
                self.waits[:] = False
                continue
            place = self.pc[running].min()
            self.mask = running & (self.pc == place)
            self.all = bool(self.mask.all())
            self.step(self.instructions[place] if place < len(self.instructions) else None)

    def step(self, instruction):
        if instruction is None or (instruction.base == "ret" and not instruction.predicate):
            self.done |= self.mask
            return
        chosen = self.mask
        if instruction.predicate:
            value = self.registers[instruction.predicate]
            chosen = self.mask & (~value if instruction.negated else value)
        if instruction.base == "bra":
            self.pc[self.mask] += 1
            self.pc[chosen] = self.labels[instruction.operands[0]]
            return
        if instruction.base == "ret":
            self.pc[self.mask] += 1
            self.done |= chosen
            return
        if instruction.base in ("bar", "barrier"):
            self.waits |= chosen
            return
        if chosen.any():
            outer, self.mask, self.all = self.mask, chosen, bool(chosen.all())
            handler = getattr(self, "do_" + instruction.base, None)
            if handler is None:
                raise PtxError(f"no instruction {instruction.text}")
            with np.errstate(all="ignore"):
                handler(instruction.parts, *instruction.operands)
            self.mask = outer
        self.pc[self.mask] += 1

    # Operands.

    def value(self, operand, dtype):
        if operand.startswith("%"):
            if operand in self.special:
                return self.special[operand].astype(dtype)
            name = operand[:-len("_")] if operand.endswith("_") else operand
            stored = self.registers.get(name)
            if stored is None:
                raise PtxError(f"{operand} is read and has no value")
            return self.as_type(stored, dtype)
        if operand.startswith("0f"):
            return np.full(self.threads, struct.unpack(">f", bytes.fromhex(operand[2:]))[0], np.float32).astype(dtype) if dtype in (np.float32, np.float64) \
                else np.full(self.threads, int(operand[2:], 16), np.uint32).view(dtype)
        if re.match(r"-?(0x)?[0-9a-fA-F]+U?$", operand):
            return np.full(self.threads, int(operand.rstrip("U"), 0)).astype(dtype)
        if operand in self.symbols:
            return np.full(self.threads, self.symbols[operand]).astype(dtype)
        if operand == self.parameter:
            return np.zeros(self.threads, dtype)
        raise PtxError(f"an operand {operand}")

    @staticmethod
    def as_type(stored, dtype):
        if stored.dtype == dtype:
            return stored
        if stored.dtype.itemsize == np.dtype(dtype).itemsize:
            return stored.view(dtype)
        return stored.astype(dtype)

    def store(self, register, values):
        kind = REGISTERS[re.match(r"%([a-z]+)", register).group(1)]
        values = np.asarray(values)
        if values.dtype != kind:
            if values.dtype.itemsize == np.dtype(kind).itemsize:
                values = values.view(kind)
            elif values.dtype.kind == "i":
                values = values.astype({8: np.int64, 4: np.int32, 2: np.int16}[np.dtype(kind).itemsize]).view(kind)
            else:
                values = values.astype(kind)
        if self.all:
            self.registers[register] = values.copy()
            return
        old = self.registers.get(register)
        self.registers[register] = np.where(self.mask, values, np.zeros(self.threads, kind) if old is None else old).astype(kind)

    def address(self, operand, dtype=np.uint64):
        match = re.match(r"\[([%\w$]+?)(?:\+(-?\d+))?\]$", operand)
        return self.value(match.group(1), dtype).astype(np.int64) + int(match.group(2) or 0)

    # Arithmetic.

    def two(self, parts, a, b):
        dtype = TYPES[parts[-1]]
        return self.value(a, dtype), self.value(b, dtype)

    def do_mov(self, parts, to, a):
        self.store(to, self.value(a, TYPES[parts[-1]]))

    def do_add(self, parts, to, a, b):
        x, y = self.two(parts, a, b)
        self.store(to, x + y)

    def do_sub(self, parts, to, a, b):
        x, y = self.two(parts, a, b)
        self.store(to, x - y)

    def do_mul(self, parts, to, a, b):
        x, y = self.two(parts, a, b)
        if "wide" in parts:
            wide = WIDER[TYPES[parts[-1]]]
            x, y = x.astype(wide), y.astype(wide)
        self.store(to, x * y)

    def do_mad(self, parts, to, a, b, c):
        x, y = self.two(parts, a, b)
        if "wide" in parts:
            wide = WIDER[TYPES[parts[-1]]]
            self.store(to, x.astype(wide) * y.astype(wide) + self.value(c, wide))
        else:
            self.store(to, x * y + self.value(c, TYPES[parts[-1]]))

    def do_fma(self, parts, to, a, b, c):
        x, y = self.two(parts, a, b)
        self.store(to, (x.astype(np.float64) * y + self.value(c, TYPES[parts[-1]])).astype(x.dtype))

    def do_div(self, parts, to, a, b):
        x, y = self.two(parts, a, b)
        if x.dtype.kind == "f":
            self.store(to, x / y)
        else:
            y = np.where(y == 0, 1, y)
            self.store(to, (np.abs(x.astype(np.int64)) // np.abs(y) * np.sign(x) * np.sign(y)).astype(x.dtype))

    def do_rem(self, parts, to, a, b):
        x, y = self.two(parts, a, b)
        self.store(to, np.fmod(x, np.where(y == 0, 1, y)).astype(x.dtype))

    def do_and(self, parts, to, a, b):
        x, y = self.two(parts, a, b)
        self.store(to, x & y)

    def do_or(self, parts, to, a, b):
        x, y = self.two(parts, a, b)
        self.store(to, x | y)

    def do_xor(self, parts, to, a, b):
        x, y = self.two(parts, a, b)
        self.store(to, x ^ y)

    def do_not(self, parts, to, a):
        self.store(to, ~self.value(a, TYPES[parts[-1]]))

    def do_neg(self, parts, to, a):
        self.store(to, -self.value(a, TYPES[parts[-1]]))

    def do_abs(self, parts, to, a):
        self.store(to, np.abs(self.value(a, TYPES[parts[-1]])))

    def do_shl(self, parts, to, a, b):
        self.store(to, self.value(a, TYPES[parts[-1]]) << self.value(b, np.uint32).astype(TYPES[parts[-1]]))

    def do_shr(self, parts, to, a, b):
        self.store(to, self.value(a, TYPES[parts[-1]]) >> self.value(b, np.uint32).astype(TYPES[parts[-1]]))

    def do_min(self, parts, to, a, b):
        x, y = self.two(parts, a, b)
        self.store(to, np.fmin(x, y) if x.dtype.kind == "f" else np.minimum(x, y))

    def do_max(self, parts, to, a, b):
        x, y = self.two(parts, a, b)
        self.store(to, np.fmax(x, y) if x.dtype.kind == "f" else np.maximum(x, y))

    def do_rcp(self, parts, to, a):
        self.store(to, np.float32(1) / self.value(a, np.float32))

    def do_ex2(self, parts, to, a):
        self.store(to, np.exp2(self.value(a, np.float32)))

    def do_copysign(self, parts, to, a, b):
        self.store(to, np.copysign(self.value(b, np.float32), self.value(a, np.float32)))

    def do_setp(self, parts, to, a, b):
        x, y = self.two(parts, a, b)
        relation = parts[1]
        unordered = x.dtype.kind == "f" and len(relation) == 3
        result = {"eq": x == y, "ne": x != y, "lt": x < y, "le": x <= y, "gt": x > y, "ge": x >= y}[relation[:2]]
        self.store(to, result | np.isnan(x) | np.isnan(y) if unordered else result)

    def do_selp(self, parts, to, a, b, p):
        x, y = self.two(parts, a, b)
        self.store(to, np.where(self.value(p, np.bool_), x, y))

    def do_cvt(self, parts, to, *sources):
        if "bf16x2" in parts:
            high, low = (self.bf16(self.value(s, np.float32)) for s in sources)
            self.store(to, low | high << np.uint32(16))
            return
        into, of = TYPES[parts[-2]], TYPES[parts[-1]]
        self.store(to, self.value(sources[0], of).astype(into))

    @staticmethod
    def bf16(x):
        """The upper halves, to nearest even."""
        bits = x.view(np.uint32)
        return (bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))) >> np.uint32(16)

    def do_cvta(self, parts, to, a):
        self.store(to, self.value(a, np.uint64))

    # Memory.

    def load(self, space, addresses, dtype):
        size = np.dtype(dtype).itemsize
        if space == "param":
            grid = addresses[:, None] + np.arange(size)
            return self.parameters[grid].view(dtype).reshape(-1)
        values = np.zeros(self.threads, dtype)
        if space == "shared":
            grid = self.shared_places(addresses[self.mask], size)
            values[self.mask] = self.shared[grid].view(dtype).reshape(-1)
        else:
            values[self.mask] = self.memory.bytes[self.memory.places(addresses[self.mask], size)].view(dtype).reshape(-1)
        return values

    def shared_places(self, addresses, size):
        if len(addresses) and (addresses.min() < 0 or addresses.max() + size > len(self.shared)):
            raise PtxError(f"an access of {size} bytes outside of shared memory")
        return addresses[:, None] + np.arange(size)

    @staticmethod
    def space_of(parts):
        return next((s for s in ("param", "shared", "global") if s in parts), "global")

    def do_ld(self, parts, to, a):
        dtype, space = TYPES[parts[-1]], self.space_of(parts)
        addresses = self.address(a)
        registers = [r.strip() for r in to.strip("{}").split(",")]
        for i, register in enumerate(registers):
            self.store(register, self.load(space, addresses + i * np.dtype(dtype).itemsize, dtype))

    def do_st(self, parts, a, of):
        dtype, space = TYPES[parts[-1]], self.space_of(parts)
        addresses, size = self.address(a)[self.mask], np.dtype(dtype).itemsize
        registers = [r.strip() for r in of.strip("{}").split(",")]
        if len(registers) > 1 and (addresses % (size * len(registers))).any():
            raise PtxError("a vector at an address that is no multiple of its size")
        for i, register in enumerate(registers):
            data = np.ascontiguousarray(self.value(register, dtype)[self.mask]).view(np.uint8).reshape(-1, size)
            if space == "shared":
                self.shared[self.shared_places(addresses + i * size, size)] = data
            else:
                self.memory.bytes[self.memory.places(addresses + i * size, size)] = data

    def do_cp(self, parts, *operands):
        if "commit_group" in parts:
            self.whole_block("commit_group")
            self.groups.append(self.open_group)
            self.open_group = []
        elif "wait_group" in parts:
            self.whole_block("wait_group")
            left = int(operands[0])
            for group in self.groups[:len(self.groups) - left]:
                for to, data in group:
                    self.shared[to] = data
            self.groups = self.groups[len(self.groups) - left:]
        else:
            to = self.address(operands[0])[self.mask]
            source, size = self.address(operands[1])[self.mask], self.value(operands[3], np.int32)[self.mask]
            data = np.zeros((len(to), 16), np.uint8)
            data[size == 16] = self.memory.bytes[self.memory.places(source[size == 16], 16)]
            grid = self.shared_places(to, 16)
            if (to % 16).any():
                raise PtxError("an asynchronous copy to an address that is no multiple of 16")
            self.shared[grid] = 0xFF
            self.open_group.append((grid, data))

    def whole_block(self, what):
        if not self.all:
            raise PtxError(f"{what} in a branch")

    # Warps.

    def warps(self, what):
        """Which warps go: whole ones only."""
        by_warp = self.mask.reshape(-1, WARP)
        if (by_warp.any(1) != by_warp.all(1)).any():
            raise PtxError(f"{what} in a branch of a warp")
        return by_warp.all(1)

    def do_shfl(self, parts, to, a, b, *_):
        self.warps("a shuffle")
        lane = np.arange(self.threads)
        offset = self.value(b, np.int64)
        other = {"bfly": lane % WARP ^ offset, "idx": offset % WARP, "down": np.minimum(lane % WARP + offset, WARP - 1)}[parts[2]]
        self.store(to.split("|")[0], self.value(a, np.uint32)[lane // WARP * WARP + other])

    def do_ldmatrix(self, parts, to, a):
        go = self.warps("ldmatrix")
        addresses = self.address(a)
        if (addresses[self.mask] % 16).any():
            raise PtxError("a row of a matrix at an address that is no multiple of 16")
        rows = np.zeros((self.threads, 8), np.uint16)
        rows[self.mask] = self.shared[self.shared_places(addresses[self.mask], 16)].view(np.uint16).reshape(-1, 8)
        rows = rows.reshape(-1, 4, 8, 8)  # warp, matrix, row, column
        if "trans" in parts:
            rows = rows.swapaxes(2, 3)
        lane = np.arange(WARP)
        pairs = np.ascontiguousarray(rows.reshape(len(go), 4, 8, 4, 2)).view(np.uint32)[..., 0]
        for m, register in enumerate(r.strip() for r in to.strip("{}").split(",")):
            self.store(register, np.ascontiguousarray(pairs[:, m, lane // 4, lane % 4]).reshape(-1))

    def halves(self, register):
        """Of a packed pair: [warps, lanes, 2] floats."""
        bits = self.value(register, np.uint32)
        pair = np.stack([bits << np.uint32(16), bits & np.uint32(0xFFFF0000)], axis=-1)
        return np.ascontiguousarray(pair).view(np.float32).reshape(-1, WARP, 2)

    def do_mma(self, parts, to, a, b, c):
        if parts[1:] != ["sync", "aligned", "m16n8k16", "row", "col", "f32", "bf16", "bf16", "f32"]:
            raise PtxError("no instruction " + ".".join(parts))
        self.warps("mma")
        names = [[r.strip() for r in operand.strip("{}").split(",")] for operand in (to, a, b, c)]
        count, lane = self.threads // WARP, np.arange(WARP)
        g, t = lane // 4, lane % 4
        left = np.zeros((count, 16, 16), np.float32)
        right = np.zeros((count, 16, 8), np.float32)
        for half in range(2):
            for i, register in enumerate(names[1]):
                left[:, g + i % 2 * 8, 2 * t + i // 2 * 8 + half] = self.halves(register)[..., half]
            for i, register in enumerate(names[2]):
                right[:, 2 * t + i * 8 + half, g] = self.halves(register)[..., half]
        product = left @ right
        for i, (register, add) in enumerate(zip(names[0], names[3])):
            part = product[:, g + i // 2 * 8, 2 * t + i % 2].reshape(-1)
            self.store(register, self.value(add, np.float32) + part)
