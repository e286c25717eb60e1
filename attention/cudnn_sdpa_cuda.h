// cuDNN's attention as a graph of one node, SDPA forward: what is asked of the library, and the little of it that is used. Host code.
//
// Nothing of cuDNN is linked: libcudnn.so.9 is loaded where somebody asks. What a node says is checked without a GPU: tests/cuda/cudnn_plans_test.cc
// has the library choose engines for a device that is described to it.
#pragma once

#include <cudnn_graph.h>

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace binocle::cuda {

// What is used of the library, by its names.
struct Cudnn {
  decltype(&cudnnGetVersion) version;
  decltype(&cudnnCreate) create;
  decltype(&cudnnDestroy) destroy;
  decltype(&cudnnSetStream) set_stream;
  decltype(&cudnnBackendCreateDescriptor) make;
  decltype(&cudnnBackendDestroyDescriptor) drop;
  decltype(&cudnnBackendFinalize) finalize;
  decltype(&cudnnBackendSetAttribute) set;
  decltype(&cudnnBackendGetAttribute) get;
  decltype(&cudnnBackendExecute) execute;
};

// Null where it is not there, or older than 9.15, which came with page tables. It stays loaded.
const Cudnn* LoadCudnn();

// A descriptor, and whether all that was said of it was taken. What one refuses, those made of it refuse too.
class Descriptor {
 public:
  Descriptor(const Cudnn& cudnn, cudnnBackendDescriptorType_t type) : cudnn_(&cudnn) {
    good_ = cudnn.make(type, &raw_) == CUDNN_STATUS_SUCCESS;
  }
  Descriptor(Descriptor&& other) noexcept
      : cudnn_(other.cudnn_), raw_(std::exchange(other.raw_, nullptr)), good_(other.good_) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (raw_ != nullptr) cudnn_->drop(raw_);
  }

  template <typename T>
  Descriptor& Set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                  std::span<const T> values) {
    good_ = good_ && cudnn_->set(raw_, name, type, static_cast<int64_t>(values.size()),
                                 values.data()) == CUDNN_STATUS_SUCCESS;
    return *this;
  }
  template <typename T>
  Descriptor& Set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                  const T& value) {
    return Set(name, type, std::span<const T>(&value, 1));
  }
  Descriptor& Set(cudnnBackendAttributeName_t name, const Descriptor& other) {
    good_ = good_ && other.good_;
    return Set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, other.raw_);
  }
  Descriptor& Finalize() {
    good_ = good_ && cudnn_->finalize(raw_) == CUDNN_STATUS_SUCCESS;
    return *this;
  }

  bool good() const { return good_; }
  cudnnBackendDescriptor_t raw() const { return raw_; }

 private:
  const Cudnn* cudnn_;
  cudnnBackendDescriptor_t raw_ = nullptr;
  bool good_;
};

// Names of the tensors in a graph.
enum Operand : int64_t {
  kQ = 1,
  kK,
  kV,
  kO,
  kStatistics,
  kScale,
  kPages,
  kRowCounts,
  kKeyCounts,
};

// Runs of one shape, over pages of 64 keys (attention_whole_cuda.h).
struct WholeShape {
  int32_t runs, rows, keys, pool_pages;
  int32_t heads, kv_heads, head_dim, kv_row;
  int64_t q_stride;
  auto operator<=>(const WholeShape&) const = default;
};

// The node, finalized: q [B, H, S, d] as rows of all heads, pages as they lie. The tensors are added to `parts`, which must outlive it.
Descriptor SdpaForward(const Cudnn& cudnn, const WholeShape& shape, std::vector<Descriptor>& parts);

}  // namespace binocle::cuda
