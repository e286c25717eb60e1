#include "core/cpu_level.h"

#include <array>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace binocle {
namespace {

struct Named {
  CpuLevel level;
  std::string_view name;
};

constexpr std::array<Named, 6> kNames = {{{CpuLevel::kScalar, "scalar"},
                                          {CpuLevel::kAvx2, "avx2"},
                                          {CpuLevel::kAvx512, "avx512"},
                                          {CpuLevel::kVnni, "vnni"},
                                          {CpuLevel::kBf16, "bf16"},
                                          {CpuLevel::kAmx, "amx"}}};

constexpr std::array<CpuLevel, 6> kLevels = {CpuLevel::kScalar, CpuLevel::kAvx2, CpuLevel::kAvx512,
                                             CpuLevel::kVnni,   CpuLevel::kBf16, CpuLevel::kAmx};

#if defined(__x86_64__)

struct Leaf {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Leaf CpuId(uint32_t leaf, uint32_t subleaf) {
  Leaf out;
  if (__get_cpuid_count(leaf, subleaf, &out.eax, &out.ebx, &out.ecx, &out.edx) == 0) return {};
  return out;
}

bool All(uint32_t word, std::initializer_list<int> bits) {
  for (const int bit : bits)
    if ((word >> bit & 1u) == 0) return false;
  return true;
}

// The registers that the system saves and restores: bits of XCR0.
uint64_t SavedState() {
  uint32_t low = 0, high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<uint64_t>(high) << 32 | low;
}

// Linux lets a process use tiles only after it asked (arch_prctl(2), ARCH_REQ_XCOMP_PERM of feature 18), since they enlarge signal frames.
bool TilesGranted() {
  constexpr int kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

CpuLevel Detect() {
  const Leaf basic = CpuId(1, 0), extended = CpuId(7, 0), more = CpuId(7, 1);
  constexpr int kOsSave = 27, kFma = 12, kF16c = 29;
  if (!All(basic.ecx, {kOsSave, kFma, kF16c})) return CpuLevel::kScalar;
  const uint64_t saved = SavedState();
  constexpr uint64_t kYmm = 0x6, kZmm = 0xE6, kTile = 0x60000;
  if ((saved & kYmm) != kYmm || !All(extended.ebx, {5})) return CpuLevel::kScalar;
  const bool avx512 = (saved & kZmm) == kZmm && All(extended.ebx, {16, 17, 30, 31});
  if (!avx512) return CpuLevel::kAvx2;
  if (!All(extended.ecx, {11})) return CpuLevel::kAvx512;
  if (!All(more.eax, {5})) return CpuLevel::kVnni;
  const bool amx = (saved & kTile) == kTile && All(extended.edx, {22, 24, 25});
  return amx && TilesGranted() ? CpuLevel::kAmx : CpuLevel::kBf16;
}

#else

CpuLevel Detect() { return CpuLevel::kScalar; }

#endif

}  // namespace

CpuLevel BestCpuLevel() {
  static const CpuLevel level = Detect();
  return level;
}

std::span<const CpuLevel> CpuLevels() { return kLevels; }

std::string_view CpuLevelName(CpuLevel level) { return kNames[static_cast<size_t>(level)].name; }

std::optional<CpuLevel> CpuLevelNamed(std::string_view name) {
  for (const Named& entry : kNames)
    if (entry.name == name) return entry.level;
  return std::nullopt;
}

}  // namespace binocle
