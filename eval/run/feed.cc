#include "eval/run/feed.h"

#include <string>
#include <unordered_map>
#include <utility>

namespace binocle::eval {
namespace {

size_t PictureBytes(const Sample& sample) {
  size_t bytes = 0;
  for (const SampleImage& image : sample.images) bytes += image.bytes.size();
  return bytes;
}

}  // namespace

Feed::Feed(const Plan& plan, int64_t shard, std::vector<std::vector<bool>> done, FeedWindow window)
    : plan_(plan), shard_(shard), done_(std::move(done)), window_(window) {}

std::optional<FeedItem> Feed::Next() {
  if (items_.empty()) Fill();
  if (items_.empty()) return std::nullopt;
  FeedItem item = std::move(items_.front());
  items_.pop_front();
  return item;
}

// The next sample that is this shard's and not done.
std::optional<FeedItem> Feed::Read() {
  for (; task_ < plan_.tasks.size(); ++task_, samples_.reset()) {
    const PlannedTask& planned = plan_.tasks[task_];
    if (!samples_)
      samples_ = std::make_unique<TaskSamples>(planned.task, planned.folder, planned.scorers);
    while (auto next = samples_->Next()) {
      if (next->doc_id >= planned.samples()) break;  // beyond the limit
      const auto at = static_cast<size_t>(next->doc_id);
      if (planned.shard_of[at] == shard_ && !done_[task_][at])
        return FeedItem{task_, std::move(*next)};
    }
  }
  return std::nullopt;
}

void Feed::Fill() {
  std::unordered_map<std::string, size_t> group_of;  // by pictures
  std::vector<std::vector<FeedItem>> groups;
  size_t bytes = 0;
  for (int64_t i = 0; i < window_.samples && bytes < window_.picture_bytes; ++i) {
    auto item = Read();
    if (!item) break;
    const Sample& sample = item->numbered.sample;
    bytes += PictureBytes(sample);
    const std::string key =
        plan_.tasks[item->task].task.group_by_image ? ImageKey(sample) : std::string();
    const size_t group =
        key.empty() ? groups.size() : group_of.try_emplace(key, groups.size()).first->second;
    if (group == groups.size()) groups.emplace_back();
    groups[group].push_back(std::move(*item));
  }
  for (std::vector<FeedItem>& group : groups) {
    for (FeedItem& item : group) items_.push_back(std::move(item));
  }
}

}  // namespace binocle::eval
