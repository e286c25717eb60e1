#include "core/ops/ranks.h"

#include "core/backend/cuda/ranks_cuda.h"
#include "core/backend/cuda_backend.h"
#include "core/ops/elementwise.h"
#include "core/parallel/communicator.h"

namespace binocle {
namespace {

std::span<float> DenseFloats(const TensorView& rows) {
  BINOCLE_CHECK(rows.contiguous(), rows.name(), " ", rows.shape().ToString());
  return {rows.f32(), static_cast<size_t>(rows.elements())};
}

}  // namespace

void LinearAddOverRanks(Exec& ex, const TensorView& x, const LinearWeights& w,
                        const TensorView& partial, const TensorView& y) {
  if (ex.communicator() == nullptr) return LinearAdd(ex, x, w, y);
  if (x.dim(0) == 0) return;
  Linear(ex, x, w, partial);
  const std::span<float> values = DenseFloats(partial);
  if (partial.on_cuda()) {
    ex.cuda().Run(cuda::kSumOverRanks,
                  {.values = values.data(), .count = static_cast<int64_t>(values.size())});
  } else {
    ex.communicator()->Sum(values);
  }
  AddRows(ex, y, partial);
}

void TakeFromRankZero(Exec& ex, const TensorView& rows) {
  if (ex.communicator() == nullptr || rows.dim(0) == 0) return;
  const std::span<float> values = DenseFloats(rows);
  if (!rows.on_cuda()) return ex.communicator()->Broadcast(std::as_writable_bytes(values));
  ex.cuda().Run(cuda::kTakeFromRankZero,
                {.values = values.data(), .count = static_cast<int64_t>(values.size())});
}

}  // namespace binocle
