#include "attention/kv_pages.h"

#include <algorithm>
#include <cstring>

namespace binocle {

namespace {

int64_t GroupOf(int64_t pages) { return std::clamp<int64_t>(pages, 1, KvPool::kPageGroup); }

// Whole groups.
int64_t Stored(int64_t pages) {
  const int64_t group = GroupOf(pages);
  return (pages + group - 1) / group * group;
}

void Put(float value, float* to) { *to = value; }
void Put(float value, Bf16* to) { *to = Bf16FromF32(value); }

// One head of one row.
template <typename Element>
void WriteHead(const KvLayer& layer, int64_t slot, int64_t head, const float* k, const float* v) {
  const int64_t d = layer.head_dim;
  const int64_t page = slot / kPageTokens;
  const int64_t column = slot % kPageTokens;
  Element* key = layer.key_page<Element>(page, head) + column;
  Element* value = layer.value_page<Element>(page, head) + column * ValueStride(d);
  for (int64_t i = 0; i < d; ++i) Put(k[i], key + i * kPageTokens);
  for (int64_t i = 0; i < d; ++i) Put(v[i], value + i);
}

}  // namespace

void WriteKv(Exec& ex, const TensorView& k, const TensorView& v, std::span<const int32_t> slots,
             const KvLayer& layer) {
  const OpScope clock(ex.op_clock(), OpKind::kKvWrite);
  const int64_t width = layer.kv_heads * layer.head_dim;
  BINOCLE_CHECK(k.dim(1) == width && v.dim(1) == width &&
                    k.dim(0) == static_cast<int64_t>(slots.size()) && v.dim(0) == k.dim(0),
                "k ", k.shape().ToString(), " v ", v.shape().ToString());
  const auto write = layer.dtype == DType::kF32 ? WriteHead<float> : WriteHead<Bf16>;
  // A page's rows of one head before those of the next: each element of a key lies in a line of its own, and the lines of one head are what the
  // first cache holds.
  const int64_t rows = k.dim(0), d = layer.head_dim;
  const int64_t groups = (rows + kPageTokens - 1) / kPageTokens;
  ex.ParallelRanges(groups * layer.kv_heads, 2, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t head = task % layer.kv_heads;
      const int64_t first = task / layer.kv_heads * kPageTokens;
      for (int64_t t = first; t < std::min(first + kPageTokens, rows); ++t)
        write(layer, slots[static_cast<size_t>(t)], head, k.row(t) + head * d, v.row(t) + head * d);
    }
  });
}

KvPool::KvPool(int64_t layers, int64_t kv_heads, int64_t head_dim, int64_t pages, DType dtype)
    : kv_heads_(kv_heads),
      head_dim_(head_dim),
      pages_(pages),
      page_group_(GroupOf(pages)),
      holders_(static_cast<size_t>(pages)) {
  BINOCLE_CHECK(dtype == DType::kF32 || dtype == DType::kBF16, DTypeName(dtype));
  const int64_t stored = Stored(pages);
  for (int64_t i = 0; i < layers; ++i) {
    keys_.emplace_back(dtype, Shape{stored, kv_heads, head_dim, kPageTokens}, "kv.keys");
    values_.emplace_back(dtype, Shape{stored, kv_heads, kPageTokens, ValueStride(head_dim)},
                         "kv.values");
  }
  for (int64_t page = pages - 1; page >= 0; --page) free_.push_back(static_cast<int32_t>(page));
}

int64_t KvPool::Bytes(int64_t layers, int64_t kv_heads, int64_t head_dim, int64_t pages) {
  return Stored(pages) * layers * kv_heads * kPageTokens * (head_dim + ValueStride(head_dim)) * 4;
}

KvLayer KvPool::layer(int64_t index) const {
  const TensorView& keys = keys_.at(static_cast<size_t>(index)).view();
  return {.keys = keys.data(),
          .values = values_.at(static_cast<size_t>(index)).view().data(),
          .dtype = keys.dtype(),
          .kv_heads = kv_heads_,
          .head_dim = head_dim_,
          .page_group = page_group_};
}

