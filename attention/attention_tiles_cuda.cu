#include "attention/attention_tiles_cuda-inl.h"
#include "core/error.h"

namespace binocle::cuda {

void AttendTilesVaried(const AttentionWork<Bf16>& work, Stream stream);

void AttendTiles(const AttentionWork<Bf16>& work, Stream stream) {
  const AttentionShape& shape = work.shape;
  BINOCLE_CHECK(HasTiles(shape.head_dim, shape.group) &&
                    shape.kv_row == DeviceKvRow(shape.head_dim) &&
                    shape.group * shape.kv_heads == shape.heads && work.q_stride % 8 == 0,
                shape.heads, " heads, ", shape.kv_heads, " kv heads of ", shape.head_dim,
                ", a row of ", shape.kv_row, ", q's rows ", work.q_stride, " apart");
  if (work.tile_count == 0) return;
  if (work.varied) return AttendTilesVaried(work, stream);
  LaunchTilesOfWidth<false>(work, stream);
}

BINOCLE_COMMAND(kAttendTiles, AttendTiles(work, c.stream));

}  // namespace binocle::cuda
