// The rows of a step on their way through the decoder, in one pass unless visual rows are under different plans. On the engine's thread alone.
#pragma once

#include <cstdint>
#include <vector>

#include "service/engine/live_request.h"
#include "service/engine/loaded_model.h"

namespace binocle {

class StepPasses {
 public:
  explicit StepPasses(const LoadedModel& loaded) : m_(loaded), passes_(1) {}

  // The next `count` positions of a sequence of `lane`. Where they are its last, what follows goes to `logits`, or, where nobody else looks at
  // logits, is chosen on the device: Lane::sampled. All of it stays as it is until Run.
  void Add(Lane& lane, RunningSequence& sequence, const SequenceTokens& tokens, int64_t count,
           std::vector<float>& logits);
  // Where a pass fails, who was in it ends.
  void Run();

 private:
  // Of the sequences that are computed to their end, in order.
  struct End {
    Lane* lane;
    std::vector<float>* logits;
  };
  struct Pass {
    const LayerPlan* plan = nullptr;  // of the visual rows; nullptr: there are none yet
    std::vector<SequenceRows> rows;
    std::vector<Lane*> lanes;  // of the rows
    std::vector<End> ends;
  };

  Pass& PassFor(const SequenceRows& rows);
  void Run(const Pass& pass);
  void Sample(const Pass& pass);
  void CopyLogits(const Pass& pass, bool stayed);

  const LoadedModel& m_;
  std::vector<Pass> passes_;
};

}  // namespace binocle
