#!/usr/bin/env python3
"""What a GPU's limits allow: operations and bytes per stage, and the time that the larger of the two asks for. A model, not a measurement.

    tools/cuda_roofline.py show              prints the tables
    tools/cuda_roofline.py write DOCUMENT    puts them into DOCUMENT, between its marks
    tools/cuda_roofline.py check DOCUMENT    exits 1 unless DOCUMENT has them

Weights are bf16 and read once; activations are read and written once by each product, as bf16; attention reads its keys and values once. A multiplication and an
addition are two operations. Kernels one after the other, each at the limit that it meets: no launch takes time.
"""

import dataclasses
import sys

BEGIN, END = "<!-- cuda_roofline begin -->", "<!-- cuda_roofline end -->"
# NVIDIA H100 SXM: dense bf16 and memory, as the data sheet has them.
OPERATIONS, BANDWIDTH = 989e12, 3.35e12
BF16 = 2


@dataclasses.dataclass
class Cost:
    operations: float = 0
    bytes: float = 0
    seconds: float = 0

    def __add__(self, other):
        return Cost(self.operations + other.operations, self.bytes + other.bytes, self.seconds + other.seconds)

    def __mul__(self, times):
        return Cost(self.operations * times, self.bytes * times, self.seconds * times)


def kernel(operations, size):
    return Cost(operations, size, max(operations / OPERATIONS, size / BANDWIDTH))


def product(rows, depth, features):
    """x [rows, depth] · W [depth, features]"""
    return kernel(2 * rows * depth * features, BF16 * (depth * features + rows * (depth + features)))


def attention(pairs, rows, keys, heads, kv_heads, d):
    """So many (row, key) pairs for each head."""
    return kernel(4 * pairs * heads * d, BF16 * (2 * rows * heads * d + 2 * keys * kv_heads * d))


@dataclasses.dataclass
class Tower:
    tokens: int
    width: int
    ffn: int
    layers: int
    heads: int

    def cost(self):
        n, w = self.tokens, self.width
        layer = product(n, w, 3 * w) + attention(n * n, n, n, self.heads, self.heads, w // self.heads) + product(n, w, w) + \
            product(n, w, self.ffn) + product(n, self.ffn, w)
        return layer * self.layers


@dataclasses.dataclass
class Decoder:
    width: int = 4096
    ffn: int = 11008
    layers: int = 32
    heads: int = 32
    kv_heads: int = 32
    d: int = 128
    vocabulary: int = 32000

    def feed_forward(self, rows):
        return product(rows, self.width, 2 * self.ffn) + product(rows, self.ffn, self.width)

    def rows(self, rows, pairs, keys):
        """Rows that ask, in one layer."""
        qkv = (self.heads + 2 * self.kv_heads) * self.d
        return product(rows, self.width, qkv) + attention(pairs, rows, keys, self.heads, self.kv_heads, self.d) + \
            product(rows, self.heads * self.d, self.width) + self.feed_forward(rows)

    def stock(self, visual, text):
        n = visual + text
        return self.rows(n, n * (n + 1) / 2, n) * self.layers + self.head(1)

    def composite(self, visual, text, aligner):
        """Visual rows write keys and values and pass the aligner; text rows, which come last, ask. A product takes both kinds of rows at once."""
        n, pairs = visual + text, text * visual + text * (text + 1) / 2
        layer = product(text, self.width, self.heads * self.d) + product(n, self.width, 2 * self.kv_heads * self.d) + \
            attention(pairs, text, n, self.heads, self.kv_heads, self.d) + \
            product(text if aligner == "none" else n, self.heads * self.d, self.width) + self.feed_forward(n if aligner == "vo_ffn" else text)
        return layer * self.layers + self.head(1)

    def decode(self, sequences, keys, shared=0):
        """One token of each; `shared` of the keys are a picture's that all have in common, read once."""
        qkv = (self.heads + 2 * self.kv_heads) * self.d
        read = sequences * (keys - shared) + shared
        attend = kernel(4 * sequences * keys * self.heads * self.d, BF16 * 2 * read * self.kv_heads * self.d)
        layer = product(sequences, self.width, qkv) + attend + product(sequences, self.heads * self.d, self.width) + self.feed_forward(sequences)
        return layer * self.layers + self.head(sequences)

    def head(self, rows):
        return product(rows, self.width, self.vocabulary)


def projector(tokens, width, decoder):
    return product(tokens, width, decoder.width) + product(tokens, decoder.width, decoder.width)


def row(name, cost):
    bound = "operations" if cost.operations / OPERATIONS > cost.bytes / BANDWIDTH else "memory"
    return f"| {name} | {cost.operations / 1e12:.3f} | {cost.bytes / 1e9:.2f} | {cost.seconds * 1e3:.2f} | {bound} |"


def tables():
    decoder = Decoder()
    clip, siglip = Tower(577, 1024, 4096, 23, 16), Tower(4900, 1152, 4304, 26, 16)
    lines = ["LLaVA-1.5-7B, 576 visual and 64 text tokens:", "", "| stage | 10¹² operations | GB | ms | bound by |", "|---|---|---|---|---|",
             row("tower, ViT-L/14 at 336 px", clip.cost()), row("projector", projector(576, 1024, decoder)),
             row("prefill, stock", decoder.stock(576, 64))]
    lines += [row(f"prefill, composite, `{a}`", decoder.composite(576, 64, a)) for a in ("vo_ffn", "vo", "none")]
    lines += [row(f"a decode step, {n} sequence{'s' * (n > 1)}", decoder.decode(n, 704)) for n in (1, 8, 32, 128)]
    lines += [row("a decode step, 32 sequences that share the picture", decoder.decode(32, 704, 576))]
    lines += ["", "EE-MLLM's own shape, 980 px and patch 14: 4900 visual and 64 text tokens:", "", "| stage | 10¹² operations | GB | ms | bound by |", "|---|---|---|---|---|",
              row("tower, SigLIP so400m's layers", siglip.cost()), row("projector", projector(4900, 1152, decoder)), row("prefill, stock", decoder.stock(4900, 64))]
    lines += [row(f"prefill, composite, `{a}`", decoder.composite(4900, 64, a)) for a in ("vo_ffn", "vo", "none")]
    before = siglip.cost().seconds + projector(4900, 1152, decoder).seconds
    lines += ["", "| composite / stock | language model's prefill | with tower and projector |", "|---|---|---|"]
    stock = decoder.stock(4900, 64).seconds
    for aligner in ("vo_ffn", "vo", "none"):
        composite = decoder.composite(4900, 64, aligner).seconds
        lines.append(f"| `{aligner}` | {composite / stock:.3f} | {(composite + before) / (stock + before):.3f} |")
    return lines


def main():
    command, document = (sys.argv[1:] + ["show", None])[:2]
    if command == "show":
        print("\n".join(tables()))
        return 0
    with open(document, encoding="utf-8") as file:
        text = file.read()
    wanted = text.split(BEGIN)[0] + BEGIN + "\n" + "\n".join(tables()) + "\n" + END + text.split(END)[1]
    if command == "check":
        if text != wanted:
            print(f"cuda_roofline: {document} has other tables than tools/cuda_roofline.py makes; `write` puts them there")
        return int(text != wanted)
    with open(document, "w", encoding="utf-8") as file:
        file.write(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
