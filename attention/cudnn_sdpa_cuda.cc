#include "attention/cudnn_sdpa_cuda.h"

#include <dlfcn.h>

#include <optional>

#include "core/backend/cuda/symbols.h"

namespace binocle::cuda {
namespace {

constexpr size_t kFirstVersion = 91500;

using Four = std::array<int64_t, 4>;

Descriptor TensorOf(const Cudnn& cudnn, Operand operand, cudnnDataType_t type, const Four& dims,
                    const Four& strides, bool by_value = false) {
  Descriptor tensor(cudnn, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  tensor.Set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, int64_t{operand})
      .Set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, type)
      .Set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, std::span<const int64_t>(dims))
      .Set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, std::span<const int64_t>(strides))
      .Set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, int64_t{16})
      .Set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, by_value);
  return std::move(tensor.Finalize());
}

}  // namespace

const Cudnn* LoadCudnn() {
  static const std::optional<Cudnn> loaded = []() -> std::optional<Cudnn> {
    void* library = dlopen("libcudnn.so.9", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return std::nullopt;
    Cudnn c{};
    const bool whole = FindSymbol(library, "cudnnGetVersion", c.version) &&
                       FindSymbol(library, "cudnnCreate", c.create) &&
                       FindSymbol(library, "cudnnDestroy", c.destroy) &&
                       FindSymbol(library, "cudnnSetStream", c.set_stream) &&
                       FindSymbol(library, "cudnnBackendCreateDescriptor", c.make) &&
                       FindSymbol(library, "cudnnBackendDestroyDescriptor", c.drop) &&
                       FindSymbol(library, "cudnnBackendFinalize", c.finalize) &&
                       FindSymbol(library, "cudnnBackendSetAttribute", c.set) &&
                       FindSymbol(library, "cudnnBackendGetAttribute", c.get) &&
                       FindSymbol(library, "cudnnBackendExecute", c.execute);
    if (!whole || c.version() < kFirstVersion) return std::nullopt;
    return c;
  }();
  return loaded ? &*loaded : nullptr;
}

Descriptor SdpaForward(const Cudnn& cudnn, const WholeShape& s, std::vector<Descriptor>& parts) {
  const int64_t page = 64 * int64_t{s.kv_row}, pages = (s.keys + 63) / 64;
  const int64_t out_row = int64_t{s.heads} * s.head_dim;
  const Four of_pages{s.pool_pages, s.kv_heads, 64, s.head_dim};
  const Four page_strides{s.kv_heads * page, page, s.kv_row, 1};
  const Four by_run{s.runs, 1, 1, 1}, ones{1, 1, 1, 1};
  const auto bf16 = CUDNN_DATA_BFLOAT16;
  Descriptor node(cudnn, CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR);
  const auto link = [&](cudnnBackendAttributeName_t name, Descriptor tensor) {
    node.Set(name, tensor);
    parts.push_back(std::move(tensor));
  };
  link(CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC,
       TensorOf(cudnn, kQ, bf16, {s.runs, s.heads, s.rows, s.head_dim},
                {s.rows * s.q_stride, s.head_dim, s.q_stride, 1}));
  link(CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC, TensorOf(cudnn, kK, bf16, of_pages, page_strides));
  link(CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC, TensorOf(cudnn, kV, bf16, of_pages, page_strides));
  link(CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC,
       TensorOf(cudnn, kO, bf16, {s.runs, s.heads, s.rows, s.head_dim},
                {s.rows * out_row, s.head_dim, out_row, 1}));
  link(CUDNN_ATTR_OPERATION_SDPA_FWD_STATSDESC,
       TensorOf(cudnn, kStatistics, CUDNN_DATA_FLOAT, {s.runs, s.heads, s.rows, 1},
                {int64_t{s.heads} * s.rows, s.rows, 1, 1}));
  link(CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC,
       TensorOf(cudnn, kScale, CUDNN_DATA_FLOAT, ones, ones, true));
  Descriptor table =
      TensorOf(cudnn, kPages, CUDNN_DATA_INT32, {s.runs, 1, pages, 1}, {pages, pages, 1, 1});
  node.Set(CUDNN_ATTR_OPERATION_SDPA_FWD_PAGE_TABLE_KDESC, table);
  link(CUDNN_ATTR_OPERATION_SDPA_FWD_PAGE_TABLE_VDESC, std::move(table));
  link(CUDNN_ATTR_OPERATION_SDPA_FWD_SEQ_LEN_QDESC,
       TensorOf(cudnn, kRowCounts, CUDNN_DATA_INT32, by_run, ones));
  link(CUDNN_ATTR_OPERATION_SDPA_FWD_SEQ_LEN_KVDESC,
       TensorOf(cudnn, kKeyCounts, CUDNN_DATA_INT32, by_run, ones));
  return std::move(node.Finalize());
}

}  // namespace binocle::cuda
