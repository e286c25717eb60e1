#include "fusion/fusion.h"

#include <algorithm>

#include "core/ops/elementwise.h"
#include "fusion/ftz.h"
#include "fusion/resample.h"

namespace binocle {
namespace {

struct TypeName {
  FusionType type;
  std::string_view name;
};

constexpr TypeName kTypeNames[] = {
    {FusionType::kFtz, "ftz"},
    {FusionType::kAnchor, "anchor"},
    {FusionType::kAugment, "augment"},
    {FusionType::kAdd, "add"},
    {FusionType::kChannelConcat, "channel_concat"},
    {FusionType::kTokenConcat, "token_concat"},
    {FusionType::kInterleave, "interleave"},
};

// B on A's grid: the class token, if both keep one, unchanged; the patches resampled.
class GridMatcher {
 public:
  GridMatcher(const FeatureShape& anchor, const FeatureShape& augment, Place place)
      : anchor_(anchor), augment_(augment) {
    if (anchor.class_token != augment.class_token) {
      ThrowInvalid(
          "fusion_config: one tower keeps its class token and the other does not; this fusion "
          "needs one row per row "
          "(vision_feature_select_strategy)");
    }
    if (!Same())
      matched_ = Tensor::CommittedF32({anchor.tokens, augment.width}, "fusion.matched", place);
  }

  TensorView Match(Exec& ex, const TensorView& b) {
    if (Same()) return b;
    const int64_t special = anchor_.class_token ? 1 : 0;
    CopyRows(ex, b.Rows(0, special), matched_.view().Rows(0, special));
    ResampleBilinear(ex, b.Rows(special, b.dim(0)), augment_.grid, anchor_.grid,
                     matched_.view().Rows(special, anchor_.tokens));
    return matched_;
  }

 private:
  bool Same() const {
    return anchor_.grid.height == augment_.grid.height && anchor_.grid.width == augment_.grid.width;
  }

  FeatureShape anchor_, augment_;
  Tensor matched_;  // [n_a, d_b]
};

// Fusions whose fused features go through one projector.
class ProjectedFusion : public Fusion {
 public:
  ProjectedFusion(int64_t tokens, int64_t width, ProjectorWeights projector)
      : tokens_(tokens),
        width_(width),
        projector_(std::move(projector)),
        hidden_(
            Tensor::CommittedF32({tokens, projector_.linear_1.n}, "projector.hidden", place())) {}

  int64_t tokens() const override { return tokens_; }
  int64_t fused_width() const override { return width_; }
  Place place() const { return projector_.linear_1.place(); }
  void Project(Exec& ex, const TensorView& fused, const TensorView& visual) override {
    binocle::Project(ex, projector_, fused, hidden_, visual);
  }

 private:
  int64_t tokens_;
  int64_t width_;
  ProjectorWeights projector_;
  Tensor hidden_;
};

class FtzFusion final : public ProjectedFusion {
 public:
  FtzFusion(Ftz ftz, const FeatureShape& a, ProjectorWeights projector)
      : ProjectedFusion(a.tokens, a.width, std::move(projector)), ftz_(std::move(ftz)) {}
  void Fuse(Exec& ex, const TensorView& anchor, const TensorView& augment,
            const TensorView& fused) override {
    ftz_.Forward(ex, anchor, augment, fused);
  }

 private:
  Ftz ftz_;
};

class AnchorFusion final : public ProjectedFusion {
 public:
  using ProjectedFusion::ProjectedFusion;
  void Fuse(Exec& ex, const TensorView& anchor, const TensorView&,
            const TensorView& fused) override {
    CopyRows(ex, anchor, fused);
  }
};

class AugmentFusion final : public ProjectedFusion {
 public:
  using ProjectedFusion::ProjectedFusion;
  void Fuse(Exec& ex, const TensorView&, const TensorView& augment,
            const TensorView& fused) override {
    CopyRows(ex, augment, fused);
  }
};

// α·A + (1 − α)·B′
class AddFusion final : public ProjectedFusion {
 public:
  AddFusion(float alpha, LinearWeights augment_proj, const FeatureShape& a, const FeatureShape& b,
            ProjectorWeights projector)
      : ProjectedFusion(a.tokens, a.width, std::move(projector)),
        alpha_(alpha),
        augment_proj_(std::move(augment_proj)),
        grid_(a, b, place()) {
    if (augment_proj_.n > 0)
      widened_ = Tensor::CommittedF32({a.tokens, a.width}, "fusion.widened", place());
  }
  void Fuse(Exec& ex, const TensorView& anchor, const TensorView& augment,
            const TensorView& fused) override {
    TensorView b = grid_.Match(ex, augment);  // [n_a, d_b]
    if (!widened_.empty()) {
      Linear(ex, b, augment_proj_, widened_);  // B′ [n_a, d_a]
      b = widened_;
    }
    MixRows(ex, alpha_, anchor, 1 - alpha_, b, fused);
  }

