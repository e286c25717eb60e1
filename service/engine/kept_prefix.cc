#include "service/engine/kept_prefix.h"

#include <algorithm>
#include <utility>

namespace binocle {

void KeptPrefix::Keep(KvSequence sequence, std::vector<int32_t> ids, const ExpandedPrompt& prompt,
                      std::vector<SharedImage> images) {
  ids.resize(static_cast<size_t>(sequence.length()));
  sequence_.reset();
  sequence_.emplace(std::move(sequence));
  ids_ = std::move(ids);
  prompt_ = prompt;
  images_ = std::move(images);
}

const EncodedImage* KeptPrefix::ImageAt(const ExpandedPrompt& prompt,
                                        std::span<const SharedImage> images, int64_t position) {
  for (const ImageSpan& span : prompt.images) {
    if (position >= span.first_position && position < span.first_position + span.tokens)
      return images[static_cast<size_t>(span.image)].get();
  }
  return nullptr;
}

std::optional<KvSequence> KeptPrefix::Take(const ExpandedPrompt& prompt,
                                           std::span<const SharedImage> images) {
  if (!sequence_) return std::nullopt;
  std::optional<KvSequence> taken = std::exchange(sequence_, std::nullopt);
  const int64_t limit = std::min(std::ssize(ids_), std::ssize(prompt.ids) - 1);
  int64_t shared = 0;
  while (shared < limit) {
    const auto at = static_cast<size_t>(shared);
    if (ids_[at] != prompt.ids[at] ||
        ImageAt(prompt_, images_, shared) != ImageAt(prompt, images, shared))
      break;
    ++shared;
  }
  if (shared == 0) return std::nullopt;
  taken->Truncate(shared);
  return taken;
}

}  // namespace binocle
