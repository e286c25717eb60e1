#include "cli/device_note.h"

#include <iostream>

namespace binocle::cli {

void TellDeviceNote(const std::string& note, const std::string& device) {
  if (!note.empty()) std::cerr << "binocle: --device " + device + ": " + note + '\n';
}

}  // namespace binocle::cli
