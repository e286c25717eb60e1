// grid: (T), block: 512. A block has a sequence and goes over its logits a few times, four of a thread's under way together: once for the maximum, four
// times for a threshold that a filter asks for (a radix search, a byte of the score at a time), once more for each sum in the order of ids. Logits are read
// from L2 after the first pass. One multiprocessor reads half a megabyte of them (128 000) in 5 µs a pass; what a pass computes of each, an exponential in
// double where weights are asked for, takes several times as long. So a row takes some 50 to 300 µs of one multiprocessor, beside a decode step of
// milliseconds, by count of instructions and not measured.
#include "llm/sampling_cuda.h"

#include "core/backend/cuda/device.h"
#include "core/backend/cuda/warp_scan-inl.h"

namespace binocle::cuda {
namespace {

constexpr int kSampleThreads = 512;
constexpr int kSampleWarps = kSampleThreads / kWarp;
constexpr int kDigits = 256;
constexpr int kTogether = 4;  // logits that a thread loads before it looks at them
constexpr double kWeightUnit = 1099511627776.0;  // 2^40
using Count = unsigned long long;                // what atomicAdd has

// An order of whole numbers that is the order of the floats: −0 is 0.
BINOCLE_DEVICE uint32_t OrderOf(float x) {
  const uint32_t bits = FloatToBits(x + 0.0F);
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}

// Of the tokens that are left those of at least this order; among equals of it those of at most this id.
struct Threshold {
  uint32_t order = 0;
  int last_id = 0x7FFFFFFF;
};

struct SampleScratch {
  Count bins[kDigits];
  Count of_warps[kSampleWarps];
  uint32_t orders[kSampleThreads];
  int ids[kSampleThreads];
  Count remaining;
  uint32_t digit;
  int chosen;
};

BINOCLE_DEVICE Count WarpSumOfCounts(Count value) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2)
    value += __shfl_xor_sync(kWholeWarp, value, offset);
  return value;
}

struct SampleRow {
  const float* logits;
  SampleParams params;
  const uint64_t* observed;
  const uint64_t* allowed;
  int usable;
  SampleScratch& s;

  BINOCLE_DEVICE int me() const { return static_cast<int>(threadIdx.x); }
  BINOCLE_DEVICE static bool Bit(const uint64_t* words, int id) {
    return (words[id / 64] >> (id % 64) & 1) != 0;
  }
  // In f32, like the CPU's.
  BINOCLE_DEVICE float Score(int id) const {
    if (allowed != nullptr && !Bit(allowed, id)) return -INFINITY;
    const float logit = logits[id];
    if (params.repetition_penalty == 1 || observed == nullptr || !Bit(observed, id)) return logit;
    return logit < 0 ? logit * params.repetition_penalty : logit / params.repetition_penalty;
  }
  BINOCLE_DEVICE Count Weight(float score, float best) const {
    if (score == -INFINITY) return 0;
    const double weight =
        exp((static_cast<double>(score) - static_cast<double>(best)) / params.temperature);
    return static_cast<Count>(weight * kWeightUnit);
  }
  BINOCLE_DEVICE bool Keeps(const Threshold& t, float score, int id) const {
    const uint32_t order = OrderOf(score);
    return score > -INFINITY && (order > t.order || (order == t.order && id <= t.last_id));
  }

  // look(id, score) of every usable id, by the whole warp at a time: ids from `usable` on come with −∞.
  template <typename Look>
  BINOCLE_DEVICE void ForEach(const Look& look) const {
    for (int base = me(); base - me() < usable; base += kTogether * kSampleThreads) {
      float scores[kTogether];
      BINOCLE_UNROLL
      for (int j = 0; j < kTogether; ++j) {
        const int id = base + j * kSampleThreads;
        scores[j] = id < usable ? Score(id) : -INFINITY;
      }
      BINOCLE_UNROLL
      for (int j = 0; j < kTogether; ++j) look(base + j * kSampleThreads, scores[j]);
    }
  }

