// The pictures of a row, as a task says where they are.
#pragma once

#include <filesystem>
#include <vector>

#include "eval/samples.h"

namespace binocle::eval {

// Throws NOT_FOUND for a path where nothing is, INVALID_ARGUMENT for paths that lead out of `folder`, what is no base64, and rows without a
// picture unless those are allowed.
std::vector<SampleImage> ReadSampleImages(const Json& row, const Images& images,
                                          const std::filesystem::path& folder);

}  // namespace binocle::eval
