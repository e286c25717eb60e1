// Any bytes as a safetensors file. What comes out must lie inside the file and fit its shape; every byte is read.
#include <cstddef>
#include <cstdint>

#include "core/safetensors.h"
#include "tests/fuzz/allocation_limit.h"
#include "tests/fuzz/memory_file.h"

namespace {

using binocle::TensorView;

void ReadAll(const TensorView& tensor) {
  volatile char last = 0;
  const auto* bytes = static_cast<const char*>(tensor.data());
  for (int64_t i = 0; i < tensor.bytes(); ++i) last = bytes[i];
  static_cast<void>(last);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const binocle::testing::MemoryFile memory({reinterpret_cast<const char*>(data), size});
  try {
    const binocle::SafetensorsFile file(memory.path());
    int64_t total = 0;
    for (const auto& [name, tensor] : file.tensors()) {
      BINOCLE_CHECK(tensor.name() == name, name);
      ReadAll(tensor);
      total += tensor.bytes();
    }
    BINOCLE_CHECK(total <= static_cast<int64_t>(size), "tensors of ", total, " bytes in ", size);
  } catch (const binocle::Error&) {
    // The only exception that may come out.
  }
  return 0;
}
