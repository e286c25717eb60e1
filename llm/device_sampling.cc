#include "llm/device_sampling.h"

#include <vector>

#include "core/ops/device_rows.h"
#include "llm/sampling_cuda.h"

namespace binocle {

void SampleOnDevice(Exec& ex, const TensorView& logits, int32_t usable,
                    std::span<const Sampler* const> samplers, std::span<int32_t> tokens) {
  BINOCLE_CHECK(std::ssize(samplers) == logits.dim(0) && tokens.size() == samplers.size(),
                samplers.size(), " samplers for ", logits.shape().ToString());
  CudaBackend& cuda = ex.cuda();
  std::vector<cuda::SampleParams> params;
  for (const Sampler* sampler : samplers) {
    const SamplingParams& p = sampler->params();
    params.push_back({.temperature = p.temperature,
                      .top_k = static_cast<int32_t>(std::min<int64_t>(p.top_k, usable)),
                      .top_p = p.top_p,
                      .min_p = p.min_p,
                      .repetition_penalty = 1,
                      .uniform = sampler->NextUniform()});
  }
  const std::vector<uint64_t*> observed(samplers.size());
  const std::vector<const uint64_t*> allowed(samplers.size());
  auto* ids = cuda.Get<int32_t>(CudaBackend::Scratch::kNumbers, std::ssize(tokens));
  cuda.Run(cuda::kSample, {.logits = DenseF32(logits),
                           .rows = Int32(logits.dim(0)),
                           .vocabulary = Int32(logits.dim(1)),
                           .usable = usable,
                           .params = cuda.Upload(std::span<const cuda::SampleParams>(params)),
                           .observed = cuda.Upload(std::span<uint64_t* const>(observed)),
                           .allowed = cuda.Upload(std::span<const uint64_t* const>(allowed)),
                           .ids = ids});
  cuda.Read(ids, tokens.data(), static_cast<int64_t>(tokens.size_bytes()));
}

}  // namespace binocle
