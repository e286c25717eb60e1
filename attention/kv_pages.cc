#include "attention/kv_pages.h"

#include <algorithm>
#include <cstring>

#include "attention/attention_cuda.h"
#include "attention/attention_device.h"
#include "core/backend/cuda/copy.h"
#include "core/backend/cuda_backend.h"
#include "core/ops/compact_rows.h"

namespace binocle {

namespace {

int64_t GroupOf(int64_t pages) { return std::clamp<int64_t>(pages, 1, KvPool::kPageGroup); }

// Whole groups.
int64_t Stored(int64_t pages) {
  const int64_t group = GroupOf(pages);
  return (pages + group - 1) / group * group;
}

// Rows of k and v, those of one head.
struct HeadRows {
  const TensorView& k;
  const TensorView& v;
  std::span<const int32_t> slots;
  const KvLayer& layer;
  int64_t head;

  const float* key(int64_t t) const { return k.row(t) + head * layer.head_dim; }
  const float* value(int64_t t) const { return v.row(t) + head * layer.head_dim; }
  int64_t slot(int64_t t) const { return slots[static_cast<size_t>(t)]; }
};

void WriteF32(const HeadRows& rows, int64_t t) {
  const int64_t d = rows.layer.head_dim;
  const int64_t page = rows.slot(t) / kPageTokens, column = rows.slot(t) % kPageTokens;
  float* key = rows.layer.key_page(page, rows.head) + column;
  for (int64_t i = 0; i < d; ++i) key[i * kPageTokens] = rows.key(t)[i];
  std::copy_n(rows.value(t), d, rows.layer.value_page(page, rows.head) + column * ValueStride(d));
}

void WritePairedKey(const HeadRows& rows, int64_t t) {
  const int64_t d = rows.layer.head_dim;
  alignas(64) Bf16 key[kMaxHeadDim];
  const int64_t padded = (d + 1) / 2 * 2;
  RowAsBf16(rows.key(t), d, padded, key);
  Bf16* to = rows.layer.key_page<Bf16>(rows.slot(t) / kPageTokens, rows.head) +
             PairedKeyIndex(rows.slot(t) % kPageTokens, 0);
  for (int64_t i = 0; i < padded; i += 2, to += 2 * kPageTokens) std::memcpy(to, key + i, 4);
}

// Returns how many tokens it wrote: two where both have their places side by side.
int64_t WritePairedValues(const HeadRows& rows, int64_t t, int64_t end) {
  const int64_t page = rows.slot(t) / kPageTokens, column = rows.slot(t) % kPageTokens;
  const bool both = column % 2 == 0 && t + 1 < end && rows.slot(t + 1) == rows.slot(t) + 1;
  WritePairedValue(rows.value(t), both ? rows.value(t + 1) : nullptr, rows.layer.head_dim, column,
                   rows.layer.value_page<Bf16>(page, rows.head));
  return both ? 2 : 1;
}

void WriteHead(const HeadRows& rows, int64_t begin, int64_t end) {
  if (rows.layer.dtype == DType::kF32) {
    for (int64_t t = begin; t < end; ++t) WriteF32(rows, t);
    return;
  }
  for (int64_t t = begin; t < end; ++t) WritePairedKey(rows, t);
  for (int64_t t = begin; t < end;) t += WritePairedValues(rows, t, end);
}

}  // namespace

void WritePairedValue(const float* value, const float* next, int64_t d, int64_t column,
                      Bf16* head_values) {
  for (int64_t i = 0; i < d; i += 64) {
    const int64_t count = std::min<int64_t>(64, d - i);
    Bf16* to = head_values + PairedValueIndex(column, i);
    if (next != nullptr) {
      PairRowsAsBf16(value + i, next + i, count, to);
    } else {
      for (int64_t j = 0; j < count; ++j) to[2 * j] = Bf16FromF32(value[i + j]);
    }
  }
}

void WriteKv(Exec& ex, const TensorView& k, const TensorView& v, std::span<const int32_t> slots,
             const KvLayer& layer) {
  const OpScope clock(ex.op_clock(), OpKind::kKvWrite);
  const int64_t width = layer.kv_heads * layer.head_dim;
  BINOCLE_CHECK(k.dim(1) == width && v.dim(1) == width &&
                    k.dim(0) == static_cast<int64_t>(slots.size()) && v.dim(0) == k.dim(0),
                "k ", k.shape().ToString(), " v ", v.shape().ToString());
  // A page's rows of one head before those of the next: each element of a key lies in a line of its own, and the lines of one head are what the
  // first cache holds.
  if (layer.device == Device::kCuda) return WriteKvOnDevice(ex, k, v, slots, layer);
  const int64_t rows = k.dim(0);
  const int64_t groups = (rows + kPageTokens - 1) / kPageTokens;
  ex.ParallelRanges(groups * layer.kv_heads, 2, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t first = task / layer.kv_heads * kPageTokens;
      WriteHead({k, v, slots, layer, task % layer.kv_heads}, first,
                std::min(first + kPageTokens, rows));
    }
  });
}

