// grid: (T), block: 256. A block has a sequence and goes over its logits a few times: once for the maximum, four times for a threshold that a filter asks
// for (a radix search, a byte of the score at a time), twice to draw. Logits are read from L2 after the first pass. Not bound by anything that matters
// beside a decode step: 128 000 logits are half a megabyte.
#include "llm/sampling_cuda.h"

#include "core/backend/cuda/device.h"

namespace binocle::cuda {
namespace {

constexpr int kSampleThreads = 256;
constexpr int kDigits = 256;
constexpr int kBlocksOfSample =
    2;  // a multiprocessor: registers for what would be spilled otherwise
constexpr double kWeightUnit = 1099511627776.0;  // 2^40
using Count = unsigned long long;                // what atomicAdd has

// An order of whole numbers that is the order of the floats.
BINOCLE_DEVICE uint32_t OrderOf(float x) {
  const uint32_t bits = FloatToBits(x);
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}

// Of the tokens that are left those of at least this order; among equals of it those of at most this id.
struct Threshold {
  uint32_t order = 0;
  int last_id = 0x7FFFFFFF;
};

struct SampleScratch {
  Count bins[kDigits];
  Count sums[kSampleThreads];
  uint32_t orders[kSampleThreads];
  int ids[kSampleThreads];
  Count remaining;
  uint32_t digit;
  int chosen;
};

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

  // The best score and the lowest id that has it; −1 where a logit is broken. In every thread.
  BINOCLE_DEVICE int Best(float& best) const {
    float most = -INFINITY;
    int id = kNothingPossible;
    bool broken = false;
    for (int i = me(); i < usable; i += kSampleThreads) {
      const float logit = logits[i];
      broken = broken || !(logit < INFINITY);
      const float score = Score(i);
      if (score > most) {
        most = score;
        id = i;
      }
    }
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

  // The greatest order for which the tokens of at least that order, of those that `t` keeps, weigh `amount` or more together; all orders are scanned from
  // the greatest. `weigh` is what a token counts. Also how much of the amount is left to the tokens of exactly that order.
  template <typename Weigh>
  BINOCLE_DEVICE uint32_t FindOrder(const Threshold& t, Count amount, const Weigh& weigh,
                                    Count& left) const {
    uint32_t prefix = 0;
    if (me() == 0) s.remaining = amount;
    for (int shift = 24; shift >= 0; shift -= 8) {
      s.bins[me()] = 0;
      __syncthreads();
      for (int i = me(); i < usable; i += kSampleThreads) {
        const float score = Score(i);
        if (!Keeps(t, score, i)) continue;
        const uint32_t order = OrderOf(score);
        const bool in_prefix = shift == 24 || order >> (shift + 8) == prefix >> (shift + 8);
        if (in_prefix) atomicAdd(&s.bins[order >> shift & 255U], static_cast<Count>(weigh(score)));
      }
      __syncthreads();
      if (me() == 0) {
        Count rest = s.remaining;
        int digit = kDigits - 1;
        for (; digit > 0 && s.bins[digit] < rest; --digit) rest -= s.bins[digit];
        s.remaining = rest;
        s.digit = static_cast<uint32_t>(digit);
      }
      __syncthreads();
      prefix |= s.digit << shift;
    }
    left = s.remaining;
    __syncthreads();
    return prefix;
  }

  // Σ of `weigh` over ids of this thread's stretch; then, in s.sums, over all stretches before it. Returns the total.
  template <typename Weigh>
  BINOCLE_DEVICE Count SumBefore(const Weigh& weigh, int first, int end) const {
    Count sum = 0;
    for (int i = first; i < end; ++i) sum += weigh(i);
    s.sums[me()] = sum;
    __syncthreads();
    if (me() == 0) {
      Count before = 0;
      for (int w = 0; w < kSampleThreads; ++w) {
        const Count of_thread = s.sums[w];
        s.sums[w] = before;
        before += of_thread;
      }
      s.remaining = before;
    }
    __syncthreads();
    return s.remaining;
  }

  // The id at which the running sum of `weigh`, in the order of ids, goes above `target`.
  template <typename Weigh>
  BINOCLE_DEVICE int Pick(const Weigh& weigh, double fraction, Count target) const {
    const int stretch = (usable + kSampleThreads - 1) / kSampleThreads;
    const int first = Smaller(me() * stretch, usable), end = Smaller(first + stretch, usable);
    const Count total = SumBefore(weigh, first, end);
    if (fraction >= 0)
      target = Smaller(static_cast<Count>(fraction * static_cast<double>(total)), total - 1);
    Count sum = s.sums[me()];
    for (int i = first; i < end; ++i) {
      const Count weight = weigh(i);
      if (sum <= target && target < sum + weight) s.chosen = i;
      sum += weight;
    }
    __syncthreads();
    const int chosen = s.chosen;
    __syncthreads();
    return chosen;
  }

  BINOCLE_DEVICE int Draw(float best) const {
    Threshold kept;
    const auto one = [](float) { return Count{1}; };
    const auto weight = [&](float score) { return Weight(score, best); };
    Count left = 0;
    if (params.top_k > 0 && params.top_k < usable)
      kept.order = FindOrder(kept, static_cast<Count>(params.top_k), one, left);
    if (params.top_p < 1) {
      const auto of_id = [&](int id) {
        const float score = Score(id);
        return Keeps(kept, score, id) ? Weight(score, best) : Count{0};
      };
      const int stretch = (usable + kSampleThreads - 1) / kSampleThreads;
      const int first = Smaller(me() * stretch, usable);
      const Count total = SumBefore(of_id, first, Smaller(first + stretch, usable));
      const Count amount =
          Larger(Count{1}, static_cast<Count>(ceil(params.top_p * static_cast<double>(total))));
      __syncthreads();
      const uint32_t order = FindOrder(kept, amount, weight, left);
      // Of equals of that order the first ids, as many as the rest of the amount asks for.
      const auto equal = [&](int id) {
        const float score = Score(id);
        return Keeps(kept, score, id) && OrderOf(score) == order ? Weight(score, best) : Count{0};
      };
      const int last = Pick(equal, -1, left - 1);
      kept = {order, last};
    }
    const auto least = static_cast<Count>(params.min_p * kWeightUnit);
    const auto final_weight = [&](int id) {
      const float score = Score(id);
      const Count w = Keeps(kept, score, id) ? Weight(score, best) : Count{0};
      return w >= least ? w : Count{0};
    };
    return Pick(final_weight, params.uniform, 0);
  }
};

__global__ void __launch_bounds__(kSampleThreads, kBlocksOfSample)
    SampleKernel(const BINOCLE_GRID_CONSTANT SampleWork work) {
  BINOCLE_SHARED(SampleScratch, scratch, [1]);
  const int row = static_cast<int>(blockIdx.x);
  uint64_t* observed = work.observed[row];
  const SampleRow sampler{work.logits + int64_t{row} * work.vocabulary,
                          work.params[row],
                          observed,
                          work.allowed[row],
                          work.usable,
                          scratch[0]};
  float best = 0;
  int id = sampler.Best(best);
  __syncthreads();
  if (id >= 0 && sampler.params.temperature > 0) id = sampler.Draw(best);
  if (threadIdx.x != 0) return;
  work.ids[row] = id;
  if (id >= 0 && observed != nullptr) observed[id / 64] |= uint64_t{1} << (id % 64);
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
