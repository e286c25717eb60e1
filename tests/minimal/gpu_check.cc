// What there is to say of a GPU, by a program that needs nothing but our own code and the CUDA module beside it (tools/gpu/check.sh).
//
//   gpu_check ops      every op on the GPU against the host's
//   gpu_check model    greedy tokens and logits of small random models in each kind, on the host and on the GPU
//   gpu_check speed    LLaVA-1.5-7B's shape with random weights in bf16, and fewer bits: tower, prefill, decoding, VAR; copy bandwidth beside it
//
//   gpu_check small    the same of a small shape, which tells nothing but that it runs
//
// Prints a line for each, exits 1 when one of the first two is wrong.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/backend/cuda_backend.h"
#include "tests/cuda/device_ops.h"
#include "tests/minimal/gpu_speed.h"
#include "tests/minimal/random_decoder.h"

namespace binocle {
namespace {

bool CheckOps(Exec& host, Exec& gpu) {
  bool all = true;
  for (const testing::DeviceDifference& d : testing::CompareDeviceOps(host, gpu)) {
    if (!d.within())
      std::printf("%-60s off by %.2e, allowed %.0e: FAILED\n", d.what.c_str(), d.off, d.tolerance);
    all = all && d.within();
  }
  std::printf("ops: %s\n", all ? "all as the host's" : "FAILED");
  return all;
}

// Three sequences side by side: logits after their prompts, and 24 tokens of each, given or greedy. They cross parts of the keys on the way.
struct ModelRun {
  Tensor first, last;                        // [3, V]
  std::vector<std::vector<int32_t>> tokens;  // what was chosen
};

ModelRun RunModel(Exec& ex, WeightKind kind, int64_t head_dim,
                  const std::vector<std::vector<int32_t>>* given) {
  constexpr int kSteps = 24;
  const LlamaConfig config{.width = 2 * head_dim,
                           .ff_width = 320,
                           .layers = 2,
                           .heads = 4,
                           .kv_heads = 2,
                           .head_dim = head_dim,
                           .vocabulary = 500,
                           .max_positions = 4096};
  RandomDecoder decoder(ex, config, kind, 3, 700);
  std::vector<KvSequence> sequences;
  std::vector<KvSequence*> all;
  std::vector<std::vector<int32_t>> ids;
  for (int32_t s = 0; s < 3; ++s) {
    sequences.push_back(decoder.Sequence());
    ids.emplace_back();
    for (int32_t i = 0; i < 40 + 100 * s; ++i) ids.back().push_back(1 + (i * 17 + s) % 490);
  }
  for (KvSequence& sequence : sequences) all.push_back(&sequence);
  ModelRun run{.first = {}, .last = {}, .tokens = {{}, {}, {}}};
  for (size_t step = 0; step < kSteps; ++step) {
    const TensorView logits = decoder.Forward(all, ids);
    if (step == 0) run.first = ToHost(ex, logits);
    run.last = ToHost(ex, logits);
    for (size_t s = 0; s < 3; ++s) {
      const float* row = logits.row(static_cast<int64_t>(s));
      const auto best = std::max_element(row, row + config.vocabulary) - row;
      run.tokens[s].push_back(static_cast<int32_t>(best));
      ids[s] = {given != nullptr ? (*given)[s][step] : run.tokens[s].back()};
    }
  }
  return run;
}

double OffOf(const Tensor& got, const Tensor& want) {
  double most = 0, off = 0;
  for (int64_t i = 0; i < want.view().elements(); ++i) {
    most = std::max(most, std::abs(static_cast<double>(want.f32()[i])));
    if (std::isnan(want.f32()[i]) != std::isnan(got.f32()[i])) return INFINITY;
    off = std::max(off, std::abs(static_cast<double>(want.f32()[i]) - got.f32()[i]));
  }
  return off / most;
}

bool CheckModel(Exec& host, Exec& gpu, WeightKind kind, int64_t head_dim) {
  const double tolerance = kind == WeightKind::kF32 ? 1e-4 : 3e-2;
  const ModelRun want = RunModel(host, kind, head_dim, nullptr);
  const ModelRun got = RunModel(gpu, kind, head_dim, &want.tokens);
  const double first = OffOf(got.first, want.first), last = OffOf(got.last, want.last);
  const bool same = got.tokens == want.tokens;
  const bool good = first <= tolerance && last <= tolerance && (same || kind != WeightKind::kF32);
  std::printf(
      "model in %-4s, heads of %3lld: logits off by %.1e and, 24 tokens on, %.1e of the largest; "
      "greedy tokens %s: %s\n",
      std::string(WeightKindName(kind)).c_str(), static_cast<long long>(head_dim), first, last,
      same ? "equal" : "differ", good ? "ok" : "FAILED");
  return good;
}

bool CheckModels(Exec& host, Exec& gpu) {
  bool all = true;
  for (const WeightKind kind :
       {WeightKind::kF32, WeightKind::kBf16, WeightKind::kInt8, WeightKind::kInt4})
    all = CheckModel(host, gpu, kind, 64) && all;
  // As wide as LLaVA's.
  for (const WeightKind kind : {WeightKind::kF32, WeightKind::kBf16})
    all = CheckModel(host, gpu, kind, 128) && all;
  return all;
}

int Run(const std::string& what) {
  const CudaDevices found = FindCudaDevices();
  if (found.devices.empty()) {
    std::printf("skipped: %s\n", found.why_none.c_str());
    return 77;
  }
  const int threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  Exec host(threads), gpu(threads, std::make_unique<CudaBackend>(0));
  std::printf("%s\n", gpu.cuda().device().name.c_str());
  if (what == "ops") return CheckOps(host, gpu) ? 0 : 1;
  if (what == "model") return CheckModels(host, gpu) ? 0 : 1;
  if (what == "speed") return PrintSpeed(gpu, SpeedShape::kLlava7b), 0;
  if (what == "small") return PrintSpeed(gpu, SpeedShape::kSmall), 0;
  std::printf("gpu_check is asked for \"%s\", expected ops, model, speed or small\n", what.c_str());
  return 2;
}

}  // namespace
}  // namespace binocle

int main(int argc, char** argv) {
  try {
    return binocle::Run(argc > 1 ? argv[1] : "ops");
  } catch (const binocle::Error& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
}