KvPool::KvPool(int64_t layers, int64_t kv_heads, int64_t head_dim, int64_t pages, DType dtype,
               Place place)
    : place_(place),
      kv_heads_(kv_heads),
      head_dim_(head_dim),
      pages_(pages),
      page_group_(GroupOf(pages)),
      holders_(static_cast<size_t>(pages)) {
  BINOCLE_CHECK(dtype == DType::kF32 || dtype == DType::kBF16, DTypeName(dtype));
  const bool on_device = place.cuda != nullptr;
  const int64_t stored = on_device ? pages : Stored(pages);
  const int64_t device_row = cuda::DeviceKvRow(static_cast<int>(head_dim));
  const int64_t key_rows = on_device ? device_row : KeyRows(head_dim, dtype);
  const int64_t value_rows = on_device ? device_row : ValueRows(head_dim, dtype);
  for (int64_t i = 0; i < layers; ++i) {
    keys_.emplace_back(dtype, Shape{stored, kv_heads, key_rows, kPageTokens}, "kv.keys", place);
    values_.emplace_back(dtype, Shape{stored, kv_heads, value_rows, kPageTokens}, "kv.values",
                         place);
    for (const Tensor* tensor : {&keys_.back(), &values_.back()})
      tensor->CommitFirst(tensor->bytes() / (stored / page_group_));
  }
  for (int64_t page = pages - 1; page >= 0; --page) free_.push_back(static_cast<int32_t>(page));
}

int64_t KvPool::Bytes(int64_t layers, int64_t kv_heads, int64_t head_dim, int64_t pages,
                      DType dtype, Device device) {
  if (device == Device::kCuda) {
    return pages * layers * kv_heads * kPageTokens * 2 *
           cuda::DeviceKvRow(static_cast<int>(head_dim)) * static_cast<int64_t>(DTypeSize(dtype));
  }
  return Stored(pages) * layers * kv_heads * kPageTokens *
         (KeyRows(head_dim, dtype) + ValueRows(head_dim, dtype)) *
         static_cast<int64_t>(DTypeSize(dtype));
}

KvLayer KvPool::layer(int64_t index) const {
  const TensorView& keys = keys_.at(static_cast<size_t>(index)).view();
  return {.keys = keys.data(),
          .values = values_.at(static_cast<size_t>(index)).view().data(),
          .dtype = keys.dtype(),
          .kv_heads = kv_heads_,
          .head_dim = head_dim_,
          .page_group = page_group_,
          .device = keys.device()};
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
  if (when_copied_) when_copied_(from, to, tokens);
  if (place_.cuda != nullptr) return CopyOnDevice(from, to, tokens);
  const DType dtype = keys_[0].view().dtype();
  // Keys of f32 lie by dimension, those of bf16 by pairs of them: 256 bytes either way. Values by token, or pairs of tokens in each panel.
  const bool pairs = dtype != DType::kF32;
  const int64_t key_rows = KeyRows(head_dim_, dtype) / (pairs ? 2 : 1);
  const int64_t panels = pairs ? ValueRows(head_dim_, dtype) / 64 : 1;
  const int64_t panel_bytes = 64 * kPageTokens * 2;
  const int64_t value_bytes =
      pairs ? (tokens + 1) / 2 * 2 * 64 * 2 : tokens * ValueStride(head_dim_) * 4;
  for (size_t l = 0; l < keys_.size(); ++l) {
    const KvLayer kv = layer(static_cast<int64_t>(l));
    for (int64_t h = 0; h < kv_heads_; ++h) {
      // The first tokens of each row of keys, as whole cache lines, which cost no calls.
      constexpr int64_t kLine = 64, kRow = 4 * kPageTokens;
      for (int64_t at = 0; at < key_rows * kRow; at += kRow) {
        for (int64_t line = at; line < at + 4 * tokens; line += kLine)
          std::memcpy(kv.key_bytes(to, h) + line, kv.key_bytes(from, h) + line, kLine);
      }
      for (int64_t p = 0; p < panels; ++p) {
        std::memcpy(kv.value_bytes(to, h) + p * panel_bytes,
                    kv.value_bytes(from, h) + p * panel_bytes, static_cast<size_t>(value_bytes));
      }
    }
  }
}

// Rows of all heads of a page: the first tokens of each.
void KvPool::CopyOnDevice(int32_t from, int32_t to, int64_t tokens) {
  const int64_t row =
      cuda::DeviceKvRow(static_cast<int>(head_dim_)) * DTypeSize(keys_[0].view().dtype());
  const int64_t head = row * kPageTokens, page = head * kv_heads_;
  for (const std::vector<Tensor>* tensors : {&keys_, &values_}) {
    for (const Tensor& of_layer : *tensors) {
      auto* pages = static_cast<std::byte*>(of_layer.view().data());
      place_.cuda->Run(cuda::kCopyRows, {.from = pages + from * page,
                                         .to = pages + to * page,
                                         .from_pitch = head,
                                         .to_pitch = head,
                                         .bytes = row * tokens,
                                         .rows = kv_heads_});
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
