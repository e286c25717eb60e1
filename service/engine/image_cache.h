// Pictures that have been through the towers, kept by what they are: the file's bytes, how it is turned, and the plan of layers and the
// sink dimensions that it is encoded for.
//
// Keys are the bytes themselves, so two pictures are never taken for each other. What is kept of a picture: its visual tokens; where
// all layers are composite its keys and values in every layer, un-rotated, with its sink scores; and how the leading tower looked at
// its patches. Least recently used pictures go when the budget is reached. From any
// thread.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "core/tensor.h"
#include "llm/image_kv.h"
#include "vision/token_sets.h"

namespace binocle {

struct EncodedImage {
  uint64_t serial = NextSerial();  // of no other picture, ever
  Tensor visual;                   // [n, D]; empty where kv serves instead
  std::optional<ImageKv> kv;       // for plans whose layers are all composite
  PatchAttention attention;        // of the leading tower

  int64_t bytes() const;

 private:
  static uint64_t NextSerial();  // from 1 on
};

// shared_ptr: the cache and the requests that are using a picture own it together, so evicting it does not pull it from under them.
using SharedImage = std::shared_ptr<const EncodedImage>;

struct ImageCacheCounters {
  int64_t hits = 0;
  int64_t misses = 0;
  int64_t evictions = 0;
  int64_t entries = 0;
  int64_t bytes = 0;  // of entries, keys included
};

class ImageCache {
 public:
  // budget 0: nothing is kept.
  explicit ImageCache(int64_t budget) : budget_(budget) {}

  // nullptr when it is not there or does not serve. Counts a hit or a miss, and makes a picture that serves the most recently used.
  SharedImage Find(const std::string& key, const std::function<bool(const EncodedImage&)>& serves);
  // The same of any that is there, without counting or making it more recent.
  SharedImage Peek(const std::string& key) const;
  // Keeps the picture, replacing one of the same key, and evicts others until the budget holds; a picture larger than the budget is
  // not kept.
  void Put(std::string key, SharedImage image);
  ImageCacheCounters counters() const;

 private:
  struct Entry {
    std::string key;
    SharedImage image;
    int64_t bytes = 0;
  };
  void Remove(std::list<Entry>::iterator entry);

  mutable std::mutex mutex_;
  int64_t budget_;
  std::list<Entry> entries_;  // most recently used first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> by_key_;
  ImageCacheCounters counters_;
};

}  // namespace binocle
