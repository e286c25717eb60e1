// How wide the random weights of a tensor are: so that the numbers in a model of any depth stay near 1, attention is neither even nor a
// single key, and greedy tokens vary.
#pragma once

#include <string_view>

#include "core/tensor_source.h"
#include "fusion/model_config.h"
#include "fusion/random/random_fill.h"

namespace binocle {

// `name` is docs/model_format.md's.
//   gains of norms             1 ± 0.1        so that none is a no-op
//   biases                     0 ± 0.05
//   tables of tokens           0 ± 0.05       small beside what layers add: a tied head would repeat its input otherwise
//   places, class tokens       0 ± 0.3
//   q, k                       1.5/√k         scores of ± 2.25
//   what joins the residual    2/√(k·2L)      all layers together add 4 times a normed row at most
//   heads that are not tied    3/√k           logits of ± 3
//   other matrices             1/√k           rows in are rows out
RandomWidth WidthOf(std::string_view name, const Shape& shape, const ModelConfig& config);

// Fills one tensor in pieces. `key_name` is what the numbers depend on beside the seed.
void WriteRandom(Exec& ex, const NewTensor& tensor, RandomWidth width, uint64_t seed,
                 std::string_view key_name, const std::function<void(std::string_view)>& write);

}  // namespace binocle
