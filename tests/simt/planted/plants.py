#!/usr/bin/env python3
"""Faults planted in the real kernels: each is a change of a line or two in a copy of a source.

    plants.py some                      as `list`, those that every build has: each kind of kernel and of fault
    plants.py list                      name, source, the file of this folder that makes a library of it, and what finds it, a plant a line, with tabs
    plants.py write NAME ROOT OUT       the changed copy of the plant's source, as OUT/<source>

A change whose place is not there exactly once is an error: the kernel has changed, and so must the plant.
"""

import os
import sys

# A source, and the library over it: one source may have several, with other kernels of it.
TILES = ("attention/attention_tiles_cuda-inl.h", "tiles")
VARIED = ("attention/attention_tiles_cuda-inl.h", "varied")
PARTS = ("attention/attention_parts_cuda.cu", "parts")
SINKS = ("attention/attention_parts_cuda.cu", "sinks")
ROWS = ("attention/attention_rows_cuda.cu", "rows")
KV = ("attention/device_kv_cuda.cu", "kv")
SAMPLING = ("llm/sampling_cuda.cu", "sampling")
COMPACT = ("core/ops/compact_cuda.cu", "compact")
OPS = ("core/ops/rows_cuda.cu", "ops")
MARKS = ("llm/sinks_cuda.cu", "marks")

# What finds it: words of a report, or "numbers": a result is wrong.
PLANTS = [
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
    ("merges_without_the_last", PARTS, "p < row.parts && seen; ++p) sum", "p + 1 < row.parts && seen; ++p) sum", "numbers"),
    ("merges_one_part_again", PARTS, "(int64_t{row.first_part} + p) * work.heads", "int64_t{row.first_part} * work.heads", "numbers"),
    ("writes_parts_again", PARTS, "work.out[at * work.head_dim + i] = seen ? o / sum : 0.0F;", "work.out[at * work.head_dim + i] = seen ? o / sum : 0.0F;\n    const_cast<float*>(work.part_lse)[0] = 0;", "race"),
    ("weights_without_a_fence", ROWS, "    __syncwarp();\n    state.shift", "    state.shift", "race"),
    ("weights_overwritten", ROWS, "    __syncwarp();\n  }\n};", "  }\n};", "race"),
    ("queries_before_they_are_there", ROWS, "    __syncthreads();\n    RowState", "    RowState", "race"),
    ("merges_before_all_left", ROWS, "lane, parts[warp]);\n    __syncthreads();\n    const int64_t at", "lane, parts[warp]);\n    const int64_t at", "race"),
    ("every_other_page_of_a_warp", ROWS, "page < tile.pages; page += kRowWarps)", "page < tile.pages; page += 2 * kRowWarps)", "numbers"),
    ("scores_of_unseen_keys", ROWS, "key < row.first_key || key >= row.end_key", "key < row.first_key", "uninitialised"),
    ("content_not_rescaled", VARIED, "        content_sum[0] *= factor[0];\n", "", "numbers"),
    ("gains_of_signed_scores", VARIED, "rows[i / 2].gain * fabsf(x)", "rows[i / 2].gain * x", "numbers"),
    ("classes_of_the_neighbour", VARIED, "(i % 2 * 8) & 0xFF", "((i + 1) % 2 * 8) & 0xFF", "numbers"),
    ("sinks_that_are_not_seen", SINKS, "    if (key < row.first_key || key >= row.end_key) continue;\n", "", "numbers"),
    ("without_the_sink_it_needs", SINKS, "sinks.needs_visual_sink && sinks.sink_counts[1] == 0;", "false;", "numbers"),
    ("gain_of_the_whole_output", SINKS, "(gains.content - 1) * m.content *", "(gains.content - 1) *", "numbers"),
    ("rotated_backwards", KV, "{low * c - high * s, high * c + low * s}", "{low * c + high * s, high * c - low * s}", "numbers"),
    ("queries_not_scaled", KV, "Store(to + half, work.scale * pair.high)", "Store(to + half, pair.high)", "numbers"),
    ("padding_left_alone", KV, "return StoreTwo(to + d + 2 * (p - half), {0, 0});", "return;", "numbers"),
    ("slots_of_one_page", KV, "int64_t{slot / 64} * kv.shape.kv_heads", "int64_t{slot / 128} * kv.shape.kv_heads", "block conflict"),
    ("ties_by_the_last_id", SAMPLING, "s.ids[other] < s.ids[me()]", "s.ids[other] > s.ids[me()]", "numbers"),
    ("two_zeros", SAMPLING, "FloatToBits(x + 0.0F)", "FloatToBits(x)", "numbers"),
    ("bins_before_they_are_empty", SAMPLING, "s.bins[me()] = 0;\n      __syncthreads();", "s.bins[me()] = 0;", "race"),
    ("scan_without_a_barrier", SAMPLING, "= with_mine;\n    __syncthreads();", "= with_mine;", "race"),
    ("leaders_add_for_themselves", SAMPLING, "sum = WarpSumOfCounts(mine ? weight : Count{0});", ";", "numbers"),
    ("equals_past_the_last", SAMPLING, "(order == t.order && id <= t.last_id)", "order == t.order", "numbers"),
    ("bytes_cut_off", COMPACT, "rintf(x[i] * inverse)", "(x[i] * inverse)", "numbers"),
    ("offset_forgotten", COMPACT, "-8 * work.x.group_sums[at]", "0 * work.x.group_sums[at]", "numbers"),
    ("factor_of_the_next_group", COMPACT, "+ group / 2] >> (group % 2 * 4)", "+ group / 2] >> ((group + 1) % 2 * 4)", "numbers"),
    ("features_past_the_last", COMPACT, "int64_t{Smaller(first + f, work.w.features - 1)} * chunks", "int64_t{first + f} * chunks", "out of bounds"),
    ("every_other_turn_of_bytes", COMPACT, "chunk < chunks; chunk += kWarp", "chunk < chunks; chunk += 2 * kWarp", "numbers"),
    ("every_other_turn_of_halves", COMPACT, "group < groups; group += kWarp)", "group < groups; group += 2 * kWarp)", "numbers"),
    ("every_other_turn_of_a_row", COMPACT, "group += kByteThreads / kWarp)", "group += 2 * kByteThreads / kWarp)", "uninitialised"),
    ("scales_without_end", COMPACT, "most > kLeastMaximum &&", "most > 0 &&", "numbers"),
    ("maximum_without_a_barrier", COMPACT, "= value;\n  __syncthreads();\n  for (int w", "= value;\n  for (int w", "race"),
    ("sum_without_a_barrier", OPS, "= value;\n  __syncthreads();\n  float sum", "= value;\n  float sum", "race"),
    ("squares_with_the_mean", OPS, "(x[i] - mean) * (x[i] - mean)", "x[i] * x[i]", "numbers"),
    ("one_number_more", OPS, "AddRowsKernel(AddWork work, float* x) {\n  const int64_t i = Index();\n  if (i >=", "AddRowsKernel(AddWork work, float* x) {\n  const int64_t i = Index();\n  if (i >", "out of bounds"),
    ("counts_before_they_are_there", MARKS, "= upto;\n    __syncthreads();", "= upto;", "race"),
    ("counts_overwritten", MARKS, "visual += total >> 16;\n    __syncthreads();", "visual += total >> 16;", "race"),
    ("sinks_of_the_own_warp_twice", MARKS, "w < me / kWarp", "w <= me / kWarp", "numbers"),
    ("sinks_one_row_late", MARKS, "int64_t{range.first_score + row} * 2", "int64_t{range.first_score + row + 1} * 2", "out of bounds"),
    ("rows_of_no_token", OPS, "out[i] = id < 0 ? 0.0F : Load(", "out[i] = Load(", "out of bounds"),
]


