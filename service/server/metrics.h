// What Prometheus is told. docs/service.md lists the names.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "binocle/engine.h"

namespace binocle {

using Seconds = std::chrono::duration<double>;

class Metrics {
 public:
  // The requests of one model. From any thread.
  class Model {
   public:
    Model(std::shared_ptr<Metrics> metrics, const std::string& name);

    void Queued(Seconds time) { queue_.Observe(time.count()); }
    void FirstToken(Seconds time) { first_token_.Observe(time.count()); }
    // The mean over `tokens` that came together.
    void NextTokens(Seconds time, int64_t tokens);
    void Prompt(int64_t tokens, int64_t image_tokens);
    void Completion(int64_t tokens) { completion_.Increment(static_cast<double>(tokens)); }
    // "stop", "length", "cancelled", or the name of an error's code.
    void Ended(std::string_view outcome, Seconds time);

   private:
    const std::shared_ptr<Metrics> metrics_;  // owned with the server
    const std::string name_;
    prometheus::Histogram& queue_;
    prometheus::Histogram& first_token_;
    prometheus::Histogram& next_token_;
    prometheus::Histogram& request_;
    prometheus::Counter& prompt_;
    prometheus::Counter& image_;
    prometheus::Counter& completion_;
  };

  Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // One call of a protocol: "grpc" with a method's name and "OK" or another code's name, "http" with an endpoint and a status.
  void Call(const std::string& protocol, const std::string& method, const std::string& code,
            Seconds time);

  // Asked at every scrape.
  using Read = std::function<double()>;
  using Labels = std::vector<std::pair<std::string, std::string>>;
  void AddGauge(const std::string& name, const std::string& help, const Labels& labels, Read read);
  void AddCounter(const std::string& name, const std::string& help, const Labels& labels,
                  Read read);

  std::string Text() const;

 private:
  class Readings;

  prometheus::Registry registry_;
  std::shared_ptr<Readings> readings_;
  prometheus::Family<prometheus::Counter>& calls_;
  prometheus::Family<prometheus::Histogram>& call_seconds_;
  prometheus::Family<prometheus::Counter>& requests_;
  prometheus::Family<prometheus::Counter>& tokens_;
  prometheus::Family<prometheus::Histogram>& queue_seconds_;
  prometheus::Family<prometheus::Histogram>& first_token_seconds_;
  prometheus::Family<prometheus::Histogram>& next_token_seconds_;
  prometheus::Family<prometheus::Histogram>& request_seconds_;
};

// Everything that an engine counts: queue, pages, caches.
void AddEngine(Metrics& metrics, const std::string& model, const std::shared_ptr<Engine>& engine);

}  // namespace binocle
