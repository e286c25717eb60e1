// What a library with a planted fault offers: the kernels of the source that was changed. Others are null.
#pragma once

#include "attention/attention_parts_cuda.h"

namespace binocle {

struct PlantedKernels {
  void (*tiles)(const cuda::AttentionWork<Bf16>&) = nullptr;
  void (*rows)(const cuda::AttentionWork<float>&) = nullptr;
  void (*merge)(const cuda::MergeWork&) = nullptr;
};

inline constexpr const char* kPlantedSymbol = "binocle_planted";  // extern "C" PlantedKernels()

}  // namespace binocle
