// What is row-major here is column-major there: yᵀ [N, T] = w (read transposed) · xᵀ, so that the bias is one number per row of yᵀ.
#include "core/ops/gemm_cuda.h"

#include <cublasLt.h>
#include <cuda_runtime.h>

#include <compare>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "core/error.h"

namespace binocle::cuda {
namespace {

// A product as cuBLASLt is asked for it: what it keeps an algorithm for.
struct ProductShape {
  cudaDataType_t type;    // of x and w
  cudaDataType_t result;  // of y, and of sums: f32 or whole numbers
  int32_t rows, features, depth;
  int64_t x_stride, w_stride, y_stride;
  uint32_t x_alignment, w_alignment, y_alignment;
  bool add, has_bias;
  auto operator<=>(const ProductShape&) const = default;
};

void CheckLt(cublasStatus_t status, const ProductShape& shape) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  const char* type = shape.type == CUDA_R_8I ? "bytes" : shape.type == CUDA_R_16BF ? "bf16" : "f32";
  Throw(Code::kInternal, "cuBLASLt, [", shape.rows, ", ", shape.depth, "] by [", shape.features,
        ", ", shape.depth, "] in ", type, ": ", cublasLtGetStatusString(status));
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
                  const ProductShape& shape) {
  cublasLtMatrixLayout_t layout = nullptr;
  CheckLt(cublasLtMatrixLayoutCreate(&layout, type, static_cast<uint64_t>(rows),
                                     static_cast<uint64_t>(columns), stride),
          shape);
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

ProductShape ShapeOf(const GemmWork& work) {
  return {.type = work.bf16 ? CUDA_R_16BF : CUDA_R_32F,
          .result = CUDA_R_32F,
          .rows = work.rows,
          .features = work.features,
          .depth = work.depth,
          .x_stride = work.x_stride,
          .w_stride = work.w_stride,
          .y_stride = work.y_stride,
          .x_alignment = AlignmentOf(work.x),
          .w_alignment = AlignmentOf(work.w),
          .y_alignment = AlignmentOf(work.y),
          .add = work.add,
          .has_bias = work.bias != nullptr};
}

ProductShape ShapeOf(const SumBytesWork& work) {
  return {.type = CUDA_R_8I,
          .result = CUDA_R_32I,
          .rows = work.rows,
          .features = work.features,
          .depth = work.depth,
          .x_stride = work.depth,
          .w_stride = work.depth,
          .y_stride = work.sums_stride,
          .x_alignment = AlignmentOf(work.x),
          .w_alignment = AlignmentOf(work.w),
          .y_alignment = AlignmentOf(work.sums),
          .add = false,
          .has_bias = false};
}

template <typename T>
void Prefer(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute,
            const T& value, const ProductShape& shape) {
  CheckLt(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value), shape);
}

template <typename T>
void Set(const Description& description, cublasLtMatmulDescAttributes_t attribute, const T& value,
         const ProductShape& shape) {
  CheckLt(cublasLtMatmulDescSetAttribute(description.get(), attribute, &value, sizeof value),
          shape);
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
    const ProductShape shape = ShapeOf(work);
    const std::optional<Product>& product = ProductFor(shape);
    if (!product) CheckLt(CUBLAS_STATUS_NOT_SUPPORTED, shape);
    if (work.bias != nullptr)
      Set(product->description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, work.bias, shape);
    const float one = 1, sum = work.add ? 1 : 0;
    Run(*product, shape, {&one, &sum, work.w, work.x, work.y}, stream);
  }

  // Whole sums are the same whoever adds them: where no algorithm takes a shape, our own kernel does.
  void Multiply(const SumBytesWork& work, Stream stream) {
    const ProductShape shape = ShapeOf(work);
    const std::optional<Product>& product = ProductFor(shape);
    if (!product) return SumBytes(work, stream);
    const int32_t one = 1, sum = 0;
    Run(*product, shape, {&one, &sum, work.w, work.x, work.sums}, stream);
  }

 private:
  struct Operands {
    const void* one;
    const void* sum;
    const void* w;
    const void* x;
    void* y;
  };

  void Run(const Product& p, const ProductShape& shape, const Operands& of, Stream stream) {
    CheckLt(cublasLtMatmul(handle_, p.description.get(), of.one, of.w, p.w.get(), of.x, p.x.get(),
                           of.sum, of.y, p.y.get(), of.y, p.y.get(), &p.algorithm, workspace_,
                           size_t{kProductWorkspaceBytes}, static_cast<cudaStream_t>(stream)),
            shape);
  }

  const std::optional<Product>& ProductFor(const ProductShape& shape) {
    auto found = products_.find(shape);
    if (found == products_.end()) found = products_.emplace(shape, Make(shape)).first;
    return found->second;
  }

  // Nothing where cuBLASLt has no algorithm for it.
  std::optional<Product> Make(const ProductShape& shape) {
    const bool whole = shape.result == CUDA_R_32I;
    cublasLtMatmulDesc_t description = nullptr;
    CheckLt(cublasLtMatmulDescCreate(&description, whole ? CUBLAS_COMPUTE_32I : CUBLAS_COMPUTE_32F,
                                     shape.result),
            shape);
    Product p{.description = Description(description),
              .w = MakeLayout(shape.type, shape.depth, shape.features, shape.w_stride, shape),
              .x = MakeLayout(shape.type, shape.depth, shape.rows, shape.x_stride, shape),
              .y = MakeLayout(shape.result, shape.features, shape.rows, shape.y_stride, shape),
              .algorithm = {}};
    Set(p.description, CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T, shape);
    if (shape.has_bias) {
      Set(p.description, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS, shape);
      Set(p.description, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, CUDA_R_32F, shape);
    }
    cublasLtMatmulPreference_t raw = nullptr;
    CheckLt(cublasLtMatmulPreferenceCreate(&raw), shape);
    const Preference preference(raw);
    Prefer(raw, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, size_t{kProductWorkspaceBytes}, shape);
    Prefer(raw, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, shape.w_alignment, shape);
    Prefer(raw, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, shape.x_alignment, shape);
    Prefer(raw, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, shape.y_alignment, shape);
    Prefer(raw, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, shape.y_alignment, shape);
    cublasLtMatmulHeuristicResult_t best{};
    int count = 0;
    const cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(handle_, p.description.get(), p.w.get(), p.x.get(),
                                       p.y.get(), p.y.get(), preference.get(), 1, &best, &count);
    if (status == CUBLAS_STATUS_NOT_SUPPORTED) return std::nullopt;
    CheckLt(status, shape);
    if (count == 0) return std::nullopt;
    p.algorithm = best.algo;
    return p;
  }

  cublasLtHandle_t handle_;
  void* workspace_;
  std::map<ProductShape, std::optional<Product>> products_;
};

Products* NewProducts() {
  cublasLtHandle_t handle = nullptr;
  if (cublasLtCreate(&handle) != CUBLAS_STATUS_SUCCESS) return nullptr;
  void* workspace = nullptr;
  if (cudaMalloc(&workspace, size_t{kProductWorkspaceBytes}) != cudaSuccess) {
    cublasLtDestroy(handle);
    return nullptr;
  }
  return new Products(handle, workspace);
}

void DeleteProducts(Products* products) { delete products; }

BINOCLE_COMMAND(kGemm, if (work.rows > 0) c.products->Multiply(work, c.stream));
BINOCLE_COMMAND(kGemmBytes, if (work.rows > 0) c.products->Multiply(work, c.stream));

}  // namespace binocle::cuda
