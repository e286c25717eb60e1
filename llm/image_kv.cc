#include "llm/image_kv.h"

#include <algorithm>

namespace binocle {
namespace {

// Tokens [begin, end) of the image that lie in one page, from `column` on.
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
  const Tensor& keys;    // [K·d, n]
  const Tensor& values;  // [n, K·d]
  KvLayer kv;
  int64_t index;
};

template <typename Element>
void PlaceKeys(const Head& h, const RopeTable& rope, int64_t first_position, const Piece& piece) {
  const int64_t d = h.kv.head_dim;
  const int64_t half = d / 2;
  Element* page = h.kv.key_page<Element>(piece.page, h.index) + piece.column;
  for (int64_t i = 0; i < half; ++i) {
    const float* low = h.keys.row(h.index * d + i) + piece.begin;
    const float* high = h.keys.row(h.index * d + half + i) + piece.begin;
    const float* cos = rope.cos.row(i) + first_position + piece.begin;
    const float* sin = rope.sin.row(i) + first_position + piece.begin;
    Element* low_out = page + i * kPageTokens;
    Element* high_out = page + (half + i) * kPageTokens;
    for (int64_t j = 0; j < piece.end - piece.begin; ++j) {
      StoreKvElement(low[j] * cos[j] - high[j] * sin[j], low_out + j);
      StoreKvElement(high[j] * cos[j] + low[j] * sin[j], high_out + j);
    }
  }
}

template <typename Element>
void PlaceValues(const Head& h, const Piece& piece) {
  const int64_t d = h.kv.head_dim;
  Element* page = h.kv.value_page<Element>(piece.page, h.index);
  for (int64_t t = piece.begin; t < piece.end; ++t) {
    const float* value = h.values.row(t) + h.index * d;
    Element* out = page + (piece.column + t - piece.begin) * ValueStride(d);
    for (int64_t i = 0; i < d; ++i) StoreKvElement(value[i], out + i);
  }
}

template <typename Element>
void PlaceHead(const Head& h, const RopeTable& rope, int64_t first_position,
               const std::vector<Piece>& pieces) {
  for (const Piece& piece : pieces) {
    PlaceKeys<Element>(h, rope, first_position, piece);
    PlaceValues<Element>(h, piece);
  }
}

}  // namespace

int64_t ImageKv::bytes() const {
  int64_t bytes = last.bytes();
  for (const Tensor& t : keys) bytes += t.bytes();
  for (const Tensor& t : values) bytes += t.bytes();
  for (const auto& s : sinks) bytes += static_cast<int64_t>(s.size() * sizeof(SinkScore));
  return bytes;
}

void StoreImageRows(const TensorView& k, const TensorView& v, int64_t layer, int64_t first,
                    ImageKv& image) {
  Tensor& keys = image.keys[static_cast<size_t>(layer)];
  Tensor& values = image.values[static_cast<size_t>(layer)];
  for (int64_t t = 0; t < k.dim(0); ++t) {
    for (int64_t i = 0; i < k.dim(1); ++i) keys.row(i)[first + t] = k.row(t)[i];
    std::copy_n(v.row(t), v.dim(1), values.row(first + t));
  }
}

void PlaceImageKv(Exec& ex, const ImageKv& image, const RopeTable& rope, int64_t first_position,
                  KvPool& pool, const KvSequence& sequence) {
  BINOCLE_CHECK(first_position + image.tokens() <= rope.cos.dim(1), first_position);
  const std::vector<Piece> pieces = PiecesOf(image.tokens(), first_position, sequence);
  const int64_t heads = pool.layer(0).kv_heads;
  ex.Parallel(std::ssize(image.keys) * heads, [&](int64_t task) {
    const auto layer = static_cast<size_t>(task / heads);
    const Head head{.keys = image.keys[layer],
                    .values = image.values[layer],
                    .kv = pool.layer(task / heads),
                    .index = task % heads};
    const auto place = head.kv.dtype == DType::kF32 ? PlaceHead<float> : PlaceHead<Bf16>;
    place(head, rope, first_position, pieces);
  });
}

}  // namespace binocle
