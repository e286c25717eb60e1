// Keys and values in pages of kPageTokens tokens.
//
// Both products of attention read a page's keys and values as whole 64-wide panels. So a page holds for each kv head, with d the head's size,
//   f32    keys [d][64]                                    transposed
//          values [64][d rounded up to 16]                 the panels of core/simd/panel-inl.h
//   bf16   keys [d rounded up to 32, / 2][64][2]           pairs of dimensions
//          values [d rounded up to 64, / 64][32][64][2]    pairs of tokens: the panels of core/ops/bf16_block.h, 64 dimensions each
// where what is rounded up is zero. A sequence is a list of page numbers; the token at position p lives in page pages[p / 64], column p % 64,
// and that place is its *slot*: pages[p / 64]·64 + p % 64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "core/convert.h"
#include "core/exec.h"
#include "core/tensor.h"
#include "core/weight_kind.h"

namespace binocle {

inline constexpr int64_t kPageTokens = 64;
inline constexpr int64_t kMaxHeadDim = 256;

constexpr int64_t PagesFor(int64_t tokens) { return (tokens + kPageTokens - 1) / kPageTokens; }
constexpr int64_t ValueStride(int64_t head_dim) { return (head_dim + 15) / 16 * 16; }  // of f32
// Rows of 64 elements that a head's keys, and its values, take in a page.
constexpr int64_t KeyRows(int64_t head_dim, DType dtype) {
  return dtype == DType::kF32 ? head_dim : (head_dim + 31) / 32 * 32;
}
constexpr int64_t ValueRows(int64_t head_dim, DType dtype) {
  return dtype == DType::kF32 ? ValueStride(head_dim) : (head_dim + 63) / 64 * 64;
}
// Of the elements of bf16 pages, within a head's.
constexpr int64_t PairedKeyIndex(int64_t column, int64_t i) {
  return i / 2 * 2 * kPageTokens + column * 2 + i % 2;
}
constexpr int64_t PairedValueIndex(int64_t column, int64_t i) {
  return i / 64 * 64 * kPageTokens + column / 2 * 128 + i % 64 * 2 + column % 2;
}

// What a model's part keeps keys and values as, whose weights are of this kind: what multiplies bfloat16 takes them so too.
constexpr DType KvDType(WeightKind kind) {
  return kind == WeightKind::kF32 ? DType::kF32 : DType::kBF16;
}

// The pages of one layer, borrowed. Elements are float or Bf16.
struct KvLayer {
  void* keys = nullptr;    // [pages / G, K, G, KeyRows, 64]
  void* values = nullptr;  // [pages / G, K, G, ValueRows, 64]
  DType dtype = DType::kF32;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t page_group = 1;  // G
  // On a GPU pages lie otherwise: [pages, K, 64, DeviceKvRow] (attention/attention_cuda.h), and the host may not touch them.
  Device device = Device::kCpu;

  template <typename Element = float>
  Element* key_page(int64_t page, int64_t head) const {
    return static_cast<Element*>(keys) + Index(page, head) * KeyRows(head_dim, dtype) * kPageTokens;
  }
  template <typename Element = float>
  Element* value_page(int64_t page, int64_t head) const {
    return static_cast<Element*>(values) +
           Index(page, head) * ValueRows(head_dim, dtype) * kPageTokens;
  }
  // The same places, whatever the elements are.
  std::byte* key_bytes(int64_t page, int64_t head) const {
    return dtype == DType::kF32 ? Bytes(key_page<float>(page, head))
                                : Bytes(key_page<Bf16>(page, head));
  }
  std::byte* value_bytes(int64_t page, int64_t head) const {
    return dtype == DType::kF32 ? Bytes(value_page<float>(page, head))
                                : Bytes(value_page<Bf16>(page, head));
  }

  // Dimension i of the token in a column, wherever it lies. For references and tests.
  float Key(int64_t page, int64_t head, int64_t column, int64_t i) const {
    return dtype == DType::kF32
               ? key_page(page, head)[i * kPageTokens + column]
               : F32FromBf16(key_page<Bf16>(page, head)[PairedKeyIndex(column, i)].bits);
  }
  float Value(int64_t page, int64_t head, int64_t column, int64_t i) const {
    return dtype == DType::kF32
               ? value_page(page, head)[column * ValueStride(head_dim) + i]
               : F32FromBf16(value_page<Bf16>(page, head)[PairedValueIndex(column, i)].bits);
  }

