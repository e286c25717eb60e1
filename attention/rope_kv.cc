#include "attention/rope_kv.h"

#include "attention/attention_device.h"

namespace binocle {

void RopeAndWriteKv(Exec& ex, const RopeTable& rope, const RopeKvRows& rows, const KvLayer& layer,
                    const TensorView& rotated) {
  if (layer.device == Device::kCuda) {
    const OpScope clock(ex.op_clock(), OpKind::kKvWrite);
    BINOCLE_CHECK(rotated.shape() == rows.q.shape() && rotated.dtype() == layer.dtype,
                  rotated.name(), " ", rotated.shape().ToString());
    return RopeAndWriteKvOnDevice(ex, rows, rope, layer, rotated);
  }
  BINOCLE_CHECK(rotated.data() == rows.q.data(), "queries are rotated in place");
  Rope(ex, rope, rows.positions, rows.q);
  Rope(ex, rope, rows.positions, rows.k);
  WriteKv(ex, rows.k, rows.v, rows.slots, layer);
}

}  // namespace binocle
