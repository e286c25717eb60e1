#include "service/http/engine_backend.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "service/http/openai_request.h"

namespace binocle::http {
namespace {

class EngineCall : public ChatCall {
 public:
  explicit EngineCall(Submission submission) : submission_(std::move(submission)) {}
  void Cancel() override { submission_.Cancel(); }

 private:
  Submission submission_;
};

// [n, D] -> [D]
std::vector<float> MeanOf(const Embedding& embedding) {
  const auto width = static_cast<size_t>(embedding.width);
  std::vector<double> sum(width, 0.0);
  for (size_t i = 0; i < embedding.values.size(); ++i) sum[i % width] += embedding.values[i];
  std::vector<float> mean;
  for (const double s : sum)
    mean.push_back(static_cast<float>(s / static_cast<double>(embedding.tokens)));
  return mean;
}

void Normalize(std::vector<float>& vector) {
  double square = 0;
  for (const float v : vector) square += double{v} * v;
  if (square == 0) return;
  for (float& v : vector) v = static_cast<float>(v / std::sqrt(square));
}

[[noreturn]] void Refuse(const std::string& option, const std::string& rest) {
  throw Error(Code::kUnimplemented, option + " " + rest, option);
}

}  // namespace

EngineBackend::EngineBackend(std::vector<Entry> entries, int64_t created)
    : entries_(std::move(entries)), created_(created) {}

const EngineBackend::Entry& EngineBackend::Find(const std::string& model) const {
  const auto it = std::find_if(entries_.begin(), entries_.end(),
                               [&](const Entry& entry) { return entry.name == model; });
  if (it == entries_.end()) throw Error(Code::kNotFound, "model is not served here", "model");
  return *it;
}

std::vector<ServedModel> EngineBackend::Models() const {
  std::vector<ServedModel> models;
  for (const Entry& entry : entries_)
    models.push_back({.id = entry.name, .created = created_, .fingerprint = entry.fingerprint});
  return models;
}

std::unique_ptr<ChatCall> EngineBackend::Submit(const std::string& model, Request request,
                                                SubmissionEvents events) {
  const Entry& entry = Find(model);
  int64_t& logprobs = request.generation.logprobs;
  if (logprobs > 0 && !entry.token_text)
    Refuse("logprobs", "is not supported by this model's server");
  // Of a small vocabulary there are not as many candidates; what the client asked for is left as it is.
  if (logprobs <= kLogprobCandidates)
    logprobs = std::min(logprobs, entry.engine->info().vocabulary);
  return std::make_unique<EngineCall>(entry.engine->Submit(std::move(request), std::move(events)));
}

Explanation EngineBackend::Explain(const std::string& model, const Request& request,
                                   const ExplainOptions& options,
                                   const std::function<bool()>& keep_going) {
  return Find(model).engine->Explain(request, options, {.on_delta = {}, .keep_going = keep_going});
}

Embeddings EngineBackend::Embed(const std::string& model, const std::vector<EmbeddingInput>& inputs,
                                const EmbeddingOptions& options) {
  const Entry& entry = Find(model);
  if (options.pooling != Pooling::kMean) Refuse("binocle.pooling", "has mean only");
  Embeddings embeddings;
  for (const EmbeddingInput& input : inputs) {
    if (!input.image) Refuse("input", "has text, which is not embedded: send pictures");
    const Embedding embedding =
        entry.engine->EmbedImage(*input.image, {.pooling = binocle::Pooling::kTokens});
    embeddings.vectors.push_back(MeanOf(embedding));
    embeddings.prompt_tokens += embedding.tokens;
    if (options.normalize) Normalize(embeddings.vectors.back());
  }
  return embeddings;
}

std::string EngineBackend::TokenText(const std::string& model, int32_t id) const {
  const Entry& entry = Find(model);
  return entry.token_text ? entry.token_text(id) : std::string();
}

}  // namespace binocle::http
