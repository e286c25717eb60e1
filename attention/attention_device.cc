#include "attention/attention_device.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "attention/attention_cuda.h"
#include "attention/attention_parts_cuda.h"
#include "attention/attention_plan.h"
#include "attention/attention_whole_cuda.h"
#include "attention/device_kv_cuda.h"
#include "attention/plan_keeper.h"
#include "attention/var.h"
#include "core/ops/device_rows.h"
#include "core/ops/rows_cuda.h"

namespace binocle {
namespace {

using Scratch = CudaBackend::Scratch;

cuda::AttentionShape ShapeOf(const KvLayer& kv, int64_t q_width, float scale) {
  const int64_t heads = q_width / kv.head_dim;
  return {.heads = Int32(heads),
          .kv_heads = Int32(kv.kv_heads),
          .group = Int32(heads / kv.kv_heads),
          .head_dim = Int32(kv.head_dim),
          .kv_row = cuda::DeviceKvRow(Int32(kv.head_dim)),
          .scale = scale};
}

// Host values by key, up to the end of the last page that has keys.
template <typename T>
const T* UploadByKey(CudaBackend& cuda, std::span<const T> values, int64_t keys) {
  const auto size = static_cast<size_t>(PagesFor(keys) * kPageTokens);
  if (values.size() >= size) return cuda.Upload(values.first(size));  // once for all layers
  std::vector<T> whole(size);
  std::copy_n(values.begin(), std::min(values.size(), whole.size()), whole.begin());
  return cuda.Upload(std::span<const T>(whole));
}

cuda::TilePolicy PolicyOf(CudaBackend& cuda, const QueryRun& run) {
  cuda::TilePolicy policy{cuda::ScoreKind::kPlain, 0, nullptr, nullptr, nullptr};
  if (const auto* gain = std::get_if<KeyGain>(&run.variant)) {
    policy.kind = cuda::ScoreKind::kKeyGain;
    policy.by_key = UploadByKey(cuda, gain->gain, run.keys);
    policy.head_factor = cuda.Upload(gain->head_factor);
  } else if (const auto* bias = std::get_if<KeyBias>(&run.variant)) {
    policy.kind = cuda::ScoreKind::kKeyBias;
    policy.by_key = UploadByKey(cuda, bias->bias, run.keys);
  } else if (const auto* cap = std::get_if<SoftCap>(&run.variant)) {
    policy.kind = cuda::ScoreKind::kSoftCap;
    policy.cap = cap->cap;
  }
  if (run.segments == nullptr) return policy;
  const DeviceSegments* there = run.segments->on_device;
  policy.classes =
      there != nullptr ? there->classes : UploadByKey(cuda, run.segments->classes, run.keys);
  return policy;
}

cuda::DeviceRule RuleOf(const SegmentPolicy& policy) {
  if (policy.rule == nullptr) return cuda::DeviceRule::kMeasure;
  if (policy.rule == &VarByContentShare) return cuda::DeviceRule::kContentShare;
  BINOCLE_CHECK(policy.rule == &VarBySinkShare, "a rule that the device does not know");
  return cuda::DeviceRule::kSinkShare;
}

// Beside bf16 pages queries are scaled first and then rounded, as the CPU does it: which of the two comes first shows where the scale is no power of two.
template <typename Element>
float ScaleOf(const AttentionArgs& args) {
  return sizeof(Element) == sizeof(float) ? args.scale : 1.0F;
}

// Queries as a kernel takes them: as they are, or scaled and rounded, in dense rows.
template <typename Element>
const Element* QueriesAs(CudaBackend& cuda, const TensorView& q, float scale) {
  if constexpr (sizeof(Element) == sizeof(float)) {
    return q.f32();
  } else if (q.dtype() == DType::kBF16) {
    BINOCLE_CHECK(scale == 1 && q.contiguous(), q.name(),
                  ": rounded queries are scaled and dense on a GPU");
    return static_cast<const Bf16*>(q.data());
  } else {
    auto* rounded = cuda.Get<Bf16>(Scratch::kQueries, q.elements());
    cuda.Run(cuda::kRoundRows,
             {q.f32(), q.stride(0), Int32(q.dim(0)), Int32(q.dim(1)), rounded, scale});
    return rounded;
  }
}

// One call: its plan, and where things are on the device.
template <typename Element>
class Call {
 public:
  Call(Exec& ex, const AttentionArgs& args, const TensorView& out, const TensorView& lse)
      : cuda_(ex.cuda()),
        args_(args),
        out_(DenseF32(out)),
        lse_(DenseF32(lse)),
        rows_(out.dim(0)),
        shape_(ShapeOf(args.kv, args.q.dim(1), ScaleOf<Element>(args))),
        kept_(cuda_.Kept<PlanKeeper>().PlanFor({.runs = args.runs,
                                                .heads = shape_.heads,
                                                .kv_heads = shape_.kv_heads,
                                                .mask = args.mask,
                                                .window = args.window})),
        plan_(kept_.plan) {
    Queries();
    Policies();
  }

