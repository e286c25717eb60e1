// What adapters do to the weights of a model, and the weights with it done.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/exec.h"
#include "core/tensor_source.h"

namespace binocle {

// A change of one tensor W, by tensors of an adapter, which outlive it.
struct WeightEdit {
  enum class Kind : uint8_t {
    kReplace,       // W ← a
    kAddProduct,    // W [n, k…] += s·b·a         a [r, k…], b [n, r, 1…]
    kAddTransposed  // W [V, D]  += s·(b·a)ᵀ      a [r, V],  b [D, r]: of an embedding
  };

  Kind kind = Kind::kReplace;
  TensorView a;
  TensorView b = {};
  float scale = 1;
};

// By the name of the tensor in the model's files, in order.
using WeightEdits = std::map<std::string, std::vector<WeightEdit>, std::less<>>;

// Hands over `stored` as `tensor`, which has its shape: byte for byte where nothing changes, else computed in f32, all edits one after
// the other, and rounded once. Memory for some rows and for the edits' matrices is allocated. Throws OUT_OF_RANGE for a number that the
// new type cannot hold.
void WriteEdited(Exec& ex, const TensorView& stored, const std::vector<WeightEdit>& edits,
                 const NewTensor& tensor, const std::function<void(std::string_view)>& write);

}  // namespace binocle
