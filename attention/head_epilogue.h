// What happens to a head's output after attention and before the output projection.
//
//   GateHeads     z_th ← f_th · z_th
//   MixOwnValue   z_th ← z_th + f_th · v_t,kv(h)      the row's own value, as if it looked at itself more
//
//   z [T, H·d] f32 in place    v [T, K·d] f32, H a multiple of K    f [T, H] f32    rows may be strided
// A factor of 1 (GateHeads) or 0 (MixOwnValue) leaves the head bit for bit. Reference: tests/attention/head_epilogue_test.cc.
#pragma once

#include "core/exec.h"
#include "core/tensor.h"

namespace binocle {

void GateHeads(Exec& ex, const TensorView& factor, const TensorView& z);
void MixOwnValue(Exec& ex, const TensorView& factor, const TensorView& v, const TensorView& z);

}  // namespace binocle
