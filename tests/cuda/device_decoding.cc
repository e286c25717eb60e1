#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "attention/segments.h"
#include "core/ops/activation.h"
#include "core/ops/device_rows.h"
#include "core/ops/norm.h"
#include "core/ops/rope.h"
#include "core/ops/rows_cuda.h"
#include "llm/device_sampling.h"
#include "llm/device_sinks.h"
#include "tests/cuda/device_compare.h"
#include "tests/testing/numbers.h"

namespace binocle::testing {
namespace {

constexpr double kRounded = 1.0 / 256;  // of bf16

// As numbers of f32, on the host.
Tensor AsF32(Exec& gpu, const TensorView& rounded) {
  const Tensor copy(DType::kBF16, rounded.shape(), "copy");
  Tensor numbers = Tensor::F32(rounded.shape());
  CopyRows(gpu, rounded, copy);
  const auto* from = static_cast<const Bf16*>(copy.view().data());
  for (int64_t i = 0; i < numbers.view().elements(); ++i)
    numbers.f32()[i] = F32FromBf16(from[i].bits);
  return numbers;
}

void CompareRoundedRows(Devices& d) {
  constexpr int64_t kRows = 5, kWidth = 96;
  Numbers numbers(16);
  const Tensor x = RandomTensor({kRows, kWidth}, numbers), want = Tensor::F32({kRows, kWidth});
  const Tensor device_x = d.On(x), got(DType::kBF16, {kRows, kWidth}, "got", d.gpu.place());
  const LayerNormWeights norm{RandomTensor({kWidth}, numbers), RandomTensor({kWidth}, numbers)};
  LayerNorm(d.host, x, norm, want);
  LayerNorm(d.gpu, device_x,
            {ToPlace(d.gpu, norm.weight.Clone()), ToPlace(d.gpu, norm.bias.Clone())}, got);
  d.Expect("layer norm, rounded", Off(d.gpu, AsF32(d.gpu, got), want), kRounded);
  RmsNorm(d.host, x, {norm.weight.Clone()}, want);
  RmsNorm(d.gpu, device_x, {ToPlace(d.gpu, norm.weight.Clone())}, got);
  d.Expect("rms norm, rounded", Off(d.gpu, AsF32(d.gpu, got), want), kRounded);

  const RopeTable rope = RopeTable::Make(16, {}, 40),
                  device_rope = RopeTable::Make(16, {}, 40).On(d.gpu);
  const std::vector<int32_t> positions = {0, 39, 7, 7, 1};
  d.gpu.cuda().Run(cuda::kRopeBf16,
                   {{.cos = device_rope.cos.f32(),
                     .sin = device_rope.sin.f32(),
                     .positions = d.gpu.cuda().Upload(std::span<const int32_t>(positions)),
                     .rows = kRows,
                     .heads = kWidth / 16,
                     .head_dim = 16,
                     .x = device_x.f32(),
                     .x_stride = kWidth,
                     .out_stride = kWidth},
                    static_cast<Bf16*>(got.view().data())});
  Rope(d.host, rope, positions, x);
  d.Expect("rope, rounded", Off(d.gpu, AsF32(d.gpu, got), x), kRounded);

  const Tensor table(DType::kBF16, {6, 20}, "table");
  for (int64_t i = 0; i < table.view().elements(); ++i)
    static_cast<Bf16*>(table.view().data())[i] = Bf16FromF32(numbers.Normal());
  const std::vector<int32_t> ids = {5, 0, 5};
  const Tensor rows = d.Empty({3, 20}), rows_wanted = Tensor::F32({3, 20});
  EmbeddingRows(d.gpu, d.On(table), ids, rows);
  EmbeddingRows(d.host, table, ids, rows_wanted);
  d.Expect("embeddings of bf16", Off(d.gpu, rows, rows_wanted), 0);
}

void CompareActivations(Devices& d) {
  Numbers numbers(17);
  for (const Activation kind : {Activation::kGelu, Activation::kGeluTanh, Activation::kQuickGelu}) {
    const Tensor x = RandomTensor({5, 77}, numbers, 2);
    const Tensor device_x = d.On(x);
    Activate(d.host, kind, x);
    Activate(d.gpu, kind, device_x);
    d.Expect(internal::Concat("activation ", static_cast<int>(kind)), Off(d.gpu, device_x, x),
             1e-6);
  }
}

// Every filter, a penalty and a constraint; the tokens themselves.
void CompareSampling(Devices& d) {
  constexpr int32_t kVocabulary = 5000;
  Numbers numbers(18);
  const std::vector<SamplingParams> params = {
      {},
      {.temperature = 1, .seed = 1},
      {.temperature = 1, .top_k = 20, .top_p = 0.9, .seed = 2},
      {.temperature = 1.5, .min_p = 0.05, .seed = 3},
      {.temperature = 0.8, .top_p = 0.5, .seed = 4},
      {.temperature = 1.2, .repetition_penalty = 1.4, .seed = 5},
      {.temperature = 2, .seed = 6}};
  const Tensor logits = RandomTensor({std::ssize(params), kVocabulary}, numbers, 3);
  std::vector<Sampler> samplers;
  for (const SamplingParams& one : params) samplers.emplace_back(one, kVocabulary - 3);
  std::vector<int32_t> prompt(kVocabulary / 2);
  std::iota(prompt.begin(), prompt.end(), 0);
  samplers[5].Observe(prompt);
  // Every third id for the last.
  std::vector<uint64_t> allowed((kVocabulary + 63) / 64);
  for (size_t id = 0; id < kVocabulary; id += 3) allowed[id / 64] |= uint64_t{1} << id % 64;
  std::vector<DeviceChoice> asked;
  for (const Sampler& sampler : samplers) asked.push_back({.sampler = &sampler});
  asked.back().allowed = allowed;
  std::vector<int32_t> tokens(params.size());
  SampleOnDevice(d.gpu, d.On(logits), kVocabulary - 3, asked, tokens);
  double differ = 0;
  float* last = logits.row(std::ssize(params) - 1);
  for (int64_t id = 0; id < kVocabulary; ++id)
    if (id % 3 != 0) last[id] = -std::numeric_limits<float>::infinity();
  for (size_t t = 0; t < params.size(); ++t)
    differ +=
        samplers[t].Sample({logits.row(static_cast<int64_t>(t)), kVocabulary}) == tokens[t] ? 0 : 1;
  d.Expect("sampled tokens", differ, 0);
}

// A picture's sinks, marked by their scores and listed, in each of two layers.
void CompareSinks(Devices& d) {
  constexpr int64_t kTokens = 700, kFirst = 30, kKeys = kFirst + kTokens;
  Numbers numbers(19);
  const Tensor scores = RandomTensor({2, 2 * kTokens}, numbers);
  for (int64_t i = 0; i < scores.view().elements(); ++i)
    scores.f32()[i] = std::abs(scores.f32()[i]) + 0.1F;
  const SinkTest test{.tau = 2, .end_of_sinks = kKeys - 5};
  const DeviceSinks sinks(d.gpu, 2, kKeys);
  sinks.PutImage(d.gpu, test, d.On(scores), kTokens, kFirst);
  double differ = 0;
  for (int64_t layer = 0; layer < 2; ++layer) {
    const std::vector<cuda::SinkListing> listing = {sinks.Listing(kKeys)};
    d.gpu.cuda().Run(cuda::kListSinks,
                     {.sequences = d.gpu.cuda().Upload(std::span<const cuda::SinkListing>(listing)),
                      .count = 1,
                      .layer = static_cast<int32_t>(layer)});
    const std::vector<uint8_t> classes = sinks.Read(d.gpu, layer, kKeys);
    std::vector<int32_t> want = {0, 0}, list(2 + kKeys);
    const DeviceSegments segments = sinks.Segments(layer, false);
    d.gpu.cuda().Read(segments.sink_counts, list.data(), std::ssize(list) * 4);
    for (int64_t key = 0; key < kKeys; ++key) {
      const float* score = scores.row(layer) + 2 * (key - kFirst);
      const bool visual = key >= kFirst;
      const bool sink =
          visual && key < test.end_of_sinks && SinkScore{score[0], score[1]}.phi() >= test.tau;
      differ +=
          classes[static_cast<size_t>(key)] == ((visual ? kVisualKey : 0) | (sink ? kSinkKey : 0))
              ? 0
              : 1;
      if (!sink) continue;
      want.push_back(static_cast<int32_t>(key));
      ++want[0];
      ++want[1];
    }
    list.resize(want.size());
    differ += list == want ? 0 : 1;
  }
  d.Expect("sinks, marked and listed", differ, 0);
}

}  // namespace

void CompareDecoding(Devices& d) {
  CompareRoundedRows(d);
  CompareActivations(d);
  CompareSampling(d);
  CompareSinks(d);
}

}  // namespace binocle::testing