  void Run() {
    const bool content = HasSegments();
    const int64_t width = int64_t{shape_.heads} * shape_.head_dim;
    cuda::AttentionOut direct{out_, lse_, nullptr, nullptr}, parts{};
    // Kernels store pairs and fours of floats.
    const int64_t part_floats = (plan_.part_rows * (width + shape_.heads) + 63) / 64 * 64;
    auto* memory = cuda_.Get<float>(Scratch::kParts, content ? 2 * part_floats : part_floats);
    parts.out = memory;
    parts.lse = memory + plan_.part_rows * width;
    if (content) {
      parts.content_out = memory + part_floats;
      parts.content_lse = parts.content_out + plan_.part_rows * width;
      direct.content_out = cuda_.Get<float>(Scratch::kContent, rows_ * (width + shape_.heads));
      direct.content_lse = direct.content_out + rows_ * width;
    }
    Attend(plan_.direct, direct);
    Attend(plan_.parts, parts);
    Merge(plan_.merges, parts.out, parts.lse, out_, lse_);
    if (!content) return;
    Merge(std::span(plan_.merges).subspan(static_cast<size_t>(plan_.content_merges_from)),
          parts.content_out, parts.content_lse, direct.content_out, direct.content_lse);
    Redistribute(direct);
  }

 private:
  bool HasSegments() const {
    return std::ranges::any_of(args_.runs,
                               [](const QueryRun& run) { return run.segments != nullptr; });
  }

  void Queries() {
    q_ = QueriesAs<Element>(cuda_, args_.q, args_.scale);
    q_stride_ = sizeof(Element) == sizeof(float) ? args_.q.stride(0) : args_.q.dim(1);
  }

  void Policies() {
    std::vector<cuda::TilePolicy>& policies = kept_.policies;
    policies.assign(1, {});
    for (const QueryRun& run : args_.runs)
      policies.push_back(IsPlain(run) ? cuda::TilePolicy{} : PolicyOf(cuda_, run));
    const bool varied = !std::ranges::all_of(args_.runs, IsPlain);
    policies_ = cuda_.Upload(
        std::span<const cuda::TilePolicy>(policies).first(varied ? policies.size() : 1));
  }

  void Attend(const TilePlan& plan, const cuda::AttentionOut& result) {
    if (plan.tiles.empty()) return;
    cuda::AttentionWork<Element> work{
        .shape = shape_,
        .q = q_,
        .q_stride = q_stride_,
        .kv = Pages(),
        .tiles = cuda_.Upload(std::span<const cuda::AttentionTile>(plan.tiles)),
        .rows = cuda_.Upload(std::span<const cuda::TileRow>(plan.rows)),
        .pages = cuda_.Upload(std::span<const int32_t>(plan.pages)),
        .policies = policies_,
        .tile_count = Int32(plan.plain_tiles),
        .varied = false,
        .result = result};
    if (IsWhole()) return AttendWhole(work);
    if (work.tile_count > 0) Launch(work);
    work.tiles += plan.plain_tiles;
    work.tile_count = Int32(std::ssize(plan.tiles) - plan.plain_tiles);
    work.varied = true;
    if (work.tile_count > 0) Launch(work);
  }

  // What a tower asks for: runs alike, each over all of its keys.
  bool IsWhole() const {
    if (sizeof(Element) == sizeof(float) || args_.runs.empty()) return false;
    const QueryRun& first = args_.runs.front();
    int64_t row = 0;
    const auto alike = [&](const QueryRun& run) {
      const bool next = run.first_row == std::exchange(row, row + run.rows);
      return next && run.rows == first.rows && run.keys == first.keys && run.first_key == 0 &&
             IsPlain(run);
    };
    return args_.mask == Mask::kNone && args_.window == 0 && first.rows >= cuda::kWholeRows &&
           cuda::HasTiles(shape_.head_dim, shape_.group) && std::ranges::all_of(args_.runs, alike);
  }