 private:
  float alpha_;
  LinearWeights augment_proj_;
  GridMatcher grid_;
  Tensor widened_;
};

// [A ; B] along the features
class ChannelConcatFusion final : public ProjectedFusion {
 public:
  ChannelConcatFusion(const FeatureShape& a, const FeatureShape& b, ProjectorWeights projector)
      : ProjectedFusion(a.tokens, a.width + b.width, std::move(projector)), grid_(a, b, place()) {}
  void Fuse(Exec& ex, const TensorView& anchor, const TensorView& augment,
            const TensorView& fused) override {
    CopyRows(ex, anchor, fused.Columns(0, anchor.dim(1)));
    CopyRows(ex, grid_.Match(ex, augment), fused.Columns(anchor.dim(1), fused.dim(1)));
  }

 private:
  GridMatcher grid_;
};

// Fusions in which each tower has a projector of its own.
class TwoProjectorFusion : public Fusion {
 public:
  TwoProjectorFusion(const FeatureShape& a, int64_t augment_tokens, ProjectorWeights pa,
                     ProjectorWeights pb)
      : a_tokens_(a.tokens),
        b_tokens_(augment_tokens),
        pa_(std::move(pa)),
        pb_(std::move(pb)),
        hidden_(Tensor::CommittedF32(
            {std::max(a.tokens, augment_tokens), std::max(pa_.linear_1.n, pb_.linear_1.n)},
            "projector.hidden", place())) {}

  int64_t tokens() const override { return a_tokens_ + b_tokens_; }
  int64_t fused_width() const override { return pa_.linear_2.n; }
  Place place() const { return pa_.linear_1.place(); }
  void Project(Exec& ex, const TensorView& fused, const TensorView& visual) override {
    CopyRows(ex, fused, visual);
  }

 protected:
  void ProjectAnchor(Exec& ex, const TensorView& a, const TensorView& out) {
    binocle::Project(ex, pa_, a, Hidden(a, pa_), out);
  }
  void ProjectAugment(Exec& ex, const TensorView& b, const TensorView& out) {
    binocle::Project(ex, pb_, b, Hidden(b, pb_), out);
  }
  int64_t anchor_tokens() const { return a_tokens_; }
  int64_t augment_tokens() const { return b_tokens_; }

 private:
  TensorView Hidden(const TensorView& x, const ProjectorWeights& p) const {
    const TensorView all = hidden_.view().Reshape({hidden_.view().elements()});
    const int64_t rows = x.dim(0), width = p.linear_1.n;
    return all.Rows(0, rows * width).Reshape({rows, width});
  }

  int64_t a_tokens_, b_tokens_;
  ProjectorWeights pa_, pb_;
  Tensor hidden_;
};

// proj_a(A) then proj_b(B)
class TokenConcatFusion final : public TwoProjectorFusion {
 public:
  using TwoProjectorFusion::TwoProjectorFusion;
  void Fuse(Exec& ex, const TensorView& anchor, const TensorView& augment,
            const TensorView& fused) override {
    ProjectAnchor(ex, anchor, fused.Rows(0, anchor_tokens()));
    ProjectAugment(ex, augment, fused.Rows(anchor_tokens(), tokens()));
  }
};

// proj_a(A)₀, proj_b(B)₀, proj_a(A)₁, …
class InterleaveFusion final : public TwoProjectorFusion {
 public:
  InterleaveFusion(const FeatureShape& a, const FeatureShape& b, ProjectorWeights pa,
                   ProjectorWeights pb)
      : TwoProjectorFusion(a, a.tokens, std::move(pa), std::move(pb)), grid_(a, b, place()) {}
  void Fuse(Exec& ex, const TensorView& anchor, const TensorView& augment,
            const TensorView& fused) override {
    // Pairs of rows as one row of twice the width: A in the left half, B in the right.
    const int64_t width = fused.dim(1);
    const TensorView pairs = fused.Reshape({anchor_tokens(), 2 * width});
    ProjectAnchor(ex, anchor, pairs.Columns(0, width));
    ProjectAugment(ex, grid_.Match(ex, augment), pairs.Columns(width, 2 * width));
  }

