#include "tests/testing/golden.h"

#include <algorithm>

namespace binocle::testing {

GoldenCase::GoldenCase(const std::string& name)
    : directory_(std::filesystem::path(BINOCLE_TEST_DATA) / name),
      json_(ReadJsonFile(directory_ / "reference.json")),
      tensors_(directory_ / "reference.safetensors") {}

TensorView GoldenCase::Tensor(const std::string& name) const {
  const auto it = tensors_.tensors().find(name);
  BINOCLE_CHECK(it != tensors_.tensors().end(), directory_.string(), " has no ", name);
  return it->second;
}

std::vector<std::string> GoldenModels(const std::string& model_type) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(BINOCLE_TEST_DATA)) {
    if (!std::filesystem::exists(entry.path() / "config.json") ||
        !std::filesystem::exists(entry.path() / "reference.json"))
      continue;
    if (ReadJsonFile(entry.path() / "config.json").value("model_type", "") == model_type)
      names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> AnsweringGoldenModels() {
  std::vector<std::string> names;
  for (const char* family : {"binocle", "llava", "tinyllava"}) {
    const std::vector<std::string> of_family = GoldenModels(family);
    names.insert(names.end(), of_family.begin(), of_family.end());
  }
  return names;
}

binocle::Tensor HashPixels(int64_t height, int64_t width, uint32_t seed) {
  binocle::Tensor pixels = binocle::Tensor::F32({3, height, width}, "pixels");
  for (uint32_t c = 0; c < 3; ++c) {
    for (uint32_t y = 0; y < height; ++y) {
      for (uint32_t x = 0; x < width; ++x) {
        uint32_t h = x * 374761393U + y * 668265263U + c * 2246822519U + seed * 3266489917U;
        h ^= h >> 15;
        h *= 2246822519U;
        h ^= h >> 13;
        h *= 3266489917U;
        h ^= h >> 16;
        pixels.f32()[(c * height + y) * width + x] =
            static_cast<float>(h & 65535) / 16384.0F - 2.0F;
      }
    }
  }
  return pixels;
}

}  // namespace binocle::testing
