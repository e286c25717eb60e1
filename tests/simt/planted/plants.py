#!/ usr / bin / env python3
"""Faults planted in the real kernels: each is a change of a line or two in a copy of a source.

    plants.py list                      name, source and what finds it, one plant a line, separated by tabs
    plants.py write NAME ROOT OUT       the changed copy of the plant's source, as OUT/<source>

A change whose place is not there exactly once is an error: the kernel has changed, and so must the plant.
"""

import os
import sys

TILES = "attention/attention_tiles_cuda-inl.h"
PARTS = "attention/attention_parts_cuda.cu"
ROWS = "attention/attention_rows_cuda.cu"

#What finds it : words of a report, or "numbers" : O or the LSE is wrong.
PLANTS = [
    ("no_plant", TILES, "", "", "nothing"),
    ("refill_without_barrier", TILES, "    __syncthreads();\n  }\n\n  WriteRows", "  }\n\n  WriteRows", "race"),
    ("no_barrier_after_wait", TILES, "    __syncthreads();\n    const int first = tile.first_key", "    const int first = tile.first_key", "race"),
    ("queries_overwritten", TILES, "  __syncthreads();\n\n  RunningRow", "\n  RunningRow", "race"),
    ("waits_for_too_little", TILES, "    CopyCommit();\n    CopyWait<1>();", "    CopyCommit();\n    CopyWait<2>();", "pending copy"),
    ("no_commit_at_the_end", TILES, "begin_page(page + 1);\n    CopyCommit();", "{ begin_page(page + 1); CopyCommit(); }", "pending copy"),
    ("other_stage_of_values", TILES, "MultiplyValues<D>(p, values + page % 2 * kElements, lane, o);",
     "MultiplyValues<D>(p, values + (page + 1) % 2 * kElements, lane, o);", "pending copy"),
    ("tail_one_too_long", TILES, "at >= rows[i / 2].end_key", "at > rows[i / 2].end_key", "numbers"),
    ("head_one_too_short", TILES, "at < rows[i / 2].first_key", "at <= rows[i / 2].first_key", "numbers"),
    ("masks_only_past_the_end", TILES, "first + kTileKeys > tile.whole_to", "first > tile.whole_to", "numbers"),
    ("wrong_lane_of_maximum", TILES, "__shfl_xor_sync(kWholeWarp, most, 2)", "__shfl_xor_sync(kWholeWarp, most, 4)", "numbers"),
    ("wrong_lane_of_sum", TILES, "__shfl_xor_sync(kWholeWarp, sum, 2)", "__shfl_xor_sync(kWholeWarp, sum, 8)", "numbers"),
    ("output_not_rescaled", TILES, "    Rescale<D>(factor, o);\n", "", "numbers"),
    ("logarithm_to_base_two", TILES, "running[r].shift * kLn2", "running[r].shift", "numbers"),
    ("copies_one_key_more", TILES, "down < left);", "down <= left);", "uninitialised"),
    ("keys_and_halves_swapped", TILES, "const int row = lane / 16 * 8 + lane % 8, column = lane / 8 % 2 * 8;\n  BINOCLE_UNROLL\n  for (int k = 0; k < D / 16",
     "const int row = lane / 8 % 2 * 8 + lane % 8, column = lane / 16 * 8;\n  BINOCLE_UNROLL\n  for (int k = 0; k < D / 16", "numbers"),
    ("values_not_transposed", TILES, "LoadMatrix4Transposed(b,", "LoadMatrix4(b,", "numbers"),
    ("rows_off_the_chunks", TILES, "(kChunks + 1) * 8;", "(kChunks + 1) * 8 + 4;", "misaligned"),
    ("returns_from_the_warp", TILES, "if (!block.present(m)) continue;", "if (!block.present(m)) return;", "warp divergence"),
    ("writes_absent_rows", TILES, "    if (!block.present(m)) continue;\n", "", "out of bounds"),
    ("too_little_shared", TILES, "return 4 * PageTile<D>::kElements * 2;", "return 3 * PageTile<D>::kElements * 2;", "out of bounds"),
    ("heads_of_the_first_group", TILES, "shape.heads + block.head(m);", "shape.heads + m % shape.group;", "block conflict"),
    ("barrier_for_some", TILES, "  __syncthreads();\n  {\n    const Bf16* row", "  if (block.warp() < 3) __syncthreads();\n  {\n    const Bf16* row", "barrier divergence"),
    ("merges_without_the_last", PARTS, "p < row.parts && most > kSeesNothing; ++p)\n    sum", "p + 1 < row.parts && most > kSeesNothing; ++p)\n    sum", "numbers"),
    ("merges_one_part_again", PARTS, "(int64_t{row.first_part} + p) * work.heads", "int64_t{row.first_part} * work.heads", "numbers"),
    ("writes_parts_again", PARTS, "work.out[at * work.head_dim + i] = o;", "work.out[at * work.head_dim + i] = o;\n    const_cast<float*>(work.part_lse)[0] = 0;", "race"),
    ("weights_without_a_fence", ROWS, "    __syncwarp();\n    state.shift", "    state.shift", "race"),
    ("weights_overwritten", ROWS, "    __syncwarp();\n  }\n};", "  }\n};", "race"),
    ("queries_before_they_are_there", ROWS, "    __syncthreads();\n    RowState", "    RowState", "race"),
    ("merges_before_all_left", ROWS, "lane, parts[warp]);\n    __syncthreads();\n    const int64_t at", "lane, parts[warp]);\n    const int64_t at", "race"),
    ("scores_of_unseen_keys", ROWS, "key < row.first_key || key >= row.end_key", "key < row.first_key", "uninitialised"),
]


def write(name, root, out):
    for plant, source, old, new, _ in PLANTS:
        if plant != name:
            continue
        with open(os.path.join(root, source), encoding="utf-8") as file:
            text = file.read()
        if old and text.count(old) != 1:
            sys.exit(f"{name}: its place is {text.count(old)} times in {source}, expected once: adapt the plant to the kernel")
        path = os.path.join(out, source)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(old, new) if old else text)
        return
    sys.exit(f"no plant is called {name}")


def main():
    if sys.argv[1:] == ["list"]:
        for name, source, _, _, found_by in PLANTS:
            print(f"{name}\t{source}\t{found_by}")
    elif len(sys.argv) == 5 and sys.argv[1] == "write":
        write(*sys.argv[2:])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
