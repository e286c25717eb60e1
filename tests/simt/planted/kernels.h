// What a library with a planted fault offers: the kernels of the source that was changed. Others are null.
#pragma once

#include "attention/attention_parts_cuda.h"
#include "attention/device_kv_cuda.h"
#include "core/ops/compact_cuda.h"
#include "core/ops/rows_cuda.h"
#include "llm/sampling_cuda.h"
#include "llm/sinks_cuda.h"

namespace binocle {

struct PlantedKernels {
  void (*tiles)(const cuda::AttentionWork<Bf16>&) = nullptr;
  void (*varied)(const cuda::AttentionWork<Bf16>&) = nullptr;
  void (*rows)(const cuda::AttentionWork<float>&) = nullptr;
  void (*merge)(const cuda::MergeWork&) = nullptr;
  void (*sinks)(const cuda::SinkWork<Bf16>&) = nullptr;
  void (*write_kv)(const cuda::RopeKvWork<Bf16>&) = nullptr;
  void (*sample)(const cuda::SampleWork&) = nullptr;
  void (*as_bytes)(const cuda::RowsAsBytesWork&) = nullptr;
  void (*multiply)(const cuda::MultiplyBytesWork&) = nullptr;
  void (*norm)(const cuda::NormWork&, float*) = nullptr;
  void (*add)(const cuda::AddWork&, float*) = nullptr;
  void (*embed)(const cuda::EmbeddingWork&, const float*, float*) = nullptr;
  void (*mark)(const cuda::MarkSinksWork&) = nullptr;
  void (*list)(const cuda::ListSinksWork&) = nullptr;
};

inline constexpr const char* kPlantedSymbol = "binocle_planted";  // extern "C" PlantedKernels()

}  // namespace binocle
