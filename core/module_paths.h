// Where libraries lie that are loaded at run time: OpenCV's, sentencepiece's, CUDA's.
#pragma once

#include <array>
#include <filesystem>
#include <string_view>

namespace binocle {

// Where to look for the file, in this order: beside the library or program that this code is in; in the lib folder beside that folder, as programs of a build do.
std::array<std::filesystem::path, 2> ModulePaths(std::string_view file);

}  // namespace binocle
