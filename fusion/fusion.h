// Joining two towers' features. A [n_a, d_a] from the anchor, B [n_b, d_b] from the augmenting tower.
//
//   ftz             LayerNorm(A + MHCA(A, B)), or A + MHCA(LayerNorm(A), B), or A + MHCA(A, B); `A +` may be off
//   anchor, augment A, B
//   add             α·A + (1 − α)·B′         B′ = B, or B·Wᵀ + b where the widths differ
//   channel_concat  [A ; B] along the features
//   token_concat    A then B, each through its own projector
//   interleave      A₀, B₀, A₁, B₁, …, each through its own projector
//
// add, channel_concat and interleave take one B row per A row: where the grids differ B is resampled to A's grid (resample.h).
// FtZ's exact formula was not published; this is our reading of it (docs/model_format.md).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "core/weights.h"
#include "fusion/projector.h"
#include "vision/encoder.h"

namespace binocle {

enum class FusionType : uint8_t {
  kFtz,
  kAnchor,
  kAugment,
  kAdd,
  kChannelConcat,
  kTokenConcat,
  kInterleave
};

std::string_view FusionTypeName(FusionType type);
// The inverse; throws naming `where` and the choices.
FusionType ParseFusionType(std::string_view name, const std::string& where);

enum class FtzNorm : uint8_t { kPost, kPre, kNone };
enum class Residual : uint8_t { kOff, kOn };

struct FusionConfig {
  FusionType type = FusionType::kAnchor;
  int64_t width = 0;  // d_f, FtZ
  int64_t heads = 0;  // FtZ
  FtzNorm norm = FtzNorm::kPost;
  Residual residual = Residual::kOn;
  float epsilon = 1e-5F;
  float alpha = 0.5F;            // add
  DType kv_dtype = DType::kF32;  // of keys and values, FtZ
};

bool UsesAnchor(FusionType type);
bool UsesAugment(FusionType type);

// What a tower hands over.
struct FeatureShape {
  int64_t tokens = 0;
  int64_t width = 0;
  PatchGrid grid;
  bool class_token = false;
  bool first_patch_dropped = false;
};

// Fusion and projector together, because token_concat and interleave project before they join.
class Fusion {
 public:
  virtual ~Fusion() = default;

  virtual int64_t tokens() const = 0;  // n, visual tokens per picture
  virtual int64_t fused_width()
      const = 0;  // of `fused`; the language model's width where projecting comes first

  // anchor [n_a, d_a] and augment [n_b, d_b], empty where the type does not use it -> fused [n, fused_width()].
  virtual void Fuse(Exec& ex, const TensorView& anchor, const TensorView& augment,
                    const TensorView& fused) = 0;
  // fused -> visual tokens [n, D]. A copy where Fuse has already projected.
  virtual void Project(Exec& ex, const TensorView& fused, const TensorView& visual) = 0;
};

// Binds `fusion.` and `projector.` and returns the fusion, or nullptr while the binder is checking. `anchor` and `augment` are the
// shapes of what the towers hand over.
std::unique_ptr<Fusion> BindFusion(const FusionConfig& config, const ProjectorConfig& projector,
                                   const FeatureShape& anchor, const FeatureShape& augment,
                                   WeightBinder binder);

// Where the leading tower's patches are among the visual tokens: patch i is token first + i·stride; below 0, it has none. The leading tower is the anchor,
// or the augmenting tower where there is no anchor.
struct PatchPlaces {
  PatchGrid grid;
  int64_t first = 0;
  int64_t stride = 1;

  int64_t TokenOf(int64_t patch) const { return first + patch * stride; }
};
PatchPlaces PlacesOfPatches(FusionType type, const FeatureShape& leading);

// What the buffers of that fusion and its projector take.
int64_t FusionActivationBytes(const FusionConfig& config, const ProjectorConfig& projector,
                              const FeatureShape& anchor, const FeatureShape& augment);

}  // namespace binocle
