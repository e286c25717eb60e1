#include "tests/minimal/gpu_speed.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/minimal/random_decoder.h"
#include "vision/clip_encoder.h"

namespace binocle {
namespace {

constexpr int kRounds = 7;

// Whether a pass comes again, as a step of decoding does, and is a graph from the third round on; or is one that never was, as a prompt's and a picture's.
enum class Passes : uint8_t { kRepeated, kNew };

using Body = std::function<void()>;

// Milliseconds.
double Once(Exec& ex, const Body& body) {
  ex.Wait();
  const auto start = std::chrono::steady_clock::now();
  body();
  ex.Wait();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

// Medians of several calls after one that does not count, in turns.
std::vector<double> Medians(Exec& ex, const std::vector<Body>& bodies) {
  std::vector<std::vector<double>> times(bodies.size());
  for (int round = 0; round <= kRounds; ++round) {
    for (size_t i = 0; i < bodies.size(); ++i) {
      const double ms = Once(ex, bodies[i]);
      if (round > 0) times[i].push_back(ms);
    }
  }
  std::vector<double> medians;
  for (std::vector<double>& of_body : times) {
    std::sort(of_body.begin(), of_body.end());
    medians.push_back(of_body[of_body.size() / 2]);
  }
  return medians;
}

double Median(Exec& ex, Passes passes, const Body& body) {
  if (passes == Passes::kRepeated) return Medians(ex, {body}).front();
  // A command of another factor: so no two passes are equal.
  float different = 1;
  const Tensor mark = Tensor::F32({1, 1}, "mark", ex.place());
  return Medians(ex, {[&] {
                   ScaleRows(ex, mark, different += 1);
                   body();
                 }})
      .front();
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
  return 2.0 * static_cast<double>(bytes) /
         Median(gpu, Passes::kRepeated, [&] { CopyRows(gpu, from, to); }) * 1000;
}

// A ratio beside what is asked of it: at least, or at most.
void PrintRatio(const char* what, double ratio, double least, double most) {
  const bool reached = ratio >= least && ratio <= most;
  std::printf("%s: %.2f, asked %s %.2f: %s\n", what, ratio,
              most < INFINITY ? "at most" : "at least", most < INFINITY ? most : least,
              reached ? "reached" : "missed");
}

// Bytes a second.
double Decoding(Exec& gpu, RandomDecoder& decoder, const char* kind, int64_t batch,
                double weight_bytes) {
  std::vector<KvSequence> sequences;
  std::vector<KvSequence*> all;
  for (int64_t b = 0; b < batch; ++b) sequences.push_back(decoder.Sequence());
  for (KvSequence& sequence : sequences) {
    decoder.Forward({&sequence}, {std::vector<int32_t>(kVisual + kText, 7)});
    all.push_back(&sequence);
  }
  const std::vector<std::vector<int32_t>> ids(static_cast<size_t>(batch), std::vector<int32_t>{9});
  const double ms = Median(gpu, Passes::kRepeated, [&] {
    for (KvSequence* sequence : all) sequence->Truncate(kVisual + kText);
    decoder.Forward(all, ids);
  });
  const LlamaConfig& c = decoder.config();
  const double kv =
      static_cast<double>(batch * (kVisual + kText) * c.layers * 2 * c.kv_heads * c.head_dim * 2);
  std::printf("decode %-5s batch %3lld: %8.3f ms, %8.1f tokens/s, %6.0f GB/s\n", kind,
              static_cast<long long>(batch), ms, static_cast<double>(batch) * 1000 / ms,
              (weight_bytes + kv) / ms / 1e6);
  return (weight_bytes + kv) / ms * 1000;
}

// A step of one sequence over a picture, with VAR in all layers and without. Of random rows one in forty is a sink at this τ, of a model's fewer.
void DecodingUnderVar(Exec& gpu, RandomDecoder& decoder) {
  const LlamaConfig& c = decoder.config();
  const WatchPlan plan{.dims = {1, 4},
                       .tau = 2.5F,
                       .var = VarPlan{.form = kPaperForm,
                                      .params = {.p = 0.6F, .rho = 0.5F, .mass = 0.1F},
                                      .layers = {0, c.layers - 1}}};
  SequenceWatch watch(c, plan,
                      {.prompt_tokens = kVisual + kText,
                       .capacity = kVisual + kText + 1,
                       .images = {{.first_position = 1, .tokens = kVisual}}});
  KvSequence sequence = decoder.Sequence();
  decoder.ForwardPicture(sequence, LayerKind::kStock, &watch);
  const auto step = [&](const std::vector<SequenceWatch*>& watches) -> Body {
    return [&, watches] {
      sequence.Truncate(kVisual + kText);
      decoder.Forward({&sequence}, {{9}}, watches);
    };
  };
  const std::vector<double> medians = Medians(gpu, {step({}), step({&watch})});
  const double plain = medians[0], with_var = medians[1];
  std::printf("decode bf16  with VAR : %8.3f ms, without %.3f ms\n", with_var, plain);
  PrintRatio("VAR on beside off", with_var / plain, 0, 1.03);
}

void Tower(Exec& gpu, ClipConfig clip) {
  clip.feature.layer = -1;  // all of them, as the peer runs them; LLaVA takes the last but one
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
              Median(gpu, Passes::kNew, [&] { tower->Encode(gpu, pixels, features, nullptr); }));
}

void Speed(Exec& gpu, const Shape7b& shape) {
  const double copies = CopyBandwidth(gpu, shape.copy_bytes);
  std::printf("copies: %.0f GB/s read and written\n", copies / 1e9);
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
                  static_cast<long long>(kText), what, Median(gpu, Passes::kNew, [&] {
                    KvSequence sequence = decoder.Sequence();
                    pass(sequence);
                  }));
    };
    timed("stock", [&](KvSequence& s) {
      decoder.Forward({&s}, {std::vector<int32_t>(kVisual + kText, 7)});
    });
    timed("composite vo", [&](KvSequence& s) { decoder.ForwardPicture(s, LayerKind::kComposite); });
    for (const int64_t batch : shape.batches) {
      const double rate = Decoding(gpu, decoder, "bf16", batch, 2 * parameters);
      if (batch == 1) PrintRatio("decode beside copies", rate / copies, 0.75, INFINITY);
    }
    DecodingUnderVar(gpu, decoder);
  }
  for (const auto& [kind, bits] :
       {std::pair(WeightKind::kInt8, 8.0), std::pair(WeightKind::kInt4, 4.125)}) {
    const std::vector<int64_t> few(shape.batches.begin(), shape.batches.begin() + 2);
    RandomDecoder decoder(gpu, config, kind, few.back(), kVisual + kText + 1);
    for (const int64_t batch : few)
      Decoding(gpu, decoder, std::string(WeightKindName(kind)).c_str(), batch,
               parameters * bits / 8);
  }
}

}  // namespace

void PrintSpeed(Exec& gpu, SpeedShape shape) {
  Speed(gpu, shape == SpeedShape::kSmall ? SmallShape() : Llava7b());
}

}  // namespace binocle
