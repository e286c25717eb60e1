#include "core/op_clock.h"

namespace binocle {

std::string_view OpKindName(OpKind kind) {
  switch (kind) {
    case OpKind::kLinear: return "linear";
    case OpKind::kAttention: return "attention";
    case OpKind::kNorm: return "norm";
    case OpKind::kRope: return "rope";
    case OpKind::kActivation: return "activation";
    case OpKind::kKvWrite: return "kv_write";
  }
  return "?";
}

}  // namespace binocle
