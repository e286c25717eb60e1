#include "fusion/projector.h"

#include "core/ops/linear_activate.h"
#include "core/ops/product_rows.h"

namespace binocle {

ProjectorWeights BindProjector(const ProjectorConfig& c, int64_t in, WeightBinder b) {
  const std::string why = internal::Concat("features of width ", in, ", projector width ", c.hidden,
                                           ", language model width ", c.out);
  return {.linear_1 = b.Linear({{"linear_1", c.hidden}}, in, c.bias, why),
          .linear_2 = b.Linear({{"linear_2", c.out}}, c.hidden, c.bias, why)};
}

// visual = W₂·GELU(W₁ x + b₁) + b₂
void Project(Exec& ex, const ProjectorWeights& w, const TensorView& x, const TensorView& hidden,
             const TensorView& visual) {
  const TensorView h = RowsBetween(w.linear_1, w.linear_2, hidden);
  LinearActivate(ex, x, w.linear_1, Activation::kGelu, h);  // [n, h]
  Linear(ex, h, w.linear_2, visual);                        // [n, D]
}

}  // namespace binocle
