#include "service/engine/faithfulness.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

#include "llm/sampling.h"
#include "service/engine/correlation.h"

namespace binocle {
namespace {

constexpr uint64_t kRandomOrders = 4;

// What is the same in every run.
struct Setting {
  const EngineAccess& engine;
  const ExpandedPrompt& prompt;
  Request request;  // scored as it is
  const Observer& observer;
  std::span<const int32_t> answer;
  const LayerPlan& plan;
  SinkDims dims;
};

// The answer's scores with parts of one picture covered. What was scored once is remembered.
class CoveredPicture {
 public:
  CoveredPicture(const Setting& setting, std::vector<SharedImage> images, size_t picture,
                 Occluder occluder)
      : setting_(setting),
        images_(std::move(images)),
        picture_(picture),
        occluder_(std::move(occluder)) {}

  const Occluder& occluder() const { return occluder_; }
  bool stopped() const { return stopped_; }

  // One per token; zeros once the observer has stopped the runs.
  std::vector<double> Scores(std::span<const int64_t> blocks) {
    std::vector<int64_t> key(blocks.begin(), blocks.end());
    std::sort(key.begin(), key.end());
    if (const auto it = known_.find(key); it != known_.end()) return it->second;
    std::vector<double> scores = stopped_ ? std::vector<double>() : Run(key);
    stopped_ = stopped_ || scores.empty();
    scores.resize(setting_.answer.size());
    return known_.emplace(std::move(key), std::move(scores)).first->second;
  }

 private:
  std::vector<double> Run(const std::vector<int64_t>& blocks) {
    const LoadedModel m = setting_.engine.loaded();
    const ModelPixels pixels = occluder_.Cover(blocks);
    setting_.engine.Use([&] {
      images_[picture_] = m.images.EncodePixels(m.forward(), pixels, setting_.plan, setting_.dims);
    });
    std::vector<double> scores;
    RequestHooks hooks;
    hooks.scoring = {.tokens = setting_.answer, .scores = &scores};
    const Response response = setting_.engine.Run(
        std::make_unique<PreparedRequest>(m, setting_.request, setting_.prompt, images_),
        setting_.observer, std::move(hooks));
    if (response.answers[0].finish_reason == FinishReason::kCancelled) scores.clear();
    return scores;
  }

  const Setting& setting_;
  std::vector<SharedImage> images_;
  size_t picture_;
  Occluder occluder_;
  std::map<std::vector<int64_t>, std::vector<double>> known_;
  bool stopped_ = false;
};

// Without what would pair the sequence with another: it is the main one whose attention was seen.
Request RequestToScore(const Request& request) {
  Request scored = request;
  scored.interventions.guidance.reset();
  scored.interventions.vcd.reset();
  scored.grounding = false;
  return scored;
}

double Sum(std::span<const double> scores, int64_t first, int64_t end) {
  return std::accumulate(scores.begin() + first, scores.begin() + end, 0.0);
}

double MeanProbability(std::span<const double> scores, int64_t first, int64_t end) {
  double sum = 0;
  for (int64_t t = first; t < end; ++t) sum += std::exp(scores[static_cast<size_t>(t)]);
  return end > first ? sum / static_cast<double>(end - first) : 0;
}

DeletionCurve MeanOf(const std::vector<DeletionCurve>& curves) {
  DeletionCurve mean = curves.front();
  for (size_t k = 1; k < curves.size(); ++k) {
    for (size_t i = 0; i < mean.probability.size(); ++i)
      mean.probability[i] += curves[k].probability[i];
    mean.area += curves[k].area;
  }
  const auto count = static_cast<double>(curves.size());
  for (double& v : mean.probability) v /= count;
  mean.area /= count;
  return mean;
}

// Everything about one map on one picture.
class MapMeasure {
 public:
  MapMeasure(const BlockScores& scores, int64_t blocks, const MapOfTokens& of,
             const FaithfulnessOptions& options)
      : scores_(scores),
        blocks_(blocks),
        seed_(options.seed),
        range_{.points = std::min(options.curve_points, blocks),
               .first_token = of.first_token,
               .end_token = of.end_token} {}

  Faithfulness Correlate(std::span<const double> map) {
    const double whole = Sum(scores_({}), range_.first_token, range_.end_token);
    for (int64_t block = 0; block < blocks_; ++block)
      drops_.push_back(whole - Sum(scores_({&block, 1}), range_.first_token, range_.end_token));
    return {.pearson = Pearson(map, drops_), .spearman = Spearman(map, drops_), .curves = {}};
  }
  Faithfulness::Curves Curves(std::span<const double> map) const {
    std::vector<DeletionCurve> random;
    for (uint64_t i = 0; i < kRandomOrders; ++i)
      random.push_back(CurveOf(RandomOrder(blocks_, seed_ + i)));
    Faithfulness::Curves curves{.by_map = CurveOf(DescendingOrder(map)),
                                .by_drop = CurveOf(DescendingOrder(drops_)),
                                .random = MeanOf(random),
                                .advantage = {}};
    const double possible = curves.random.area - curves.by_drop.area;
    if (possible > 0) curves.advantage = (curves.random.area - curves.by_map.area) / possible;
    return curves;
  }

