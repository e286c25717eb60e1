// Reading the goldens of tests/golden (see its README).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/safetensors.h"

namespace binocle::testing {

// One case: reference.json and reference.safetensors beside a model.
class GoldenCase {
 public:
  explicit GoldenCase(const std::string& name);

  const std::filesystem::path& directory() const { return directory_; }
  const Json& json() const { return json_; }
  bool Has(const std::string& tensor) const { return tensors_.tensors().contains(tensor); }
  TensorView Tensor(const std::string& name) const;

 private:
  std::filesystem::path directory_;
  Json json_;
  SafetensorsFile tensors_;
};

// Every folder of the goldens with a config.json and a reference.json: models and towers of all families, sorted.
std::vector<std::string> GoldenModels();
// Those whose config.json has the given model_type.
std::vector<std::string> GoldenModels(const std::string& model_type);

// All golden models that take pictures and answer.
std::vector<std::string> AnsweringGoldenModels();

// The test pixels of tests/golden/README.md: (h(y, x, c) & 65535) / 16384 − 2, [3, height, width].
binocle::Tensor HashPixels(int64_t height, int64_t width, uint32_t seed);

}  // namespace binocle::testing
