#include "tests/http/fake_backend.h"

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <sstream>
#include <utility>

#include "vision/decode.h"

namespace binocle::http::testing {
namespace {

// What a caller may cancel while it sleeps.
struct Wire {
  std::mutex mutex;
  std::condition_variable changed;
  bool cancelled = false;

  // False: cancelled.
  bool Sleep(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex);
    return !changed.wait_for(lock, time, [&] { return cancelled; });
  }
};

int64_t PicturesOf(const Request& request) {
  int64_t pictures = 0;
  for (const Message& message : request.messages)
    pictures += static_cast<int64_t>(message.images.size());
  return pictures;
}

std::vector<std::string> WordsOf(const std::string& text) {
  std::vector<std::string> words;
  std::istringstream in(text);
  for (std::string word; in >> word;) words.push_back((words.empty() ? "" : " ") + word);
  return words;
}

Response ResponseOf(const Request& request, const Script& script, size_t spoken, FinishReason end) {
  Response response{.id = request.id, .model = "fake"};
  response.prompt_tokens = 5 + 4 * PicturesOf(request);
  response.image_tokens = 4 * PicturesOf(request);
  for (int64_t i = 0; i < request.generation.n; ++i) {
    Answer answer{.finish_reason = end};
    for (size_t w = 0; w < spoken; ++w) {
      answer.text += script.words[w];
      answer.token_ids.push_back(static_cast<int32_t>(w + 1));
      if (request.generation.logprobs > 0)
        answer.logprobs.push_back({{static_cast<int32_t>(w + 1), -0.25}, {99, -2.0}});
    }
    if (request.grounding) answer.grounding.assign(spoken, 0.5);
    response.answers.push_back(std::move(answer));
  }
  return response;
}

// 24 x 24 patches with a spot whose place depends on the word.
std::vector<float> SpotMap(size_t word, size_t words) {
  constexpr int kSide = 24;
  const double turn = 6.283185307 * static_cast<double>(word) / static_cast<double>(words);
  const double cx = 11.5 + 7 * std::cos(turn), cy = 11.5 + 7 * std::sin(turn);
  std::vector<float> map;
  double sum = 0;
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      const double d = (x - cx) * (x - cx) + (y - cy) * (y - cy);
      map.push_back(static_cast<float>(std::exp(-d / 8) + 0.01));
      sum += map.back();
    }
  }
  for (float& value : map) value = static_cast<float>(value / sum * 0.6);
  return map;
}

constexpr int64_t kSeenSide = 192;

SeenPicture Grey() {
  return {.width = kSeenSide,
          .height = kSeenSide,
          .rgb = std::vector<uint8_t>(kSeenSide * kSeenSide * 3, 128)};
}

// The picture, its shorter side cut to a square and 192 pixels wide, by nearest neighbours.
SeenPicture Seen(const ImageInput& input) {
  constexpr int64_t kSide = kSeenSide;
  const Image image = DecodeImage(*input.bytes, {}, input.path);
  const int64_t side = std::min<int64_t>(image.width, image.height);
  const int64_t left = (image.width - side) / 2, top = (image.height - side) / 2;
  SeenPicture seen{.width = kSide, .height = kSide};
  for (int64_t y = 0; y < kSide; ++y) {
    for (int64_t x = 0; x < kSide; ++x) {
      const int64_t at = (top + y * side / kSide) * image.width + left + x * side / kSide;
      for (int64_t c = 0; c < 3; ++c)
        seen.rgb.push_back(image.rgb[static_cast<size_t>(at * 3 + c)]);
    }
  }
  return seen;
}

Embedding EmbeddingOf(size_t length) {
  return {.rows = 1, .width = 3, .values = {static_cast<float>(length), 0.5F, -0.25F}, .tokens = 3};
}

}  // namespace

Script EchoScript(const Request& request) {
  const int64_t pictures = PicturesOf(request);
  const std::string& text = request.messages.empty() ? "" : request.messages.back().text;
  Script script;
  script.words = WordsOf("You asked: " + text + " I see " + std::to_string(pictures) +
                         (pictures == 1 ? " picture." : " pictures."));
  const auto most = static_cast<size_t>(request.generation.max_new_tokens);
  if (script.words.size() > most) {
    script.words.resize(most);
    script.finish = FinishReason::kLength;
  }
  return script;
}

