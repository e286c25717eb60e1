// What there is to say of a GPU, by a program that needs nothing but our own code and the CUDA module beside it (tools/gpu/check.sh).
//
//   gpu_check ops      every op on the GPU against the host's
//   gpu_check model    greedy tokens and logits of a small random model in each kind, on the host and on the GPU
//   gpu_check speed    LLaVA-1.5-7B's shape with random weights in bf16, and fewer bits: tower, prefill, decoding; copy bandwidth beside it
//
//   gpu_check small    the same of a small shape, which tells nothing but that it runs
//
// Prints a line for each, exits 1 when one of the first two is wrong.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/backend/cuda_backend.h"
#include "core/ops/elementwise.h"
#include "core/weights.h"
#include "llm/llama_decoder.h"
#include "tests/cuda/device_ops.h"
#include "tests/testing/numbers.h"
#include "vision/clip_encoder.h"

namespace binocle {
namespace {

constexpr int kRounds = 7;
constexpr int64_t kVisual = 576, kText = 64;

// All weights that `bind` asks for, random, in pieces of one buffer.
TensorSet RandomWeights(const std::function<void(WeightBinder&)>& bind) {
  constexpr int64_t kNumbers = int64_t{1} << 20;
  TensorSet set;
  testing::Numbers numbers(1);
  int64_t most = kNumbers;
  const std::vector<NeededWeight> needed = ListWeights({}, bind);
  for (const NeededWeight& weight : needed) most = std::max(most, weight.shape.elements());
  const auto buffer = std::make_shared<Tensor>(DType::kBF16, Shape{most}, "random");
  auto* data = static_cast<Bf16*>(buffer->view().data());
  for (int64_t i = 0; i < kNumbers; ++i) data[i] = Bf16FromF32(numbers.Normal(0.02F));
  for (int64_t i = kNumbers; i < most; i += kNumbers)
    std::memcpy(data + i, data, static_cast<size_t>(std::min(kNumbers, most - i)) * 2);
  for (const NeededWeight& weight : needed)
    set.Add(weight.name, TensorView(data, DType::kBF16, weight.shape, weight.name), buffer,
            "random");
  return set;
}

KindsByName AllOf(WeightKind kind) { return {.entries = {{"", kind}}}; }

// A decoder with random weights, and sequences of it.
class RandomDecoder {
 public:
  RandomDecoder(Exec& ex, LlamaConfig config, WeightKind kind, int64_t sequences, int64_t length)
      : ex_(ex), config_(config) {
    config_.layer_kind = kind;
    config_.kv_dtype = KvDType(kind);
    LlamaWeights weights;
    const auto bind = [&](WeightBinder& b) { weights = BindLlama(config_, b.Under("")); };
    const TensorSet set = RandomWeights(bind);
    LoadWeights(ex, set, {}, AllOf(kind), bind);
    if (ex.place().cuda == nullptr) embeddings_ = Kept(weights.embeddings);
    decoder_ = std::make_unique<LlamaDecoder>(ex, config_, std::move(weights),
                                              LayerPlan::Stock(config_.layers), length + 1);
    pool_ = KvPool(config_.layers, config_.kv_heads, config_.head_dim,
                   sequences * PagesFor(length + 1), config_.kv_dtype, ex.place());
    activations_ = std::make_unique<DecoderActivations>(config_, std::max(length, sequences),
                                                        sequences, ex.place());
  }

  const LlamaConfig& config() const { return config_; }
  KvSequence Sequence() { return KvSequence(pool_); }

  // The next tokens of each sequence, one list each; logits of the last of each.
  TensorView Forward(const std::vector<KvSequence*>& sequences,
                     const std::vector<std::vector<int32_t>>& ids) {
    std::vector<int32_t> all, positions, slots;
    std::vector<QueryRun> runs;
    std::vector<int64_t> last;
    for (size_t s = 0; s < sequences.size(); ++s) {
      const auto count = std::ssize(ids[s]);
      const int64_t first = sequences[s]->Extend(count);
      runs.push_back({.first_row = std::ssize(all),
                      .rows = count,
                      .first_position = first,
                      .keys = first + count,
                      .pages = sequences[s]->pages()});
      for (int64_t p = first; p < first + count; ++p) {
        positions.push_back(static_cast<int32_t>(p));
        slots.push_back(sequences[s]->Slot(p));
      }
      all.insert(all.end(), ids[s].begin(), ids[s].end());
      last.push_back(std::ssize(all) - 1);
    }
    decoder_->Embed(ex_, all, activations_->x.view().Rows(0, std::ssize(all)));
    decoder_->Forward(ex_,
                      {.text_rows = std::ssize(all),
                       .positions = positions,
                       .slots = slots,
                       .text_runs = runs,
                       .visual_runs = {},
                       .runs = runs},
                      pool_, *activations_);
    const TensorView logits = decoder_->Logits(ex_, last, *activations_);
    const TensorView on_host = activations_->logits.view().Rows(0, std::ssize(last));
    if (logits.on_cuda()) CopyRows(ex_, logits, on_host);
    return on_host;
  }