  void AttendWhole(const cuda::AttentionWork<Element>& tiles) {
    if constexpr (sizeof(Element) != sizeof(float)) {
      const std::span<const int32_t> pages = kept_.page_table();
      const int32_t rows = Int32(args_.runs.front().rows), keys = Int32(args_.runs.front().keys);
      const auto runs = args_.runs.size();
      const int64_t width = int64_t{shape_.heads} * shape_.head_dim;
      const int64_t lse_bytes = rows_ * shape_.heads * 4, out_bytes = rows_ * width * 2;
      auto* lse = static_cast<float*>(cuda_.Get(Scratch::kWhole, lse_bytes + 256 + out_bytes));
      // Both begin at multiples of 256.
      auto* out = reinterpret_cast<Bf16*>(lse + (lse_bytes + 255) / 256 * 64);
      cuda_.Run(cuda::kAttendWhole,
                {.tiles = tiles,
                 .runs = Int32(std::ssize(args_.runs)),
                 .rows = rows,
                 .keys = keys,
                 .pool_pages = *std::ranges::max_element(pages) + 1,
                 .pages = cuda_.Upload(pages),
                 .row_counts = cuda_.Upload(std::span<const int32_t>(std::vector(runs, rows))),
                 .key_counts = cuda_.Upload(std::span<const int32_t>(std::vector(runs, keys))),
                 .out = out,
                 .lse = lse});
    }
  }

  void Launch(const cuda::AttentionWork<Element>& work) {
    if constexpr (sizeof(Element) == sizeof(float)) {
      cuda_.Run(cuda::kAttendRowsF32, work);
    } else if (cuda::HasTiles(shape_.head_dim, shape_.group)) {
      cuda_.Run(cuda::kAttendTiles, work);
    } else {
      cuda_.Run(cuda::kAttendRowsBf16, work);
    }
  }

  void Merge(std::span<const cuda::RowParts> merges, const float* part_out, const float* part_lse,
             float* out, float* lse) {
    if (merges.empty()) return;
    cuda_.Run(cuda::kMergeParts, {.heads = shape_.heads,
                                  .head_dim = shape_.head_dim,
                                  .merges = cuda_.Upload(merges),
                                  .count = Int32(std::ssize(merges)),
                                  .part_out = part_out,
                                  .part_lse = part_lse,
                                  .out = out,
                                  .lse = lse});
  }

  // Masses of a policy are a tensor of its own, so each run with masses is a launch; all others are one.
  void Redistribute(const cuda::AttentionOut& result) {
    std::vector<cuda::SinkPolicy>& sinks = kept_.sink_policies;
    std::vector<cuda::SinkRow>& rows = kept_.sink_rows;
    std::vector<int32_t>& pages = kept_.sink_pages;
    std::vector<RowsWithMasses> with_masses;
    sinks.clear();
    rows.clear();
    pages.clear();
    for (size_t r = 0; r < args_.runs.size(); ++r) {
      const QueryRun& run = args_.runs[r];
      if (run.segments == nullptr) continue;
      const auto first_row = std::ssize(rows), first_page = std::ssize(pages);
      pages.insert(pages.end(), run.pages.begin(), run.pages.begin() + PagesFor(run.keys));
      for (int64_t i = 0; i < run.rows; ++i) {
        const KeyInterval seen = SeenBy(args_.mask, args_.window, run, i);
        const int32_t row = Int32(run.first_row + i);
        rows.push_back({row, row, Int32(seen.first), Int32(seen.end), Int32(first_page),
                        Int32(static_cast<int64_t>(r) + 1), Int32(std::ssize(sinks))});
      }
      sinks.push_back(SinksOf(run));
      with_masses.push_back({first_row, run.rows, run.segments->masses});
    }
    const cuda::SinkRow* device_rows = cuda_.Upload(std::span<const cuda::SinkRow>(rows));
    cuda::SinkWork<Element> work{
        .shape = shape_,
        .q = q_,
        .q_stride = q_stride_,
        .kv = Pages(),
        .rows = device_rows,
        .count = 0,
        .pages = cuda_.Upload(std::span<const int32_t>(pages)),
        .policies = policies_,
        .sink_policies = cuda_.Upload(std::span<const cuda::SinkPolicy>(sinks)),
        .result = result,
        .masses = nullptr,
        .gains = nullptr};
    for (size_t i = 0; i < with_masses.size();) {
      const RowsWithMasses& first = with_masses[i];
      size_t end = i + 1;
      int64_t count = first.rows;
      while (end < with_masses.size() && with_masses[end].masses.data() == first.masses.data())
        count += with_masses[end++].rows;
      work.rows = device_rows + first.first_row;
      work.count = Int32(count);
      work.masses = first.masses.empty() ? nullptr : DenseF32(first.masses);
      if constexpr (sizeof(Element) == sizeof(float)) {
        cuda_.Run(cuda::kRedistributeSinksF32, work);
      } else {
        cuda_.Run(cuda::kRedistributeSinksBf16, work);
      }
      i = end;
    }
  }

