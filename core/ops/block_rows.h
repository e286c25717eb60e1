// Weights in block types for few rows of x: 16 features (by AVX2 eight, twice) are multiplied as they come from memory, without a strip between. Same arithmetic as
// block_strip.h, same bits.
#pragma once

#include <cstdint>

#include "core/block_types.h"
#include "core/ops/block_strip.h"

namespace binocle {

inline constexpr int64_t kDirectRows = 8;  // of x at most

// What will be multiplied next, in the order of its rows: it is brought a line at a time, between products. All at once, the lines would wait for each
// other and the products for them.
class RowsAhead {
  // Rows that lie one after the other.
  struct Run {
    const uint8_t* begin;
    const uint8_t* end;
  };

 public:
  RowsAhead(const StripRows& rows, int64_t row_bytes) {
    Run* run = runs_;
    *run = {rows.row[0], rows.row[0] + row_bytes};
    for (int64_t n = 1; n < kStripWidth; ++n) {
      if (rows.row[n] != run->end) *++run = {rows.row[n], rows.row[n]};
      run->end += row_bytes;
    }
    last_ = run;
    // Nothing comes after the last run: whoever asks on, for a line or two, gets what lies behind it.
    run[1] = {run->end, reinterpret_cast<const uint8_t*>(UINTPTR_MAX)};
  }

  // Goes along the lines. Inlined into loops whose vectors fill all registers: a call would store and load them all.
  class Cursor {
   public:
    // `kLines` more lines, `kStep` bytes apart. They go into the second cache, for a strip may be larger than the first. The processor forgets
    // some where many are on their way, most where pages are small; so each is asked for again later, twice. Asked for once, twice and three times, decoding
    // with q8_0 reads at 62, 67 and 71 % of the machine's rate from small pages (K = 5,632), and from huge ones at 81, 90 and 90 %.
    template <int64_t kLines, int64_t kStep>
    [[gnu::always_inline]] void Fetch() {
      constexpr int64_t kLater = 2048, kLast = 6144;  // bytes
#pragma GCC unroll 16
      for (int64_t line = 0; line < kLines; ++line) {
        __builtin_prefetch(at_ + line * kStep, 0, 2);
        __builtin_prefetch(at_ + line * kStep - kLater, 0, 2);
        __builtin_prefetch(at_ + line * kStep - kLast, 0, 2);
      }
      at_ += kLines * kStep;
      if (at_ < run_->end) return;
      ++run_;
      at_ = run_->begin;
    }

    const uint8_t* at() const { return at_; }  // the next line

   private:
    friend RowsAhead;
    const uint8_t* at_;
    const Run* run_;
  };
  Cursor Begin() const {
    Cursor cursor;
    cursor.at_ = runs_[0].begin;
    cursor.run_ = runs_;
    return cursor;
  }
  // All of it at once.
  void FetchAll() const {
    for (const Run* run = runs_; run <= last_; ++run)
      for (const uint8_t* at = run->begin; at < run->end; at += 64) __builtin_prefetch(at, 0, 2);
  }

 private:
  Run runs_[kStripWidth + 1];
  const Run* last_;
};

struct DirectProduct {
  DType dtype;
  float scale;  // of a and m
  EvenRows w;
  int64_t depth;  // a multiple of the type's block
  GroupedRows x;
  int64_t rows;  // 1 … kDirectRows
  float* c;      // [rows][16], leading dimension ldc
  int64_t ldc;
  bool add;  // to what c holds
  RowsAhead::Cursor& ahead;
};

// At level kAvx2 at least.
void MultiplyDirectly(CpuLevel level, const DirectProduct& product);

// The versions. Of each the processor has to have the level that its name says.
void MultiplyDirectlyAvx2(const DirectProduct& product);
void MultiplyDirectlyVnni(const DirectProduct& product);

}  // namespace binocle
