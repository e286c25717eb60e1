// Instances of their own file, so that two compilers work at a time.
#include "attention/attention_tiles_cuda-inl.h"

namespace binocle::cuda {

void AttendTilesVaried(const AttentionWork<Bf16>& work, Stream stream) {
  LaunchTilesOfWidth<true>(work, stream);
}

}  // namespace binocle::cuda
