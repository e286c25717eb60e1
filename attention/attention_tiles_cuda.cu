#include "attention/attention_scores_cuda-inl.h"
#include "attention/attention_tiles_cuda-inl.h"
#include "core/backend/cuda/check.h"

namespace binocle::cuda {

void AttendTilesVaried(const AttentionWork<Bf16>& work, Stream stream);

void AttendTiles(const AttentionWork<Bf16>& work, Stream stream) {
  const AttentionShape& shape = work.shape;
  CheckShape(shape, 128);
  if (!HasTiles(shape.head_dim, shape.group) || work.q_stride % 8 != 0)
    Throw(Code::kInternal, "attention tiles: ", shape.head_dim, " dimensions, ", shape.group,
          " query heads of a key, q's rows ", work.q_stride,
          " apart, expected multiples of 8 and at most ", kTileRows, " heads");
  CheckAligned(work.q, 16, "q");
  CheckAligned(work.kv.keys, 16, "keys");
  CheckAligned(work.kv.values, 16, "values");
  CheckAligned(work.result.out, 8, "out");
  CheckAligned(work.result.content_out, 8, "content");
  if (work.tile_count == 0) return;
  if (work.varied) return AttendTilesVaried(work, stream);
  LaunchTilesOfWidth<false>(work, stream);
}

BINOCLE_COMMAND(kAttendTiles, AttendTiles(work, c.stream));

}  // namespace binocle::cuda
