#include "llm/device_sinks.h"

#include <atomic>
#include <utility>

#include "attention/kv_pages.h"
#include "core/ops/device_rows.h"
#include "core/ops/elementwise.h"

namespace binocle {
namespace {

constexpr int64_t kCounts = 2;

uint64_t NewOrigin() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

}  // namespace

DeviceSinks::DeviceSinks(Exec& ex, int64_t layers, int64_t capacity)
    : origin_(NewOrigin()),
      classes_(DType::kU8, {layers, PagesFor(capacity) * kPageTokens}, "classes", ex.place()),
      list_(DType::kI32, {kCounts + classes_.dim(1)}, "sinks", ex.place()) {}

DeviceSinks DeviceSinks::Clone(Exec& ex) const {
  DeviceSinks clone(origin_, Tensor(DType::kU8, classes_.shape(), "classes", ex.place()),
                    Tensor(DType::kI32, list_.shape(), "sinks", ex.place()));
  CopyRows(ex, classes_, clone.classes_);
  return clone;
}

uint8_t* DeviceSinks::classes(int64_t layer) const {
  return static_cast<uint8_t*>(classes_.view().data()) + layer * classes_.dim(1);
}

cuda::SinkRange DeviceSinks::Range(const SinkTest& test, int64_t first_score, int64_t rows,
                                   int64_t first_position, bool visual) const {
  BINOCLE_CHECK(first_position + rows <= classes_.dim(1), first_position + rows, " of ",
                classes_.dim(1));
  return {.first_score = Int32(first_score),
          .rows = Int32(rows),
          .first_position = Int32(first_position),
          .end_of_sinks = Int32(test.end_of_sinks),
          .visual = visual,
          .released = test.released,
          .tau = test.tau,
          .classes = classes(0),
          .layer_bytes = classes_.dim(1)};
}

cuda::SinkListing DeviceSinks::Listing(int64_t keys) const {
  int32_t* list = list_.view().i32();
  return {.classes = classes(0),
          .layer_bytes = classes_.dim(1),
          .keys = Int32(keys),
          .sinks = list + kCounts,
          .counts = list};
}

void DeviceSinks::PutImage(Exec& ex, const SinkTest& test, const TensorView& scores, int64_t tokens,
                           int64_t first_position) const {
  std::vector<cuda::SinkRange> of_layers;
  for (int64_t l = 0; l < classes_.dim(0); ++l)
    of_layers.push_back(Range(test, l * tokens, tokens, first_position, true));
  ex.cuda().Run(cuda::kMarkSinks,
                {.scores = scores.empty() ? nullptr : DenseF32(scores),
                 .ranges = ex.cuda().Upload(std::span<const cuda::SinkRange>(of_layers)),
                 .count = Int32(std::ssize(of_layers)),
                 .most_rows = Int32(tokens),
                 .layer = -1});
}

DeviceSegments DeviceSinks::Segments(int64_t layer, bool needs_visual_sink) const {
  const int32_t* list = list_.view().i32();
  return {.classes = classes(layer),
          .sinks = list + kCounts,
          .sink_counts = list,
          .needs_visual_sink = needs_visual_sink,
          .origin = origin_};
}

std::vector<uint8_t> DeviceSinks::Read(Exec& ex, int64_t layer, int64_t count) const {
  std::vector<uint8_t> read(static_cast<size_t>(count));
  ex.cuda().Read(classes(layer), read.data(), count);
  return read;
}

}  // namespace binocle