def write(name, root, out):
    for plant, (source, _), old, new, _ in PLANTS:
        if plant != name:
            continue
        with open(os.path.join(root, source), encoding="utf-8") as file:
            text = file.read()
        if text.count(old) != 1:
            sys.exit(f"{name}: its place is {text.count(old)} times in {source}, expected once: adapt the plant to the kernel")
        path = os.path.join(out, source)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(old, new))
        return
    sys.exit(f"no plant is called {name}")


SOME = {
    "refill_without_barrier", "waits_for_too_little", "tail_one_too_long", "wrong_lane_of_maximum", "output_not_rescaled",
    "copies_one_key_more", "values_not_transposed", "rows_off_the_chunks", "returns_from_the_warp", "writes_absent_rows",
    "heads_of_the_first_group", "barrier_for_some", "merges_one_part_again", "weights_without_a_fence", "scores_of_unseen_keys",
    "content_not_rescaled", "classes_of_the_neighbour", "sinks_that_are_not_seen", "without_the_sink_it_needs", "rotated_backwards", "slots_of_one_page",
    "ties_by_the_last_id", "scan_without_a_barrier", "bytes_cut_off", "every_other_turn_of_bytes", "every_other_turn_of_halves",
    "maximum_without_a_barrier", "squares_with_the_mean",
    "one_number_more", "counts_overwritten", "sinks_of_the_own_warp_twice",
}


def main():
    if unknown := SOME - {plant[0] for plant in PLANTS}:
        sys.exit(f"SOME names plants that do not exist: {', '.join(sorted(unknown))}")
    if sys.argv[1:] in (["list"], ["some"]):
        for name, (source, library), _, _, found_by in PLANTS:
            if sys.argv[1] == "list" or name in SOME:
                print(f"{name}\t{source}\t{library}\t{found_by}")
    elif len(sys.argv) == 5 and sys.argv[1] == "write":
        write(*sys.argv[2:])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
