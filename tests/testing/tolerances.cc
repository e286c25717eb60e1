#include "tests/testing/tolerances.h"

#include <stdexcept>
#include <string>

namespace binocle::testing {
namespace {

struct Row {
  std::string_view op;
  std::string_view dtype;
  Tolerance tolerance;
};

constexpr Row kTable[] = {
    {"linear",
     "f32",
     {0, "same order of summation as the reference: bit-identical on processors with FMA"}},
    {"norm", "f32", {2e-6, "f32 sums of up to 4096 terms in vector order"}},
    {"activation",
     "f32",
     {3e-7, "erf by a five-term rational approximation in f32, absolute error 2e-7"}},
    {"rope",
     "f32",
     {2e-6,
      "angles are f32 products, as in the reference; at position 4000 an ulp of angle is 2e-4 of a "
      "radian step"}},
    {"attention", "f32", {2e-6, "online softmax in f32 against double"}},
    {"lse", "f32", {2e-6, "as attention; a wrong tail shows here first"}},
    {"var", "f32", {1e-5, "masses in f32 against double, then factors from their quotient"}},
    {"tower",
     "f32",
     {2e-5, "three to four layers of f32 against transformers in f32, whose own noise is 1e-5"}},
    {"stage", "f32", {2e-5, "as tower: fusion and projector add little"}},
    {"hidden", "f32", {3e-5, "decoder layers after the towers"}},
    {"logits", "f32", {1e-4, "the project's promise; observed 1e-5"}},
    {"logprob", "f32", {1e-4, "absolute in effect: differences of logits"}},
    // In nats, not relative: the mean of KL(f32 ‖ kind) over the first tokens of the golden models, whose products are 24 to 32 deep and whose
    // logits are large, so that roundings show a thousand times as much as in the default model (docs/benchmarks.md).
    {"kl", "bf16", {0.02, "observed 0.009"}},
    {"kl", "int8", {0.14, "observed 0.07; bytes with one scale a row"}},
    {"kl",
     "int4",
     {2, "observed 1.0; one group of 32 a row, whose largest weight decides the rest"}},
};

}  // namespace

Tolerance ToleranceOf(std::string_view op, std::string_view dtype) {
  for (const Row& row : kTable) {
    if (row.op == op && row.dtype == dtype) return row.tolerance;
  }
  throw std::invalid_argument("no tolerance for " + std::string(op) + " " + std::string(dtype));
}

}  // namespace binocle::testing
