// preprocessor_config.json to ProcessorConfig, with the defaults of the transformers classes.
#include <string>
#include <string_view>

#include "core/error.h"
#include "vision/preprocess.h"

namespace binocle {
namespace {

constexpr std::array<double, 3> kClipMean = {0.48145466, 0.4578275, 0.40821073};
constexpr std::array<double, 3> kClipStd = {0.26862954, 0.26130258, 0.27577711};
constexpr std::array<double, 3> kHalves = {0.5, 0.5, 0.5};

// Named as in transformers, without the suffix that says how it is implemented.
std::string ReadType(const JsonObject& json) {
  const char* key = !json.Has("image_processor_type") && json.Has("feature_extractor_type")
                        ? "feature_extractor_type"
                        : "image_processor_type";
  const std::string full = json.String(key);
  std::string_view name = full;
  for (const std::string_view suffix : {"Fast", "ImageProcessor", "FeatureExtractor"}) {
    if (name.ends_with(suffix)) name.remove_suffix(suffix.size());
  }
  for (const std::string_view known : {"CLIP", "Bit", "Llava", "Siglip"}) {
    if (name == known && name.size() != full.size()) return std::string(name);
  }
  json.Fail(key,
            "CLIPImageProcessor, BitImageProcessor, LlavaImageProcessor or SiglipImageProcessor");
}

int64_t Side(const JsonObject& json, std::string_view key) {
  return json.Int(key, 1, kMaxProcessedSide);
}

enum class IntMeans { kShortestEdge, kSquare };

// A number, {"shortest_edge": n} (where a number means that) or {"height": h, "width": w}.
ProcessorConfig::Size ReadSize(const JsonObject& json, std::string_view key, IntMeans int_means) {
  const bool edge = int_means == IntMeans::kShortestEdge;
  if (!json.Has(key))
    return edge ? ProcessorConfig::Size{224, 0, 0} : ProcessorConfig::Size{0, 224, 224};
  const Json& value = json.json().at(std::string(key));
  if (value.is_number()) {
    const int64_t side = Side(json, key);
    return edge ? ProcessorConfig::Size{side, 0, 0} : ProcessorConfig::Size{0, side, side};
  }
  if (!value.is_object())
    json.Fail(key, edge ? "a number, {\"shortest_edge\"} or {\"height\", \"width\"}"
                        : "a number or {\"height\", \"width\"}");
  const JsonObject size = json.Object(key);
  if (edge && size.Has("shortest_edge")) {
    size.OnlyKeys({"shortest_edge"});
    return {.shortest_edge = Side(size, "shortest_edge")};
  }
  size.OnlyKeys({"height", "width"});
  return {.width = Side(size, "width"), .height = Side(size, "height")};
}

struct Range {
  double low;
  double high;
};

// One number for all channels or a list of three.
std::array<double, 3> ReadChannels(const JsonObject& json, std::string_view key,
                                   const std::array<double, 3>& fallback, Range range) {
  if (!json.Has(key)) return fallback;
  if (json.json().at(std::string(key)).is_number()) {
    const double value = json.NumberOr(key, 0, range.low, range.high);
    return {value, value, value};
  }
  const std::string expected = internal::Concat("3 numbers from ", range.low, " to ", range.high);
  const std::vector<double> numbers = json.Numbers(key);
  if (numbers.size() != 3) json.Fail(key, expected);
  for (const double number : numbers) {
    if (!(number >= range.low && number <= range.high)) json.Fail(key, expected);
  }
  return {numbers[0], numbers[1], numbers[2]};
}

bool ReadPad(const JsonObject& json, std::string_view type) {
  if (type == "Llava" && json.BoolOr("do_pad", false)) return true;
  return json.Choice("image_aspect_ratio", "square", {"square", "pad"}) == "pad";
}

}  // namespace

ProcessorConfig ParseProcessorConfig(const JsonObject& json) {
  const std::string type = ReadType(json);
  const bool siglip = type == "Siglip";
  ProcessorConfig config;
  config.pad_to_square = ReadPad(json, type);
  // Siglip has no crop and no short side: both sides are always given.
  const auto size = ReadSize(json, "size", siglip ? IntMeans::kSquare : IntMeans::kShortestEdge);
  const auto crop = ReadSize(json, "crop_size", IntMeans::kSquare);
  if (json.BoolOr("do_resize", true)) config.resize = size;
  if (!siglip && json.BoolOr("do_center_crop", true)) config.crop = crop;
  config.filter =
      static_cast<Filter>(json.IntOr("resample", static_cast<int64_t>(Filter::kBicubic), 0, 5));
  const double factor = json.NumberOr("rescale_factor", 1.0 / 255, 0, 1e6);
  if (json.BoolOr("do_rescale", true)) config.rescale_factor = factor;
  config.normalize = json.BoolOr("do_normalize", true);
  config.mean = ReadChannels(json, "image_mean", siglip ? kHalves : kClipMean, {-1e6, 1e6});
  config.std = ReadChannels(json, "image_std", siglip ? kHalves : kClipStd, {1e-6, 1e6});
  json.BoolOr("do_convert_rgb", true);  // pictures are RGB already; a wrong type is still an error
  return config;
}

}  // namespace binocle
