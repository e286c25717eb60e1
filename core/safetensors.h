// Reading safetensors files. The format: 8 bytes of little-endian header length, a JSON header that gives each tensor's dtype,
// shape and byte range, then the bytes. Nothing in the file is believed before it is checked.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "core/mapped_file.h"
#include "core/tensor.h"

namespace binocle {

// One mapped file. Tensors are views into the mapping and live as long as it does.
class SafetensorsFile {
 public:
  // Throws INVALID_ARGUMENT with the file and the tensor for: a file that is too short, a header that is too long or no JSON, an
  // unknown dtype, negative or overflowing shapes, a byte range that is past the end, overlaps another, leaves a hole or does not
  // fit dtype × shape, a rank above 4. Older writers do not align the data, so elements must be read with core/convert.h.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::map<std::string, TensorView, std::less<>>& tensors() const { return tensors_; }
  const std::string& path() const { return file_.path(); }

 private:
  void ParseHeader(std::string_view header, std::string_view data);

  MappedFile file_;
  std::map<std::string, TensorView, std::less<>> tensors_;
};

}  // namespace binocle