  struct RowsWithMasses {
    int64_t first_row;  // in the list
    int64_t rows;
    TensorView masses;
  };

  cuda::SinkPolicy SinksOf(const QueryRun& run) {
    const SegmentPolicy& policy = *run.segments;
    cuda::SinkPolicy out{.sinks = nullptr,
                         .sink_counts = nullptr,
                         .needs_visual_sink = false,
                         .rule = RuleOf(policy),
                         .params = policy.params};
    if (policy.on_device != nullptr) {
      out.sinks = policy.on_device->sinks;
      out.sink_counts = policy.on_device->sink_counts;
      out.needs_visual_sink = policy.on_device->needs_visual_sink;
      return out;
    }
    std::vector<int32_t> list(2);
    for (int64_t key = 0; key < run.keys; ++key) {
      const uint8_t c = policy.classes[static_cast<size_t>(key)];
      if ((c & kSinkKey) == 0) continue;
      list.push_back(Int32(key));
      ++list[0];
      list[1] += (c & kVisualKey) != 0 ? 1 : 0;
    }
    out.sink_counts = cuda_.Upload(std::span<const int32_t>(list));
    out.sinks = out.sink_counts + 2;
    return out;
  }

  cuda::DevicePages<Element> Pages() const {
    return {static_cast<const Element*>(args_.kv.keys),
            static_cast<const Element*>(args_.kv.values)};
  }

