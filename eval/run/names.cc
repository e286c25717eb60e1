#include "eval/run/names.h"

#include <regex>
#include <string_view>

namespace binocle::eval {
namespace {

std::filesystem::path OfShard(const std::filesystem::path& out, const char* what,
                              const EvalShard& shard) {
  return out / (std::string(what) + "_" + std::to_string(shard.index) + "_of_" +
                std::to_string(shard.count) + ".jsonl");
}

}  // namespace

std::string FileNameOf(const std::string& model) {
  constexpr std::string_view kMinded = "\"<>:/|\\?*[]";
  std::string name;
  bool in_minded = false;
  for (const char c : model) {
    const bool minded =
        kMinded.find(c) != std::string_view::npos || static_cast<unsigned char>(c) < 32;
    if (!minded) name += c;
    if (minded && !in_minded) name += "__";
    in_minded = minded;
  }
  return name.empty() ? "model" : name;
}

std::optional<int64_t> ShardsOfJournal(const std::string& name) {
  static const std::regex kName("journal_[0-9]{1,9}_of_([0-9]{1,9})\\.jsonl");
  std::smatch match;
  if (!std::regex_match(name, match, kName)) return std::nullopt;
  return std::stoll(match[1]);
}

std::filesystem::path JournalPath(const std::filesystem::path& out, const EvalShard& shard) {
  return OfShard(out, "journal", shard);
}

std::filesystem::path TimesPath(const std::filesystem::path& out, const EvalShard& shard) {
  return OfShard(out, "times", shard);
}

}  // namespace binocle::eval
