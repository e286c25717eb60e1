#include "eval/readers/rows.h"

#include <numeric>

#include "eval/fields.h"
#include "llm/utf8.h"

namespace binocle::eval {

std::string_view DamageName(Damage damage) {
  static constexpr std::array<std::string_view, kDamages> kNames = {
      "syntax", "too long", "encoding", "column", "duplicate id", "image"};
  return kNames[static_cast<size_t>(damage)];
}

void Problems::Add(Damage damage, const std::string& place, const std::string& what) {
  ++counts_[static_cast<size_t>(damage)];
  if (kept_.size() < kMaxKept) kept_.push_back({damage, place + ": " + Printable(what, 400)});
}

void Problems::AddTooLong(const std::string& place, size_t bytes, size_t most) {
  Add(Damage::kTooLong, place,
      "has " + std::to_string(bytes) + " bytes, expected at most " + std::to_string(most));
}

int64_t Problems::count() const {
  return std::accumulate(counts_.begin(), counts_.end(), int64_t{0});
}

OrderedJson Problems::Summary() const {
  OrderedJson summary = {{"skipped", count()}};
  for (size_t i = 0; i < kDamages; ++i) {
    if (counts_[i] > 0) summary[std::string(DamageName(static_cast<Damage>(i)))] = counts_[i];
  }
  if (unread_bytes_) summary["unread_bytes"] = *unread_bytes_;
  return summary;
}

std::optional<Json> ParseRecord(std::string_view text, const std::string& place,
                                Problems& problems) {
  // Before the parser, whose message about such bytes says less.
  if (!IsUtf8(text)) {
    problems.Add(Damage::kEncoding, place, "is not UTF-8");
    return std::nullopt;
  }
  try {
    return ParseAnswerLine(text);
  } catch (const Error& error) {
    problems.Add(Damage::kSyntax, place, error.message());
    return std::nullopt;
  }
}

}  // namespace binocle::eval
