#include "service/engine/image_cache.h"

#include <atomic>
#include <utility>

namespace binocle {

int64_t EncodedImage::bytes() const {
  const size_t floats =
      attention.first_class.size() + attention.late_class.size() + attention.received.size();
  return visual.bytes() + (kv ? kv->bytes() : 0) + static_cast<int64_t>(floats * sizeof(float));
}

uint64_t EncodedImage::NextSerial() {
  static std::atomic<uint64_t> next{1};
  return next.fetch_add(1);
}

ImageCacheCounters ImageCache::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

SharedImage ImageCache::Find(const std::string& key,
                             const std::function<bool(const EncodedImage&)>& serves) {
  const std::lock_guard lock(mutex_);
  const auto it = by_key_.find(key);
  if (it == by_key_.end() || !serves(*it->second->image)) {
    ++counters_.misses;
    return nullptr;
  }
  ++counters_.hits;
  entries_.splice(entries_.begin(), entries_, it->second);
  return it->second->image;
}

SharedImage ImageCache::Peek(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto it = by_key_.find(key);
  return it != by_key_.end() ? it->second->image : nullptr;
}

void ImageCache::Remove(std::list<Entry>::iterator entry) {
  counters_.bytes -= entry->bytes;
  --counters_.entries;
  by_key_.erase(entry->key);
  entries_.erase(entry);
}

void ImageCache::Put(std::string key, SharedImage image) {
  const std::lock_guard lock(mutex_);
  if (const auto it = by_key_.find(key); it != by_key_.end()) Remove(it->second);
  const int64_t bytes = image->bytes() + std::ssize(key);
  if (bytes > budget_) return;
  while (counters_.bytes + bytes > budget_) {
    Remove(std::prev(entries_.end()));
    ++counters_.evictions;
  }
  entries_.push_front({std::move(key), std::move(image), bytes});
  by_key_.emplace(entries_.front().key, entries_.begin());
  counters_.bytes += bytes;
  ++counters_.entries;
}

}  // namespace binocle
