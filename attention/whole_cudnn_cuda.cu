// Attention by cuDNN: a plan for each shape, made when it is first asked for.
//
// None where cuDNN is not there (libcudnn.so.9, from 9.15 on), where this was built without its headers, where BINOCLE_CUDNN=0 is in the environment, and
// on devices before Hopper, whose tensor cores our tiles reach as well (docs/adr/0021).
#include "attention/attention_whole_cuda.h"

#include <memory>

#ifdef BINOCLE_HAS_CUDNN

#include <cuda_runtime.h>

#include <array>
#include <cstdlib>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "attention/cudnn_sdpa_cuda.h"

namespace binocle::cuda {
namespace {

constexpr int32_t kHopper = 9;
constexpr int64_t kMostConfigurations = 8;

WholeShape ShapeOf(const WholeWork& work) {
  const AttentionShape& s = work.tiles.shape;
  return {work.runs,  work.rows,  work.keys, work.pool_pages,    s.heads,
          s.kv_heads, s.head_dim, s.kv_row,  work.tiles.q_stride};
}

struct WholePlan {
  std::vector<Descriptor> parts;  // what the plan is made of
  Descriptor plan;
};

class CudnnAttention final : public WholeAttention {
 public:
  CudnnAttention(const Cudnn& cudnn, cudnnHandle_t handle) : cudnn_(cudnn), handle_(handle) {}
  ~CudnnAttention() override {
    plans_.clear();
    cudaFree(workspace_);
    cudnn_.destroy(handle_);
  }
  CudnnAttention(const CudnnAttention&) = delete;
  CudnnAttention& operator=(const CudnnAttention&) = delete;

  bool Attend(const WholeWork& work, Stream stream) override {
    const WholeShape shape = ShapeOf(work);
    auto found = plans_.find(shape);
    if (found == plans_.end()) found = plans_.emplace(shape, Make(shape)).first;
    return found->second && Run(*found->second, work, stream);
  }

 private:
  // Nothing where no engine takes it. The first that its heuristics name and that makes a plan is taken.
  std::optional<WholePlan> Make(const WholeShape& shape) {
    std::vector<Descriptor> parts;
    Descriptor operation = SdpaForward(cudnn_, shape, parts);
    Descriptor graph(cudnn_, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    graph.Set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, handle_)
        .Set(CUDNN_ATTR_OPERATIONGRAPH_OPS, operation)
        .Finalize();
    Descriptor heuristics(cudnn_, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristics.Set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph)
        .Set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, CUDNN_HEUR_MODE_A)
        .Finalize();
    if (!heuristics.good()) return std::nullopt;
    std::vector<Descriptor> configurations;
    std::array<cudnnBackendDescriptor_t, kMostConfigurations> raw{};
    for (auto& one : raw) {
      configurations.emplace_back(cudnn_, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
      if (!configurations.back().good()) return std::nullopt;
      one = configurations.back().raw();
    }
    int64_t count = 0;
    if (cudnn_.get(heuristics.raw(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                   kMostConfigurations, &count, raw.data()) != CUDNN_STATUS_SUCCESS)
      return std::nullopt;
    for (int64_t i = 0; i < count && i < kMostConfigurations; ++i) {
      Descriptor& configuration = configurations[static_cast<size_t>(i)];
      Descriptor plan(cudnn_, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
      plan.Set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, handle_)
          .Set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration)
          .Finalize();
      int64_t bytes = 0, one = 0;
      if (!plan.good() ||
          cudnn_.get(plan.raw(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1,
                     &one, &bytes) != CUDNN_STATUS_SUCCESS ||
          !Reserve(bytes))
        continue;
      for (Descriptor* part : {&operation, &graph, &heuristics, &configuration})
        parts.push_back(std::move(*part));
      return WholePlan{std::move(parts), std::move(plan)};
    }
    return std::nullopt;
  }

  // Plans are made outside of a capture, and so is this: a graph sees a pass the second time.
  bool Reserve(int64_t bytes) {
    if (bytes <= reserved_) return true;
    void* larger = nullptr;
    if (cudaMalloc(&larger, static_cast<size_t>(bytes)) != cudaSuccess) {
      cudaGetLastError();
      return false;
    }
    // What began with the old one, and graphs that have it, still use it: it goes with this object.
    if (workspace_ != nullptr) outgrown_.emplace_back(workspace_);
    workspace_ = larger;
    reserved_ = bytes;
    return true;
  }

  bool Run(const WholePlan& plan, const WholeWork& work, Stream stream) {
    if (cudnn_.set_stream(handle_, static_cast<cudaStream_t>(stream)) != CUDNN_STATUS_SUCCESS)
      return false;
    float scale = work.tiles.shape.scale;
    const std::array<int64_t, 9> ids{kQ,     kK,     kV,         kO,        kStatistics,
                                     kScale, kPages, kRowCounts, kKeyCounts};
    const std::array<const void*, 9> pointers{
        work.tiles.q, work.tiles.kv.keys, work.tiles.kv.values, work.out,       work.lse,
        &scale,       work.pages,         work.row_counts,      work.key_counts};
    Descriptor pack(cudnn_, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    pack.Set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, std::span<const int64_t>(ids))
        .Set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR,
             std::span<const void* const>(pointers))
        .Set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, workspace_)
        .Finalize();
    return pack.good() &&
           cudnn_.execute(handle_, plan.plan.raw(), pack.raw()) == CUDNN_STATUS_SUCCESS;
  }

  struct FreeOnDevice {
    void operator()(void* memory) const { cudaFree(memory); }
  };

  const Cudnn& cudnn_;
  cudnnHandle_t handle_;
  void* workspace_ = nullptr;
  int64_t reserved_ = 0;
  std::vector<std::unique_ptr<void, FreeOnDevice>> outgrown_;
  std::map<WholeShape, std::optional<WholePlan>> plans_;
};

std::unique_ptr<WholeAttention> NewLibrary() {
  const char* wanted = std::getenv("BINOCLE_CUDNN");
  int device = 0, major = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
  if (major < kHopper || (wanted != nullptr && std::string_view(wanted) == "0")) return nullptr;
  const Cudnn* cudnn = LoadCudnn();
  cudnnHandle_t handle = nullptr;
  if (cudnn == nullptr || cudnn->create(&handle) != CUDNN_STATUS_SUCCESS) return nullptr;
  return std::make_unique<CudnnAttention>(*cudnn, handle);
}

}  // namespace
}  // namespace binocle::cuda

#else

namespace binocle::cuda {
namespace {

std::unique_ptr<WholeAttention> NewLibrary() { return nullptr; }

}  // namespace
}  // namespace binocle::cuda

#endif

namespace binocle::cuda {
namespace {

struct LibraryOfDevice {
  std::unique_ptr<WholeAttention> library = NewLibrary();
};

}  // namespace

BINOCLE_COMMAND(kAttendWhole,
                AttendWhole(work, c.kept->Of<LibraryOfDevice>().library.get(), c.stream));

}  // namespace binocle::cuda
