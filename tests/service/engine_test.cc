// What the engine promises beside the right tokens: streaming, stopping, cancelling, limits, errors.
#include "binocle/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <cctype>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "core/json.h"
#include "core/mapped_file.h"
#include "llm/tokenizer_sentencepiece.h"
#include "service/engine/memory_plan.h"
#include "tests/testing/errors.h"
#include "tests/testing/test_engine.h"

namespace binocle {
namespace {

using testing::ErrorOf;
using ::testing::HasSubstr;

const std::string kModel = std::string(BINOCLE_TEST_DATA) + "/binocle_ftz";
const std::string kPicture = std::string(BINOCLE_TEST_DATA) + "/images/scene_61x83.png";

Request QuestionOf(int64_t tokens = 20) {
  Request request = Ask("What colour is the cat?", {ImageInput::FromFile(kPicture)});
  request.generation.max_new_tokens = tokens;
  return request;
}

class EngineTest : public ::testing::Test {
 protected:
  Engine engine_ = testing::LoadEngine(kModel, {});
};

TEST_F(EngineTest, DeltasAddUpToTheAnswerAndItsTokens) {
  std::string text;
  std::vector<int32_t> tokens;
  const Response response = engine_.Generate(QuestionOf(40), {.on_delta = [&](const Delta& delta) {
                                               text += delta.text;
                                               tokens.insert(tokens.end(), delta.token_ids.begin(),
                                                             delta.token_ids.end());
                                             }});
  EXPECT_EQ(text, response.answers[0].text);
  EXPECT_EQ(tokens, response.answers[0].token_ids);
  EXPECT_EQ(response.answers[0].token_ids.size(), 40U);
}

TEST_F(EngineTest, DeltasCarryWhatIsAskedForPerToken) {
  Request request = QuestionOf(40);
  request.generation.n = 3;
  request.generation.temperature = 1.3;
  request.generation.logprobs = 4;
  request.grounding = true;
  std::vector<Answer> sums(3);
  const auto add = [](auto& sum, const auto& part) {
    sum.insert(sum.end(), part.begin(), part.end());
  };
  const Response response =
      engine_.Generate(request, {.on_delta = [&](const Delta& delta) {
                         EXPECT_EQ(delta.logprobs.size(), delta.token_ids.size());
                         EXPECT_EQ(delta.grounding.size(), delta.token_ids.size());
                         Answer& sum = sums[static_cast<size_t>(delta.answer)];
                         add(sum.token_ids, delta.token_ids);
                         add(sum.logprobs, delta.logprobs);
                         add(sum.grounding, delta.grounding);
                       }});
  for (size_t a = 0; a < 3; ++a) {
    const Answer& answer = response.answers[a];
    EXPECT_EQ(sums[a].token_ids, answer.token_ids);
    EXPECT_EQ(sums[a].grounding, answer.grounding);
    ASSERT_EQ(sums[a].logprobs.size(), answer.logprobs.size());
    for (size_t t = 0; t < answer.logprobs.size(); ++t) {
      ASSERT_EQ(sums[a].logprobs[t].size(), 4U);
      for (size_t k = 0; k < 4; ++k) {
        EXPECT_EQ(sums[a].logprobs[t][k].id, answer.logprobs[t][k].id);
        EXPECT_EQ(sums[a].logprobs[t][k].value, answer.logprobs[t][k].value);
      }
    }
  }
  engine_.Generate(QuestionOf(), {.on_delta = [](const Delta& delta) {
                     EXPECT_TRUE(delta.logprobs.empty());
                     EXPECT_TRUE(delta.grounding.empty());
                   }});
}

TEST_F(EngineTest, TextsOfTokensAreTheBytesTheyAdd) {
  const auto tokenizer = LoadSentencePieceTokenizer(kModel);
  const auto text_of = [&](const char* spelling) {
    return engine_.TokenText(tokenizer->IdOf(spelling));
  };
  EXPECT_EQ(text_of("<0x0A>"), "\n");
  EXPECT_EQ(text_of("<0xF0>"), "\xF0");
  EXPECT_EQ(text_of("\u2581a"), " a");
  for (const char* special : {"<s>", "</s>", "<unk>", "<image>", "<|user|>"})
    EXPECT_EQ(text_of(special), "") << special;
  for (const int64_t id : {int64_t{-1}, engine_.info().vocabulary}) {
    EXPECT_THAT(ErrorOf([&] { engine_.TokenText(static_cast<int32_t>(id)); }),
                HasSubstr("INVALID_ARGUMENT: token is " + std::to_string(id) + ", expected 0 to"));
  }
}

TEST_F(EngineTest, TheSameRequestGivesTheSameTokensAgain) {
  Request request = QuestionOf();
  request.generation.temperature = 1.5;
  request.generation.seed = 9;
  const auto first = engine_.Generate(request).answers[0].token_ids;
  engine_.Generate(QuestionOf());
  EXPECT_EQ(engine_.Generate(request).answers[0].token_ids, first);
  request.generation.seed = 10;
  EXPECT_NE(engine_.Generate(request).answers[0].token_ids, first);
}

TEST_F(EngineTest, AnswerIUsesSeedPlusI) {
  Request request = QuestionOf();
  request.generation.temperature = 1.5;
  request.generation.seed = 4;
  request.generation.n = 3;
  const Response three = engine_.Generate(request);
  ASSERT_EQ(three.answers.size(), 3U);
  request.generation.n = 1;
  request.generation.seed = 6;
  EXPECT_EQ(engine_.Generate(request).answers[0].token_ids, three.answers[2].token_ids);
}

TEST_F(EngineTest, AStopStringCutsTheAnswerBeforeIt) {
  const std::string whole = engine_.Generate(QuestionOf(60)).answers[0].text;
  // Two plain characters in a row, well inside the answer.
  size_t at = 6;
  while (at + 2 < whole.size() && !(std::isalpha(static_cast<unsigned char>(whole[at])) &&
                                    std::isalpha(static_cast<unsigned char>(whole[at + 1]))))
    ++at;
  ASSERT_LT(at + 2, whole.size()) << whole;
  const std::string stop = whole.substr(at, 2);
  Request request = QuestionOf(60);
  request.generation.stop = {stop};
  const Response response = engine_.Generate(request);
  EXPECT_EQ(response.answers[0].text, whole.substr(0, whole.find(stop)));
  EXPECT_EQ(response.answers[0].finish_reason, FinishReason::kStop);
}

TEST_F(EngineTest, CancellingEndsTheAnswerAtTheNextStep) {
  int64_t steps = 0;
  const Response response =
      engine_.Generate(QuestionOf(), {.keep_going = [&] { return ++steps <= 6; }});
  EXPECT_EQ(response.answers[0].finish_reason, FinishReason::kCancelled);
  EXPECT_LE(response.answers[0].token_ids.size(), 6U);
  const Response none = engine_.Generate(QuestionOf(), {.keep_going = [] { return false; }});
  EXPECT_TRUE(none.answers[0].token_ids.empty());
  EXPECT_EQ(engine_.Generate(QuestionOf()).answers[0].token_ids.size(), 20U)
      << "the engine goes on";
}

TEST_F(EngineTest, PicturesMayComeAsBytes) {
  Request request =
      Ask("What colour is the cat?", {ImageInput::FromBytes(ReadFile(kPicture, 1 << 20))});
  request.generation.max_new_tokens = 20;
  EXPECT_EQ(engine_.Generate(request).answers[0].token_ids,
            engine_.Generate(QuestionOf()).answers[0].token_ids);
}

TEST_F(EngineTest, BytesWithoutContentAreNoFile) {
  EXPECT_EQ(ErrorOf([&] { engine_.Generate(Ask("what?", {ImageInput::FromBytes("", kPicture)})); }),
            "INVALID_ARGUMENT: " + kPicture + ": is empty, expected a JPEG, PNG or WebP picture");
  EXPECT_THAT(ErrorOf([&] { engine_.Generate(Ask("what?", {ImageInput::FromFile("")})); }),
              HasSubstr("INVALID_ARGUMENT: image: its path is empty"));
}

TEST_F(EngineTest, EveryPictureHasItsOwnOrientation) {
  const std::string turned = std::string(BINOCLE_TEST_FILES) + "/images/exif_6.png";
  ImageInput upright = ImageInput::FromFile(turned);
  ImageInput stored = upright;
  stored.exif = false;
  const auto values = [&](const ImageInput& image) { return engine_.EmbedImage(image).values; };
  EXPECT_NE(values(upright), values(stored));
  const auto logprobs = [&](std::vector<ImageInput> images) {
    Request request = Ask("What is it?", std::move(images));
    request.generation.max_new_tokens = 1;
    request.generation.logprobs = 1;
    return engine_.Generate(request).answers[0].logprobs[0][0].value;
  };
  EXPECT_NE(logprobs({upright, stored}), logprobs({upright, upright}));
  EXPECT_NE(logprobs({upright, stored}), logprobs({stored, stored}));
}

TEST_F(EngineTest, CheckingAPictureThrowsWhatAskingAboutItWould) {
  const Engine& engine = engine_;
  engine.CheckImage(ImageInput::FromFile(kPicture));
  const std::string pictures = std::string(BINOCLE_TEST_FILES) + "/images/";
  const ImageInput bad[] = {ImageInput::FromFile("/nonexistent.png"),
                            ImageInput::FromFile(pictures + "checksum.png"),
                            ImageInput::FromFile(pictures + "animated.webp"),
                            ImageInput::FromFile(pictures + "huge.jpg"),
                            ImageInput::FromFile(""),
                            ImageInput::FromBytes("text", "note")};
  for (const ImageInput& image : bad) {
    const std::string checked = ErrorOf([&] { engine.CheckImage(image); });
    EXPECT_NE(checked, "no error") << image.path;
    EXPECT_EQ(checked, ErrorOf([&] { engine_.Generate(Ask("what?", {image})); }));
  }
}

TEST_F(EngineTest, QuestionsWithoutPicturesAreAnswered) {
  Request request = Ask("What is it?");
  request.generation.max_new_tokens = 5;
  const Response response = engine_.Generate(request);
  EXPECT_EQ(response.image_tokens, 0);
  EXPECT_EQ(response.answers[0].token_ids.size(), 5U);
}

TEST_F(EngineTest, ADialogueIsItsRenderedPrompt) {
  Request request;
  request.messages = {{.role = MessageRole::kUser,
                       .text = "What is it?",
                       .images = {ImageInput::FromFile(kPicture)}},
                      {.role = MessageRole::kAssistant, .text = "a cat"},
                      {.role = MessageRole::kUser, .text = "What colour?"}};
  request.generation.max_new_tokens = 8;
  Request raw =
      Ask("<image><|user|> What is it?<|assistant|> a cat</s><|user|> What colour?<|assistant|>",
          {ImageInput::FromFile(kPicture)});
  raw.prompt_format = PromptFormat::kRaw;
  raw.generation.max_new_tokens = 8;
  EXPECT_EQ(engine_.Generate(request).prompt_token_ids, engine_.Generate(raw).prompt_token_ids);
}

// Those of the chat's template come on top.
TEST_F(EngineTest, ARequestMayHaveAllItsStops) {
  Engine chat =
      testing::LoadEngine(std::string(BINOCLE_TEST_DATA) + "/llava", {.conversation = "vicuna_v1"});
  Request request = Ask("Hi");
  request.generation.max_new_tokens = 2;
  for (int i = 0; i < 64; ++i) request.generation.stop.push_back("stop " + std::to_string(i));
  EXPECT_EQ(chat.Generate(request).answers[0].token_ids.size(), 2U);
  request.generation.stop.emplace_back("one more");
  EXPECT_THAT(ErrorOf([&] { chat.Generate(request); }), HasSubstr("stop is given 65 times"));
}

TEST_F(EngineTest, TheContextBoundsPromptAndAnswer) {
  Engine small = testing::LoadEngine(kModel, {.context_tokens = 64});
  const Response response = small.Generate(QuestionOf(64));
  EXPECT_EQ(response.answers[0].finish_reason, FinishReason::kLength);
  EXPECT_LE(response.prompt_tokens + static_cast<int64_t>(response.answers[0].token_ids.size()),
            64);
  Request long_prompt = Ask(std::string(400, 'x'), {ImageInput::FromFile(kPicture)});
  long_prompt.generation.max_new_tokens = 1;
  EXPECT_THAT(ErrorOf([&] { small.Generate(long_prompt); }), HasSubstr("expected at most 63"));
  EXPECT_EQ(small.Generate(QuestionOf(3)).answers[0].token_ids.size(), 3U)
      << "no page is lost to the refused prompt";
}

TEST_F(EngineTest, OptionsOutOfRangeAreNamed) {
  const auto error_of = [&](const std::function<void(GenerationOptions&)>& change) {
    Request request = QuestionOf();
    change(request.generation);
    return ErrorOf([&] { engine_.Generate(request); });
  };
  EXPECT_THAT(error_of([](auto& g) { g.max_new_tokens = 0; }),
              HasSubstr("INVALID_ARGUMENT: max_new_tokens is 0, expected 1 to 1048576"));
  EXPECT_THAT(error_of([](auto& g) { g.n = 65; }), HasSubstr("n is 65"));
  EXPECT_THAT(error_of([](auto& g) { g.logprobs = -1; }), HasSubstr("logprobs is -1"));
  EXPECT_THAT(error_of([](auto& g) { g.temperature = -1; }), HasSubstr("temperature"));
  EXPECT_THAT(error_of([](auto& g) { g.top_p = 1.5; }), HasSubstr("top_p is 1.5"));
  EXPECT_THAT(error_of([](auto& g) { g.min_p = 2; }), HasSubstr("min_p is 2"));
  EXPECT_THAT(error_of([](auto& g) { g.top_k = -1; }), HasSubstr("top_k is -1"));
  EXPECT_THAT(error_of([](auto& g) { g.repetition_penalty = 0; }),
              HasSubstr("repetition_penalty is 0"));
  EXPECT_THAT(error_of([](auto& g) { g.stop = {""}; }), HasSubstr("stop is empty"));
}

// The name by which a caller finds the option, and what the message begins with.
TEST(Options, ErrorsTellWhichOptionIsAtFault) {
  const auto option_of = [](const auto& action) {
    try {
      action();
    } catch (const Error& error) {
      EXPECT_THAT(error.message(), ::testing::StartsWith(error.option() + " "));
      return error.option();
    }
    return std::string("no error");
  };
  EXPECT_EQ(option_of([] { CheckOptions({.max_new_tokens = 0}); }), "max_new_tokens");
  EXPECT_EQ(option_of([] { CheckOptions({.temperature = 101}); }), "temperature");
  EXPECT_EQ(option_of([] { CheckOptions({.top_k = -1}); }), "top_k");
  EXPECT_EQ(option_of([] { CheckOptions({.stop = {"\xff"}}); }), "stop");
  EXPECT_EQ(option_of([] { CheckOptions({.n = 65}); }), "n");
  EXPECT_EQ(option_of([] { CheckOptions({.logprobs = 332}, 331); }), "logprobs");
  EXPECT_EQ(option_of([] { CheckOptions({.logprobs = 332}); }), "no error");
  const auto load = [&](const EngineOptions& options) {
    return option_of([&] { Engine::Load(kModel, options); });
  };
  EXPECT_EQ(load({.device = "tpu"}), "device");
  EXPECT_EQ(load({.compute = "f64"}), "compute");
  EXPECT_EQ(load({.threads = 3'000'000'000}), "threads");
  EXPECT_EQ(load({.max_image_bytes = 0}), "max_image_bytes");
  EXPECT_EQ(load({.fusion = "glue"}), "fusion");
  EXPECT_EQ(load({.attention = "sideways"}), "attention");
  EXPECT_EQ(load({.composite_layers = "0-99"}), "composite_layers");
  EXPECT_EQ(load({.composite_layers = "-1"}), "composite_layers");
  EXPECT_EQ(load({.aligner = "glue"}), "aligner");
  EXPECT_EQ(load({.conversation = "shout"}), "conversation");
}

TEST_F(EngineTest, RequestsThatMakeNoSenseAreRefused) {
  EXPECT_THAT(ErrorOf([&] { engine_.Generate(Request{}); }), HasSubstr("INVALID_ARGUMENT"));
  EXPECT_THAT(
      ErrorOf([&] { engine_.Generate(Ask("<image> <image>", {ImageInput::FromFile(kPicture)})); }),
      HasSubstr("2"));
  EXPECT_THAT(
      ErrorOf([&] { engine_.Generate(Ask("what?", {ImageInput::FromFile("/nonexistent.png")})); }),
      HasSubstr("NOT_FOUND: /nonexistent.png"));
  Request raw = QuestionOf();
  raw.prompt_format = PromptFormat::kRaw;
  EXPECT_THAT(ErrorOf([&] { engine_.Generate(raw); }), HasSubstr("image"));
  Engine strict = testing::LoadEngine(kModel, {.max_images = 0});
  EXPECT_THAT(ErrorOf([&] { strict.Generate(QuestionOf()); }),
              HasSubstr("RESOURCE_EXHAUSTED: request: has 1 pictures"));
}

TEST(EngineLoad, OverridesChangeTheModelOrAreRefused) {
  EXPECT_EQ(testing::LoadEngine(kModel, {}).info().attention, "stock");
  const Engine composite = testing::LoadEngine(
      kModel, {.attention = "composite", .composite_layers = "1-2", .aligner = "vo"});
  EXPECT_EQ(composite.info().attention, "mixed");
  EXPECT_EQ(composite.info().composite_layers, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(testing::LoadEngine(kModel, {.fusion = "anchor"}).info().fusion, "anchor");
  EXPECT_THAT(ErrorOf([] { Engine::Load(kModel, {.attention = "sideways"}); }),
              HasSubstr("attention is sideways"));
  EXPECT_THAT(ErrorOf([] { Engine::Load(kModel, {.composite_layers = "0-99"}); }),
              HasSubstr("within 0-3"));
  EXPECT_THAT(ErrorOf([] { Engine::Load(kModel, {.composite_layers = "1-x"}); }),
              HasSubstr("1-x is neither a layer nor a range"));
  EXPECT_THAT(ErrorOf([] { Engine::Load(kModel, {.aligner = "sideways"}); }),
              HasSubstr("aligner is sideways"));
  EXPECT_THAT(ErrorOf([] { Engine::Load(kModel, {.fusion = "glue"}); }),
              HasSubstr("fusion is glue"));
  EXPECT_THAT(ErrorOf([] { Engine::Load(kModel, {.device = "tpu"}); }),
              HasSubstr("expected cpu, cuda or cuda:N"));
  EXPECT_THAT(ErrorOf([] { Engine::Load(kModel, {.compute_parts = "nose=int8"}); }),
              HasSubstr("INVALID_ARGUMENT: compute_parts names nose"));
  EXPECT_THAT(ErrorOf([] { Engine::Load(kModel, {.compute_parts = "vision"}); }),
              HasSubstr("INVALID_ARGUMENT: compute_parts has vision, expected PART=KIND"));
  EXPECT_THAT(ErrorOf([] { Engine::Load(kModel, {.compute_parts = "vision="}); }),
              HasSubstr("INVALID_ARGUMENT: compute_parts has vision=, expected PART=KIND"));
  EXPECT_THAT(ErrorOf([] { Engine::Load(kModel, {.compute_parts = "vision=bf16,"}); }),
              HasSubstr("INVALID_ARGUMENT: compute_parts has an empty entry, expected PART=KIND"));
  EXPECT_THAT(ErrorOf([] { Engine::Load(kModel, {.compute_parts = "vision=blocks"}); }),
              HasSubstr("INVALID_ARGUMENT: compute_parts asks for blocks, but"));
  EXPECT_THAT(
      ErrorOf([] { Engine::Load(kModel, {.compute_parts = "head=f32,vision=int8,head=int8"}); }),
      HasSubstr("INVALID_ARGUMENT: compute_parts names head twice, expected once"));
  EXPECT_THAT(ErrorOf([] { Engine::Load(kModel, {.compute = "f64"}); }),
              HasSubstr("INVALID_ARGUMENT: compute"));
  EXPECT_THAT(ErrorOf([] { Engine::Load(kModel, {.threads = -1}); }), HasSubstr("threads is -1"));
  EXPECT_THAT(ErrorOf([] { Engine::Load(kModel, {.threads = 3'000'000'000}); }),
              HasSubstr("threads is 3000000000, expected 0 to 1024"));
  EXPECT_THAT(ErrorOf([] { Engine::Load(kModel, {.memory_limit = 1000}); }),
              HasSubstr("RESOURCE_EXHAUSTED"));
}

TEST(EngineLoad, APlanMustFitTheLimitOrElseTheMachine) {
  const ModelInfo info{.path = "models/large", .planned_bytes = 1000};
  const auto error_of = [&](int64_t limit, int64_t machine) {
    return ErrorOf([&] { CheckMemoryPlan(info, limit, machine); });
  };
  EXPECT_EQ(error_of(0, 1000), "no error");
  EXPECT_EQ(error_of(1000, 1), "no error") << "a limit set by hand counts instead";
  EXPECT_THAT(error_of(0, 999),
              HasSubstr("RESOURCE_EXHAUSTED: models/large: the plan needs 1000 bytes (see `binocle "
                        "inspect`), this machine has 999"));
  EXPECT_THAT(error_of(999, 5000), HasSubstr("needs 1000 bytes (see `binocle inspect`), the memory "
                                             "limit is 999"));
  EXPECT_GT(Engine::MachineMemory(), int64_t{64} << 20);
}

// Where there is no such device the engine is on the CPU, and every other test would pass.
TEST(EngineLoad, IsWhereTestsSay) {
  const Engine engine = testing::LoadEngine(kModel, {});
  EXPECT_EQ(engine.info().device, testing::TestDevice()) << engine.info().device_note;
}

TEST(EngineLoad, InspectTellsWhatLoadingWillFind) {
  const ModelInfo plan = Engine::Inspect(kModel, {.device = testing::TestDevice()});
  const Engine engine = testing::LoadEngine(kModel, {});
  EXPECT_EQ(plan.planned_bytes, engine.info().planned_bytes);
  EXPECT_EQ(plan.parameters, engine.info().parameters);
  int64_t elements = 0;
  for (const TensorInfo& tensor : plan.tensors) {
    int64_t product = 1;
    for (const int64_t extent : tensor.shape) product *= extent;
    elements += product;
  }
  EXPECT_NEAR(static_cast<double>(plan.parameters), static_cast<double>(elements),
              0.1 * static_cast<double>(elements))
      << "unused tensors aside";
}

// A text model made of the language model inside a LLaVA directory.
class TextModel : public ::testing::Test {
 protected:
  TextModel() {
    const std::filesystem::path llava =
        std::filesystem::path(BINOCLE_TEST_DATA) / "llava_model_prefix";
    Json config = ReadJsonFile(llava / "config.json")["text_config"];
    config["model_type"] = "llama";
    std::filesystem::create_directories(directory_);
    std::ofstream(directory_ / "config.json") << config.dump();
    for (const char* name : {"tokenizer.model", "tokenizer_config.json", "added_tokens.json",
                             "special_tokens_map.json"}) {
      if (std::filesystem::exists(llava / name))
        std::filesystem::copy_file(llava / name, directory_ / name,
                                   std::filesystem::copy_options::overwrite_existing);
    }
    WriteTextTensors(ReadFile(llava / "model.safetensors", 1 << 24));
  }
  ~TextModel() override { std::filesystem::remove_all(directory_); }

  // Keeps `model.language_model.…` and `lm_head.…` of a safetensors file, under LlamaForCausalLM's names.
  void WriteTextTensors(const std::string& file) {
    uint64_t length = 0;
    std::memcpy(&length, file.data(), 8);
    const Json header = Json::parse(file.substr(8, length));
    const std::string prefix = "model.language_model.";
    Json kept = Json::object();
    std::string data;
    for (const auto& [name, entry] : header.items()) {
      const bool text = name.starts_with(prefix);
      if (!text && !name.starts_with("lm_head.")) continue;
      const uint64_t begin = entry["data_offsets"][0], end = entry["data_offsets"][1];
      Json moved = entry;
      moved["data_offsets"] = {data.size(), data.size() + end - begin};
      kept[text ? "model." + name.substr(prefix.size()) : name] = moved;
      data += file.substr(8 + length + begin, end - begin);
    }
    const std::string text = kept.dump();
    const uint64_t size = text.size();
    std::ofstream out(directory_ / "model.safetensors", std::ios::binary);
    out.write(reinterpret_cast<const char*>(&size), 8);
    out << text << data;
  }

  std::filesystem::path directory_ =
      std::filesystem::temp_directory_path() / ("binocle_text_" + std::to_string(getpid()));
};

TEST_F(TextModel, AnswersLikeTheVisionModelAroundItWithoutPictures) {
  Engine text = testing::LoadEngine(directory_.string(), {});
  Engine llava = testing::LoadEngine(std::string(BINOCLE_TEST_DATA) + "/llava_model_prefix", {});
  Request request = Ask("The cat is");
  request.prompt_format = PromptFormat::kRaw;
  request.generation.max_new_tokens = 16;
  EXPECT_EQ(text.Generate(request).answers[0].token_ids,
            llava.Generate(request).answers[0].token_ids);
  EXPECT_EQ(text.info().image_tokens, 0);
  EXPECT_THAT(ErrorOf([&] { text.Generate(QuestionOf()); }), HasSubstr("is a text model"));
  EXPECT_THAT(ErrorOf([&] { text.EmbedImage(ImageInput::FromFile(kPicture)); }),
              HasSubstr("takes no pictures"));
  EXPECT_THAT(ErrorOf([&] { text.CheckImage(ImageInput::FromFile(kPicture)); }),
              HasSubstr("takes no pictures"));
}

}  // namespace
}  // namespace binocle