  // The best score and the lowest id that has it; −1 where a logit is broken. In every thread.
  BINOCLE_DEVICE int Best(float& best) const {
    float most = -INFINITY;
    int id = kNothingPossible;
    bool broken = false;
    ForEach([&](int i, float score) {
      // Also of a token that is not allowed, whose score does not tell.
      broken = broken || (i < usable && !(logits[i] < INFINITY));
      if (score > most) {
        most = score;
        id = i;
      }
    });
    s.orders[me()] = OrderOf(most);
    s.ids[me()] = broken ? kBrokenLogits : id;
    __syncthreads();
    for (int stride = kSampleThreads / 2; stride > 0; stride /= 2) {
      if (me() < stride) {
        const int other = me() + stride;
        const bool any_broken = s.ids[me()] == kBrokenLogits || s.ids[other] == kBrokenLogits;
        const bool takes = s.orders[other] > s.orders[me()] ||
                           (s.orders[other] == s.orders[me()] && s.ids[other] < s.ids[me()]);
        if (takes) {
          s.orders[me()] = s.orders[other];
          s.ids[me()] = s.ids[other];
        }
        if (any_broken) s.ids[me()] = kBrokenLogits;
      }
      __syncthreads();
    }
    const int found = s.ids[0];
    best = found >= 0 ? Score(found) : -INFINITY;
    return found;
  }

  // Adds to the bins what lanes count, those of one bin together: most logits fall into a few.
  template <bool kWeights>
  BINOCLE_DEVICE void AddToBins(bool counts, uint32_t digit, Count weight) const {
    unsigned pending = __ballot_sync(kWholeWarp, counts ? 1 : 0);
    while (pending != 0) {
      const int leader = __ffs(static_cast<int>(pending)) - 1;
      const uint32_t of_leader = __shfl_sync(kWholeWarp, digit, leader);
      const bool mine = counts && digit == of_leader;
      const unsigned group = __ballot_sync(kWholeWarp, mine ? 1 : 0);
      Count sum = kWeights ? weight : static_cast<Count>(__popc(group));
      if (kWeights && __popc(group) > 1) sum = WarpSumOfCounts(mine ? weight : Count{0});
      if (me() % kWarp == leader) atomicAdd(&s.bins[digit], sum);
      pending &= ~group;
    }
  }

  // Σ over the threads before this one; `total` over all. The barrier in it is one for what callers wrote before, too.
  BINOCLE_DEVICE Count BlockScan(Count value, Count& total) const {
    const Count with_mine = WarpScan(value);
    if (me() % kWarp == kWarp - 1) s.of_warps[me() / kWarp] = with_mine;
    __syncthreads();
    Count before = with_mine - value;
    total = 0;
    for (int w = 0; w < kSampleWarps; ++w) {
      if (w < me() / kWarp) before += s.of_warps[w];
      total += s.of_warps[w];
    }
    return before;
  }

  // The greatest order for which the tokens of at least that order, of those that `t` keeps, weigh `amount` or more together; all orders are scanned from
  // the greatest. A token counts its weight, or one. Also how much of the amount is left to the tokens of exactly that order.
  template <bool kWeights>
  BINOCLE_DEVICE uint32_t FindOrder(const Threshold& t, Count amount, float best,
                                    Count& left) const {
    uint32_t prefix = 0;
    left = amount;
    for (int shift = 24; shift >= 0; shift -= 8) {
      if (me() < kDigits) s.bins[me()] = 0;
      __syncthreads();
      ForEach([&](int id, float score) {
        const uint32_t order = OrderOf(score);
        const bool counts =
            Keeps(t, score, id) && (shift == 24 || order >> (shift + 8) == prefix >> (shift + 8));
        const Count weight = kWeights && counts ? Weight(score, best) : Count{0};
        AddToBins<kWeights>(counts, order >> shift & 255U, weight);
      });
      __syncthreads();
      // From the greatest digit down: the first at which the sum reaches what is left, or digit 0.
      const int digit = kDigits - 1 - me();
      Count total = 0;
      const Count mine = digit >= 0 ? s.bins[digit] : Count{0};
      const Count before = BlockScan(mine, total);
      if (digit >= 0 && before < left && (before + mine >= left || digit == 0)) {
        s.digit = static_cast<uint32_t>(digit);
        s.remaining = left - before;
      }
      __syncthreads();
      prefix |= s.digit << shift;
      left = s.remaining;
    }
    __syncthreads();
    return prefix;
  }

  // Ids in kSampleThreads stretches; a warp goes over its 32 one after the other, a lane an id. `mine`: Σ `weigh` over this thread's stretch; returns that
  // over all stretches before it.
  template <typename Weigh>
  BINOCLE_DEVICE Count SumBefore(const Weigh& weigh, int stretch, Count& mine, Count& total) const {
    const int lane = me() % kWarp;
    for (int k = 0; k < kWarp; ++k) {
      const int of = me() / kWarp * kWarp + k;
      const int first = Smaller(of * stretch, usable), end = Smaller(first + stretch, usable);
      Count sum = 0;
      for (int id = first + lane; id < end; id += kWarp) sum += weigh(id, Score(id));
      sum = WarpSumOfCounts(sum);
      if (lane == k) mine = sum;
    }
    return BlockScan(mine, total);
  }
  BINOCLE_DEVICE int Stretch() const { return (usable + kSampleThreads - 1) / kSampleThreads; }

