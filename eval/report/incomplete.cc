#include "eval/report/incomplete.h"

namespace binocle::eval {
namespace {

// `samples` is empty where none is missing.
std::string Joined(const std::string& samples, int64_t groups,
                   const std::optional<int64_t>& unread_bytes) {
  std::string text = samples;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (groups > 0) add(Count(groups) + " groups left out");
  if (unread_bytes) add("data not read to its end, " + Count(*unread_bytes) + " bytes left");
  return text.empty() ? "" : "incomplete: " + text;
}

Html Below(const std::string& text) {
  return text.empty() ? Html() : Element("span", "missing", Escaped(text));
}

}  // namespace

std::string MissingText(const EvalEstimate& task) {
  const std::string samples =
      task.failed > 0 ? Count(task.answered) + " of " + Count(task.samples) + " answered" : "";
  return Joined(samples, task.incomplete_groups, task.unread_bytes);
}

Html WhatIsMissing(const EvalEstimate& task) { return Below(MissingText(task)); }

Html WhatIsMissing(const EvalTaskComparison& task) {
  const std::string samples =
      task.left_out > 0
          ? Count(task.pairs) + " of " + Count(task.pairs + task.left_out) + " in both runs"
          : "";
  return Below(Joined(samples, task.incomplete_groups, task.unread_bytes));
}

}  // namespace binocle::eval
