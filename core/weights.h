// From tensors in files to the weights of a model.
//
// A model part asks a WeightBinder for what it needs, by name and shape. It is asked twice: first with checking() true, when nothing
// is copied and every problem is collected; then, only if there was none, for real. So a user sees all missing, unexpected and
// mis-shaped tensors in one error, and no half-loaded model exists.
//
//   const auto bind = [&](WeightBinder& b) { model.llama = BindLlama(config, b.Under("language_model.")); };
//   CheckWeights(tensors, {}, "models/x", bind);
//   LoadWeights(ex, tensors, {}, bind);
#pragma once

#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/ops/linear.h"
#include "core/ops/norm.h"
#include "core/tensor_set.h"
#include "core/weight_kind.h"

namespace binocle {

enum class Bias : uint8_t { kAbsent, kPresent };

// A matrix that is kept packed in a file (binocle quantize): one tensor of bytes, those of CompactViews and then, where it has a bias, [panels·64]
// f32. Its name says whose and of which kind.
std::string PackedName(std::string_view asked,
                       WeightKind kind);  // "packed.language_model.lm_head.int8"
int64_t PackedBytes(int64_t n, int64_t k, Bias bias, WeightKind kind);
// Beside it, since bytes are those of whole panels and do not tell: i32 [2], n and k. Files of older versions have none.
std::string PackedShapeName(std::string_view asked,
                            WeightKind kind);  // "packed_shape.language_model.lm_head.int8"
// The kind in such a name; nothing where it is another tensor's.
std::optional<WeightKind> KindOfPackedName(std::string_view name);
// Whether it is that of a matrix asked for by a name that begins so: "anchor.".
bool IsPackedUnder(std::string_view name, std::string_view asked_prefix);

// A matrix that a model asks for, of the parts that are stacked for it.
struct AskedMatrix {
  std::string name;  // of the first part, as asked
  std::vector<std::string>
      stored;  // names of the tensors in the files that the packed one takes the place of
  std::vector<StoredLinear> parts;
  int64_t n = 0;
  int64_t k = 0;
  Bias bias = Bias::kAbsent;
  WeightKind kind = WeightKind::kF32;
};

// What a process keeps of a matrix: one of `parts` equal parts, in order. Whatever else there is of it is another process's.
struct Division {
  enum class By : uint8_t {
    kNothing,  // it keeps all
    kRows,     // some output features and their biases; y is divided
    kColumns,  // some input features; x is divided, and y the sum over the parts. The first part has the bias.
  };
  By by = By::kNothing;
  int64_t part = 0;
  int64_t parts = 1;

  // What is left of n and k, and of a stored tensor (whose extent the parts divide; checked).
  int64_t Rows(int64_t n) const { return by == By::kRows ? n / parts : n; }
  int64_t Columns(int64_t k) const { return by == By::kColumns ? k / parts : k; }
  TensorView OfWeight(const TensorView& weight) const;
  TensorView OfBias(const TensorView& bias) const;
};

class WeightBinder {
 public:
  bool checking() const;
  // The same binder for names below `prefix`.
  WeightBinder Under(std::string_view prefix) const;

  // Whether the files have such a tensor: for parts that a model may do without.
  bool Has(std::string_view name) const;

  // A tensor of the given shape as f32. `why` says where the shape comes from: "hidden_size=64, intermediate_size=160".
  Tensor F32(std::string_view name, const Shape& shape, std::string_view why);
  // The same on the host, for weights that are made of it; those go through Placed.
  Tensor HostF32(std::string_view name, const Shape& shape, std::string_view why);
  Tensor Placed(Tensor tensor) const;
  // A table that is read row by row: the stored tensor itself, valid as long as the TensorSet, or a copy on a GPU, of f32 or bf16.
  struct Table {
    TensorView view;
    Tensor own;
  };
  Table Stored(std::string_view name, const Shape& shape, std::string_view why);

  struct Rows {
    std::string_view name;  // without ".weight"
    int64_t n;
    RowOrder order = {};
    float scale = 1;  // StoredLinear::scale
  };
  // `parts` stacked into one matrix, each [n, k] with bias [n] where asked: packed, or read in place where one is of a block type and the kind
  // is kF32, or all are and it is kBlocks; otherwise that is kInt8. The first part's name decides the kind.
  LinearWeights Linear(std::initializer_list<Rows> parts, int64_t k, Bias bias,
                       std::string_view why);
  // The same of what a process keeps of each part; n and k are those of the whole. UNIMPLEMENTED where it cannot be divided: by columns what is kept as blocks, or not at whole
  // blocks, and what is packed in a file.
  LinearWeights DividedLinear(const Division& division, std::initializer_list<Rows> parts,
                              int64_t k, Bias bias, std::string_view why);
  // One matrix [n, k] with a bias [n], whose names are no name and its ".weight" and ".bias".
  LinearWeights LinearNamed(std::string_view weight, std::string_view bias, int64_t n, int64_t k,
                            std::string_view why);
  // A convolution whose kernel is its stride, [n, channels, p, p], as the matrix [n, channels·p·p]. What it reads are pixels: of the kinds of
  // fewer bits it is kBf16.
  LinearWeights Convolution(std::string_view name, const Shape& shape, Bias bias,
                            std::string_view why);
  LayerNormWeights LayerNorm(std::string_view name, int64_t width, float epsilon,
                             std::string_view why);
  RmsNormWeights RmsNorm(std::string_view name, int64_t width, float epsilon, std::string_view why);

