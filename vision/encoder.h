// What every vision tower offers: pixels in, features out.
//
// Shapes: B images in a call, S tokens an image (special tokens, then patches in row-major order), P patches, Dv width.
#pragma once

#include <cstdint>
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
  // The first patch goes: what LLaVA's strategy "default" does to a tower without a class token.
  bool drop_first_patch = false;

  // Rows of a picture of so many patches.
  int64_t tokens(int64_t patches) const {
    return patches + (keep_class_token ? 1 : 0) - (drop_first_patch ? 1 : 0);
  }
};

// The place of image patches in the picture.
struct PatchGrid {
  int64_t height = 0;
  int64_t width = 0;
  int64_t patches() const { return height * width; }
};

// On request: how some layers looked at the patches.
struct AttentionTap {
  struct Layer {
    int64_t index = 0;             // in: 0-based tower layer
    bool received_wanted = false;  // in
    Tensor
        class_weights;  // out: [heads, P], the class token's softmax weights over all tokens, patches only; [1, P], `received`, where there is none
    Tensor received;  // out: [1, P], Σ over all queries of the weight on the patch, mean over heads
  };
  std::vector<Layer> layers;  // outputs of a layer that does not run stay empty

  // Where layer `index` is to be written, nullptr when it was not asked for.
  Layer* Find(int64_t index) {
    for (Layer& layer : layers) {
      if (layer.index == index) return &layer;
    }
    return nullptr;
  }
};

// What a tower makes of the whole picture, by the names of transformers' outputs.
enum class ClassOutput : uint8_t {
  kLast,  // last_hidden_state[:, 0], the class token after all layers; in DINOv2 after the final norm too; not in SigLIP
  kPooled,  // pooler_output: the class token after all layers and the final norm; in SigLIP what its pooling head makes of all patches
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
  virtual int64_t layers_run() const = 0;   // those that the selected hidden state needs
  virtual int64_t most_images() const = 0;  // of a call of Encode

  // pixels [B·3, H, W] f32, normalised, B in 1 … most_images(); features [B·tokens(), Dv], an image's bit for bit those that it has alone.
  // `tap`, which may be null, sees the first image.
  virtual void Encode(Exec& ex, const TensorView& pixels, const TensorView& features,
                      AttentionTap* tap) = 0;

  // Whether the weights for `output` are loaded: those of all layers, and of the final norm where it is part of it.
  virtual bool Has(ClassOutput output) const = 0;
  // pixels as above, B = 1; out [1, Dv]. Needs Has(output).
  virtual void EncodeWhole(Exec& ex, const TensorView& pixels, ClassOutput output,
                           const TensorView& out) = 0;
};

}  // namespace binocle
