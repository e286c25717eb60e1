// MergeParts, RedistributeSinks: grid (rows, ⌈H / 4⌉), block (32, 4): a warp has a row and a head, a lane d/32 dimensions. Bound by reading the parts
// once; by the sinks' keys and values.
// MapsOfHeads: grid (⌈keys / 4⌉, H), block (32, 4): a warp has a key, in registers, and goes over the rows. Bound by reading the keys for one row, by the
// rows' products and shuffles for many.
#include "attention/attention_parts_cuda.h"
#include "attention/attention_scores_cuda-inl.h"
#include "attention/var.h"

namespace binocle::cuda {
namespace {

constexpr int kHeadsOfBlock = 4;
constexpr int kKeysOfBlock = 4;
constexpr int kMostLaneDims = 256 / kWarp;

BINOCLE_DEVICE int HeadOfWarp() {
  return static_cast<int>(blockIdx.y * kHeadsOfBlock + threadIdx.y);
}
dim3 HeadGrid(int rows, int heads) {
  return {static_cast<unsigned>(rows),
          static_cast<unsigned>((heads + kHeadsOfBlock - 1) / kHeadsOfBlock)};
}

__global__ void __launch_bounds__(kWarp* kHeadsOfBlock) MergePartsKernel(MergeWork work) {
  const int head = HeadOfWarp();
  if (head >= work.heads) return;
  const RowParts row = work.merges[blockIdx.x];
  if (row.parts == 0) return;  // fills a list up
  const float* lse = work.part_lse + int64_t{row.first_part} * work.heads + head;
  float most = kSeesNothing;
  bool seen = false;  // something; NaN is not nothing
  for (int p = 0; p < row.parts; ++p) {
    const float of_part = lse[int64_t{p} * work.heads];
    seen = seen || of_part != kSeesNothing;
    most = fmaxf(most, of_part);
  }
  float sum = 0;
  for (int p = 0; p < row.parts && seen; ++p) sum += expf(lse[int64_t{p} * work.heads] - most);
  const int64_t at = int64_t{row.out_row} * work.heads + head;
  if (threadIdx.x == 0) work.lse[at] = seen ? most + logf(sum) : kSeesNothing;
  for (int i = static_cast<int>(threadIdx.x); i < work.head_dim; i += kWarp) {
    float o = 0;
    for (int p = 0; p < row.parts && seen; ++p) {
      const int64_t part = (int64_t{row.first_part} + p) * work.heads + head;
      o += expf(work.part_lse[part] - most) * work.part_out[part * work.head_dim + i];
    }
    // By the sum itself and not its logarithm, which has too few digits where scores are large: so weights sum to 1.
    work.out[at * work.head_dim + i] = seen ? o / sum : 0.0F;
  }
}

// As attention/var.cc.
BINOCLE_DEVICE SegmentGains GainsOf(DeviceRule rule, const VarParams& v, const SegmentMasses& m) {
  const float visual = m.content + m.visual_sink;
  const float sink = m.visual_sink + m.text_sink;
  const bool centric = rule == DeviceRule::kContentShare
                           ? m.content >= v.rho * visual
                           : m.visual_sink <= v.rho * (visual + 1e-6F * v.visual_keys);
  SegmentGains gains;
  if (rule == DeviceRule::kMeasure || visual < v.mass || !centric || !(m.content > kLeastContent))
    return gains;
  gains.content = 1 + v.p * sink / m.content;
  gains.sink = 1 - v.p;
  return gains;
}

template <typename Element>
__global__ void __launch_bounds__(kWarp* kHeadsOfBlock)
    RedistributeSinksKernel(const BINOCLE_GRID_CONSTANT SinkWork<Element> work) {
  const int head = HeadOfWarp();
  if (head >= work.shape.heads) return;
  const int lane = static_cast<int>(threadIdx.x);
  const int d = work.shape.head_dim;
  const int kv_head = head / work.shape.group;
  const SinkRow& row = work.rows[blockIdx.x];
  const SinkPolicy& sinks = work.sink_policies[row.sink_policy];
  const TilePolicy& policy = work.policies[row.policy];
  const Element* q = work.q + row.q_row * work.q_stride + int64_t{head} * d;
  const int64_t at = int64_t{row.out_row} * work.shape.heads + head;
  const float lse = work.result.lse[at];
  SegmentMasses m;
  m.content = lse == kSeesNothing ? 0.0F : expf(work.result.content_lse[at] - lse);
  float of_sinks[kMostLaneDims] = {};
  const int count = sinks.sink_counts[0];
  for (int s = 0; s < count; ++s) {
    const int key = sinks.sinks[s];
    if (key < row.first_key || key >= row.end_key) continue;
    const int page = work.pages[row.first_page + key / 64];
    const Element* k = InPage(work.kv.keys, work.shape, page, kv_head, key % 64);
    const Element* v = InPage(work.kv.values, work.shape, page, kv_head, key % 64);
    float score = 0;
    for (int i = lane; i < d; i += kWarp) score += Load(q + i) * Load(k + i);
    score = VaryScore(policy, WarpSum(score) * work.shape.scale, key, head);
    const float weight = expf(score - lse);
    const bool visual = (policy.classes[key] & kVisualKey) != 0;
    m.visual_sink += visual ? weight : 0.0F;
    m.text_sink += visual ? 0.0F : weight;
    BINOCLE_UNROLL
    for (int i = 0; i < kMostLaneDims; ++i) {
      if (lane + i * kWarp < d) of_sinks[i] += weight * Load(v + lane + i * kWarp);
    }
  }
  const bool left_alone = sinks.needs_visual_sink && sinks.sink_counts[1] == 0;
  const SegmentGains gains =
      GainsOf(left_alone ? DeviceRule::kMeasure : sinks.rule, sinks.params, m);
  if (lane == 0 && work.masses != nullptr) {
    work.masses[at * 3] = m.content;
    work.masses[at * 3 + 1] = m.visual_sink;
    work.masses[at * 3 + 2] = m.text_sink;
  }
  if (lane == 0 && work.gains != nullptr) {
    work.gains[at * 2] = gains.content;
    work.gains[at * 2 + 1] = gains.sink;
  }
  if (gains.content == 1 && gains.sink == 1) return;
  BINOCLE_UNROLL
  for (int i = 0; i < kMostLaneDims; ++i) {
    if (lane + i * kWarp >= d) continue;
    const int64_t element = at * d + lane + i * kWarp;
    work.result.out[element] += (gains.content - 1) * m.content * work.result.content_out[element] +
                                (gains.sink - 1) * of_sinks[i];
  }
}

template <typename Element>
__global__ void __launch_bounds__(kWarp* kKeysOfBlock)
    MapsOfHeadsKernel(const BINOCLE_GRID_CONSTANT MapWork<Element> work) {
  const int key = static_cast<int>(blockIdx.x * kKeysOfBlock + threadIdx.y);
  const int head = static_cast<int>(blockIdx.y), lane = static_cast<int>(threadIdx.x);
  if (key >= work.end_key) return;
  const int d = work.shape.head_dim;
  float sum = 0;
  if (key >= work.first_key) {
    const Element* from =
        InPage(work.kv.keys, work.shape, work.pages[key / 64], head / work.shape.group, key % 64);
    float k[kMostLaneDims];
    BINOCLE_UNROLL
    for (int i = 0; i < kMostLaneDims; ++i)
      k[i] = lane + i * kWarp < d ? Load(from + lane + i * kWarp) : 0.0F;
    for (int row = 0; row < work.rows; ++row) {
      const Element* q = work.q + row * work.q_stride + int64_t{head} * d;
      float score = 0;
      BINOCLE_UNROLL
      for (int i = 0; i < kMostLaneDims; ++i)
        if (lane + i * kWarp < d) score += Load(q + lane + i * kWarp) * k[i];
      score = VaryScore(work.policy, WarpSum(score) * work.shape.scale, key, head);
      sum += expf(score - work.lse[int64_t{row} * work.shape.heads + head]);
    }
  }
  if (lane == 0) work.maps[int64_t{head} * work.end_key + key] = sum;
}

template <typename Element>
void LaunchSinks(const SinkWork<Element>& work, Stream stream) {
  CheckShape(work.shape, kMostLaneDims * kWarp);
  if (work.count == 0) return;
  BINOCLE_LAUNCH(RedistributeSinksKernel<Element>, HeadGrid(work.count, work.shape.heads),
                 dim3(kWarp, kHeadsOfBlock), 0, stream)
  (work);
}

template <typename Element>
void LaunchMaps(const MapWork<Element>& work, Stream stream) {
  CheckShape(work.shape, kMostLaneDims * kWarp);
  if (work.end_key == 0) return;
  const dim3 grid(static_cast<unsigned>((work.end_key + kKeysOfBlock - 1) / kKeysOfBlock),
                  static_cast<unsigned>(work.shape.heads));
  BINOCLE_LAUNCH(MapsOfHeadsKernel<Element>, grid, dim3(kWarp, kKeysOfBlock), 0, stream)(work);
}

}  // namespace

void MergeParts(const MergeWork& work, Stream stream) {
  if (work.count == 0) return;
  BINOCLE_LAUNCH(MergePartsKernel, HeadGrid(work.count, work.heads), dim3(kWarp, kHeadsOfBlock), 0,
                 stream)
  (work);
}

void RedistributeSinks(const SinkWork<float>& work, Stream stream) { LaunchSinks(work, stream); }
void RedistributeSinks(const SinkWork<Bf16>& work, Stream stream) { LaunchSinks(work, stream); }
void MapsOfHeads(const MapWork<float>& work, Stream stream) { LaunchMaps(work, stream); }
void MapsOfHeads(const MapWork<Bf16>& work, Stream stream) { LaunchMaps(work, stream); }

BINOCLE_COMMAND(kMergeParts, MergeParts(work, c.stream));
BINOCLE_COMMAND(kRedistributeSinksF32, RedistributeSinks(work, c.stream));
BINOCLE_COMMAND(kRedistributeSinksBf16, RedistributeSinks(work, c.stream));
BINOCLE_COMMAND(kMapsOfHeadsF32, MapsOfHeads(work, c.stream));
BINOCLE_COMMAND(kMapsOfHeadsBf16, MapsOfHeads(work, c.stream));

}  // namespace binocle::cuda
