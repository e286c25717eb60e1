// A decoder's whole pass over the checked kernels: which queries are read, whatever the plans say.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "core/backend/cuda_backend.h"
#include "llm/llama_decoder.h"
#include "simt/array.h"
#include "simt/runtime.h"
#include "tests/llm/decoder_rows.h"
#include "tests/llm/rank_with_orders.h"

namespace binocle {
namespace {

constexpr int64_t kBefore = 20, kPicture = 70, kAfter = 18;
constexpr int64_t kText = kBefore + kAfter, kRows = kText + kPicture;

LlamaConfig TwoLayers(DType kv_dtype) {
  LlamaConfig c = testing::SmallDecoder();
  c.width = 64;
  c.heads = c.kv_heads = 4;
  c.head_dim = 16;
  c.kv_dtype = kv_dtype;
  return c;
}

// How often the queries of each row were read, in both layers: rows of text first, as a batch has them. Each number of a row as often.
class QueriesOfAPass {
 public:
  explicit QueriesOfAPass(DType kv_dtype) : config_(TwoLayers(kv_dtype)) {
    const TensorSet set = testing::TensorsOf(config_);
    LlamaWeights weights;
    const auto bind = [&](WeightBinder& b) { weights = BindLlama(config_, b); };
    LoadWeights(ex_, set, {}, bind);
    decoder_ = std::make_unique<LlamaDecoder>(ex_, config_, std::move(weights),
                                              LayerPlan::Stock(config_.layers), 256);
    pool_ = KvPool(config_.layers, config_.kv_heads, config_.head_dim, PagesFor(kRows), kv_dtype,
                   ex_.place());
    activations_ = std::make_unique<DecoderActivations>(config_, kRows, 1, ex_.place());
  }

  std::vector<uint32_t> Reads(LayerKind first, LayerKind second) {
    const LayerPlan plan{.kinds = {first, second}, .aligner = Aligner::kVoFfn};
    KvSequence sequence(pool_);
    sequence.Extend(kRows);
    const testing::PictureRows rows =
        testing::RowsAroundPicture(sequence, kBefore, kPicture, kRows);
    const std::vector<int32_t> ids(kRows, 7);
    decoder_->Embed(ex_, ids, activations_->x.view().Rows(0, kRows));
    // Beside bf16 pages the kernels of attention have their queries from a buffer that nothing else reads.
    const Tensor& q = config_.kv_dtype == DType::kBF16 ? activations_->rotated : activations_->q;
    const auto row_bytes = static_cast<size_t>(q.bytes() / q.dim(0));
    ex_.Wait();
    const simt::WatchedReads reads("queries", q.view().data(), static_cast<size_t>(q.bytes()));
    decoder_->Forward(ex_,
                      {.text_rows = kText,
                       .positions = rows.positions,
                       .slots = rows.slots,
                       .text_runs = rows.text_runs(),
                       .visual_runs = rows.visual_runs(),
                       .runs = rows.runs,
                       .plan = &plan},
                      pool_, *activations_);
    ex_.Wait();
    EXPECT_EQ(simt::TakeReports().size(), 0U);
    std::vector<uint32_t> of_rows;
    for (size_t row = 0; row < kRows; ++row) {
      of_rows.push_back(reads.At(row * row_bytes));
      for (size_t i = 2; i < row_bytes; i += 2)
        EXPECT_EQ(reads.At(row * row_bytes + i), of_rows.back()) << row << ' ' << i;
    }
    return of_rows;
  }

 private:
  Exec ex_{1, std::make_unique<CudaBackend>(0)};
  LlamaConfig config_;
  std::unique_ptr<LlamaDecoder> decoder_;
  KvPool pool_;
  std::unique_ptr<DecoderActivations> activations_;
};

class DecoderQueries : public ::testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(Pages, DecoderQueries, ::testing::Values(DType::kF32, DType::kBF16),
                         [](const auto& dtype) { return std::string(DTypeName(dtype.param)); });

TEST_P(DecoderQueries, OfAPictureAreReadInStockLayersAlone) {
  QueriesOfAPass pass(GetParam());
  const auto stock = pass.Reads(LayerKind::kStock, LayerKind::kStock);
  const auto composite = pass.Reads(LayerKind::kComposite, LayerKind::kComposite);
  const auto mixed = pass.Reads(LayerKind::kStock, LayerKind::kComposite);
  const auto other = pass.Reads(LayerKind::kComposite, LayerKind::kStock);
  // In f32 rotation, which is in place, reads them too.
  const uint32_t of_a_layer = GetParam() == DType::kBF16 ? 1 : 2;
  for (size_t row = 0; row < kRows; ++row) {
    const bool text = row < kText;
    EXPECT_EQ(stock[row], 2 * of_a_layer) << row;
    EXPECT_EQ(composite[row], text ? 2 * of_a_layer : 0) << row;
    EXPECT_EQ(mixed[row], (text ? 2 : 1) * of_a_layer) << row;
    EXPECT_EQ(other[row], mixed[row]) << row;
  }
}

}  // namespace
}  // namespace binocle
