// Uploaded pictures, by their content.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace binocle {

struct ImageStoreOptions {
  int64_t budget_bytes =
      int64_t{512}
      << 20;  // 0 …: kept pictures, each 512 more than its file; the least recently used go first
  int64_t pending_bytes = int64_t{256} << 20;   // 0 …: uploads under way, all together
  int64_t max_image_bytes = int64_t{64} << 20;  // 1 …: one picture
};

struct ImageStoreCounters {
  int64_t entries = 0;
  int64_t bytes = 0;  // files, and 512 for each
  int64_t pending_bytes = 0;
  int64_t hits = 0;
  int64_t misses = 0;
  int64_t evictions = 0;
};

// From any thread. A picture that was found stays valid for whoever holds it, also after it had to go.
class ImageStore {
 public:
  // Shared by the store and the requests that use the picture.
  using Bytes = std::shared_ptr<const std::string>;

  explicit ImageStore(const ImageStoreOptions& options) : options_(options) {}
  ImageStore(const ImageStore&) = delete;
  ImageStore& operator=(const ImageStore&) = delete;

  // Keeps a picture and returns its id. INVALID_ARGUMENT for one without bytes or above max_image_bytes, RESOURCE_EXHAUSTED for one that is
  // larger than the budget.
  std::string Put(std::string bytes);
  // Null when there is no such picture.
  Bytes Find(const std::string& id);

  ImageStoreCounters counters() const;
  const ImageStoreOptions& options() const { return options_; }

 private:
  friend class ImageUpload;
  struct Entry {
    std::string id;
    Bytes bytes;
  };

  // Room for an upload's next bytes. RESOURCE_EXHAUSTED when there is none.
  void Reserve(int64_t bytes);
  void Release(int64_t bytes);

  const ImageStoreOptions options_;
  mutable std::mutex mutex_;  // guards what follows
  std::list<Entry> by_use_;   // the most recently used first
  std::unordered_map<std::string, std::list<Entry>::iterator> by_id_;
  ImageStoreCounters counters_;
};

// A picture that arrives in pieces. One thread at a time.
class ImageUpload {
 public:
  explicit ImageUpload(ImageStore& store) : store_(store) {}
  ~ImageUpload() { store_.Release(reserved_); }
  ImageUpload(const ImageUpload&) = delete;
  ImageUpload& operator=(const ImageUpload&) = delete;

  // What the sender says will come. INVALID_ARGUMENT for bytes or an id that cannot be, or after the first bytes.
  void Expect(int64_t bytes);
  void ExpectId(std::string id);
  // INVALID_ARGUMENT as soon as the picture is too large or larger than expected, RESOURCE_EXHAUSTED when all uploads together are.
  void Append(std::string_view chunk);
  // Puts the picture into the store and returns its id. INVALID_ARGUMENT when bytes are missing, DATA_LOSS when the id is another, and what
  // `check` throws of the bytes.
  std::string Finish(const std::function<void(std::string_view bytes)>& check = {});

  int64_t bytes() const { return static_cast<int64_t>(bytes_.size()); }

 private:
  ImageStore& store_;
  std::string bytes_;
  int64_t reserved_ = 0;
  int64_t expected_bytes_ = 0;  // 0: not known
  std::string expected_id_;     // empty: not known
};

}  // namespace binocle