int32_t KvPool::Take() {
  if (free_.empty())
    Throw(Code::kResourceExhausted, "no page of keys and values is left: all ", pages_,
          " pages of ", kPageTokens, " tokens are in use");
  const int32_t page = free_.back();
  free_.pop_back();
  holders_[static_cast<size_t>(page)] = 1;
  return page;
}

void KvPool::Share(int32_t page) {
  BINOCLE_CHECK(holders(page) > 0, "page ", page, " is free");
  ++holders_[static_cast<size_t>(page)];
}

void KvPool::Give(int32_t page) {
  BINOCLE_CHECK(holders(page) > 0, "page ", page, " is free");
  if (--holders_[static_cast<size_t>(page)] == 0) free_.push_back(page);
}

void KvPool::Copy(int32_t from, int32_t to, int64_t tokens) {
  if (keys_.empty()) return;
  const auto element = static_cast<int64_t>(DTypeSize(keys_[0].view().dtype()));
  for (size_t l = 0; l < keys_.size(); ++l) {
    const KvLayer kv = layer(static_cast<int64_t>(l));
    for (int64_t h = 0; h < kv_heads_; ++h) {
      const auto bytes = [&](int64_t elements) { return static_cast<size_t>(elements * element); };
      // Keys lie by dimension: the first tokens of each row of 64, as whole cache lines, which cost no calls.
      constexpr size_t kLine = 64;
      const size_t lines = (bytes(tokens) + kLine - 1) / kLine;
      for (int64_t i = 0; i < head_dim_; ++i) {
        const auto row = static_cast<std::ptrdiff_t>(bytes(i * kPageTokens));
        for (size_t line = 0; line < lines; ++line) {
          const auto at = row + static_cast<std::ptrdiff_t>(line * kLine);
          std::memcpy(kv.key_bytes(to, h) + at, kv.key_bytes(from, h) + at, kLine);
        }
      }
      std::memcpy(kv.value_bytes(to, h), kv.value_bytes(from, h),
                  bytes(tokens * ValueStride(head_dim_)));
    }
  }
}

bool KvSequence::LastPageIsShared() const {
  return length_ % kPageTokens != 0 && pool_->holders(pages_.back()) > 1;
}

int64_t KvSequence::PagesToExtend(int64_t tokens) const {
  if (tokens == 0) return 0;
  const int64_t missing = PagesFor(length_ + tokens) - std::ssize(pages_);
  return missing + (LastPageIsShared() ? 1 : 0);
}

int64_t KvSequence::Extend(int64_t tokens) {
  const int64_t first = length_;
  const int64_t wanted = PagesToExtend(tokens);
  if (wanted > pool_->free_pages()) {
    Throw(Code::kResourceExhausted, tokens, " more tokens need ", wanted,
          " pages of keys and values, ", pool_->free_pages(), " of ", pool_->pages(), " are free");
  }
  if (tokens > 0 && LastPageIsShared()) {
    const int32_t own = pool_->Take();
    pool_->Copy(pages_.back(), own, length_ % kPageTokens);
    pool_->Give(std::exchange(pages_.back(), own));
  }
  length_ += tokens;
  while (std::ssize(pages_) < PagesFor(length_)) pages_.push_back(pool_->Take());
  return first;
}

KvSequence KvSequence::Fork() const {
  KvSequence fork(*pool_);
  fork.Begin(pages_, length_);
  return fork;
}

void KvSequence::Begin(std::span<const int32_t> pages, int64_t length) {
  BINOCLE_CHECK(pages_.empty() && PagesFor(length) == std::ssize(pages), length, " tokens in ",
                pages.size(), " pages");
  for (const int32_t page : pages) pool_->Share(page);
  pages_.assign(pages.begin(), pages.end());
  length_ = length;
}

void KvSequence::Truncate(int64_t length) {
  BINOCLE_CHECK(length >= 0 && length <= length_, length, " of ", length_);
  length_ = length;
  while (static_cast<int64_t>(pages_.size()) > PagesFor(length_)) {
    pool_->Give(pages_.back());
    pages_.pop_back();
  }
}

}  // namespace binocle
