// Rank 0's side of a decoder whose layers several processes share: it has requests, sequences, sampling, towers, embeddings and head, and says to the others
// what the layers do next. They do it on their parts (llm/decoder_follower.h), at the same time.
//
// Where something throws in the middle of a pass the ranks are out of step, and it is over for all of them: what follows throws UNAVAILABLE.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "attention/kv_pages.h"
#include "core/parallel/communicator.h"
#include "llm/decoder_orders.h"
#include "llm/llama_decoder.h"

namespace binocle {

class DecoderLeader {
 public:
  // Says to the others how many pages there are and what else they must have alike; returns when all agree. UNAVAILABLE where one does not, and leaves.
  DecoderLeader(Communicator& communicator, int64_t pages, std::span<const OrderTerm> terms);
  // The others end as well, unless it is over already.
  ~DecoderLeader();
  DecoderLeader(const DecoderLeader&) = delete;
  DecoderLeader& operator=(const DecoderLeader&) = delete;

  // `pass` is rank 0's part of it; when it returns nothing of it waits to begin on a device. UNIMPLEMENTED for a batch with hooks: what they watch and change are heads, and most are elsewhere.
  void Forward(const DecoderBatch& batch, const std::function<void()>& pass);
  // The image's keys and values of the others' heads stay there as long as what is returned.
  std::shared_ptr<const ImageOfOthers> EncodeImage(const ImageToEncode& from,
                                                   const std::function<void()>& encode);
  void PlaceImage(const ImageOfOthers& image, int64_t first_position, const KvSequence& sequence);
  // KvPool::WhenCopied.
  void CopyPage(int32_t from, int32_t to, int64_t tokens);

  // What DecoderLeader and ImageOfOthers share: images are dropped by whoever used them last, also after the leader.
  struct Dropped;

 private:
  void Say(const Order& order);
  // Around what the ranks do together.
  void Together(const std::function<void()>& action);

  Communicator& communicator_;
  std::shared_ptr<Dropped> dropped_;  // images that the others may forget
  int64_t next_image_ = 0;
};

// An image that was encoded apart, as the other ranks know it.
class ImageOfOthers {
 public:
  ImageOfOthers(std::shared_ptr<DecoderLeader::Dropped> dropped, int64_t number)
      : dropped_(std::move(dropped)), number_(number) {}
  ~ImageOfOthers();
  ImageOfOthers(const ImageOfOthers&) = delete;
  ImageOfOthers& operator=(const ImageOfOthers&) = delete;

  int64_t number() const { return number_; }

 private:
  std::shared_ptr<DecoderLeader::Dropped> dropped_;
  int64_t number_;
};

}  // namespace binocle
