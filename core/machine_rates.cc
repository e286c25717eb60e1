#include "core/machine_rates.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <span>
#include <vector>

#include "core/simd/tiles.h"
#include "core/simd/x86.h"

namespace binocle {
namespace {

template <typename Body>
double SecondsOf(const Body& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Sums eight streams of 64-bit words, so that no chain of additions is what takes the time.
uint64_t SumOf(const uint64_t* words, int64_t count) {
  uint64_t sums[8] = {};
  for (int64_t i = 0; i + 8 <= count; i += 8) {
    for (int64_t lane = 0; lane < 8; ++lane) sums[lane] += words[i + lane];
  }
  uint64_t sum = 0;
  for (const uint64_t lane : sums) sum += lane;
  return sum;
}

#if defined(__x86_64__)

// How far ahead a line is asked for, by those that ask. The processor's own guesses stop at the end of a page of 4 KiB, and some give up sooner.
constexpr int64_t kWordsAhead = 128;

template <bool kAsk>
BINOCLE_AVX2 uint64_t SumAvx2(const uint64_t* words, int64_t count) {
  __m256i sums[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(),
                     _mm256_setzero_si256()};
  for (int64_t i = 0; i + 16 <= count; i += 16) {
    if constexpr (kAsk) {
      __builtin_prefetch(words + i + kWordsAhead, 0, 0);
      __builtin_prefetch(words + i + kWordsAhead + 8, 0, 0);
    }
#pragma GCC unroll 4
    for (int lane = 0; lane < 4; ++lane) {
      const auto* from = reinterpret_cast<const __m256i*>(words + i + 4 * lane);
      sums[lane] = _mm256_add_epi64(sums[lane], _mm256_loadu_si256(from));
    }
  }
  alignas(32) uint64_t lanes[4];
  _mm256_store_si256(
      reinterpret_cast<__m256i*>(lanes),
      _mm256_add_epi64(_mm256_add_epi64(sums[0], sums[1]), _mm256_add_epi64(sums[2], sums[3])));
  return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}

template <bool kAsk>
BINOCLE_AVX512 uint64_t SumAvx512(const uint64_t* words, int64_t count) {
  __m512i sums[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
                     _mm512_setzero_si512()};
  for (int64_t i = 0; i + 32 <= count; i += 32) {
#pragma GCC unroll 4
    for (int lane = 0; lane < 4; ++lane) {
      if constexpr (kAsk) __builtin_prefetch(words + i + kWordsAhead + 8 * lane, 0, 0);
      sums[lane] = _mm512_add_epi64(sums[lane], _mm512_loadu_si512(words + i + 8 * lane));
    }
  }
  return static_cast<uint64_t>(_mm512_reduce_add_epi64(
      _mm512_add_epi64(_mm512_add_epi64(sums[0], sums[1]), _mm512_add_epi64(sums[2], sums[3]))));
}

constexpr int kChains = 12;
constexpr int64_t kSteps = 1'000'000;  // of each chain: a few milliseconds

BINOCLE_BF16 double Bf16Dots(float seed, float* sink) {
  __m512 x[kChains];
  const auto a = reinterpret_cast<__m512bh>(_mm512_set1_epi32(0x3F803F80));
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) x[i] = _mm512_set1_ps(seed + static_cast<float>(i));
  for (int64_t step = 0; step < kSteps; ++step) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) x[i] = _mm512_dpbf16_ps(x[i], a, a);
  }
  __m512 sum = x[0];
#pragma GCC unroll 12
  for (int i = 1; i < kChains; ++i) sum = _mm512_add_ps(sum, x[i]);
  *sink = _mm512_reduce_add_ps(sum);
  return 2.0 * 32 * kChains * kSteps;
}

BINOCLE_VNNI double Int8Dots(float seed, float* sink) {
  __m512i x[kChains];
  const __m512i a = _mm512_set1_epi8(1);
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) x[i] = _mm512_set1_epi32(static_cast<int>(seed) + i);
  for (int64_t step = 0; step < kSteps; ++step) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) x[i] = _mm512_dpbusd_epi32(x[i], a, a);
  }
  __m512i sum = x[0];
#pragma GCC unroll 12
  for (int i = 1; i < kChains; ++i) sum = _mm512_add_epi32(sum, x[i]);
  *sink = static_cast<float>(_mm512_reduce_add_epi32(sum));
  return 2.0 * 64 * kChains * kSteps;
}

