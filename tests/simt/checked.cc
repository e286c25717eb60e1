// Linked into every program, compiled as its kernels are.
#include "simt/runtime.h"

namespace simt {
#ifdef SIMT_CHECKED
bool IsChecked() { return true; }
#else
bool IsChecked() { return false; }
#endif
}  // namespace simt