  // The id at which the running sum of `weigh`, in the order of ids, goes above `target`; with a fraction, that of the whole sum. It is in one stretch,
  // over which that stretch's warp goes once more.
  template <typename Weigh>
  BINOCLE_DEVICE int Pick(const Weigh& weigh, double fraction, Count target) const {
    const int stretch = Stretch(), lane = me() % kWarp;
    Count of_stretch = 0, total = 0;
    Count before = SumBefore(weigh, stretch, of_stretch, total);
    if (fraction >= 0)
      target = Smaller(static_cast<Count>(fraction * static_cast<double>(total)), total - 1);
    const bool mine = before <= target && target < before + of_stretch;
    const unsigned found = __ballot_sync(kWholeWarp, mine ? 1 : 0);
    if (found != 0) {
      const int owner = __ffs(static_cast<int>(found)) - 1;
      before = __shfl_sync(kWholeWarp, before, owner);
      const int first = (me() / kWarp * kWarp + owner) * stretch;
      const int end = Smaller(first + stretch, usable);
      for (int base = first; base < end; base += kWarp) {
        const int id = base + lane;
        const Count weight = id < end ? weigh(id, Score(id)) : Count{0};
        const Count until = before + WarpScan(weight);
        if (until - weight <= target && target < until) s.chosen = id;
        before = __shfl_sync(kWholeWarp, until, kWarp - 1);
      }
    }
    __syncthreads();
    const int chosen = s.chosen;
    __syncthreads();
    return chosen;
  }

  BINOCLE_DEVICE int Draw(float best) const {
    Threshold kept;
    Count left = 0;
    if (params.top_k > 0 && params.top_k < usable)
      kept.order = FindOrder<false>(kept, static_cast<Count>(params.top_k), best, left);
    if (params.top_p < 1) {
      const auto of_id = [&](int id, float score) {
        return Keeps(kept, score, id) ? Weight(score, best) : Count{0};
      };
      Count of_stretch = 0, total = 0;
      SumBefore(of_id, Stretch(), of_stretch, total);
      const Count amount =
          Larger(Count{1}, static_cast<Count>(ceil(params.top_p * static_cast<double>(total))));
      __syncthreads();
      const uint32_t order = FindOrder<true>(kept, amount, best, left);
      // Of equals of that order the first ids, as many as the rest of the amount asks for.
      const auto equal = [&](int id, float score) {
        return Keeps(kept, score, id) && OrderOf(score) == order ? Weight(score, best) : Count{0};
      };
      const int last = Pick(equal, -1, left - 1);
      kept = {order, last};
    }
    const auto least = static_cast<Count>(params.min_p * kWeightUnit);
    const auto final_weight = [&](int id, float score) {
      const Count w = Keeps(kept, score, id) ? Weight(score, best) : Count{0};
      return w >= least ? w : Count{0};
    };
    return Pick(final_weight, params.uniform, 0);
  }
};

__global__ void __launch_bounds__(kSampleThreads)
    SampleKernel(const BINOCLE_GRID_CONSTANT SampleWork work) {
  BINOCLE_SHARED(SampleScratch, scratch, [1]);
  const int row = static_cast<int>(blockIdx.x);
  const SampleRow sampler{work.logits + int64_t{row} * work.vocabulary,
                          work.params[row],
                          work.observed[row],
                          work.allowed[row],
                          work.usable,
                          scratch[0]};
  float best = 0;
  int id = sampler.Best(best);
  __syncthreads();
  if (id >= 0 && sampler.params.temperature > 0) id = sampler.Draw(best);
  if (threadIdx.x != 0) return;
  work.ids[row] = id;
}

}  // namespace

void Sample(const SampleWork& work, Stream stream) {
  if (work.rows == 0) return;
  BINOCLE_LAUNCH(SampleKernel, dim3(static_cast<unsigned>(work.rows)), dim3(kSampleThreads), 0,
                 stream)
  (work);
}

BINOCLE_COMMAND(kSample, Sample(work, c.stream));

}  // namespace binocle::cuda