  // A picture between the first token and the rest, under a plan of composite layers.
  void ForwardComposite(KvSequence& sequence) {
    const LayerPlan plan{
        .kinds = std::vector(static_cast<size_t>(config_.layers), LayerKind::kComposite)};
    sequence.Extend(kText + kVisual);
    std::vector<int32_t> positions, slots, ids(kText, 7);
    const auto add = [&](int64_t begin, int64_t end) {
      const QueryRun run{.first_row = std::ssize(positions),
                         .rows = end - begin,
                         .first_position = begin,
                         .keys = end,
                         .pages = sequence.pages()};
      for (int64_t p = begin; p < end; ++p) {
        positions.push_back(static_cast<int32_t>(p));
        slots.push_back(sequence.Slot(p));
      }
      return run;
    };
    const std::vector<QueryRun> runs = {add(0, 1), add(1 + kVisual, kText + kVisual),
                                        add(1, 1 + kVisual)};
    decoder_->Embed(ex_, ids, activations_->x.view().Rows(0, kText));
    decoder_->Forward(ex_,
                      {.text_rows = kText,
                       .positions = positions,
                       .slots = slots,
                       .text_runs = std::span(runs).first(2),
                       .visual_runs = std::span(runs).subspan(2),
                       .runs = runs,
                       .plan = &plan},
                      pool_, *activations_);
    const int64_t last[] = {kText - 1};
    decoder_->Logits(ex_, last, *activations_);
  }

 private:
  // The table outlives the files that it was to be read from.
  static Tensor Kept(WeightBinder::Table& table) {
    Tensor own(table.view.dtype(), table.view.shape(), "embeddings");
    CopyRows(table.view, own);
    table.view = own;
    return own;
  }

