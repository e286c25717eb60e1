// Linked into a program, it makes the emulator the program's GPU.
#include "core/backend/devices.h"
#include "simt_module.h"

namespace binocle {
namespace {

const bool emulator_is_used = [] {
  UseCudaModule(SimtModule());
  return true;
}();

}  // namespace
}  // namespace binocle
