// Reading GGUF files, as llama.cpp and its converters write them. The format (ggml/docs/gguf.md), all of it little-endian: "GGUF", the
// version, the counts of tensors and of metadata entries; the entries; per tensor a name, extents (the fastest first: ours are
// reversed), an element type and an offset; padding to general.alignment; the data. Nothing in the file is believed before it is checked.
//
// A model may be split into files NAME-00001-of-00003.gguf, … beside each other: opening the first opens all.
//
//   const auto file = std::make_shared<GgufFile>("model-q4_k_m.gguf");
//   const int64_t layers = file->metadata().Int("llama.block_count", 1, 1024);
//   TensorSet set;
//   AddGgufTensors(file, set);      // core/weight_files.h
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/gguf_metadata.h"
#include "core/mapped_file.h"
#include "core/tensor.h"

namespace binocle {

// One mapped file, or all that a model was split into. Tensors and metadata are views into the mappings and live as long as they do; what
// is allocated is 450 bytes a tensor and what GgufMetadata says.
class GgufFile {
 public:
  static constexpr uint64_t kMaxTensors = 65'536;  // per file
  static constexpr uint64_t kMaxNameBytes = 1'024;
  static constexpr int64_t kMaxAlignment = 1 << 20;
  static constexpr int64_t kMaxParts = 1'024;

  // Throws UNIMPLEMENTED for versions other than 2 and 3, big-endian files, and tensors of types other than F32, F16, BF16, I32, Q8_0, Q4_0,
  // Q4_1, Q5_0, Q5_1, Q4_K, Q5_K and Q6_K. Throws INVALID_ARGUMENT, with the file and the tensor or key, for: no GGUF file; counts and lengths
  // above the limits; an alignment that is no power of two; a rank above 4; extents that overflow or, in a row, are no whole blocks;
  // a tensor that is there twice, is not aligned, ends after the file or overlaps another; a part other than the first, or one that
  // contradicts the first. NOT_FOUND for a missing part.
  explicit GgufFile(const std::filesystem::path& path);

  const GgufMetadata& metadata() const { return parts_.front().metadata; }  // of the first part
  const std::map<std::string_view, TensorView>& tensors() const { return tensors_; }
  const std::string& path() const { return parts_.front().file.path(); }

 private:
  struct Part {
    MappedFile file;
    GgufMetadata metadata;
    std::vector<TensorView> tensors;
  };

  static Part ReadPart(const std::filesystem::path& path);
  void ReadOtherParts(const std::filesystem::path& first, int64_t count);

  std::vector<Part> parts_;
  std::map<std::string_view, TensorView> tensors_;  // of all parts
};

}  // namespace binocle