  // Tensors that may be present and are not used.
  void Ignore(std::string_view name);
  void IgnoreUnder(std::string_view prefix);

 private:
  struct State;
  friend std::map<std::string, struct WeightPlan> CheckWeights(
      const TensorSet&, const NameMap&, const KindsByName&, const std::string&,
      const std::function<void(WeightBinder&)>&);
  friend std::vector<struct NeededWeight> ListWeights(const NameMap&,
                                                      const std::function<void(WeightBinder&)>&);
  friend struct ModelMatrices ListMatrices(const TensorSet&, const NameMap&, const KindsByName&,
                                           const std::function<void(WeightBinder&)>&);
  friend void LoadWeights(Exec&, const TensorSet&, const NameMap&, const KindsByName&,
                          const std::function<void(WeightBinder&)>&);
  WeightBinder(std::shared_ptr<State> state, std::string prefix)
      : state_(std::move(state)), prefix_(std::move(prefix)) {}
  void Count(std::string_view name, int64_t parameters, int64_t bytes);
  // One of so many parts of it.
  void CountInPlace(std::string_view name, int64_t parts = 1);
  void CountDepth(std::string_view name, int64_t k, WeightKind kind);
  // What Linear, LinearNamed and Convolution have in common: tensors named here, of these shapes.
  struct Part {
    std::string weight, bias;  // names
    Shape shape;               // as stored; [n, …]
    RowOrder order = {};
    float scale = 1;
    Division division = {};
  };
  void CheckDivision(const Part& part, WeightKind kind) const;
  LinearWeights Matrix(std::string_view name, const std::vector<Part>& parts, int64_t k, Bias bias,
                       WeightKind kind, std::string_view why);
  std::optional<LinearWeights> Packed(std::string_view name, const std::vector<Part>& parts,
                                      int64_t n, int64_t k, Bias bias);
  void NoteOther(std::string_view name);
  bool IsInBlocks(const std::string& name) const;
  WeightKind KindOf(std::string_view name, int64_t k) const;
  const TensorView* Require(std::string_view name, const Shape& shape, std::string_view why);
  TensorView View(std::string_view name, const Shape& shape, std::string_view why);

  std::shared_ptr<State> state_;  // shared by the binder and those Under() it
  std::string prefix_;
};

// What a model's weights will take in memory once loaded.
struct WeightPlan {
  int64_t parameters = 0;
  int64_t bytes = 0;  // allocated: packed and copied
  int64_t in_place_bytes =
      0;  // of the mapped files, of tables and matrices that are read there, each once; processes share them
  std::map<WeightKind, int64_t> deepest;  // the longest rows, k, of matrices of each kind
};

// The checking pass alone; all matrices kF32 where no kinds are given. Throws INVALID_ARGUMENT with all problems, also for a weight that is NaN or infinite; `where` names the
// model. Returns the plan per part: the name up to the first dot, as asked ("anchor", "language_model").
std::map<std::string, WeightPlan> CheckWeights(const TensorSet& tensors, const NameMap& names,
                                               const std::string& where,
                                               const std::function<void(WeightBinder&)>& bind);
std::map<std::string, WeightPlan> CheckWeights(const TensorSet& tensors, const NameMap& names,
                                               const KindsByName& kinds, const std::string& where,
                                               const std::function<void(WeightBinder&)>& bind);

// A tensor that a model asks for.
struct NeededWeight {
  std::string name;  // as files spell it
  Shape shape;
};

// All that `bind` asks for, each once, in its order: what a file has to hold. Parts that a model may do without are not among them.
std::vector<NeededWeight> ListWeights(const NameMap& names,
                                      const std::function<void(WeightBinder&)>& bind);

// All matrices of kinds other than kF32 that `bind` asks for, after CheckWeights accepted it. Nothing is packed.
struct ModelMatrices {
  std::vector<AskedMatrix> matrices;
  std::set<std::string>
      other_tensors;  // that are asked for otherwise, by their names in the files: a tied head's table
};
ModelMatrices ListMatrices(const TensorSet& tensors, const NameMap& names, const KindsByName& kinds,
                           const std::function<void(WeightBinder&)>& bind);

// The loading pass, after CheckWeights accepted the same `bind`.
void LoadWeights(Exec& ex, const TensorSet& tensors, const NameMap& names,
                 const std::function<void(WeightBinder&)>& bind);
void LoadWeights(Exec& ex, const TensorSet& tensors, const NameMap& names, const KindsByName& kinds,
                 const std::function<void(WeightBinder&)>& bind);

}  // namespace binocle
