#include "attention/attention_tiles_cuda-inl.h"

namespace binocle::cuda {

void AttendTilesVaried(const AttentionWork<Bf16>& work, Stream stream);

void AttendTiles(const AttentionWork<Bf16>& work, Stream stream) {
  if (work.tile_count == 0) return;
  if (work.varied) return AttendTilesVaried(work, stream);
  LaunchTilesOfWidth<false>(work, stream);
}

}  // namespace binocle::cuda
