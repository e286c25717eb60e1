#include "core/convert.h"

#include "core/block_types.h"

namespace binocle {
namespace {

template <float (*Convert)(uint16_t)>
void ReadHalves(const char* source, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) {
    uint16_t bits;
    std::memcpy(&bits, source + 2 * i, 2);
    out[i] = Convert(bits);
  }
}

template <typename Round>
void WriteHalves(const float* values, int64_t count, void* out, const Round& round) {
  auto* halves = static_cast<char*>(out);
  for (int64_t i = 0; i < count; ++i) {
    const uint16_t bits = round(values[i]);
    std::memcpy(halves + 2 * i, &bits, 2);
  }
}

}  // namespace

bool IsReal(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16 ||
         IsBlockType(dtype);
}

void ReadAsF32(const TensorView& stored, int64_t begin, int64_t count, float* out) {
  BINOCLE_CHECK(stored.contiguous() && begin >= 0 && begin + count <= stored.elements(),
                stored.name(), " ", begin, "+", count);
  if (count == 0) return;  // `out` may be a null pointer, which memcpy must not see
  const char* source = static_cast<const char*>(stored.data()) + StoredBytes(stored.dtype(), begin);
  switch (stored.dtype()) {
    case DType::kF32: std::memcpy(out, source, static_cast<size_t>(count) * 4); return;
    case DType::kF16: ReadHalves<F32FromF16>(source, count, out); return;
    case DType::kBF16: ReadHalves<F32FromBf16>(source, count, out); return;
    case DType::kI32:
    case DType::kU8: BINOCLE_CHECK(false, stored.name(), " is ", DTypeName(stored.dtype()));
    default: ExpandBlocks(stored.dtype(), source, count, out);
  }
}

void WriteFromF32(const float* values, int64_t count, DType dtype, void* out) {
  if (count == 0) return;
  switch (dtype) {
    case DType::kF32: std::memcpy(out, values, static_cast<size_t>(count) * 4); return;
    case DType::kF16: return WriteHalves(values, count, out, F16FromF32);
    case DType::kBF16:
      return WriteHalves(values, count, out, [](float value) { return Bf16FromF32(value).bits; });
    default: BINOCLE_CHECK(false, DTypeName(dtype));
  }
}

}  // namespace binocle
