// What is row-major here is column-major there: yᵀ [N, T] = w (read transposed) · xᵀ, so that the bias is one number per row of yᵀ.
#include "core/ops/gemm_cuda.h"

#include <cublasLt.h>
#include <cuda_runtime.h>

#include <map>
#include <memory>
#include <tuple>

#include "core/error.h"

namespace binocle::cuda {
namespace {

// As much as Hopper's kernels ask for.
constexpr size_t kProductWorkspace = size_t{32} << 20;

void CheckLt(cublasStatus_t status, const GemmWork& work) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  Throw(Code::kInternal, "cuBLASLt, [", work.rows, ", ", work.depth, "] by [", work.features, ", ",
        work.depth, "]", work.bf16 ? " in bf16: " : " in f32: ", cublasLtGetStatusString(status));
}

template <auto destroy>
struct Destroy {
  template <typename T>
  void operator()(T* object) const {
    destroy(object);
  }
};
using Layout = std::unique_ptr<cublasLtMatrixLayoutOpaque_t, Destroy<cublasLtMatrixLayoutDestroy>>;
using Description = std::unique_ptr<cublasLtMatmulDescOpaque_t, Destroy<cublasLtMatmulDescDestroy>>;
using Preference =
    std::unique_ptr<cublasLtMatmulPreferenceOpaque_t, Destroy<cublasLtMatmulPreferenceDestroy>>;

Layout MakeLayout(cudaDataType_t type, int64_t rows, int64_t columns, int64_t stride,
                  const GemmWork& work) {
  cublasLtMatrixLayout_t layout = nullptr;
  CheckLt(cublasLtMatrixLayoutCreate(&layout, type, static_cast<uint64_t>(rows),
                                     static_cast<uint64_t>(columns), stride),
          work);
  return Layout(layout);
}

// What cuBLASLt keeps for products of one shape.
struct Product {
  Description description;
  Layout w, x, y;
  cublasLtMatmulAlgo_t algorithm;
};

// Bytes that an address is a multiple of, as far as kernels care.
uint32_t AlignmentOf(const void* address) {
  const auto bits = reinterpret_cast<uintptr_t>(address) | 256U;
  return static_cast<uint32_t>(bits & (~bits + 1));
}

using ProductKey = std::tuple<int32_t, int32_t, int32_t, int64_t, int64_t, int64_t, uint32_t,
                              uint32_t, uint32_t, bool, bool, bool>;

ProductKey KeyOf(const GemmWork& work) {
  return {
      work.rows,     work.features,       work.depth,          work.x_stride,       work.y_stride,
      work.w_stride, AlignmentOf(work.w), AlignmentOf(work.x), AlignmentOf(work.y), work.bf16,
      work.add,      work.bias != nullptr};
}

template <typename T>
void Prefer(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute,
            const T& value, const GemmWork& work) {
  CheckLt(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value), work);
}

template <typename T>
void Set(const Description& description, cublasLtMatmulDescAttributes_t attribute, const T& value,
         const GemmWork& work) {
  CheckLt(cublasLtMatmulDescSetAttribute(description.get(), attribute, &value, sizeof value), work);
}

}  // namespace

class Products {
 public:
  Products(cublasLtHandle_t handle, void* workspace) : handle_(handle), workspace_(workspace) {}
  ~Products() {
    cudaFree(workspace_);
    cublasLtDestroy(handle_);
  }
  Products(const Products&) = delete;
  Products& operator=(const Products&) = delete;

  void Multiply(const GemmWork& work, Stream stream) {
    auto found = products_.find(KeyOf(work));
    if (found == products_.end()) found = products_.emplace(KeyOf(work), Make(work)).first;
    const Product& p = found->second;
    if (work.bias != nullptr)
      Set(p.description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, work.bias, work);
    const float one = 1, sum = work.add ? 1 : 0;
    CheckLt(cublasLtMatmul(handle_, p.description.get(), &one, work.w, p.w.get(), work.x, p.x.get(),
                           &sum, work.y, p.y.get(), work.y, p.y.get(), &p.algorithm, workspace_,
                           kProductWorkspace, static_cast<cudaStream_t>(stream)),
            work);
  }

 private:
  Product Make(const GemmWork& work) {
    const cudaDataType_t type = work.bf16 ? CUDA_R_16BF : CUDA_R_32F;
    cublasLtMatmulDesc_t description = nullptr;
    CheckLt(cublasLtMatmulDescCreate(&description, CUBLAS_COMPUTE_32F, CUDA_R_32F), work);
    Product p{.description = Description(description),
              .w = MakeLayout(type, work.depth, work.features, work.w_stride, work),
              .x = MakeLayout(type, work.depth, work.rows, work.x_stride, work),
              .y = MakeLayout(CUDA_R_32F, work.features, work.rows, work.y_stride, work),
              .algorithm = {}};
    Set(p.description, CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T, work);
    if (work.bias != nullptr) {
      Set(p.description, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS, work);
      Set(p.description, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, CUDA_R_32F, work);
      Set(p.description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, work.bias, work);
    }
    cublasLtMatmulPreference_t raw = nullptr;
    CheckLt(cublasLtMatmulPreferenceCreate(&raw), work);
    const Preference preference(raw);
    Prefer(raw, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kProductWorkspace, work);
    Prefer(raw, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, AlignmentOf(work.w), work);
    Prefer(raw, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, AlignmentOf(work.x), work);
    Prefer(raw, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, AlignmentOf(work.y), work);
    Prefer(raw, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, AlignmentOf(work.y), work);
    cublasLtMatmulHeuristicResult_t best{};
    int count = 0;
    CheckLt(
        cublasLtMatmulAlgoGetHeuristic(handle_, p.description.get(), p.w.get(), p.x.get(),
                                       p.y.get(), p.y.get(), preference.get(), 1, &best, &count),
        work);
    if (count == 0) CheckLt(CUBLAS_STATUS_NOT_SUPPORTED, work);
    p.algorithm = best.algo;
    return p;
  }

  cublasLtHandle_t handle_;
  void* workspace_;
  std::map<ProductKey, Product> products_;
};

Products* NewProducts() {
  cublasLtHandle_t handle = nullptr;
  if (cublasLtCreate(&handle) != CUBLAS_STATUS_SUCCESS) return nullptr;
  void* workspace = nullptr;
  if (cudaMalloc(&workspace, kProductWorkspace) != cudaSuccess) {
    cublasLtDestroy(handle);
    return nullptr;
  }
  return new Products(handle, workspace);
}

void DeleteProducts(Products* products) { delete products; }

BINOCLE_COMMAND(kGemm, if (work.rows > 0) c.products->Multiply(work, c.stream));

}  // namespace binocle::cuda