 private:
  static std::byte* Bytes(void* p) { return static_cast<std::byte*>(p); }
  // How many pages of one head lie before this one.
  int64_t Index(int64_t page, int64_t head) const {
    return (page / page_group * kv_heads + head) * page_group + page % page_group;
  }
};

// A value of d dimensions, and that of the token after it or null, into a head's bf16 page; with a next one `column` is even.
void WritePairedValue(const float* value, const float* next, int64_t d, int64_t column,
                      Bf16* head_values);

// Writes the rows of k and v, [T, K·d] f32, into `slots` [T]; bf16 pages round to nearest even.
void WriteKv(Exec& ex, const TensorView& k, const TensorView& v, std::span<const int32_t> slots,
             const KvLayer& layer);

// Pages of all layers, and who holds them. A page is free, or held once or more: sequences and the prefix index share pages, which are
// then only read. The memory of the first group is there from the start, that of others comes as they are first written: a system may take as long
// over it as the tokens take to compute. One thread at a time.
class KvPool {
 public:
  // Pages whose keys (and whose values) of one head lie together, so that a decode step reads a head in long runs: 512 KiB at d = 128.
  // With single pages it took 1.5 × as long where memory bounds (docs/benchmarks.md).
  static constexpr int64_t kPageGroup = 16;

  KvPool() = default;
  KvPool(int64_t layers, int64_t kv_heads, int64_t head_dim, int64_t pages,
         DType dtype = DType::kF32, Place place = {});

  int64_t pages() const { return pages_; }
  int64_t free_pages() const { return static_cast<int64_t>(free_.size()); }
  KvLayer layer(int64_t index) const;
  // A page that the caller alone holds. Throws RESOURCE_EXHAUSTED when no page is left.
  int32_t Take();
  // Holds a page once more.
  void Share(int32_t page);
  // Holds it once less; a page that nobody holds is free.
  void Give(int32_t page);
  int64_t holders(int32_t page) const { return holders_[static_cast<size_t>(page)]; }
  // The first `tokens` of a page, in all layers, into another.
  void Copy(int32_t from, int32_t to, int64_t tokens);
  // Calls `then` with the arguments of each Copy, before it, as long as pages are copied.
  void WhenCopied(std::function<void(int32_t from, int32_t to, int64_t tokens)> then) {
    when_copied_ = std::move(then);
  }

  // What the constructor takes.
  static int64_t Bytes(int64_t layers, int64_t kv_heads, int64_t head_dim, int64_t pages,
                       DType dtype = DType::kF32, Device device = Device::kCpu);

 private:
  void CopyOnDevice(int32_t from, int32_t to, int64_t tokens);

  Place place_;
  int64_t kv_heads_ = 0;
  int64_t head_dim_ = 0;
  int64_t pages_ = 0;
  int64_t page_group_ = 1;
  std::vector<Tensor> keys_;    // one per layer
  std::vector<Tensor> values_;  // one per layer
  std::vector<int32_t> free_;
  std::vector<int32_t> holders_;  // [pages]
  std::function<void(int32_t, int32_t, int64_t)> when_copied_;
};

// The pages of one sequence. Gives them back when it ends. A page that others hold too is read in place and copied before it is written.
class KvSequence {
 public:
  explicit KvSequence(KvPool& pool) : pool_(&pool) {}
  ~KvSequence() { Truncate(0); }
  // What is moved from is an empty sequence of the same pool.
  KvSequence(KvSequence&& other) noexcept
      : pool_(other.pool_),
        length_(std::exchange(other.length_, 0)),
        pages_(std::exchange(other.pages_, {})) {}
  KvSequence& operator=(KvSequence&& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(length_, other.length_);
    std::swap(pages_, other.pages_);
    return *this;
  }
  KvSequence(const KvSequence&) = delete;
  KvSequence& operator=(const KvSequence&) = delete;

  int64_t length() const { return length_; }
  std::span<const int32_t> pages() const { return pages_; }
  // A second sequence of the same positions, in shared pages.
  KvSequence Fork() const;
  // Begins a sequence, which must be empty, with `length` positions in pages that are shared from now on.
  void Begin(std::span<const int32_t> pages, int64_t length);
  // Room for `tokens` more positions; returns the first of them. Throws RESOURCE_EXHAUSTED and changes nothing when pages run out.
  int64_t Extend(int64_t tokens);
  // Pages that Extend(tokens) would take from the pool.
  int64_t PagesToExtend(int64_t tokens) const;
  // Forgets every position from `length` on.
  void Truncate(int64_t length);
  int32_t Slot(int64_t position) const {
    return pages_[static_cast<size_t>(position / kPageTokens)] * static_cast<int32_t>(kPageTokens) +
           static_cast<int32_t>(position % kPageTokens);
  }

 private:
  bool LastPageIsShared()
      const;  // and partly filled, so that the next position would be written there

  KvPool* pool_;
  int64_t length_ = 0;
  std::vector<int32_t> pages_;
};

}  // namespace binocle
