// A dump: what a reference made of a model at every stage. FILE.json and FILE.safetensors, as tools/reference/dump.py writes them and
// tests/golden/README.md describes them. Both may come from anywhere: nothing in them is believed before it is checked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/safetensors.h"
#include "core/tensor.h"
#include "vision/image.h"
#include "vision/tiling.h"

namespace binocle {

struct DumpRequest {
  std::vector<int64_t> images;        // into Dump::images(), in the order of their marks
  std::optional<std::string> prompt;  // absent: the ids are the input
  bool chat = false;                  // the prompt is a question for the model's template
  std::optional<std::string> system;
  std::vector<int32_t> prompt_ids;  // with the image token once per visual token
  std::vector<int32_t> tokens;      // greedy
};

// CRC-32 of a processor's results for one tower.
struct PixelChecksums {
  uint32_t bytes = 0;   // [H, W, 3] after resize and crop
  uint32_t values = 0;  // [3, H, W] f32
};

// Noise for a tower by itself: pixels (h(y, x, c) & 65535) / 16384 − 2 of the hash in tests/golden/README.md.
struct DumpInput {
  int64_t height = 0;
  int64_t width = 0;
  uint32_t seed = 0;
};
Tensor HashPixels(const DumpInput& input);  // [3, H, W]

class Dump {
 public:
  // `path`: FILE, FILE.json or FILE.safetensors. NOT_FOUND, INVALID_ARGUMENT with the file and what is wrong in it.
  explicit Dump(const std::filesystem::path& path);

  const std::string& where() const { return where_; }  // FILE, for messages
  // model_type of the reference's configuration, where the dump says so.
  const std::optional<std::string>& model_type() const { return model_type_; }
  bool in_bf16() const { return in_bf16_; }  // what the reference computed in; otherwise f32
  int64_t images() const { return static_cast<int64_t>(images_.size()); }
  const std::vector<DumpRequest>& requests() const { return requests_; }
  const std::vector<DumpInput>& inputs() const { return inputs_; }

  // Out of the dump itself (image<i>.rgb) or, where it has none, from the file that it names, relative to the dump.
  Image Picture(int64_t image) const;
  // In the requests that have it; kAlone where it is alone in one of them.
  Company CompanyOf(int64_t image) const;
  // role: "anchor", "augment".
  std::optional<PixelChecksums> Checksums(int64_t image, const std::string& role) const;

  bool Has(const std::string& tensor) const { return tensors_.tensors().contains(tensor); }
  // FAILED_PRECONDITION for another shape, `why` saying where the expected one comes from; INVALID_ARGUMENT for a value that is no finite
  // number, and for a tensor that is not there.
  Tensor Read(const std::string& tensor, const Shape& shape, const std::string& why) const;
  // Rows [begin, begin + out.dim(0)) of such a matrix, of `rows` rows, into out [n, D].
  void ReadRows(const std::string& tensor, int64_t rows, int64_t begin,
                const TensorView& out) const;
  [[noreturn]] void OfAnotherModel(const std::string& what) const;

 private:
  const TensorView& Find(const std::string& tensor, const Shape& shape,
                         const std::string& why) const;
  void ReadValues(const std::string& name, const TensorView& stored, int64_t begin, int64_t count,
                  float* out) const;

  std::filesystem::path directory_;
  std::string where_;
  SafetensorsFile tensors_;
  std::optional<std::string> model_type_;
  bool in_bf16_ = false;
  std::vector<std::string> images_;
  Json checksums_;
  std::vector<DumpRequest> requests_;
  std::vector<DumpInput> inputs_;
};

}  // namespace binocle
