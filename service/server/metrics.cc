#include "service/server/metrics.h"

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <mutex>
#include <sstream>
#include <utility>

#include "binocle/version.h"

namespace binocle {
namespace {

using Buckets = prometheus::Histogram::BucketBoundaries;

// Of waiting and of whole requests; of what lies between two tokens.
const Buckets kRequestBuckets{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120};
const Buckets kTokenBuckets{0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5};

prometheus::Family<prometheus::Counter>& Counters(prometheus::Registry& registry, const char* name,
                                                  const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

prometheus::Family<prometheus::Histogram>& Histograms(prometheus::Registry& registry,
                                                      const char* name, const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
}

}  // namespace

// Values that others keep.
class Metrics::Readings : public prometheus::Collectable {
 public:
  void Add(const std::string& name, const std::string& help, prometheus::MetricType type,
           const Labels& labels, Read read) {
    const std::lock_guard lock(mutex_);
    auto family = std::find_if(families_.begin(), families_.end(),
                               [&](const Family& f) { return f.name == name; });
    if (family == families_.end())
      family = families_.insert(families_.end(), {name, help, type, {}});
    family->series.push_back({labels, std::move(read)});
  }

  std::vector<prometheus::MetricFamily> Collect() const override {
    const std::lock_guard lock(mutex_);
    std::vector<prometheus::MetricFamily> collected;
    for (const Family& family : families_) {
      prometheus::MetricFamily to{family.name, family.help, family.type, {}};
      for (const Series& series : family.series) {
        prometheus::ClientMetric metric;
        for (const auto& [name, value] : series.labels) metric.label.push_back({name, value});
        metric.counter.value = metric.gauge.value = series.read();
        to.metric.push_back(std::move(metric));
      }
      collected.push_back(std::move(to));
    }
    return collected;
  }

 private:
  struct Series {
    Labels labels;
    Read read;
  };
  struct Family {
    std::string name, help;
    prometheus::MetricType type;
    std::vector<Series> series;
  };

