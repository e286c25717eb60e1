#include "service/server/fingerprint.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>
#include <vector>

#include "service/common/sha256.h"
#include "service/common/text.h"

namespace binocle {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kEndBytes = 64 << 10;

bool Counts(const fs::path& file) {
  constexpr std::array<std::string_view, 3> kNames = {"config.json", "sink_dims.json",
                                                      "head_sensitivity.json"};
  const std::string name = file.filename().string();
  return file.extension() == ".safetensors" || file.extension() == ".gguf" ||
         std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

std::string BytesAt(std::ifstream& file, int64_t from, int64_t count) {
  std::string bytes(static_cast<size_t>(count), '\0');
  file.seekg(from);
  file.read(bytes.data(), count);
  bytes.resize(static_cast<size_t>(file.gcount()));
  file.clear();
  return bytes;
}

std::string OfFile(const fs::path& path) {
  std::error_code ignored;
  const auto size = static_cast<int64_t>(fs::file_size(path, ignored));
  std::ifstream file(path, std::ios::binary);
  const std::string first = BytesAt(file, 0, kEndBytes);
  const std::string last = BytesAt(file, std::max<int64_t>(0, size - kEndBytes), kEndBytes);
  return Text(path.filename().string(), '\n', size, '\n', Sha256Hex(first), '\n', Sha256Hex(last),
              '\n');
}

}  // namespace

std::string WeightsFingerprint(const std::string& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return OfFile(path);
  std::vector<fs::path> files;
  for (fs::directory_iterator at(path, ignored), end; at != end; at.increment(ignored)) {
    if (Counts(at->path())) files.push_back(at->path());
  }
  std::sort(files.begin(), files.end());
  std::string all;
  for (const fs::path& file : files) all += OfFile(file);
  return all;
}

}  // namespace binocle