constexpr int64_t kTileSteps = 100'000;

// Four sums of 16 × 16, which is how many the instruction's latency asks for, of 64 bytes of k a step.
template <bool kBytes>
BINOCLE_AMX double TileDots(float /*seed*/, float* sink) {
  const TileShapes shapes(16, 16);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
  for (int64_t step = 0; step < kTileSteps; ++step) {
    if constexpr (kBytes) {
      _tile_dpbusd(0, 4, 6);
      _tile_dpbusd(1, 4, 7);
      _tile_dpbusd(2, 5, 6);
      _tile_dpbusd(3, 5, 7);
    } else {
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  }
  *sink = 0;
  return 2.0 * 16 * 16 * (kBytes ? 64 : 32) * 4 * kTileSteps;
}

double RateOf(Exec& ex, double (*dots)(float, float*)) {
  struct alignas(64) Work {
    double operations = 0;
    float sink = 0;
  };
  std::vector<Work> work(static_cast<size_t>(ex.threads()));
  const double seconds = SecondsOf([&] {
    ex.Parallel(ex.threads(), [&](int64_t i) {
      Work& w = work[static_cast<size_t>(i)];
      w.operations = dots(0.5F, &w.sink);
    });
  });
  double operations = 0;
  for (const Work& w : work) operations += w.operations;
  return operations / seconds;
}

#endif

using WayToSum = ReadRate::WayToSum;

std::span<const WayToSum> WaysToSum(CpuLevel level) {
#if defined(__x86_64__)
  static constexpr WayToSum kAvx512[] = {SumAvx512<false>, SumAvx512<true>};
  static constexpr WayToSum kAvx2[] = {SumAvx2<false>, SumAvx2<true>};
  if (level >= CpuLevel::kAvx512) return kAvx512;
  if (level >= CpuLevel::kAvx2) return kAvx2;
#endif
  static_cast<void>(level);
  static constexpr WayToSum kPlain[] = {SumOf};
  return kPlain;
}

}  // namespace

ReadRate::ReadRate(Exec& ex, int64_t bytes) : ex_(ex), buffer_(bytes) {
  ex.ParallelRanges(bytes, 1 << 20, [&](int64_t begin, int64_t end) {
    std::memset(static_cast<char*>(buffer_.data()) + begin, 1, static_cast<size_t>(end - begin));
  });
  // Which way is quicker is the processor's. Others' work comes and goes within seconds, so they take turns.
  constexpr int kTurns = 3;
  const std::span<const WayToSum> ways = WaysToSum(ex.cpu_level());
  double best = 0;
  for (int turn = 0; turn < kTurns; ++turn) {
    for (const WayToSum way : ways) {
      const double rate = RateOf(way);
      if (rate > best) sum_of_ = way;
      best = std::max(best, rate);
    }
  }
}

double ReadRate::Measure() { return RateOf(sum_of_); }

double ReadRate::RateOf(WayToSum sum_of) {
  std::atomic<uint64_t> sum{0};
  const double seconds = SecondsOf([&] {
    ex_.ParallelRanges(buffer_.size() / 8, 1 << 17, [&](int64_t begin, int64_t end) {
      sum += sum_of(static_cast<const uint64_t*>(buffer_.data()) + begin, end - begin);
    });
  });
  BINOCLE_CHECK(sum.load() != 0, "the buffer holds ones");
  return static_cast<double>(buffer_.size()) / seconds;
}

double MeasureBf16Rate(Exec& ex) {
#if defined(__x86_64__)
  if (ex.cpu_level() >= CpuLevel::kAmx) return RateOf(ex, TileDots<false>);
  if (ex.cpu_level() >= CpuLevel::kBf16) return RateOf(ex, Bf16Dots);
#endif
  static_cast<void>(ex);
  return 0;
}

double MeasureInt8Rate(Exec& ex) {
#if defined(__x86_64__)
  if (ex.cpu_level() >= CpuLevel::kAmx) return RateOf(ex, TileDots<true>);
  if (ex.cpu_level() >= CpuLevel::kVnni) return RateOf(ex, Int8Dots);
#endif
  static_cast<void>(ex);
  return 0;
}

}  // namespace binocle