 private:
  GridMatcher grid_;
};

}  // namespace

std::string_view FusionTypeName(FusionType type) {
  for (const TypeName& entry : kTypeNames) {
    if (entry.type == type) return entry.name;
  }
  return "?";
}

FusionType ParseFusionType(std::string_view name, const std::string& where) {
  std::string choices;
  for (const TypeName& entry : kTypeNames) {
    if (entry.name == name) return entry.type;
    choices += internal::Concat(choices.empty() ? "" : ", ", entry.name);
  }
  ThrowInvalid(where, " is ", Printable(name, 60), ", expected one of ", choices);
}

bool UsesAnchor(FusionType type) { return type != FusionType::kAugment; }
bool UsesAugment(FusionType type) { return type != FusionType::kAnchor; }

std::unique_ptr<Fusion> BindFusion(const FusionConfig& c, const ProjectorConfig& p,
                                   const FeatureShape& a, const FeatureShape& b,
                                   WeightBinder binder) {
  const WeightBinder fusion = binder.Under("fusion.");
  const WeightBinder projector = binder.Under("projector.");
  const bool checking = binder.checking();
  switch (c.type) {
    case FusionType::kFtz: {
      FtzWeights ftz = BindFtz(c, a.width, b.width, fusion);
      ProjectorWeights proj = BindProjector(p, a.width, projector);
      if (checking) return nullptr;
      return std::make_unique<FtzFusion>(Ftz(c, std::move(ftz), a.tokens, b.tokens), a,
                                         std::move(proj));
    }
    case FusionType::kAnchor: {
      ProjectorWeights proj = BindProjector(p, a.width, projector);
      if (checking) return nullptr;
      return std::make_unique<AnchorFusion>(a.tokens, a.width, std::move(proj));
    }
    case FusionType::kAugment: {
      ProjectorWeights proj = BindProjector(p, b.width, projector);
      if (checking) return nullptr;
      return std::make_unique<AugmentFusion>(b.tokens, b.width, std::move(proj));
    }
    case FusionType::kAdd: {
      LinearWeights widen;
      if (a.width != b.width) {
        widen = WeightBinder(fusion).Linear(
            {{"augment_proj", a.width}}, b.width, Bias::kPresent,
            internal::Concat("anchor width ", a.width, ", augment width ", b.width));
      }
      ProjectorWeights proj = BindProjector(p, a.width, projector);
      if (checking) return nullptr;
      return std::make_unique<AddFusion>(c.alpha, std::move(widen), a, b, std::move(proj));
    }
    case FusionType::kChannelConcat: {
      ProjectorWeights proj = BindProjector(p, a.width + b.width, projector);
      if (checking) return nullptr;
      return std::make_unique<ChannelConcatFusion>(a, b, std::move(proj));
    }
    case FusionType::kTokenConcat:
    case FusionType::kInterleave: {
      ProjectorWeights pa = BindProjector(p, a.width, projector.Under("anchor."));
      ProjectorWeights pb = BindProjector(p, b.width, projector.Under("augment."));
      if (checking) return nullptr;
      if (c.type == FusionType::kInterleave)
        return std::make_unique<InterleaveFusion>(a, b, std::move(pa), std::move(pb));
      return std::make_unique<TokenConcatFusion>(a, b.tokens, std::move(pa), std::move(pb));
    }
  }
  BINOCLE_CHECK(false, "fusion type");
}

PatchPlaces PlacesOfPatches(FusionType type, const FeatureShape& leading) {
  const int64_t stride = type == FusionType::kInterleave ? 2 : 1;  // an augmenting token after each
  const int64_t before = (leading.class_token ? 1 : 0) - (leading.first_patch_dropped ? 1 : 0);
  return {.grid = leading.grid, .first = before * stride, .stride = stride};
}

int64_t FusionActivationBytes(const FusionConfig& c, const ProjectorConfig& p,
                              const FeatureShape& a, const FeatureShape& b) {
  const bool same_grid = a.grid.height == b.grid.height && a.grid.width == b.grid.width;
  const int64_t matched = same_grid ? 0 : a.tokens * b.width;
  int64_t floats = 0;
  int64_t ftz = 0;
  switch (c.type) {
    case FusionType::kFtz:
      ftz = Ftz::Bytes(c, a.width, a.tokens, b.tokens), floats = a.tokens * p.hidden;
      break;
    case FusionType::kAnchor: floats = a.tokens * p.hidden; break;
    case FusionType::kAugment: floats = b.tokens * p.hidden; break;
    case FusionType::kAdd:
      floats = a.tokens * p.hidden + matched + (a.width == b.width ? 0 : a.tokens * a.width);
      break;
    case FusionType::kChannelConcat: floats = a.tokens * p.hidden + matched; break;
    case FusionType::kTokenConcat: floats = std::max(a.tokens, b.tokens) * p.hidden; break;
    case FusionType::kInterleave: floats = a.tokens * p.hidden + matched; break;
  }
  return ftz + floats * 4;
}

}  // namespace binocle
