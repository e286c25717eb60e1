// The samples of a shard in the order in which they are asked.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "eval/run/plan.h"
#include "eval/run/task_samples.h"

namespace binocle::eval {

struct FeedItem {
  size_t task = 0;
  NumberedSample numbered;
};

// How many samples, and bytes of pictures that came in rows, are in memory and in an order of their own.
struct FeedWindow {
  int64_t samples = 16384;
  size_t picture_bytes = size_t{256} << 20;
};

// The data is read again, window by window. Within one, across tasks, all questions about a picture come one after the other, pictures in
// the order in which they first appear; the rest stays in the order of the data.
class Feed {
 public:
  // `plan` must outlive this. `done` says by task and doc_id what is not asked any more.
  Feed(const Plan& plan, int64_t shard, std::vector<std::vector<bool>> done,
       FeedWindow window = {});

  std::optional<FeedItem> Next();

 private:
  std::optional<FeedItem> Read();
  void Fill();

  const Plan& plan_;
  const int64_t shard_;
  const std::vector<std::vector<bool>> done_;
  const FeedWindow window_;
  size_t task_ = 0;  // that is read
  std::unique_ptr<TaskSamples> samples_;
  std::deque<FeedItem> items_;
};

}  // namespace binocle::eval
