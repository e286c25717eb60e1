// Writing GGUF files (version 3), which core/gguf.h reads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/output_file.h"
#include "core/tensor_source.h"

namespace binocle {

// Metadata in the order of the calls. A key is given once.
class GgufEntries {
 public:
  void U32(std::string_view key, uint32_t value);
  void F32(std::string_view key, float value);
  void Bool(std::string_view key, bool value);
  void String(std::string_view key, std::string_view value);
  void Strings(std::string_view key, const std::vector<std::string>& values);
  void I32s(std::string_view key, const std::vector<int32_t>& values);

  uint64_t count() const { return count_; }
  const std::string& bytes() const { return bytes_; }

 private:
  void Key(std::string_view key, uint32_t type);

  std::string bytes_;
  uint64_t count_ = 0;
};

// The whole file, tensors in the order given. Rows of block types are whole blocks (checked).
void WriteGguf(OutputFile& file, const GgufEntries& entries, const std::vector<NewTensor>& tensors,
               const TensorSource& source);

}  // namespace binocle