  mutable std::mutex mutex_;
  std::vector<Family> families_;
};

Metrics::Metrics()
    : readings_(std::make_shared<Readings>()),
      calls_(Counters(registry_, "binocle_calls_total", "Calls that ended.")),
      call_seconds_(Histograms(registry_, "binocle_call_seconds", "How long calls took.")),
      requests_(Counters(registry_, "binocle_requests_total",
                         "Requests to the engine that ended, by finish reason or error.")),
      tokens_(Counters(registry_, "binocle_tokens_total",
                       "Tokens: prompt (with image), image, completion.")),
      queue_seconds_(
          Histograms(registry_, "binocle_queue_seconds", "From the call to the first step.")),
      first_token_seconds_(Histograms(registry_, "binocle_time_to_first_token_seconds",
                                      "From the call to the first token.")),
      next_token_seconds_(Histograms(registry_, "binocle_time_between_tokens_seconds",
                                     "Between two tokens of an answer.")),
      request_seconds_(
          Histograms(registry_, "binocle_request_seconds", "From the call to the last token.")) {
  AddGauge("binocle_build_info", "Always 1.", {{"version", std::string(Version())}},
           [] { return 1.0; });
}

Metrics::Model::Model(std::shared_ptr<Metrics> metrics, const std::string& name)
    : metrics_(std::move(metrics)),
      name_(name),
      queue_(metrics_->queue_seconds_.Add({{"model", name}}, kRequestBuckets)),
      first_token_(metrics_->first_token_seconds_.Add({{"model", name}}, kRequestBuckets)),
      next_token_(metrics_->next_token_seconds_.Add({{"model", name}}, kTokenBuckets)),
      request_(metrics_->request_seconds_.Add({{"model", name}}, kRequestBuckets)),
      prompt_(metrics_->tokens_.Add({{"model", name}, {"kind", "prompt"}})),
      image_(metrics_->tokens_.Add({{"model", name}, {"kind", "image"}})),
      completion_(metrics_->tokens_.Add({{"model", name}, {"kind", "completion"}})) {}

void Metrics::Model::NextTokens(Seconds time, int64_t tokens) {
  for (int64_t i = 0; i < tokens; ++i)
    next_token_.Observe(time.count() / static_cast<double>(tokens));
}

void Metrics::Model::Prompt(int64_t tokens, int64_t image_tokens) {
  prompt_.Increment(static_cast<double>(tokens));
  image_.Increment(static_cast<double>(image_tokens));
}

void Metrics::Model::Ended(std::string_view outcome, Seconds time) {
  metrics_->requests_.Add({{"model", name_}, {"outcome", std::string(outcome)}}).Increment();
  request_.Observe(time.count());
}

void Metrics::Call(const std::string& protocol, const std::string& method, const std::string& code,
                   Seconds time) {
  calls_.Add({{"protocol", protocol}, {"method", method}, {"code", code}}).Increment();
  call_seconds_.Add({{"protocol", protocol}, {"method", method}}, kRequestBuckets)
      .Observe(time.count());
}

void Metrics::AddGauge(const std::string& name, const std::string& help, const Labels& labels,
                       Read read) {
  readings_->Add(name, help, prometheus::MetricType::Gauge, labels, std::move(read));
}

void Metrics::AddCounter(const std::string& name, const std::string& help, const Labels& labels,
                         Read read) {
  readings_->Add(name, help, prometheus::MetricType::Counter, labels, std::move(read));
}

std::string Metrics::Text() const {
  std::vector<prometheus::MetricFamily> families = registry_.Collect();
  for (prometheus::MetricFamily& family : readings_->Collect())
    families.push_back(std::move(family));
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families);
  return out.str();
}

void AddEngine(Metrics& metrics, const std::string& model, const std::shared_ptr<Engine>& engine) {
  // Requests own the metrics, and must not own the engine that they run on: its thread would have to wait for itself.
  const std::weak_ptr<Engine> model_engine = engine;
  const auto stat = [&](int64_t EngineStats::*field) -> Metrics::Read {
    return [model_engine, field] {
      const std::shared_ptr<Engine> there = model_engine.lock();
      return there ? static_cast<double>(there->stats().*field) : 0.0;
    };
  };
  const auto cached = [&](int64_t ImageCacheInfo::*field) -> Metrics::Read {
    return [model_engine, field] {
      const std::shared_ptr<Engine> there = model_engine.lock();
      return there ? static_cast<double>(there->image_cache().*field) : 0.0;
    };
  };
  const Metrics::Labels labels{{"model", model}};
  const auto with = [&](const char* name, const char* value) {
    return Metrics::Labels{{"model", model}, {name, value}};
  };
  const auto gauge = [&](const char* name, const char* help, Metrics::Read read) {
    metrics.AddGauge(name, help, labels, std::move(read));
  };
  const auto counter = [&](const char* name, const char* help, Metrics::Read read) {
    metrics.AddCounter(name, help, labels, std::move(read));
  };
  gauge("binocle_queued_requests", "Requests that wait to start.", stat(&EngineStats::queued));
  gauge("binocle_active_requests", "Requests that have started, or are ready to.",
        stat(&EngineStats::requests));
  gauge("binocle_running_answers", "Answers that hold pages.", stat(&EngineStats::running));
  const char* pages = "Pages of keys and values, 64 tokens each.";
  metrics.AddGauge("binocle_kv_pages", pages, with("state", "all"), stat(&EngineStats::pages));
  metrics.AddGauge("binocle_kv_pages", pages, with("state", "free"),
                   stat(&EngineStats::free_pages));
  metrics.AddGauge("binocle_kv_pages", pages, with("state", "prefix"),
                   stat(&EngineStats::prefix_pages));
  counter("binocle_steps_total", "Passes through the model.", stat(&EngineStats::steps));
  counter("binocle_prompt_rows_total", "Prompt tokens that were computed.",
          stat(&EngineStats::prompt_rows));
  counter("binocle_answer_tokens_total", "Tokens that were chosen.",
          stat(&EngineStats::answer_tokens));
  counter("binocle_prefix_tokens_total", "Prompt tokens whose keys and values were there already.",
          stat(&EngineStats::prefix_tokens));
  counter("binocle_preemptions_total", "Answers sent back to wait for want of pages.",
          stat(&EngineStats::preemptions));
  counter("binocle_image_cache_hits_total", "Pictures that had been through the towers.",
          cached(&ImageCacheInfo::hits));
  counter("binocle_image_cache_misses_total", "Pictures that had not.",
          cached(&ImageCacheInfo::misses));
  counter("binocle_image_cache_evictions_total", "Pictures that had to go.",
          cached(&ImageCacheInfo::evictions));
  gauge("binocle_image_cache_entries", "Pictures kept.", cached(&ImageCacheInfo::entries));
  gauge("binocle_image_cache_bytes", "What they take.", cached(&ImageCacheInfo::bytes));
}

}  // namespace binocle
