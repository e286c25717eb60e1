#include "service/engine/image_encoder.h"

#include <chrono>
#include <utility>

#include "core/mapped_file.h"

namespace binocle {
namespace {

using Clock = std::chrono::steady_clock;

// Runs `step` on a picture; its errors get the picture's name.
template <typename Step>
auto Naming(const ImageInput& input, const Step& step) {
  try {
    return step();
  } catch (const Error& error) {
    throw WithContext(error, input.path);
  }
}

// Appended to the file's bytes: a picture turned and one not turned are two, and so is one in tiles and as a whole, one under two plans or,
// where its tokens were scored on their way, for two sets of sink dimensions.
std::string KeyOf(const ImageInput& input, const PicturePlan& picture, const LayerPlan& plan,
                  const SinkDims& dims, std::string bytes) {
  bytes.push_back(input.exif ? 'u' : 's');
  bytes.push_back(picture.views() > 1 ? 't' : 'w');
  for (const LayerKind kind : plan.kinds) bytes.push_back(kind == LayerKind::kStock ? 's' : 'c');
  const bool aligned = plan.Has(LayerKind::kComposite);
  bytes.push_back(aligned ? static_cast<char>('0' + static_cast<int>(plan.aligner)) : '-');
  if (!plan.images_stand_alone()) return bytes;
  for (const int32_t d : dims) bytes += ',' + std::to_string(d);
  return bytes;
}

// Who wants to see a picture go through the layers needs more than what was kept of it.
bool Serves(const EncodedImage& image, const ImageWatch& watch) {
  return !image.kv || watch.inputs == nullptr;
}

}  // namespace

ImageEncoder::ImageEncoder(VlmModel& model, const EngineOptions& options)
    : model_(model),
      max_bytes_(options.max_image_bytes),
      max_pixels_(options.max_image_pixels),
      cache_(options.image_cache_bytes) {}

// The bytes are taken out of `input`.
std::string ImageEncoder::ReadBytes(ImageInput& input) const {
  const ModelConfig& c = model_.config();
  if (!c.takes_pictures()) ThrowInvalid(c.name, ": is a text model and takes no pictures");
  if (input.bytes) return *std::exchange(input.bytes, {});
  if (input.path.empty())
    ThrowInvalid("image: its path is empty, expected a JPEG, PNG or WebP file");
  return ReadFile(input.path, static_cast<size_t>(max_bytes_));
}

DecodeOptions ImageEncoder::LimitsFor(const ImageInput& input) const {
  return {.exif = input.exif, .max_bytes = max_bytes_, .max_pixels = max_pixels_};
}

ModelPixels ImageEncoder::Pixels(const ImageInput& input, Company company, std::string_view bytes,
                                 Timings* timings) const {
  const auto start = Clock::now();
  const Image image = DecodeImage(bytes, LimitsFor(input), input.path);
  ModelPixels pixels = Naming(input, [&] { return model_.Pixels(image, company); });
  if (timings != nullptr) {
    timings->decode += std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  }
  return pixels;
}

ModelPixels ImageEncoder::ReadPixels(ImageInput input) const {
  const std::string bytes = ReadBytes(input);
  return Pixels(input, Company::kAlone, bytes, nullptr);
}

Tensor ImageEncoder::ThroughTowers(Exec& ex, const ModelPixels& pixels, PatchAttention* attention,
                                   Timings& timings) {
  Tensor visual =
      Tensor::F32({pixels.plan.tokens, model_.config().text.width}, "visual", ex.place());
  VisionTimings vision;
  model_.Encode(ex, pixels, visual, {.timings = &vision, .attention = attention});
  timings.anchor += vision.anchor;
  timings.augment += vision.augment;
  timings.fusion += vision.fusion;
  return visual;
}

SharedImage ImageEncoder::Finish(const ForwardContext& c, Towered from, const LayerPlan& plan,
                                 const ImageWatch& watch) {
  auto image = std::make_shared<EncodedImage>();
  image->attention = std::move(from.attention);
  if (plan.images_stand_alone()) {
    c.decoder.EncodeImage(c.ex, {.visual = from.visual, .aligner = plan.aligner}, watch,
                          c.activations, image->kv.emplace());
  } else {
    image->visual = std::move(from.visual);
  }
  return image;
}

ImageEncoder::Waiting ImageEncoder::Read(ImageInput input, const Use& use) const {
  std::string bytes = ReadBytes(input);
  const ImageHeader header = CheckImage(bytes, LimitsFor(input), input.path);
  Waiting waiting{.plan = &use.plan,
                  .company = use.company,
                  .bytes = bytes.size(),
                  .file_pixels = header.width * header.height};
  const ImageSize size = UprightSize(header, bytes, LimitsFor(input));
  waiting.picture = Naming(
      input, [&] { return model_.config().PlanPicture(size.width, size.height, use.company); });
  waiting.key = KeyOf(input, waiting.picture, use.plan, use.dims, std::move(bytes));
  waiting.input = std::move(input);
  waiting.image = cache_.Peek(waiting.key);
  return waiting;
}

void ImageEncoder::Decode(Waiting& waiting) const {
  if (waiting.image == nullptr) waiting.image = cache_.Peek(waiting.key);
  if (waiting.image != nullptr) return;
  Timings timings;
  waiting.pixels = Pixels(waiting.input, waiting.company, waiting.file(), &timings);
  waiting.decode_ms = timings.decode;
}

ImageEncoder::Encoded ImageEncoder::Encode(const ForwardContext& c, Waiting waiting,
                                           const ImageWatch& watch, Timings& timings) {
  timings.decode += waiting.decode_ms;
  const auto serves = [&](const EncodedImage& image) { return Serves(image, watch); };
  if (SharedImage found = cache_.Find(waiting.key, serves))
    return {.image = std::move(found), .cached = true};
  if (waiting.image != nullptr && serves(*waiting.image))  // evicted since
    return {.image = std::move(waiting.image), .cached = true};
  const LayerPlan& plan = *waiting.plan;
  if (waiting.pixels.empty())
    waiting.pixels = Pixels(waiting.input, waiting.company, waiting.file(), &timings);
  Towered towered;
  towered.visual = ThroughTowers(c.ex, waiting.pixels, &towered.attention, timings);
  SharedImage image = Finish(c, std::move(towered), plan, watch);
  cache_.Put(std::move(waiting.key), image);
  return {.image = std::move(image), .cached = false};
}

SharedImage ImageEncoder::EncodeNoised(const ForwardContext& c, Noised noised, TorchNormal& normal,
                                       Timings& timings) {
  for (Tensor* tower : {&noised.pixels.anchor, &noised.pixels.augment}) {
    if (tower->empty()) continue;
    AddDiffusionNoise(normal, noised.steps,
                      {tower->f32(), static_cast<size_t>(tower->view().elements())});
  }
  return Finish(c, {ThroughTowers(c.ex, noised.pixels, nullptr, timings), {}}, noised.plan, {});
}

ImageEncoder::Prepared ImageEncoder::Prepare(ImageInput input, Company company) const {
  const std::string bytes = ReadBytes(input);
  const Image image = DecodeImage(bytes, LimitsFor(input), input.path);
  return Naming(input, [&]() -> Prepared {
    Prepared prepared{.width = image.width,
                      .height = image.height,
                      .seen = {},
                      .pixels = model_.Pixels(image, company)};
    const ImageProcessor& processor = model_.config().leading().processor;
    const auto& tiles = prepared.pixels.plan.tiles;
    prepared.seen = (tiles ? OverviewProcessor(processor, *tiles) : processor).Geometry(image);
    return prepared;
  });
}

SharedImage ImageEncoder::EncodePixels(const ForwardContext& c, const ModelPixels& pixels,
                                       const LayerPlan& plan, SinkDims dims) {
  Timings ignored;
  Towered towered;
  towered.visual = ThroughTowers(c.ex, pixels, &towered.attention, ignored);
  return Finish(c, std::move(towered), plan,
                {.dims = std::move(dims), .inputs = nullptr, .first_position = 0});
}

Tensor ImageEncoder::Visual(Exec& ex, const ModelPixels& pixels) {
  Timings ignored;
  return ThroughTowers(ex, pixels, nullptr, ignored);
}

}  // namespace binocle