FakeBackend::~FakeBackend() {
  for (std::thread& thread : threads_) thread.join();
}

ModelList Served(FakeBackend& backend) {
  const std::shared_ptr<ModelBackend> shared(std::shared_ptr<void>(), &backend);
  return ModelList(
      {{.name = "fake", .backend = shared, .created = 1700000000, .fingerprint = "fp_fake"},
       {.name = "org/other", .backend = shared, .created = 1700000001, .fingerprint = {}}});
}

ModelBackend::Cancel FakeBackend::Submit(Request request, SubmissionEvents events) {
  const Script script = write_(request);
  if (script.refused) throw *script.refused;
  ++submitted;
  const auto wire = std::make_shared<Wire>();
  const auto speak = [this, wire, script, request, events = std::move(events)] {
    size_t spoken = 0;
    const auto cancel = [&] {
      ++cancelled;
      events.on_finished(ResponseOf(request, script, spoken, FinishReason::kCancelled));
    };
    if (script.fails_at_start) return events.on_error(*script.fails_at_start);
    if (events.on_started) events.on_started({});
    if (!wire->Sleep(script.before)) return cancel();
    for (; spoken < script.words.size(); ++spoken) {
      for (int64_t i = 0; i < request.generation.n; ++i) {
        const auto id = static_cast<int32_t>(spoken + 1);
        if (events.on_delta)
          events.on_delta({.answer = i, .text = script.words[spoken], .token_ids = {id}});
      }
      if (!wire->Sleep(script.between)) return cancel();
    }
    if (script.fails_at_end) return events.on_error(*script.fails_at_end);
    ++finished;
    events.on_finished(ResponseOf(request, script, spoken, script.finish));
  };
  const std::lock_guard lock(mutex_);
  last_ = request;
  threads_.emplace_back(speak);
  return [wire] {
    const std::lock_guard guard(wire->mutex);
    wire->cancelled = true;
    wire->changed.notify_all();
  };
}

Explanation FakeBackend::Explain(const Request& request, const ExplainOptions&,
                                 const KeepGoing& keep_going) {
  if (PicturesOf(request) == 0) throw Error(Code::kInvalidArgument, "request: has no picture");
  if (!keep_going()) throw Error(Code::kCancelled, "explain: cancelled");
  const Script script = write_(request);
  Explanation e;
  e.response = ResponseOf(request, script, script.words.size(), script.finish);
  e.layers = {.first = 0, .last = 3};
  e.rows = e.cols = 24;
  for (const Message& message : request.messages) {
    for (const ImageInput& image : message.images)
      e.seen.push_back(decodes_pictures ? Seen(image) : Grey());
  }
  int64_t at = 0;
  for (size_t i = 0; i < script.words.size(); ++i) {
    const std::string& word = script.words[i];
    const auto blank = static_cast<int64_t>(word.find_first_not_of(' '));
    const auto end = at + static_cast<int64_t>(word.size());
    ExplainedWord explained{
        .text = word.substr(static_cast<size_t>(blank)), .begin = at + blank, .end = end};
    explained.map.patches.assign(e.seen.size(), SpotMap(i, script.words.size()));
    explained.map.visual_mass = 0.6;
    explained.grounding = 0.5;
    e.words.push_back(std::move(explained));
    e.tokens.push_back(
        {.id = static_cast<int32_t>(i + 1), .text = word, .visual_mass = 0.6, .grounding = 0.5});
    at = end;
  }
  e.map = e.words.front().map;
  return e;
}

Embedding FakeBackend::EmbedImage(const ImageInput& image, const EmbeddingOptions&,
                                  const KeepGoing&) {
  if (image.bytes->size() < 8) throw Error(Code::kInvalidArgument, image.path + ": is no picture");
  return EmbeddingOf(image.bytes->size());
}
Embedding FakeBackend::EmbedText(const std::string& text, const EmbeddingOptions&,
                                 const KeepGoing&) {
  if (text.find_first_not_of(' ') == std::string::npos)
    throw Error(Code::kInvalidArgument, "text: is blank");
  return EmbeddingOf(text.size());
}

std::string FakeBackend::TokenText(int32_t id) const {
  return id == 0 ? "" : "w" + std::to_string(id) + " ";
}

Request FakeBackend::last() const {
  const std::lock_guard lock(mutex_);
  return last_;
}

}  // namespace binocle::http::testing
