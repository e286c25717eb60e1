#include "llm/decoder_follower.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "core/backend/cuda_backend.h"
#include "core/error.h"

namespace binocle {
namespace {

class Follower {
 public:
  explicit Follower(const FollowerContext& c) : c_(c) {
    for (int64_t page = 0; page < c.pool.pages(); ++page) c.pool.Take();
  }

  // False at the last one.
  bool Do(Order order) {
    switch (order.TakeKind()) {
      case OrderKind::kForward: Forward(order); break;
      case OrderKind::kEncodeImage: EncodeImage(order); break;
      case OrderKind::kDropImage: images_.erase(order.Take()); break;
      case OrderKind::kPlaceImage: PlaceImage(order); break;
      case OrderKind::kCopyPage: CopyPage(order); break;
      case OrderKind::kEnd: return false;
      default: Throw(Code::kInternal, "tensor_parallel: an order of no kind");
    }
    if (c_.activations.x.on_cuda()) c_.ex.cuda().Flush();
    return true;
  }

 private:
  std::vector<int32_t> TakePages(Order& order) const {
    std::vector<int32_t> pages = order.TakeList();
    const auto there = [&](int32_t page) { return page >= 0 && page < c_.pool.pages(); };
    if (!std::ranges::all_of(pages, there))
      Throw(Code::kInternal, "tensor_parallel: an order names pages beyond the ", c_.pool.pages(),
            " that there are");
    return pages;
  }

  void Forward(Order& order) {
    const int64_t text_rows = order.Take();
    const std::vector<int32_t> positions = order.TakeList(), slots = order.TakeList();
    const int64_t text_runs = order.Take();
    std::vector<QueryRun> runs(static_cast<size_t>(order.Take()));
    std::vector<std::vector<int32_t>> pages;
    for (QueryRun& run : runs) {
      for (int64_t* number : {&run.first_row, &run.rows, &run.first_position, &run.keys})
        *number = order.Take();
      pages.push_back(TakePages(order));
    }
    for (size_t i = 0; i < runs.size(); ++i) runs[i].pages = pages[i];
    LayerPlan plan = c_.decoder.plan();
    const bool has_plan = order.Take() != 0;
    if (has_plan) {
      plan.aligner = static_cast<Aligner>(order.Take());
      for (LayerKind& kind : plan.kinds) kind = static_cast<LayerKind>(order.Take());
    }
    const std::span<const QueryRun> all(runs);
    const auto text = static_cast<size_t>(text_runs);
    c_.decoder.Forward(c_.ex,
                       {.text_rows = text_rows,
                        .positions = positions,
                        .slots = slots,
                        .text_runs = all.first(text),
                        .visual_runs = all.subspan(text),
                        .runs = all,
                        .plan = has_plan ? &plan : nullptr},
                       c_.pool, c_.activations);
  }

  void EncodeImage(Order& order) {
    const int64_t number = order.Take(), tokens = order.Take();
    const auto aligner = static_cast<Aligner>(order.Take());
    const TensorView shape(nullptr, DType::kF32, {tokens, c_.decoder.config().width}, "visual");
    c_.decoder.EncodeImage(c_.ex, {.visual = shape, .aligner = aligner}, {}, c_.activations,
                           images_[number]);
  }

  void PlaceImage(Order& order) {
    const auto image = images_.find(order.Take());
    const int64_t first_position = order.Take(), length = order.Take();
    const std::vector<int32_t> pages = TakePages(order);
    if (image == images_.end())
      Throw(Code::kInternal, "tensor_parallel: an image that is not here");
    KvSequence sequence(c_.pool);
    sequence.Begin(pages, length);
    c_.decoder.PlaceImage(c_.ex, image->second, first_position, c_.pool, sequence);
  }

  void CopyPage(Order& order) {
    const int64_t from = order.Take(), to = order.Take(), tokens = order.Take();
    c_.pool.Copy(static_cast<int32_t>(from), static_cast<int32_t>(to), tokens);
  }

  const FollowerContext& c_;
  std::map<int64_t, ImageKv> images_;
};

}  // namespace

int64_t AwaitTerms(Communicator& communicator, std::span<const OrderTerm> terms) {
  Order begin = Order::Await(communicator);
  if (begin.TakeKind() != OrderKind::kBegin || begin.Take() != Order::kVersion)
    Throw(Code::kFailedPrecondition, "tensor_parallel: rank 0 is another version of Binocle");
  const int64_t pages = begin.Take(), count = begin.Take();
  for (int64_t i = 0; i < count; ++i) {
    const int64_t value = begin.Take();
    const OrderTerm& term = terms[static_cast<size_t>(std::min(i, std::ssize(terms) - 1))];
    if (value == term.value) continue;
    Throw(Code::kFailedPrecondition, "tensor_parallel: ", term.name, " is ", term.value,
          ", expected ", value, " as rank 0 has it: all ranks take the same model and options");
  }
  return pages;
}

void FollowDecoder(const FollowerContext& c) {
  Communicator& communicator = *c.ex.communicator();
  communicator.Barrier(Communicator::Patience::kEndless);
  Follower follower(c);
  while (follower.Do(Order::Await(communicator))) {
  }
}

}  // namespace binocle
