#include "fusion/random/random_weights.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>

namespace binocle {
namespace {

constexpr int64_t kPieceElements = int64_t{16} << 20;

bool HasAny(std::string_view name, std::initializer_list<std::string_view> parts) {
  return std::any_of(parts.begin(), parts.end(), [&](std::string_view part) {
    return name.find(part) != std::string_view::npos;
  });
}

int64_t LayersOf(std::string_view name, const ModelConfig& config) {
  const auto of = [](const std::optional<TowerConfig>& tower) {
    return std::visit([](const auto& shape) { return shape.layers; }, tower->shape);
  };
  if (name.starts_with("anchor.")) return of(config.anchor);
  return name.starts_with("augment.") ? of(config.augment) : config.text.layers;
}

}  // namespace

RandomWidth WidthOf(std::string_view name, const Shape& shape, const ModelConfig& config) {
  if (name.ends_with(".bias")) return {0, 0.05F};
  if (HasAny(name, {"embed_tokens."})) return {0, 0.05F};
  if (HasAny(name, {"class_embedding", "position_embedding", "cls_token", "register_tokens"}))
    return {0, 0.3F};
  if (shape.rank() == 1) return {1, 0.1F};  // gains of norms, scales of layers
  const auto k = static_cast<float>(shape.elements() / shape[0]);
  const float usual = 1 / std::sqrt(k);
  if (HasAny(name, {"lm_head."})) return {0, 3 * usual};
  if (HasAny(name, {"q_proj.", "k_proj.", ".query.", ".key."})) return {0, 1.5F * usual};
  const bool joins = HasAny(name, {"o_proj.", "down_proj.", "self_attn.out_proj.", "fc2.",
                                   "output.dense.", "weights_out."});
  if (!joins) return {0, usual};
  return {0, 2 * usual / std::sqrt(2 * static_cast<float>(LayersOf(name, config)))};
}

void WriteRandom(Exec& ex, const NewTensor& tensor, RandomWidth width, uint64_t seed,
                 std::string_view key_name, const std::function<void(std::string_view)>& write) {
  const RandomElements elements(tensor.dtype, width, RandomKey(seed, key_name));
  const int64_t count = tensor.shape.elements();
  std::string piece;
  for (int64_t first = 0; first < count; first += kPieceElements) {
    const int64_t some = std::min(kPieceElements, count - first);
    piece.resize(static_cast<size_t>(StoredBytes(tensor.dtype, some)));
    elements.Fill(ex, first, some, piece.data());
    write(piece);
  }
}

}  // namespace binocle