  CudaBackend& cuda_;
  const AttentionArgs& args_;
  float* out_;
  float* lse_;
  int64_t rows_;
  cuda::AttentionShape shape_;
  PlanKeeper::Kept& kept_;
  const AttentionPlan& plan_;
  const Element* q_ = nullptr;
  int64_t q_stride_ = 0;
  const cuda::TilePolicy* policies_ = nullptr;
};

template <typename Element>
void RunMaps(CudaBackend& cuda, const cuda::CudaCommand<cuda::MapWork<Element>>& command,
             const MapRow& row, int64_t rows, float* maps) {
  const AttentionArgs& args = row.args;
  const cuda::AttentionShape shape = ShapeOf(args.kv, args.q.dim(1), ScaleOf<Element>(args));
  const KeyInterval seen = SeenBy(args.mask, args.window, row.run, row.row);
  const int64_t at = row.run.first_row + row.row;
  const TensorView q = args.q.Rows(at, at + rows);
  cuda.Run(command, {.shape = shape,
                     .q = QueriesAs<Element>(cuda, q, args.scale),
                     .q_stride = sizeof(Element) == sizeof(float) ? q.stride(0) : q.dim(1),
                     .rows = Int32(rows),
                     .kv = {static_cast<const Element*>(args.kv.keys),
                            static_cast<const Element*>(args.kv.values)},
                     .pages = cuda.Upload(row.run.pages),
                     .first_key = Int32(seen.first),
                     .end_key = Int32(seen.end),
                     .policy = PolicyOf(cuda, row.run),
                     .lse = DenseF32(row.lse) + at * shape.heads,
                     .maps = maps});
}

cuda::WriteKvWork WriteOf(CudaBackend& cuda, const TensorView& k, const TensorView& v,
                          std::span<const int32_t> slots, const KvLayer& layer) {
  return {.shape = ShapeOf(layer, layer.kv_heads * layer.head_dim, 1),
          .k = k.f32(),
          .v = v.f32(),
          .k_stride = k.stride(0),
          .v_stride = v.stride(0),
          .slots = cuda.Upload(slots),
          .rows = Int32(k.dim(0)),
          .cos = nullptr,
          .sin = nullptr,
          .positions = nullptr};
}

template <typename Element>
cuda::RopeKvWork<Element> IntoPages(const cuda::WriteKvWork& work, const KvLayer& layer) {
  return {.kv = work,
          .keys = static_cast<Element*>(layer.keys),
          .values = static_cast<Element*>(layer.values)};
}

void RunWriteKv(CudaBackend& cuda, const cuda::WriteKvWork& work, const KvLayer& layer) {
  if (layer.dtype == DType::kF32)
    return cuda.Run(cuda::kRopeAndWriteKvF32, IntoPages<float>(work, layer));
  cuda.Run(cuda::kRopeAndWriteKvBf16, IntoPages<Bf16>(work, layer));
}

}  // namespace

void AttentionOnDevice(Exec& ex, const AttentionArgs& args, const TensorView& out,
                       const TensorView& lse) {
  if (args.runs.empty()) return;
  BINOCLE_CHECK(args.q.on_cuda() && out.data() != args.q.data(), args.q.name());
  if (args.kv.dtype == DType::kF32) return Call<float>(ex, args, out, lse).Run();
  Call<Bf16>(ex, args, out, lse).Run();
}

void WriteKvOnDevice(Exec& ex, const TensorView& k, const TensorView& v,
                     std::span<const int32_t> slots, const KvLayer& layer) {
  RunWriteKv(ex.cuda(), WriteOf(ex.cuda(), k, v, slots, layer), layer);
}

void RopeAndWriteKvOnDevice(Exec& ex, const RopeKvRows& rows, const RopeTable& rope,
                            const KvLayer& layer, const TensorView& rotated) {
  CudaBackend& cuda = ex.cuda();
  cuda::WriteKvWork kv = WriteOf(cuda, rows.k, rows.v, rows.slots, layer);
  kv.shape = ShapeOf(layer, rows.q.dim(1), 1);
  kv.cos = rope.cos.f32();
  kv.sin = rope.sin.f32();
  kv.positions = cuda.Upload(rows.positions);
  const auto with_queries = [&](auto work) {
    work.q = rows.q.f32();
    work.q_stride = rows.q.stride(0);
    work.rotated = static_cast<decltype(work.rotated)>(rotated.data());
    work.rotated_stride = rotated.stride(0);
    return work;
  };
  if (layer.dtype == DType::kF32)
    return cuda.Run(cuda::kRopeAndWriteKvF32, with_queries(IntoPages<float>(kv, layer)));
  cuda::RopeKvWork<Bf16> work = with_queries(IntoPages<Bf16>(kv, layer));
  work.scale = rows.scale;
  cuda.Run(cuda::kRopeAndWriteKvBf16, work);
}

void PlaceKvOnDevice(Exec& ex, const KeptRows& rows, const KvLayer& layer) {
  cuda::WriteKvWork work = WriteOf(ex.cuda(), rows.k, rows.v, rows.slots, layer);
  work.cos = rows.rope.cos.f32();
  work.sin = rows.rope.sin.f32();
  work.positions = ex.cuda().Upload(rows.positions);
  RunWriteKv(ex.cuda(), work, layer);
}

void AttentionWeightsOnDevice(const MapRow& row, int64_t rows, const TensorView& weights) {
  CudaBackend& cuda = row.ex.cuda();
  const KeyInterval seen = SeenBy(row.args.mask, row.args.window, row.run, row.row);
  const int64_t heads = weights.dim(0);
  auto* maps = cuda.Get<float>(Scratch::kNumbers, heads * seen.end);
  if (row.args.kv.dtype == DType::kF32) {
    RunMaps(cuda, cuda::kMapsOfHeadsF32, row, rows, maps);
  } else {
    RunMaps(cuda, cuda::kMapsOfHeadsBf16, row, rows, maps);
  }
  std::vector<float> read(static_cast<size_t>(heads * seen.end));
  cuda.Read(maps, read.data(), std::ssize(read) * 4);
  for (int64_t h = 0; h < heads; ++h) {
    std::copy_n(read.begin() + h * seen.end, seen.end, weights.row(h));
    std::fill(weights.row(h) + seen.end, weights.row(h) + weights.dim(1), 0.0F);
  }
}

}  // namespace binocle
