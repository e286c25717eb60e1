// The keys and values of the latest request, for the next one that begins the same way.
//
// Two prompts share a prefix up to the first position where their ids differ or their pictures do. What was computed there serves to
// the last bit, because a row depends only on what comes before it and not on how a prompt is cut. Requests whose attention is watched
// or changed neither keep nor take. One sequence is kept; its pages are given back before another request needs them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "attention/kv_pages.h"
#include "fusion/prompt.h"
#include "service/engine/image_cache.h"

namespace binocle {

class KeptPrefix {
 public:
  // `sequence` holds `ids`, of which the first are `prompt`'s, with `images` by picture.
  void Keep(KvSequence sequence, std::vector<int32_t> ids, const ExpandedPrompt& prompt,
            std::vector<SharedImage> images);
  // The kept sequence, cut to what it shares with a prompt and to less than all of it, since the last position's logits are yet to be
  // computed. Nothing when nothing is shared; what was kept is gone either way.
  std::optional<KvSequence> Take(const ExpandedPrompt& prompt, std::span<const SharedImage> images);
  // Gives the pages back.
  void Drop() { sequence_.reset(); }

 private:
  // The picture at a position, nullptr for text.
  static const EncodedImage* ImageAt(const ExpandedPrompt& prompt,
                                     std::span<const SharedImage> images, int64_t position);

  std::optional<KvSequence> sequence_;
  std::vector<int32_t> ids_;
  ExpandedPrompt prompt_;
  std::vector<SharedImage>
      images_;  // held, so that another picture cannot have the address of one of them
};

}  // namespace binocle
