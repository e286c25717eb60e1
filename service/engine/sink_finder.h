// Finds the dimensions in which a few tokens are massive, from the hidden states that enter each layer.
//
// How massive a token is in dimension d: r_d(x) = |x[d]| / RMS(x), at most √D. The threshold is 0.3125·√D (τ = 20 at width 4096, as
// published), and at least what the largest of a thousand Gaussian tokens is expected to reach in some dimension, √(2·ln(2000·D)).
//
//   strength   of d: the r_d of the most massive token that three quarters of the pictures reach in a quarter of the layers
//   crowded    more than a quarter of the tokens are above half of the threshold: an offset that many tokens share
//   D_sink     dimensions that are not crowded, of a strength above the threshold, down to the widest gap, a factor of kGap at least
//   τ          in the middle of the widest gap of φ = max over D_sink of r_d near the threshold
#pragma once

#include <cstdint>
#include <vector>

#include "binocle/calibrate.h"
#include "llm/layer_input_observer.h"

namespace binocle {

// The largest share of tokens that may be massive in a dimension of D_sink.
inline constexpr double kCrowdOfTokens = 0.25;

class SinkFinder : public LayerInputObserver {
 public:
  SinkFinder(int64_t layers, int64_t width);

  // What comes next is of another picture.
  void BeginPicture();
  void LayerInput(int64_t layer, int64_t first_position, const TensorView& x) override;

  SinkCalibration Find() const;

  double threshold() const { return threshold_; }

 private:
  // A token that is massive, or nearly so, in one dimension.
  struct Peak {
    int64_t layer, position, dim;
    float size;
  };
  struct Picture {
    std::vector<float> largest;       // [L, D] over tokens
    std::vector<int64_t> above_half;  // [L, D] tokens above half of the threshold
    std::vector<Peak> peaks;          // at least low_ in size
    int64_t tokens = 0;               // that entered the first layer
  };

  SinkDimension Describe(int64_t dim) const;
  double Strength(int64_t dim) const;
  bool FirstTokenIsMassive(int64_t dim) const;
  double Tau(const SinkCalibration& found) const;

  int64_t layers_, width_;
  double threshold_;
  double low_;  // below it no tau is looked for
  std::vector<Picture> pictures_;
};

}  // namespace binocle
