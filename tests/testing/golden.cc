#include "tests/testing/golden.h"

#include <algorithm>

#include "fusion/parity/dump.h"

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

std::vector<std::string> GoldenModels() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(BINOCLE_TEST_DATA)) {
    if (std::filesystem::exists(entry.path() / "config.json") &&
        std::filesystem::exists(entry.path() / "reference.json"))
      names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> GoldenModels(const std::string& model_type) {
  std::vector<std::string> names = GoldenModels();
  std::erase_if(names, [&](const std::string& name) {
    const auto config = std::filesystem::path(BINOCLE_TEST_DATA) / name / "config.json";
    return ReadJsonFile(config).value("model_type", "") != model_type;
  });
  return names;
}

std::vector<std::string> AnsweringGoldenModels() {
  std::vector<std::string> names;
  for (const char* family : {"binocle", "llava", "llava_next", "llava_onevision", "tinyllava"}) {
    const std::vector<std::string> of_family = GoldenModels(family);
    names.insert(names.end(), of_family.begin(), of_family.end());
  }
  return names;
}

binocle::Tensor HashPixels(int64_t height, int64_t width, uint32_t seed) {
  return binocle::HashPixels({.height = height, .width = width, .seed = seed});
}

}  // namespace binocle::testing
