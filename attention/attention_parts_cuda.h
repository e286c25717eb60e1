// What follows the kernels of attention_cuda.h: merging parts, changing weights of segments, reading weights off. Host code; no header of CUDA's.
#pragma once

#include <cstdint>

#include "attention/attention_cuda.h"
#include "attention/segments.h"

namespace binocle::cuda {

// (O, LSE) over the union of a row's parts: LSE = log Σ_g e^(LSE_g), O = Σ_g e^(LSE_g − LSE)·O_g. Rows whose parts saw nothing get O = 0, LSE = −∞.
struct MergeWork {
  int32_t heads;
  int32_t head_dim;
  const RowParts* merges;
  int32_t count;
  const float* part_out;  // [R, H·d]
  const float* part_lse;  // [R, H]
  float* out;             // [T, H·d]
  float* lse;             // [T, H]
};
void MergeParts(const MergeWork& work, Stream stream);
inline constexpr CudaCommand<MergeWork> kMergeParts{"merge parts"};

enum class DeviceRule : int32_t { kMeasure, kContentShare, kSinkShare };  // attention/var.h's two

// VAR on the device. O, LSE and those of the content (visual keys that are no sinks) are there already; sinks are a handful of keys, and their
// part is computed here with one dot product a key:
//   O' = O + (g_content − 1)·m_content·O_content + (g_sink − 1)·Σ_{j∈S} α_j·v_j
// A row and head whose factors are 1 is not written.
struct SinkPolicy {
  const int32_t* sinks;        // positions of sinks, text's and visual
  const int32_t* sink_counts;  // [2]: how many, and how many of them visual
  bool needs_visual_sink;      // without one the rule changes nothing
  DeviceRule rule;
  VarParams params;
};
struct SinkRow {
  int32_t q_row;
  int32_t out_row;
  int32_t first_key;
  int32_t end_key;
  int32_t first_page;   // in the list of pages: that of position 0
  int32_t policy;       // of TilePolicy
  int32_t sink_policy;  // of SinkPolicy
};
template <typename Element>
struct SinkWork {
  AttentionShape shape;
  const Element* q;
  int64_t q_stride;
  DevicePages<Element> kv;
  const SinkRow* rows;
  int32_t count;
  const int32_t* pages;
  const TilePolicy* policies;
  const SinkPolicy* sink_policies;
  AttentionOut result;
  float* masses;  // [T, H·3] as segments.h, or null
  float* gains;   // [T, H·2] content | sink, or null
};
void RedistributeSinks(const SinkWork<float>& work, Stream stream);
void RedistributeSinks(const SinkWork<Bf16>& work, Stream stream);
inline constexpr CudaCommand<SinkWork<float>> kRedistributeSinksF32{"redistribute sinks f32"};
inline constexpr CudaCommand<SinkWork<Bf16>> kRedistributeSinksBf16{"redistribute sinks bf16"};

// maps [H, end_key] ← Σ_t α_thj over rows of queries that see the same keys: the weights of attention_map.h, before any segment rule; 0 for keys that they do
// not see. One row: what it looked at. All rows of a picture: what each of its keys received.
template <typename Element>
struct MapWork {
  AttentionShape shape;
  const Element* q;  // of the first row
  int64_t q_stride;
  int32_t rows;
  DevicePages<Element> kv;
  const int32_t* pages;  // of the sequence
  int32_t first_key;
  int32_t end_key;
  TilePolicy policy;
  const float* lse;  // of the first row: [rows, H]
  float* maps;
};
void MapsOfHeads(const MapWork<float>& work, Stream stream);
void MapsOfHeads(const MapWork<Bf16>& work, Stream stream);
inline constexpr CudaCommand<MapWork<float>> kMapsOfHeadsF32{"maps of heads f32"};
inline constexpr CudaCommand<MapWork<Bf16>> kMapsOfHeadsBf16{"maps of heads bf16"};

}  // namespace binocle::cuda
