#include "attention/place_kv.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "attention/attention_device.h"
#include "core/ops/compact_rows.h"
#include "core/ops/elementwise.h"
#include "core/ops/rope_cpu.h"

namespace binocle {
namespace {

// Tokens [begin, end) that lie in one page, from `column` on.
struct Piece {
  int64_t begin, end;
  int64_t page, column;
};

std::vector<Piece> PiecesOf(int64_t tokens, int64_t first_position, const KvSequence& sequence) {
  std::vector<Piece> pieces;
  for (int64_t at = 0; at < tokens;) {
    const int64_t slot = sequence.Slot(first_position + at);
    const int64_t column = slot % kPageTokens;
    const int64_t end = std::min(tokens, at + kPageTokens - column);
    pieces.push_back({at, end, slot / kPageTokens, column});
    at = end;
  }
  return pieces;
}

// One kv head of one layer.
struct Head {
  const KeptKv& kept;
  const KvLayer& kv;
  int64_t index;
};

// Dimensions i and d/2 + i of the piece's keys.
void RotateKeys(const Head& h, const RopeTable& rope, int64_t first_position, const Piece& piece,
                int64_t i, float* low, float* high) {
  const int64_t d = h.kv.head_dim;
  const int64_t position = first_position + piece.begin;
  RotateRowsCpu({.low = h.kept.keys.row(h.index * d + i) + piece.begin,
                 .high = h.kept.keys.row(h.index * d + d / 2 + i) + piece.begin,
                 .cos = rope.cos.row(i) + position,
                 .sin = rope.sin.row(i) + position,
                 .low_out = low,
                 .high_out = high,
                 .count = piece.end - piece.begin});
}

void PlaceKeys(const Head& h, const RopeTable& rope, int64_t first_position, const Piece& piece) {
  const int64_t half = h.kv.head_dim / 2;
  if (h.kv.dtype == DType::kF32) {
    float* page = h.kv.key_page(piece.page, h.index) + piece.column;
    for (int64_t i = 0; i < half; ++i) {
      RotateKeys(h, rope, first_position, piece, i, page + i * kPageTokens,
                 page + (half + i) * kPageTokens);
    }
    return;
  }
  // Pairs of dimensions lie together. Where half of them is an odd number, one pair has a dimension of either half.
  alignas(64) float rotated[kMaxHeadDim][kPageTokens];
  for (int64_t i = 0; i < half; ++i)
    RotateKeys(h, rope, first_position, piece, i, rotated[i], rotated[half + i]);
  Bf16* page = h.kv.key_page<Bf16>(piece.page, h.index);
  for (int64_t i = 0; i < 2 * half; i += 2) {
    PairRowsAsBf16(rotated[i], rotated[i + 1], piece.end - piece.begin,
                   page + PairedKeyIndex(piece.column, i));
  }
}

void PlacePairedValues(const Head& h, const Piece& piece) {
  const int64_t d = h.kv.head_dim, stride = ValueStride(d);
  const float* kept = h.kept.values.row(h.index);
  Bf16* page = h.kv.value_page<Bf16>(piece.page, h.index);
  for (int64_t t = piece.begin; t < piece.end;) {
    const int64_t column = piece.column + t - piece.begin;
    const bool both = column % 2 == 0 && t + 1 < piece.end;
    const float* value = kept + t * stride;
    WritePairedValue(value, both ? value + stride : nullptr, d, column, page);
    t += both ? 2 : 1;
  }
}

void PlaceValues(const Head& h, const Piece& piece) {
  if (h.kv.dtype != DType::kF32) return PlacePairedValues(h, piece);
  const int64_t stride = ValueStride(h.kv.head_dim);
  std::memcpy(h.kv.value_page(piece.page, h.index) + piece.column * stride,
              h.kept.values.row(h.index) + piece.begin * stride,
              static_cast<size_t>((piece.end - piece.begin) * stride) * sizeof(float));
}

}  // namespace

int64_t KeptKv::Floats(int64_t kv_heads, int64_t head_dim, int64_t tokens) {
  constexpr int64_t kLine = 16;
  const int64_t floats = kv_heads * tokens * (head_dim + ValueStride(head_dim));
  return (floats + kLine - 1) / kLine * kLine;
}

KeptKv KeptKv::In(float* memory, int64_t kv_heads, int64_t head_dim, int64_t tokens,
                  Device device) {
  if (device == Device::kCuda) {
    const Shape rows{tokens, kv_heads * head_dim};
    return {
        .keys = TensorView(memory, DType::kF32, rows, "image.keys", device),
        .values = TensorView(memory + rows.elements(), DType::kF32, rows, "image.values", device)};
  }
  float* values = memory + kv_heads * head_dim * tokens;
  return {.keys = TensorView(memory, DType::kF32, {kv_heads * head_dim, tokens}),
          .values = TensorView(values, DType::kF32, {kv_heads, tokens * ValueStride(head_dim)})};
}

void KeptKv::Store(Exec& ex, const TensorView& k, const TensorView& v, int64_t first) {
  const OpScope clock(ex.op_clock(), OpKind::kKvWrite);
  if (keys.on_cuda()) {
    CopyRows(ex, k, keys.Rows(first, first + k.dim(0)));
    return CopyRows(ex, v, values.Rows(first, first + v.dim(0)));
  }
  const int64_t heads = values.dim(0), d = keys.dim(0) / heads;
  // Of as many tokens as the first cache keeps a line of each, a line's dimensions are turned at a time.
  constexpr int64_t kLine = 16, kTokens = 128;
  const int64_t tokens = k.dim(0), groups = (tokens + kTokens - 1) / kTokens;
  ex.ParallelRanges(groups * heads, 1, [&](int64_t task_begin, int64_t task_end) {
    for (int64_t task = task_begin; task < task_end; ++task) {
      const int64_t head = task % heads;
      const int64_t begin = task / heads * kTokens, end = std::min(begin + kTokens, tokens);
      for (int64_t i0 = head * d; i0 < (head + 1) * d; i0 += kLine) {
        for (int64_t i = i0; i < std::min(i0 + kLine, (head + 1) * d); ++i) {
          float* key = keys.row(i) + first;
          for (int64_t t = begin; t < end; ++t) key[t] = k.row(t)[i];
        }
      }
      for (int64_t t = begin; t < end; ++t)
        std::copy_n(v.row(t) + head * d, d, values.row(head) + (first + t) * ValueStride(d));
    }
  });
}

void PlaceKv(Exec& ex, std::span<const KeptKv> layers, const RopeTable& rope,
             int64_t first_position, const KvPool& pool, const KvSequence& sequence) {
  if (layers.empty()) return;
  const OpScope clock(ex.op_clock(), OpKind::kKvWrite);
  const int64_t tokens = layers.front().tokens();
  if (layers.front().keys.on_cuda()) {
    std::vector<int32_t> slots, positions;
    for (int64_t t = 0; t < tokens; ++t) {
      slots.push_back(sequence.Slot(first_position + t));
      positions.push_back(static_cast<int32_t>(first_position + t));
    }
    for (int64_t l = 0; l < std::ssize(layers); ++l) {
      const KeptKv& kept = layers[static_cast<size_t>(l)];
      PlaceKvOnDevice(ex, {kept.keys, kept.values, slots, positions, rope}, pool.layer(l));
    }
    return;
  }
  const int64_t heads = pool.layer(0).kv_heads;
  BINOCLE_CHECK(first_position + tokens <= rope.cos.dim(1), first_position);
  const std::vector<Piece> pieces = PiecesOf(tokens, first_position, sequence);
  ex.Parallel(std::ssize(layers) * heads, [&](int64_t task) {
    const KvLayer kv = pool.layer(task / heads);
    const Head head{
        .kept = layers[static_cast<size_t>(task / heads)], .kv = kv, .index = task % heads};
    for (const Piece& piece : pieces) {
      PlaceKeys(head, rope, first_position, piece);
      PlaceValues(head, piece);
    }
  });
}

}  // namespace binocle
