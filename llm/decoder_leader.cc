#include "llm/decoder_leader.h"

#include <exception>
#include <mutex>
#include <utility>
#include <vector>

#include "core/error.h"

namespace binocle {

struct DecoderLeader::Dropped {
  std::mutex mutex;
  std::vector<int64_t> numbers;  // guarded by mutex
};

ImageOfOthers::~ImageOfOthers() {
  const std::lock_guard lock(dropped_->mutex);
  dropped_->numbers.push_back(number_);
}

DecoderLeader::DecoderLeader(Communicator& communicator, int64_t pages,
                             std::span<const OrderTerm> terms)
    : communicator_(communicator), dropped_(std::make_shared<Dropped>()) {
  Order begin(OrderKind::kBegin);
  begin.Put(pages);
  begin.Put(std::ssize(terms));
  for (const OrderTerm& term : terms) begin.Put(term.value);
  begin.Say(communicator_);
  // Whoever does not agree has left by then; whoever loads slowly may.
  communicator_.Barrier(Communicator::Patience::kEndless);
}

DecoderLeader::~DecoderLeader() {
  try {
    Order(OrderKind::kEnd).Say(communicator_);
  } catch (const Error&) {
    // Whoever is left finds the connection closed.
  }
}

void DecoderLeader::Say(const Order& order) {
  std::vector<int64_t> dropped;
  {
    const std::lock_guard lock(dropped_->mutex);
    dropped.swap(dropped_->numbers);
  }
  for (const int64_t number : dropped) {
    Order drop(OrderKind::kDropImage);
    drop.Put(number);
    drop.Say(communicator_);
  }
  order.Say(communicator_);
}

void DecoderLeader::Together(const std::function<void()>& action) {
  try {
    action();
  } catch (const std::exception& error) {
    communicator_.Leave(
        internal::Concat("tensor_parallel: a pass of rank 0 failed: ", error.what()));
    throw;
  }
}

void DecoderLeader::Forward(const DecoderBatch& batch, const std::function<void()>& pass) {
  if (batch.hooks != nullptr)
    Throw(Code::kUnimplemented, "attention cannot be watched or changed where the heads are ",
          "divided among processes (tensor_parallel), expected a request without interventions, ",
          "grounding and maps");
  Order order(OrderKind::kForward);
  order.Put(batch.text_rows);
  order.PutList(batch.positions);
  order.PutList(batch.slots);
  order.Put(std::ssize(batch.text_runs));
  order.Put(std::ssize(batch.runs));
  for (const QueryRun& run : batch.runs) {
    for (const int64_t number :
         {run.first_row, run.rows, run.first_position, run.keys, run.shared_end})
      order.Put(number);
    order.PutList(run.pages);
  }
  order.Put(batch.plan != nullptr ? 1 : 0);
  if (batch.plan != nullptr) {
    order.Put(static_cast<int64_t>(batch.plan->aligner));
    for (const LayerKind kind : batch.plan->kinds) order.Put(static_cast<int64_t>(kind));
  }
  Say(order);
  Together(pass);
}

std::shared_ptr<const ImageOfOthers> DecoderLeader::EncodeImage(
    const ImageToEncode& from, const std::function<void()>& encode) {
  auto image = std::make_shared<const ImageOfOthers>(dropped_, next_image_++);
  Order order(OrderKind::kEncodeImage);
  order.Put(image->number());
  order.Put(from.visual.dim(0));
  order.Put(static_cast<int64_t>(from.aligner));
  Say(order);
  Together(encode);
  return image;
}

void DecoderLeader::PlaceImage(const ImageOfOthers& image, int64_t first_position,
                               const KvSequence& sequence) {
  Order order(OrderKind::kPlaceImage);
  order.Put(image.number());
  order.Put(first_position);
  order.Put(sequence.length());
  order.PutList(sequence.pages());
  Say(order);
}

void DecoderLeader::CopyPage(int32_t from, int32_t to, int64_t tokens) {
  Order order(OrderKind::kCopyPage);
  for (const int64_t number : {int64_t{from}, int64_t{to}, tokens}) order.Put(number);
  Say(order);
}

}  // namespace binocle
