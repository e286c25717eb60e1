// Where a model runs that was to run on a GPU.
#pragma once

#include <string>

namespace binocle::cli {

// One line on stderr where `note` (ModelInfo::device_note) says why `--device device` is the CPU; nothing where it is empty.
void TellDeviceNote(const std::string& note, const std::string& device);

}  // namespace binocle::cli