  Exec& ex_;
  LlamaConfig config_;
  Tensor embeddings_;
  std::unique_ptr<LlamaDecoder> decoder_;
  KvPool pool_;
  std::unique_ptr<DecoderActivations> activations_;
};

// Milliseconds, the median of several calls after one that does not count.
double Median(Exec& ex, const std::function<void()>& body) {
  std::vector<double> times;
  for (int round = 0; round <= kRounds; ++round) {
    ex.Wait();
    const auto start = std::chrono::steady_clock::now();
    body();
    ex.Wait();
    const std::chrono::duration<double, std::milli> passed =
        std::chrono::steady_clock::now() - start;
    if (round > 0) times.push_back(passed.count());
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

bool CheckOps(Exec& host, Exec& gpu) {
  bool all = true;
  for (const testing::DeviceDifference& d : testing::CompareDeviceOps(host, gpu)) {
    if (!d.within())
      std::printf("%-60s off by %.2e, allowed %.0e: FAILED\n", d.what.c_str(), d.off, d.tolerance);
    all = all && d.within();
  }
  std::printf("ops: %s\n", all ? "all as the host's" : "FAILED");
  return all;
}

// Three sequences side by side: logits after their prompts, and 24 tokens of each, given or greedy. They cross parts of the keys on the way.
struct ModelRun {
  Tensor first, last;                        // [3, V]
  std::vector<std::vector<int32_t>> tokens;  // what was chosen
};

ModelRun RunModel(Exec& ex, WeightKind kind, const std::vector<std::vector<int32_t>>* given) {
  constexpr int kSteps = 24;
  const LlamaConfig config{.width = 128,
                           .ff_width = 320,
                           .layers = 2,
                           .heads = 4,
                           .kv_heads = 2,
                           .head_dim = 64,
                           .vocabulary = 500,
                           .max_positions = 4096};
  RandomDecoder decoder(ex, config, kind, 3, 700);
  std::vector<KvSequence> sequences;
  std::vector<KvSequence*> all;
  std::vector<std::vector<int32_t>> ids;
  for (int32_t s = 0; s < 3; ++s) {
    sequences.push_back(decoder.Sequence());
    ids.emplace_back();
    for (int32_t i = 0; i < 40 + 100 * s; ++i) ids.back().push_back(1 + (i * 17 + s) % 490);
  }
  for (KvSequence& sequence : sequences) all.push_back(&sequence);
  ModelRun run{.first = {}, .last = {}, .tokens = {{}, {}, {}}};
  for (size_t step = 0; step < kSteps; ++step) {
    const TensorView logits = decoder.Forward(all, ids);
    if (step == 0) run.first = ToHost(ex, logits);
    run.last = ToHost(ex, logits);
    for (size_t s = 0; s < 3; ++s) {
      const float* row = logits.row(static_cast<int64_t>(s));
      const auto best = std::max_element(row, row + config.vocabulary) - row;
      run.tokens[s].push_back(static_cast<int32_t>(best));
      ids[s] = {given != nullptr ? (*given)[s][step] : run.tokens[s].back()};
    }
  }
  return run;
}

double OffOf(const Tensor& got, const Tensor& want) {
  double most = 0, off = 0;
  for (int64_t i = 0; i < want.view().elements(); ++i) {
    most = std::max(most, std::abs(static_cast<double>(want.f32()[i])));
    off = std::max(off, std::abs(static_cast<double>(want.f32()[i]) - got.f32()[i]));
  }
  return off / most;
}

bool CheckModel(Exec& host, Exec& gpu) {
  bool all = true;
  for (const auto& [kind, tolerance] :
       {std::pair(WeightKind::kF32, 1e-4), std::pair(WeightKind::kBf16, 3e-2),
        std::pair(WeightKind::kInt8, 3e-2), std::pair(WeightKind::kInt4, 3e-2)}) {
    const ModelRun want = RunModel(host, kind, nullptr);
    const ModelRun got = RunModel(gpu, kind, &want.tokens);
    const double first = OffOf(got.first, want.first), last = OffOf(got.last, want.last);
    const bool same = got.tokens == want.tokens;
    const bool good = first <= tolerance && last <= tolerance && (same || kind != WeightKind::kF32);
    std::printf(
        "model in %-4s: logits off by %.1e and, 24 tokens on, %.1e of the largest; greedy tokens "
        "%s: %s\n",
        std::string(WeightKindName(kind)).c_str(), first, last, same ? "equal" : "differ",
        good ? "ok" : "FAILED");
    all = all && good;
  }
  return all;
}

// What is timed; the small one is for trying the program itself.
struct Shape7b {
  LlamaConfig text;
  ClipConfig tower;
  int64_t copy_bytes;
  std::vector<int64_t> batches;
};

Shape7b Llava7b() {
  return {.text = {.width = 4096,
                   .ff_width = 11008,
                   .layers = 32,
                   .heads = 32,
                   .kv_heads = 32,
                   .head_dim = 128,
                   .vocabulary = 32000,
                   .max_positions = 4096},
          .tower = {.width = 1024,
                    .ff_width = 4096,
                    .layers = 24,
                    .heads = 16,
                    .image_size = 336,
                    .patch_size = 14},
          .copy_bytes = int64_t{1} << 30,
          .batches = {1, 8, 32, 128}};
}

Shape7b SmallShape() {
  Shape7b shape = Llava7b();
  shape.text.width = 128;
  shape.text.ff_width = 192;
  shape.text.layers = 1;
  shape.text.heads = shape.text.kv_heads = 2;
  shape.text.head_dim = 64;
  shape.text.vocabulary = 300;
  shape.tower.width = 64;
  shape.tower.ff_width = 64;
  shape.tower.layers = 2;
  shape.tower.heads = 1;
  shape.tower.image_size = 56;
  shape.copy_bytes = 1 << 16;
  shape.batches = {1, 3};
  return shape;
}

// Bytes a second that are read and written.
double CopyBandwidth(Exec& gpu, int64_t bytes) {
  const Tensor from = Tensor::F32({1024, bytes / 4096}, "from", gpu.place()),
               to = Tensor::F32({1024, bytes / 4096}, "to", gpu.place());
  return 2.0 * static_cast<double>(bytes) / Median(gpu, [&] { CopyRows(gpu, from, to); }) * 1000;
}

void Decoding(Exec& gpu, RandomDecoder& decoder, const char* kind, int64_t batch,
              double weight_bytes) {
  std::vector<KvSequence> sequences;
  std::vector<KvSequence*> all;
  for (int64_t b = 0; b < batch; ++b) sequences.push_back(decoder.Sequence());
  for (KvSequence& sequence : sequences) {
    decoder.Forward({&sequence}, {std::vector<int32_t>(kVisual + kText, 7)});
    all.push_back(&sequence);
  }
  const std::vector<std::vector<int32_t>> ids(static_cast<size_t>(batch), std::vector<int32_t>{9});
  const double ms = Median(gpu, [&] {
    for (KvSequence* sequence : all) sequence->Truncate(kVisual + kText);
    decoder.Forward(all, ids);
  });
  const LlamaConfig& c = decoder.config();
  const double kv =
      static_cast<double>(batch * (kVisual + kText) * c.layers * 2 * c.kv_heads * c.head_dim * 2);
  std::printf("decode %-5s batch %3lld: %8.3f ms, %8.1f tokens/s, %6.0f GB/s\n", kind,
              static_cast<long long>(batch), ms, static_cast<double>(batch) * 1000 / ms,
              (weight_bytes + kv) / ms / 1e6);
}

void Tower(Exec& gpu, ClipConfig clip) {
  clip.feature.layer = -2;
  clip.kv_dtype = DType::kBF16;
  std::unique_ptr<VisionEncoder> tower;
  ClipWeights weights;
  const auto bind = [&](WeightBinder& b) { weights = BindClip(clip, b.Under("")); };
  const TensorSet set = RandomWeights(bind);
  LoadWeights(gpu, set, {}, AllOf(WeightKind::kBf16), bind);
  tower = MakeClipEncoder(clip, std::move(weights));
  const Tensor pixels = Tensor::F32({3, clip.image_size, clip.image_size}, "pixels");
  const Tensor features = Tensor::F32({tower->tokens(), tower->width()}, "features", gpu.place());
  std::printf("tower, %lld px, bf16: %.3f ms\n", static_cast<long long>(clip.image_size),
              Median(gpu, [&] { tower->Encode(gpu, pixels, features, nullptr); }));
}

void Speed(Exec& gpu, const Shape7b& shape) {
  std::printf("copies: %.0f GB/s read and written\n", CopyBandwidth(gpu, shape.copy_bytes) / 1e9);
  Tower(gpu, shape.tower);
  const LlamaConfig& config = shape.text;
  const auto width = static_cast<double>(config.width);
  const double parameters =
      static_cast<double>(config.layers) *
          (4 * width * width + 3 * width * static_cast<double>(config.ff_width)) +
      static_cast<double>(config.vocabulary) * width;
  const int64_t most = shape.batches.back();
  {
    RandomDecoder decoder(gpu, config, WeightKind::kBf16, most, kVisual + kText + 1);
    const auto timed = [&](const char* what, const std::function<void(KvSequence&)>& pass) {
      std::printf("prefill %lld + %lld, bf16, %s: %.3f ms\n", static_cast<long long>(kVisual),
                  static_cast<long long>(kText), what, Median(gpu, [&] {
                    KvSequence sequence = decoder.Sequence();
                    pass(sequence);
                  }));
    };
    timed("stock", [&](KvSequence& s) {
      decoder.Forward({&s}, {std::vector<int32_t>(kVisual + kText, 7)});
    });
    timed("composite vo", [&](KvSequence& s) { decoder.ForwardComposite(s); });
    for (const int64_t batch : shape.batches) Decoding(gpu, decoder, "bf16", batch, 2 * parameters);
  }
  for (const auto& [kind, bits] :
       {std::pair(WeightKind::kInt8, 8.0), std::pair(WeightKind::kInt4, 4.125)}) {
    RandomDecoder decoder(gpu, config, kind, 8, kVisual + kText + 1);
    for (const int64_t batch : {1, 8})
      Decoding(gpu, decoder, std::string(WeightKindName(kind)).c_str(), batch,
               parameters * bits / 8);
  }
}

int Run(const std::string& what) {
  const CudaDevices found = FindCudaDevices();
  if (found.devices.empty()) {
    std::printf("skipped: %s\n", found.why_none.c_str());
    return 77;
  }
  const int threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  Exec host(threads), gpu(threads, std::make_unique<CudaBackend>(0));
  std::printf("%s\n", gpu.cuda().device().name.c_str());
  if (what == "ops") return CheckOps(host, gpu) ? 0 : 1;
  if (what == "model") return CheckModel(host, gpu) ? 0 : 1;
  if (what == "speed") return Speed(gpu, Llava7b()), 0;
  if (what == "small") return Speed(gpu, SmallShape()), 0;
  std::printf("gpu_check is asked for \"%s\", expected ops, model, speed or small\n", what.c_str());
  return 2;
}

}  // namespace
}  // namespace binocle

int main(int argc, char** argv) {
  try {
    return binocle::Run(argc > 1 ? argv[1] : "ops");
  } catch (const binocle::Error& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
}
