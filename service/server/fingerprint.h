// What tells one set of weights from another in `system_fingerprint`.
#pragma once

#include <string>

namespace binocle {

// Of a model directory, or of a GGUF file: names, sizes, and the first and last 64 KiB of its files of weights, and what calibration left beside them.
// A retrained model of the same shape has another.
std::string WeightsFingerprint(const std::string& path);

}  // namespace binocle
