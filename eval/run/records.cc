#include "eval/run/records.h"

#include <utility>

#include "eval/run/sha256.h"

namespace binocle::eval {
namespace {

// Of a request's id, for servers. It only names the request in their logs; what is asked is the same by any.
constexpr size_t kMostIdBytes = 256;

std::string_view NameOf(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop: return "stop";
    case FinishReason::kLength: return "length";
    case FinishReason::kCancelled: return "cancelled";
  }
  return "unknown";
}

OrderedJson ImagesJson(const Sample& sample, const std::filesystem::path& folder) {
  OrderedJson images = OrderedJson::array();
  for (const SampleImage& image : sample.images) {
    images.push_back(image.path.empty() ? ImageKey({.images = {image}})
                                        : image.path.lexically_relative(folder).generic_string());
  }
  return images;
}

OrderedJson Head(const PlannedTask& planned, const FeedItem& item, const std::string& prompt) {
  const Sample& sample = item.numbered.sample;
  return {{"task", item.task}, {"doc_id", item.numbered.doc_id},
          {"id", sample.id},   {"place", sample.place},
          {"prompt", prompt},  {"images", ImagesJson(sample, planned.folder)}};
}

OrderedJson LogprobsJson(const Answer& answer) {
  OrderedJson steps = OrderedJson::array();
  for (const auto& step : answer.logprobs) {
    OrderedJson pairs = OrderedJson::array();
    for (const TokenLogProbability& one : step) pairs.push_back({one.id, one.value});
    steps.push_back(std::move(pairs));
  }
  return steps;
}

Constraint ConstraintOf(const Task& task, const Sample& sample) {
  if (!task.constraint.choices.empty()) return Choices{task.constraint.choices};
  if (!task.constraint.option_letters || sample.options.empty()) return {};
  Choices letters;
  for (size_t i = 0; i < sample.options.size(); ++i)
    letters.values.emplace_back(1, static_cast<char>('A' + i));
  return letters;
}

}  // namespace

bool HasConstraint(const Task& task) {
  return !task.constraint.choices.empty() || task.constraint.option_letters;
}

Request RequestOf(const EvalRun& run, const PlannedTask& planned, const Sample& sample,
                  const std::string& prompt) {
  Request request = run.request;
  request.id = sample.id.size() > kMostIdBytes ? Sha256Of(sample.id) : sample.id;
  request.generation.max_new_tokens = planned.generation.max_new_tokens;
  request.generation.temperature = planned.generation.temperature;
  request.generation.stop = planned.generation.stops;
  if (run.task_constraint && HasConstraint(planned.task))
    request.constraint = ConstraintOf(planned.task, sample);
  Message message{.role = MessageRole::kUser, .text = prompt, .images = {}};
  for (const SampleImage& image : sample.images) {
    message.images.push_back(image.path.empty() ? ImageInput::FromBytes(image.bytes, sample.place)
                                                : ImageInput::FromFile(image.path.string()));
    message.images.back().exif = run.exif;
  }
  request.messages.push_back(std::move(message));
  return request;
}

OrderedJson RecordOf(const PlannedTask& planned, const FeedItem& item, const std::string& prompt,
                     const Response& response) {
  const Answer& answer = response.answers.at(0);
  OrderedJson record = Head(planned, item, prompt);
  record.update(AnswerLine(item.numbered.sample, answer.text));
  record["finish_reason"] = NameOf(answer.finish_reason);
  record["prompt_tokens"] = response.prompt_tokens;
  record["image_tokens"] = response.image_tokens;
  record["completion_tokens"] = answer.token_ids.size();
  if (!answer.grounding.empty()) record["grounding"] = answer.grounding;
  if (!answer.logprobs.empty()) record["logprobs"] = LogprobsJson(answer);
  return record;
}

OrderedJson FailureOf(const PlannedTask& planned, const FeedItem& item, const std::string& prompt,
                      const Error& error) {
  OrderedJson record = Head(planned, item, prompt);
  OrderedJson line = AnswerLine(item.numbered.sample, "");
  line.erase("prediction");
  record.update(line);
  record["error"] = {{"code", CodeName(error.code())}, {"message", error.message()}};
  return record;
}

}  // namespace binocle::eval
