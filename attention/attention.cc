#include "attention/attention.h"

#include <algorithm>
#include <cmath>

#include "attention/attention_cpu.h"
#include "attention/attention_device.h"

namespace binocle {
namespace {

void CheckVariant(const QueryRun& run, int64_t heads) {
  const auto keys = static_cast<size_t>(run.keys);
  if (const auto* gain = std::get_if<KeyGain>(&run.variant)) {
    BINOCLE_CHECK(gain->gain.size() >= keys, gain->gain.size(), " gains for ", keys, " keys");
    BINOCLE_CHECK(
        gain->head_factor.empty() || static_cast<int64_t>(gain->head_factor.size()) == heads,
        gain->head_factor.size(), " factors for ", heads, " heads");
  }
  if (const auto* bias = std::get_if<KeyBias>(&run.variant))
    BINOCLE_CHECK(bias->bias.size() >= keys, bias->bias.size(), " biases for ", keys, " keys");
  if (const auto* cap = std::get_if<SoftCap>(&run.variant)) BINOCLE_CHECK(cap->cap > 0, cap->cap);
}

void Check(const AttentionArgs& args, const TensorView& out, const TensorView& lse) {
  const int64_t d = args.kv.head_dim;
  BINOCLE_CHECK(d >= 1 && d <= kMaxHeadDim && args.q.dim(1) % (d * args.kv.kv_heads) == 0, "q ",
                args.q.shape().ToString(), " d ", d);
  BINOCLE_CHECK(
      out.shape() == args.q.shape() && lse.dim(0) == out.dim(0) && lse.dim(1) == args.q.dim(1) / d,
      "out ", out.shape().ToString(), " lse ", lse.shape().ToString());
  BINOCLE_CHECK(args.q.dtype() == DType::kF32 || args.q.dtype() == DType::kBF16, "q is ",
                DTypeName(args.q.dtype()));
  for (const QueryRun& run : args.runs) {
    CheckVariant(run, args.q.dim(1) / d);
    BINOCLE_CHECK(run.first_key >= 0 && run.first_key <= run.keys, run.first_key, " of ", run.keys);
    BINOCLE_CHECK(run.segments == nullptr || run.segments->on_device != nullptr ||
                      static_cast<int64_t>(run.segments->classes.size()) >= run.keys,
                  "classes for fewer than ", run.keys, " keys");
    BINOCLE_CHECK(run.first_row + run.rows <= args.q.dim(0) &&
                      PagesFor(run.keys) <= static_cast<int64_t>(run.pages.size()),
                  "run of ", run.rows, " rows, ", run.keys, " keys");
    BINOCLE_CHECK(args.window == 0 || (args.window > 0 && args.mask == Mask::kCausal), args.window);
    BINOCLE_CHECK(args.mask == Mask::kNone || run.first_position + run.rows <= run.keys,
                  "causal rows past the keys");
  }
}

// Runs whose rows go through the pages that they share together, in one block, or a run alone, in as many as its rows ask for.
struct RunGroup {
  int64_t first_run = 0;
  int64_t runs = 1;
  int64_t pages = 0;
  int64_t blocks = 1;
};

bool MayShare(const QueryRun& run) { return IsPlain(run) && run.first_key == 0 && run.rows > 0; }

// Pages that all rows of both runs see whole and that are the same ones.
int64_t SharedPages(const QueryRun& a, const QueryRun& b, int64_t most) {
  const auto whole = [](const QueryRun& run) { return (run.first_position + 1) / kPageTokens; };
  most = std::min({most, whole(a), whole(b)});
  return std::mismatch(a.pages.begin(), a.pages.begin() + most, b.pages.begin()).first -
         a.pages.begin();
}

// How many runs from r on: as many as a block has room for, while what they share stays most of what the first two did.
RunGroup TogetherFrom(const AttentionArgs& args, int64_t group, int64_t most_rows, int64_t r) {
  const std::span<const QueryRun> runs = args.runs.subspan(static_cast<size_t>(r));
  RunGroup together{.first_run = r};
  if (args.mask != Mask::kCausal || args.window != 0 || !MayShare(runs[0])) return together;
  int64_t rows = runs[0].rows * group;
  int64_t least = 1;
  together.pages = std::numeric_limits<int64_t>::max();
  for (const QueryRun& run : runs.subspan(1)) {
    rows += run.rows * group;
    if (rows > most_rows || !MayShare(run)) break;
    const int64_t pages = SharedPages(runs[0], run, together.pages);
    if (pages < least) break;
    if (together.runs == 1) least = (pages + 1) / 2;
    together.pages = pages;
    ++together.runs;
  }
  return together;
}

// `group`: query heads per kv head.
std::vector<RunGroup> GroupsOf(const AttentionArgs& args, int64_t group, int64_t most_rows,
                               bool may_share) {
  const int64_t rows_per_block = std::max<int64_t>(1, most_rows / group);
  std::vector<RunGroup> groups;
  for (int64_t r = 0; r < std::ssize(args.runs);) {
    RunGroup next = may_share ? TogetherFrom(args, group, most_rows, r) : RunGroup{.first_run = r};
    if (next.runs == 1) {
      const int64_t rows = args.runs[static_cast<size_t>(r)].rows;
      next.blocks = (rows + rows_per_block - 1) / rows_per_block;
    }
    groups.push_back(next);
    r += next.runs;
  }
  return groups;
}

}  // namespace

void Attention(Exec& ex, const AttentionArgs& args, const TensorView& out, const TensorView& lse) {
  const OpScope clock(ex.op_clock(), OpKind::kAttention);
  Check(args, out, lse);
  if (args.kv.device == Device::kCuda) return AttentionOnDevice(ex, args, out, lse);
  const int64_t group =
      args.q.dim(1) / (args.kv.head_dim * args.kv.kv_heads);  // query heads per kv head
  const int64_t most_rows = BlockRows(args.kv.dtype, ex.cpu_level());
  const int64_t rows_per_block = std::max<int64_t>(1, most_rows / group);
  // Where heads alone occupy the threads; else runs side by side do.
  const std::vector<RunGroup> groups =
      GroupsOf(args, group, most_rows, args.kv.kv_heads >= ex.threads());
  int64_t blocks = 0;
  for (const RunGroup& runs : groups) blocks += runs.blocks;

  const auto compute_group = [&](int64_t kv_head, const RunGroup& runs, int64_t block,
                                 float* scratch) {
    const auto first = static_cast<size_t>(runs.first_run);
    const QueryRun& run = args.runs[first];
    const int64_t begin = block * rows_per_block;
    AttentionBlock b{.args = &args,
                     .run = &run,
                     .begin = begin,
                     .end = std::min(begin + rows_per_block, run.rows),
                     .level = ex.cpu_level(),
                     .kv_head = kv_head,
                     .first_head = 0,
                     .heads = 0,
                     .out = out,
                     .lse = lse,
                     .scratch = scratch};
    if (runs.runs > 1) {
      b.together = args.runs.subspan(first, static_cast<size_t>(runs.runs));
      b.shared_pages = runs.pages;
    }
    // A group wider than a block is computed a few heads at a time.
    for (int64_t g = 0; g < group; g += most_rows) {
      b.first_head = kv_head * group + g;
      b.heads = std::min(group - g, most_rows);
      AttentionBlockCpu(b);
    }
  };
  // A head's keys and values stay in cache while its blocks are computed. Under a causal mask the last rows see most keys: they go
  // first, so that threads end together.
  const auto compute = [&](int64_t task, float* scratch) {
    int64_t block = blocks - 1 - task % blocks;
    auto runs = groups.begin();
    for (; block >= runs->blocks; ++runs) block -= runs->blocks;
    compute_group(task / blocks, *runs, block, scratch);
  };
  ex.ParallelWithScratch(args.kv.kv_heads * blocks,
                         AttentionScratch(args.kv.head_dim, args.kv.dtype), compute);
}

int64_t AttentionThreadBytes(int64_t head_dim, DType kv_dtype) {
  return AttentionScratch(head_dim, kv_dtype) * 4;
}

void MergeAttention(Exec& ex, const TensorView& other, const TensorView& other_lse,
                    const TensorView& out, const TensorView& lse) {
  BINOCLE_CHECK(other.shape() == out.shape() && other_lse.shape() == lse.shape() &&
                    out.dim(0) == lse.dim(0) && out.dim(1) % lse.dim(1) == 0,
                out.shape().ToString(), " ", other.shape().ToString());
  const int64_t heads = lse.dim(1);
  const int64_t d = out.dim(1) / heads;
  ex.ParallelRanges(out.dim(0), 16, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t h = 0; h < heads; ++h) {
        const float a = lse.row(t)[h];
        const float b = other_lse.row(t)[h];
        const float max = std::max(a, b);
        if (max == -std::numeric_limits<float>::infinity()) continue;  // neither saw a key: O is 0
        const float sum = max + std::log(std::exp(a - max) + std::exp(b - max));
        const float of_a = std::exp(a - sum);
        const float of_b = std::exp(b - sum);
        float* o = out.row(t) + h * d;
        const float* p = other.row(t) + h * d;
        for (int64_t i = 0; i < d; ++i) o[i] = of_a * o[i] + of_b * p[i];
        lse.row(t)[h] = sum;
      }
    }
  });
}

}  // namespace binocle
