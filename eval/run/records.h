// Samples as requests, and answers as lines of a journal.
#pragma once

#include <filesystem>
#include <string>

#include "binocle/eval_run.h"
#include "core/json.h"
#include "eval/run/feed.h"
#include "eval/run/plan.h"

namespace binocle::eval {

// Whether the task says what its answers may be.
bool HasConstraint(const Task& task);

// What a model is asked.
Request RequestOf(const EvalRun& run, const PlannedTask& planned, const Sample& sample,
                  const std::string& prompt);

// One sample in the journal:
//   {"task", "doc_id", "id", "place", "prompt", "images", "prediction", … what scorers read …, "finish_reason", "prompt_tokens",
//    "image_tokens", "completion_tokens"}, with "grounding" and "logprobs" where they were asked for;
// for one that failed "error": {"code", "message"} and nothing of an answer. Pictures are paths within the data folder, or hashes.
OrderedJson RecordOf(const PlannedTask& planned, const FeedItem& item, const std::string& prompt,
                     const Response& response);
OrderedJson FailureOf(const PlannedTask& planned, const FeedItem& item, const std::string& prompt,
                      const Error& error);

}  // namespace binocle::eval
