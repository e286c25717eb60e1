// What the processor's vector units can do, as one ladder. Each level has everything that the ones below it have.
//
// Highway chooses for the kernels that are written with it; these levels choose among those that are written per instruction set, since the
// dot products of bytes and bfloat16 have no common form. A level may be forced from above, so that every one of them is tested on one machine.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace binocle {

enum class CpuLevel : uint8_t {
  kScalar,  // nothing but C++
  kAvx2,    // with FMA and F16C
  kAvx512,  // F, BW, DQ, VL
  kVnni,    // AVX512_VNNI: dot products of bytes
  kBf16,    // AVX512_BF16: dot products of bfloat16
  kAmx,     // AMX_INT8 and AMX_BF16: products of tiles
};

// The highest level that the processor and the system allow. Asks Linux for the use of tiles, once per process.
CpuLevel BestCpuLevel();

std::span<const CpuLevel> CpuLevels();          // from the lowest on
std::string_view CpuLevelName(CpuLevel level);  // "scalar", "avx2", "avx512", "vnni", "bf16", "amx"
std::optional<CpuLevel> CpuLevelNamed(std::string_view name);

}  // namespace binocle
