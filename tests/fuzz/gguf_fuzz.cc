// Any bytes as a GGUF file. What comes out must lie inside the file and fit its shape; every element is read as f32, and every value of the
// metadata is looked up as whatever it might be.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/block_types.h"
#include "core/convert.h"
#include "core/gguf.h"
#include "tests/fuzz/allocation_limit.h"
#include "tests/fuzz/memory_file.h"

namespace {

using binocle::GgufMetadata;
using binocle::TensorView;

template <typename Lookup>
void Try(const Lookup& lookup) {
  try {
    lookup();
  } catch (const binocle::Error&) {
    // Of another type, or outside the bounds.
  }
}

void LookUpAll(const GgufMetadata& metadata, size_t size) {
  for (const std::string_view key : metadata.Keys()) {
    BINOCLE_CHECK(metadata.Has(key) && metadata.Describe(key) != "missing", "a key is not found");
    Try([&] { metadata.Int(key, INT64_MIN, INT64_MAX); });
    Try([&] { metadata.Number(key, -1e9, 1e9); });
    Try([&] { metadata.BoolOr(key, false); });
    Try([&] {
      BINOCLE_CHECK(metadata.String(key).size() <= size, "a string longer than the file");
    });
    Try([&] { metadata.Ints(key, 0, 100); });
    Try([&] { metadata.Floats(key); });
    Try([&] { metadata.Bools(key); });
    Try([&] {
      size_t total = 0;
      for (const std::string_view item : metadata.Strings(key)) total += item.size() + 8;
      BINOCLE_CHECK(total <= size, "strings of ", total, " bytes in ", size);
    });
  }
}

void ReadAll(const TensorView& tensor) {
  if (!binocle::IsReal(tensor.dtype())) return;
  std::vector<float> values(static_cast<size_t>(tensor.elements()));
  ReadAsF32(tensor, 0, tensor.elements(), values.data());
  if (!IsBlockType(tensor.dtype())) return;
  int64_t first = -1;
  for (int64_t i = tensor.elements() - 1; i >= 0; --i) {
    if (!std::isfinite(values[static_cast<size_t>(i)])) first = i;
  }
  const int64_t found =
      binocle::FirstNonFiniteInBlocks(tensor.dtype(), tensor.data(), tensor.elements());
  BINOCLE_CHECK(found == first, "not finite: found ", found, ", is ", first);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const binocle::testing::MemoryFile memory({reinterpret_cast<const char*>(data), size});
  try {
    const binocle::GgufFile file(memory.path());
    LookUpAll(file.metadata(), size);
    int64_t total = 0;
    for (const auto& [name, tensor] : file.tensors()) {
      BINOCLE_CHECK(tensor.name() == name, "a tensor has two names");
      ReadAll(tensor);
      total += tensor.bytes();
    }
    BINOCLE_CHECK(total <= static_cast<int64_t>(size), "tensors of ", total, " bytes in ", size);
  } catch (const binocle::Error&) {
    // The only exception that may come out.
  }
  return 0;
}
