// What every vision tower offers: pixels in, features out.
//
// Shapes: B images in a call, S tokens an image (special tokens, then patches in row-major order), P patches, Dv width.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <vector>

#include "attention/attention.h"
#include "core/exec.h"
#include "core/tensor.h"

namespace binocle {

// Which hidden state a model reads from its tower (docs/model_format.md).
struct FeatureSelection {
  int64_t layer = -2;             // index into hidden states: 0 embeddings, −1 last
  bool keep_class_token = false;  // strategy "full"
  bool final_norm = false;        // apply the tower's last LayerNorm
};

// The place of image patches in the picture.
struct PatchGrid {
  int64_t height = 0;
  int64_t width = 0;
  int64_t patches() const { return height * width; }
};

// On request: how the class token of some layers looked at the patches.
struct ClassAttention {
  struct Layer {
    int64_t index = 0;  // in: 0-based tower layer
    Tensor
        weights;  // out: [heads, P], softmax weights over all tokens, patches only; empty for a layer that does not run
  };
  std::vector<Layer> layers;

  ClassAttention(std::initializer_list<int64_t> wanted) {
    for (const int64_t index : wanted) layers.emplace_back().index = index;
  }

  // Where layer `index` is to be written, nullptr when it was not asked for.
  Tensor* Find(int64_t index) {
    for (Layer& layer : layers) {
      if (layer.index == index) return &layer.weights;
    }
    return nullptr;
  }
};

class VisionEncoder {
 public:
  virtual ~VisionEncoder() = default;

  virtual int64_t width() const = 0;  // Dv
  virtual PatchGrid grid() const = 0;
  virtual int64_t image_height() const = 0;  // pixels
  virtual int64_t image_width() const = 0;
  virtual int64_t tokens() const = 0;  // rows per image of Encode's output
  virtual int64_t layers() const = 0;

  // pixels [B·3, H, W] f32, normalised; features [B·tokens(), Dv]. `attention` may be null; with it B must be 1.
  virtual void Encode(Exec& ex, const TensorView& pixels, const TensorView& features,
                      ClassAttention* attention) = 0;
};

}  // namespace binocle
