#include "vision/preprocess.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/safetensors.h"
#include "picture_testing.h"

namespace binocle {
namespace {

using testing::Crc32;
using testing::Fails;
using testing::NoisePicture;
using testing::SamePixels;

ImageProcessor Processor(const Json& json) {
  return ImageProcessor(ParseProcessorConfig(JsonObject(json, "config.json")));
}

ImageProcessor Clip(Json json) {
  json["image_processor_type"] = "CLIPImageProcessor";
  return Processor(json);
}

void ExpectRefused(Json json, const std::string& text) {
  if (!json.contains("image_processor_type")) json["image_processor_type"] = "CLIPImageProcessor";
  EXPECT_TRUE(Fails([&] { ParseProcessorConfig(JsonObject(json, "config.json")); },
                    Code::kInvalidArgument, "config.json: " + text));
}

TEST(ImageProcessor, EqualsTransformersOnEveryGolden) {
  const Json golden = ReadJsonFile(testing::Golden("pixels/processors.json"));
  int cases = 0;
  for (const Json& row : golden.at("rows")) {
    const auto name = row["processor"].get<std::string>();
    Json config = golden["processors"][name];
    if (name == "llava_pad") config["image_aspect_ratio"] = "pad";
    const ImageProcessor processor = Processor(config);
    const Image source = NoisePicture(row["source"][0], row["source"][1], row["source"][2]);
    const Image got = processor.Geometry(source);
    EXPECT_EQ(got.height, row["height"].get<int64_t>()) << row;
    EXPECT_EQ(got.width, row["width"].get<int64_t>()) << row;
    EXPECT_EQ(Crc32(got), row["u8"][0].get<uint32_t>()) << row;
    const Tensor pixels = processor.Pixels(source);
    EXPECT_EQ(Crc32(pixels.f32(), static_cast<size_t>(pixels.view().elements()) * 4),
              row["f32_crc32"].get<uint32_t>())
        << row;
    ++cases;
  }
  EXPECT_GE(cases, 90);
}

TEST(ImageProcessor, EqualsTransformersPixelByPixel) {
  const Json golden = ReadJsonFile(testing::Golden("pixels/processors.json"));
  const SafetensorsFile tensors(testing::Golden("pixels/reference.safetensors"));
  for (const std::string name : {"clip_exact", "clip_no_resize"}) {
    const TensorView want = tensors.tensors().at("pixels." + name);
    const Tensor got = Processor(golden["processors"][name]).Pixels(NoisePicture(61, 83, 0));
    ASSERT_EQ(got.shape(), want.shape());
    for (int64_t i = 0; i < want.elements(); ++i) {
      ASSERT_EQ(got.f32()[i], want.f32()[i])
          << name << "[" << i / (got.dim(1) * got.dim(2)) << ", " << i / got.dim(2) % got.dim(1)
          << ", " << i % got.dim(2) << "]";
    }
  }
}

TEST(ImageProcessor, CropsTheMiddleOfTheResizedPicture) {
  const Image source = NoisePicture(90, 40, 7);
  const Image whole = Resize(source, 112, 50, Filter::kBicubic);  // int(50 · 90 / 40) = 112
  const Image got = Clip({{"size", 50}, {"crop_size", 33}}).Geometry(source);
  EXPECT_TRUE(
      SamePixels(got, CropWithPadding(whole, {.left = 39, .top = 8, .width = 33, .height = 33})));
}

TEST(ImageProcessor, FillsACropLargerThanThePictureWithBlack) {
  Image white(3, 2);
  std::fill(white.rgb.begin(), white.rgb.end(), uint8_t{255});
  const Image got =
      Clip({{"do_resize", false}, {"crop_size", {{"height", 5}, {"width", 4}}}}).Geometry(white);
  // Odd surplus: the larger half lies above and to the left.
  for (int64_t y = 0; y < 5; ++y) {
    for (int64_t x = 0; x < 4; ++x) {
      const bool inside = x >= 1 && y >= 2 && y < 4;
      EXPECT_EQ(int{got.row(y)[3 * x]}, inside ? 255 : 0) << "x " << x << ", y " << y;
    }
  }
}

TEST(ImageProcessor, PadsToASquareWithTheMeanColour) {
  const Image got = PadToSquare(Image(2, 5), {0.48145466, 0.4578275, 0.40821073});
  ASSERT_EQ(got.width, 5);
  EXPECT_EQ(got.row(3)[0], 122);  // int(0.48145466 · 255)
  EXPECT_EQ(got.row(3)[1], 116);
  EXPECT_EQ(got.row(3)[2], 104);
  EXPECT_EQ(got.row(3)[3], 0);  // the picture begins at column (5 − 2) / 2 = 1
  EXPECT_EQ(got.row(3)[9], 122);
}

TEST(ImageProcessor, HandlesLongStripsInBoundedMemory) {
  const ImageProcessor processor = Clip(Json::object());
  for (const auto& [width, height] :
       {std::pair{4000, 30}, {30, 4000}, {1, 20'000}, {20'000, 1}, {1, 65'535}, {65'535, 1}}) {
    const Image got = processor.Geometry(NoisePicture(width, height, 1));
    EXPECT_EQ(got.width, 224);
    EXPECT_EQ(got.height, 224);
  }
}

TEST(ImageProcessor, RefusesResultsThatAreTooLarge) {
  const Image strip(1, 20'000);
  EXPECT_TRUE(Fails(
      [&] {
        Clip({{"do_center_crop", false}}).Geometry(strip);
      },
      Code::kResourceExhausted, "224 x 4480000 pixels after its resize, the limit is 4096 a side"));
  EXPECT_TRUE(Fails(
      [&] {
        Clip({{"do_resize", false}, {"do_center_crop", false}}).Geometry(strip);
      },
      Code::kResourceExhausted, "1 x 20000"));
  EXPECT_TRUE(Fails(
      [&] {
        Clip({{"image_aspect_ratio", "pad"}}).Geometry(strip);
      },
      Code::kResourceExhausted, "padding 1 x 20000"));
  EXPECT_TRUE(
      Fails([&] { Clip(Json::object()).Geometry(Image()); }, Code::kInvalidArgument, "0 x 0"));
}

TEST(ImageProcessor, LeavesBytesAsTheyAreWithoutRescaleAndNormalise) {
  Image image(1, 1);
  image.rgb = {0, 100, 255};
  const Json raw = {{"do_resize", false},
                    {"do_center_crop", false},
                    {"do_rescale", false},
                    {"do_normalize", false}};
  const Tensor pixels = Clip(raw).Pixels(image);
  EXPECT_EQ(pixels.f32()[0], 0);
  EXPECT_EQ(pixels.f32()[1], 100);
  EXPECT_EQ(pixels.f32()[2], 255);
}

TEST(ProcessorConfig, HasTheDefaultsOfItsClass) {
  const ProcessorConfig clip = Clip(Json::object()).config();
  EXPECT_EQ(clip.resize->shortest_edge, 224);
  EXPECT_EQ(clip.crop->width, 224);
  EXPECT_EQ(clip.filter, Filter::kBicubic);
  EXPECT_EQ(clip.rescale_factor, 1.0 / 255);
  EXPECT_EQ(clip.mean[0], 0.48145466);
  const ProcessorConfig siglip =
      Processor({{"image_processor_type", "SiglipImageProcessor"}}).config();
  EXPECT_EQ(siglip.resize->shortest_edge, 0);
  EXPECT_EQ(siglip.resize->height, 224);
  EXPECT_FALSE(siglip.crop);
  EXPECT_EQ(siglip.std[2], 0.5);
}

TEST(ProcessorConfig, ReadsEachFormOfSize) {
  EXPECT_EQ(Clip({{"size", 336}}).config().resize->shortest_edge, 336);
  EXPECT_EQ(Clip({{"size", {{"shortest_edge", 336}}}}).config().resize->shortest_edge, 336);
  EXPECT_EQ(Clip({{"size", {{"height", 3}, {"width", 4}}}}).config().resize->width, 4);
  EXPECT_EQ(Clip({{"crop_size", 30}}).config().crop->height, 30);
  EXPECT_EQ(Clip({{"image_mean", 0.25}}).config().mean[2], 0.25);
}

TEST(ProcessorConfig, KnowsTheOlderNames) {
  for (const char* name : {"CLIPFeatureExtractor", "CLIPImageProcessor"}) {
    EXPECT_NO_THROW(Processor({{"feature_extractor_type", name}}));
  }
  for (const char* name : {"CLIPImageProcessorFast", "BitImageProcessor", "BitImageProcessorFast",
                           "LlavaImageProcessor"}) {
    EXPECT_NO_THROW(Processor({{"image_processor_type", name}}));
  }
  EXPECT_TRUE(Processor({{"image_processor_type", "LlavaImageProcessor"}, {"do_pad", true}})
                  .config()
                  .pad_to_square);
}

TEST(ProcessorConfig, NamesTheKeyThatIsWrong) {
  ExpectRefused({{"image_processor_type", "ViTImageProcessor"}},
                "image_processor_type is \"ViTImageProcessor\"");
  ExpectRefused({{"image_processor_type", "CLIP"}}, "image_processor_type is \"CLIP\"");
  ExpectRefused({{"image_processor_type", nullptr}}, "image_processor_type is missing");
  ExpectRefused({{"resample", 6}}, "resample is 6");
  ExpectRefused({{"resample", "bicubic"}}, "resample is \"bicubic\"");
  ExpectRefused({{"size", -3}}, "size is -3");
  ExpectRefused({{"size", {{"shortest_edge", 0}}}}, "size: shortest_edge is 0");
  ExpectRefused({{"size", {{"shortest_edge", 1e9}}}},
                "size: shortest_edge is 1000000000.0, expected an integer from 1 to 4096");
  ExpectRefused({{"size", {{"height", 5}}}}, "size: width is missing");
  ExpectRefused({{"size", {{"shortest_edge", 5}, {"longest_edge", 9}}}},
                "size: unknown key longest_edge");
  ExpectRefused({{"size", "large"}}, "size is \"large\"");
  ExpectRefused({{"crop_size", {{"shortest_edge", 5}}}}, "crop_size: unknown key shortest_edge");
  ExpectRefused({{"image_mean", {0.5, 0.5}}}, "image_mean is [0.5,0.5], expected 3 numbers");
  ExpectRefused({{"image_std", {0.5, 0.0, 0.5}}}, "image_std is [0.5,0.0,0.5]");
  ExpectRefused({{"image_std", 0}}, "image_std is 0");
  ExpectRefused({{"do_resize", "yes"}}, "do_resize is \"yes\", expected true or false");
  ExpectRefused({{"rescale_factor", -1}}, "rescale_factor is -1");
  ExpectRefused({{"image_aspect_ratio", "anyres"}}, "image_aspect_ratio is \"anyres\"");
}

}  // namespace
}  // namespace binocle
