#include "llm/decoder_follower.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "core/backend/cuda_backend.h"
#include "core/error.h"

namespace binocle {
namespace {

[[noreturn]] void EndAt(const char* what) {
  Throw(Code::kInternal, "tensor_parallel: an order of ", what);
}

Aligner TakeAligner(Order& order) {
  return static_cast<Aligner>(
      order.Take(0, static_cast<int64_t>(Aligner::kVoFfn), "how visual rows go on"));
}

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
      case OrderKind::kDropImage: DropImage(order); break;
      case OrderKind::kPlaceImage: PlaceImage(order); break;
      case OrderKind::kCopyPage: CopyPage(order); break;
      case OrderKind::kEnd: return false;
      default: EndAt("no kind");
    }
    if (c_.activations.x.on_cuda()) c_.ex.cuda().Flush();
    return true;
  }

 private:
  struct Image {
    int64_t tokens;
    ImageKv kv;
  };
  // What a Forward is about, as DecoderBatch has it.
  struct Pass {
    int64_t text_rows = 0;
    std::vector<int32_t> positions, slots;
    std::vector<std::vector<int32_t>> pages;  // of the runs
    std::vector<QueryRun> runs;
    size_t text_runs = 0;
    std::optional<LayerPlan> plan;
  };

  static bool AllBelow(std::span<const int32_t> numbers, int64_t end) {
    return std::ranges::all_of(numbers, [&](int32_t n) { return n >= 0 && n < end; });
  }

  int64_t Slots() const { return c_.pool.pages() * kPageTokens; }

  std::vector<int32_t> TakePages(Order& order, int64_t tokens) const {
    std::vector<int32_t> pages = order.TakeList();
    if (!AllBelow(pages, c_.pool.pages())) EndAt("pages that there are not");
    if (std::ssize(pages) < PagesFor(tokens)) EndAt("more keys than its pages have");
    return pages;
  }

  // Runs lie one behind the other, those of text first.
  void TakeRuns(Order& order, Pass& pass) const {
    const int64_t rows = std::ssize(pass.positions);
    const int64_t text_runs = order.Take(0, rows, "the runs of text");
    pass.text_runs = static_cast<size_t>(text_runs);
    pass.runs.resize(static_cast<size_t>(order.Take(text_runs, rows, "the runs")));
    int64_t row = 0;
    for (size_t i = 0; i < pass.runs.size(); ++i) {
      QueryRun& run = pass.runs[i];
      const int64_t end = i < pass.text_runs ? pass.text_rows : rows;
      run.first_row = order.Take(row, row, "the first row of a run");
      run.rows = order.Take(1, end - row, "the rows of a run");
      row += run.rows;
      const int64_t most = c_.decoder.max_positions();
      run.first_position = order.Take(0, most - run.rows, "the first position of a run");
      run.keys = order.Take(run.first_position + run.rows, Slots(), "the keys of a run");
      run.shared_end = order.Take(0, run.keys, "where a run's last picture ends");
      pass.pages.push_back(TakePages(order, run.keys));
      if (i + 1 == pass.text_runs && row != pass.text_rows) EndAt("text rows without a run");
    }
    if (row != rows || (pass.text_runs == 0 && pass.text_rows > 0)) EndAt("rows without a run");
    for (size_t i = 0; i < pass.runs.size(); ++i) pass.runs[i].pages = pass.pages[i];
  }

  Pass TakePass(Order& order) const {
    Pass pass;
    pass.text_rows = order.Take();
    pass.positions = order.TakeList();
    pass.slots = order.TakeList();
    const int64_t rows = std::ssize(pass.positions);
    if (rows > c_.activations.max_rows || std::ssize(pass.slots) != rows || pass.text_rows < 0 ||
        pass.text_rows > rows)
      EndAt("more rows than there is room for");
    if (!AllBelow(pass.positions, c_.decoder.max_positions()))
      EndAt("positions beyond the context");
    if (!AllBelow(pass.slots, Slots())) EndAt("slots that there are not");
    TakeRuns(order, pass);
    if (order.Take(0, 1, "whether there is a plan") == 0) return pass;
    pass.plan = c_.decoder.plan();
    pass.plan->aligner = TakeAligner(order);
    for (LayerKind& kind : pass.plan->kinds)
      kind = static_cast<LayerKind>(
          order.Take(0, static_cast<int64_t>(LayerKind::kComposite), "the kind of a layer"));
    return pass;
  }

  void Forward(Order& order) {
    const Pass pass = TakePass(order);
    order.CheckEnd();
    const std::span<const QueryRun> all(pass.runs);
    c_.decoder.Forward(c_.ex,
                       {.text_rows = pass.text_rows,
                        .positions = pass.positions,
                        .slots = pass.slots,
                        .text_runs = all.first(pass.text_runs),
                        .visual_runs = all.subspan(pass.text_runs),
                        .runs = all,
                        .plan = pass.plan ? &*pass.plan : nullptr},
                       c_.pool, c_.activations);
  }

  void EncodeImage(Order& order) {
    const int64_t number = order.Take();
    const int64_t tokens = order.Take(1, c_.decoder.max_positions(), "the tokens of an image");
    const Aligner aligner = TakeAligner(order);
    order.CheckEnd();
    const TensorView shape(nullptr, DType::kF32, {tokens, c_.decoder.config().width}, "visual");
    Image& image = images_[number];
    image.tokens = tokens;
    c_.decoder.EncodeImage(c_.ex, {.visual = shape, .aligner = aligner}, {}, c_.activations,
                           image.kv);
  }

  void DropImage(Order& order) {
    const int64_t number = order.Take();
    order.CheckEnd();
    images_.erase(number);
  }

  void PlaceImage(Order& order) {
    const auto image = images_.find(order.Take());
    if (image == images_.end()) EndAt("an image that is not here");
    const auto& [tokens, kv] = image->second;
    const int64_t most = c_.decoder.max_positions();
    const int64_t first = order.Take(0, most - tokens, "the first position of an image");
    const int64_t length = order.Take(first + tokens, Slots(), "the length of a sequence");
    const std::vector<int32_t> pages = TakePages(order, length);
    if (std::ssize(pages) != PagesFor(length)) EndAt("more pages than a sequence has");
    order.CheckEnd();
    KvSequence sequence(c_.pool);
    sequence.Begin(pages, length);
    c_.decoder.PlaceImage(c_.ex, kv, first, c_.pool, sequence);
  }

  void CopyPage(Order& order) {
    const int64_t last = c_.pool.pages() - 1;
    const int64_t from = order.Take(0, last, "a page"), to = order.Take(0, last, "a page");
    const int64_t tokens = order.Take(0, kPageTokens, "the tokens of a page");
    order.CheckEnd();
    c_.pool.Copy(static_cast<int32_t>(from), static_cast<int32_t>(to), tokens);
  }

  const FollowerContext& c_;
  std::map<int64_t, Image> images_;
};

}  // namespace

int64_t AwaitTerms(Communicator& communicator, std::span<const OrderTerm> terms) {
  Order begin = Order::Await(communicator);
  if (begin.TakeKind() != OrderKind::kBegin) EndAt("another kind than the first is of");
  const int64_t pages =
      begin.Take(1, std::numeric_limits<int32_t>::max() / kPageTokens, "the pages");
  begin.Take(std::ssize(terms), std::ssize(terms), "the number of terms");
  for (const OrderTerm& term : terms) {
    const int64_t value = begin.Take();
    if (value == term.value) continue;
    Throw(Code::kFailedPrecondition, "tensor_parallel: ", term.name, " is ", term.value,
          ", expected ", value, " as rank 0 has it: all ranks take the same model and options");
  }
  begin.CheckEnd();
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