 private:
  DeletionCurve CurveOf(const std::vector<int64_t>& order) const {
    return DeletionCurveOf(scores_, order, range_);
  }

  const BlockScores& scores_;
  int64_t blocks_;
  uint64_t seed_;
  CurveRange range_;
  std::vector<double> drops_;
};

}  // namespace

std::vector<int64_t> DescendingOrder(std::span<const double> values) {
  std::vector<int64_t> order(values.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return values[static_cast<size_t>(a)] > values[static_cast<size_t>(b)];
  });
  return order;
}

std::vector<int64_t> RandomOrder(int64_t count, uint64_t seed) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  for (size_t i = order.size(); i > 1; --i) {
    const double u = UniformAt(seed, i);
    std::swap(order[i - 1], order[static_cast<size_t>(u * static_cast<double>(i))]);
  }
  return order;
}

DeletionCurve DeletionCurveOf(const BlockScores& scores, std::span<const int64_t> order,
                              const CurveRange& range) {
  DeletionCurve curve;
  const int64_t count = std::ssize(order);
  for (int64_t k = 0; k <= range.points; ++k) {
    const int64_t covered = (k * count + range.points / 2) / range.points;
    curve.share.push_back(static_cast<double>(covered) / static_cast<double>(count));
    curve.probability.push_back(MeanProbability(scores(order.first(static_cast<size_t>(covered))),
                                                range.first_token, range.end_token));
    if (k == 0) continue;
    const auto at = static_cast<size_t>(k);
    curve.area += (curve.share[at] - curve.share[at - 1]) *
                  (curve.probability[at] + curve.probability[at - 1]) / 2;
  }
  return curve;
}

MeasuredMaps MeasureFaithfulness(const EngineAccess& engine, const Request& request,
                                 const FaithfulnessOptions& options, const Observer& observer,
                                 std::span<const int32_t> answer,
                                 std::span<const MapOfTokens> maps) {
  const std::vector<const ImageInput*> inputs = PicturesOf(request);
  const LoadedModel model = engine.loaded();
  const PreparedRequest whole(model, RequestToScore(request));
  Setting setting{.engine = engine,
                  .prompt = whole.prompt.expanded,
                  .request = RequestToScore(request),
                  .observer = observer,
                  .answer = answer,
                  .plan = whole.plan,
                  .dims = whole.sink_dims};
  std::vector<ImageEncoder::Prepared> prepared;
  std::vector<SharedImage> images;
  for (const ImageInput* input : inputs) {
    prepared.push_back(model.images.Prepare(*input, CompanyIn(request)));
    engine.Use([&] {
      images.push_back(model.images.EncodePixels(model.forward(), prepared.back().pixels,
                                                 setting.plan, setting.dims));
    });
  }

  MeasuredMaps out;
  out.of_maps.resize(maps.size());
  int64_t done = 0;
  for (size_t picture = 0; picture < inputs.size(); ++picture) {
    CoveredPicture covered(
        setting, images, picture,
        Occluder(model.model.config(), std::move(prepared[picture]), options.blocks));
    const int64_t blocks = covered.occluder().blocks();
    const int64_t points = std::min(options.curve_points, blocks);
    const int64_t curves = (options.word_curves ? std::ssize(maps) : 1) * (2 + kRandomOrders);
    const int64_t total =
        std::ssize(inputs) * (std::ssize(maps) * (blocks + 1) + curves * (points + 1));
    out.block = covered.occluder().side();
    const BlockScores scores = [&](std::span<const int64_t> some) {
      std::vector<double> result = covered.Scores(some);
      ++done;
      if (options.on_run && !covered.stopped()) options.on_run(done, total);
      return result;
    };
    for (size_t i = 0; i < maps.size(); ++i) {
      Faithfulness& measured = out.of_maps[i].emplace_back();
      if (maps[i].map->empty()) continue;
      const std::vector<double> map = covered.occluder().SumPerBlock(maps[i].map->patches[picture]);
      MapMeasure measure(scores, blocks, maps[i], options);
      measured = measure.Correlate(map);
      if (i == 0 || options.word_curves) measured.curves = measure.Curves(map);
    }
    if (covered.stopped()) return {};
  }
  return out;
}

}  // namespace binocle
