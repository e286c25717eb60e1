#include "cli/load_plan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace binocle::cli {
namespace {

constexpr size_t kMalformed = 8;
// Half of the cancelled ones are cancelled by the clock: in the queue, among the prompt's chunks, between tokens. Times are drawn by their
// logarithm, from a millisecond to this one, so that quick and slow models are met alike.
constexpr double kLatestMilliseconds = 2000;

// Steele, Lea and Flood, SplitMix64: as good from one number as from the next.
class Draw {
 public:
  Draw(uint64_t seed, uint64_t stream) : state_(seed ^ stream * 0xd1342543de82ef95) { Next(); }

  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  // 0 … 1, without 1.
  double Share() { return static_cast<double>(Next() >> 11) * 0x1p-53; }
  // 0 … count - 1.
  size_t Index(size_t count) {
    return std::min(static_cast<size_t>(Share() * static_cast<double>(count)), count - 1);
  }

 private:
  uint64_t state_;
};

const std::vector<std::string>& DefaultPrompts() {
  static const std::vector<std::string> prompts = {
      "What is in the picture?",
      "Describe the scene in one sentence.",
      "What is in the top left?",
      "How many things do you see, and which colours do they have?",
      "Is there a key?",
      "Write one line about what you see, then one about what you do not see, and say why."};
  return prompts;
}

}  // namespace

LoadPlan::LoadPlan(LoadOptions options) : options_(std::move(options)) {
  if (options_.prompts.empty()) options_.prompts = DefaultPrompts();
}

LoadItem LoadPlan::Item(int64_t number) const {
  Draw draw(options_.seed, static_cast<uint64_t>(number));
  LoadItem item;
  if (draw.Share() < options_.malformed_share)
    return {.kind = LoadKind::kMalformed, .index = draw.Index(kMalformed)};
  const bool cancelled = draw.Share() < options_.cancel_share;
  item.index = draw.Index(static_cast<size_t>(options_.distinct));
  if (!cancelled) return item;
  item.kind = LoadKind::kCancelled;
  item.after_tokens = INT64_MAX;
  item.after = std::chrono::hours(24);
  if (draw.Share() < 0.5) {
    item.after_tokens = static_cast<int64_t>(
        draw.Index(static_cast<size_t>(std::min<int64_t>(options_.max_new_tokens, 1 << 20))));
  } else {
    item.after =
        std::chrono::milliseconds(std::llround(std::pow(kLatestMilliseconds, draw.Share())));
  }
  return item;
}

Request LoadPlan::Make(size_t index) const {
  Draw draw(~options_.seed, index);
  std::vector<ImageInput> pictures;
  // Two pictures now and then, none now and then.
  const size_t count = options_.images.empty() ? 0 : std::array{0, 1, 1, 1, 1, 2}[draw.Index(6)];
  for (size_t i = 0; i < count; ++i)
    pictures.push_back(ImageInput::FromFile(options_.images[draw.Index(options_.images.size())]));
  Request request = Ask(options_.prompts[draw.Index(options_.prompts.size())], std::move(pictures));
  GenerationOptions& generation = request.generation;
  generation.max_new_tokens =
      1 + static_cast<int64_t>(draw.Index(static_cast<size_t>(options_.max_new_tokens)));
  generation.temperature = std::array{0.0, 0.7, 1.0}[draw.Index(3)];
  generation.seed = draw.Next();
  return request;
}

Request LoadPlan::MakeMalformed(size_t index) const {
  Request request = Make(index);
  switch (index % kMalformed) {
    case 0: request.generation.temperature = -1; break;
    case 1: request.generation.top_p = std::nan(""); break;
    case 2: request.generation.max_new_tokens = 0; break;
    case 3: request.messages[0].text.clear(); break;
    case 4: request.messages[0].role = MessageRole::kAssistant; break;
    case 5: request.constraint = Regex{"("}; break;
    case 6: request.messages[0].images = {ImageInput::FromBytes("this is no picture")}; break;
    default:
      request.interventions.pai.emplace();
      request.interventions.modulate.emplace();
      break;
  }
  return request;
}

}  // namespace binocle::cli
