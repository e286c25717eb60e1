#include "llm/device_sampling.h"

#include <algorithm>
#include <vector>

#include "core/ops/device_rows.h"
#include "llm/sampling_cuda.h"

namespace binocle {
namespace {

cuda::SampleParams ParamsOf(const DeviceChoice& choice, int32_t usable) {
  const bool asked = choice.sampler != nullptr;
  const SamplingParams p = asked ? choice.sampler->params() : SamplingParams{};
  return {.temperature = p.temperature,
          .top_k = static_cast<int32_t>(std::min<int64_t>(p.top_k, usable)),
          .top_p = p.top_p,
          .min_p = p.min_p,
          .repetition_penalty = static_cast<float>(p.repetition_penalty),
          .uniform = asked ? choice.sampler->NextUniform() : 0};
}

const uint64_t* UploadBits(CudaBackend& cuda, std::span<const uint64_t> bits) {
  return bits.empty() ? nullptr : cuda.Upload(bits);
}

}  // namespace

void SampleOnDevice(Exec& ex, const TensorView& logits, int32_t usable,
                    std::span<const DeviceChoice> choices, std::span<int32_t> tokens) {
  BINOCLE_CHECK(std::ssize(choices) == logits.dim(0) && tokens.size() == choices.size(),
                choices.size(), " choices for ", logits.shape().ToString());
  CudaBackend& cuda = ex.cuda();
  std::vector<cuda::SampleParams> params;
  std::vector<const uint64_t*> observed, allowed;
  for (const DeviceChoice& choice : choices) {
    params.push_back(ParamsOf(choice, usable));
    observed.push_back(choice.sampler == nullptr ? nullptr
                                                 : UploadBits(cuda, choice.sampler->observed()));
    allowed.push_back(UploadBits(cuda, choice.allowed));
  }
  auto* ids = cuda.Get<int32_t>(CudaBackend::Scratch::kNumbers, std::ssize(tokens));
  cuda.Run(cuda::kSample, {.logits = DenseF32(logits),
                           .rows = Int32(logits.dim(0)),
                           .vocabulary = Int32(logits.dim(1)),
                           .usable = usable,
                           .params = cuda.Upload(std::span<const cuda::SampleParams>(params)),
                           .observed = cuda.Upload(std::span<const uint64_t* const>(observed)),
                           .allowed = cuda.Upload(std::span<const uint64_t* const>(allowed)),
                           .ids = ids});
  cuda.Read(ids, tokens.data(), static_cast<int64_t>(tokens.size_bytes()));
}

}  // namespace binocle
