#include "service/grpc/image_store.h"

#include <utility>

#include "binocle/busy_error.h"
#include "binocle/error.h"
#include "service/common/sha256.h"
#include "service/common/text.h"

namespace binocle {
namespace {

// About a field of UploadImageRequest, with which the message begins.
[[noreturn]] void ThrowAbout(const char* field, const std::string& rest) {
  throw Error(Code::kInvalidArgument, Text(field, rest), field);
}

// What keeping a picture takes beside its file: ids, nodes, counts.
constexpr int64_t kEntryBytes = 512;

int64_t KeptBytes(const std::string& file) { return std::ssize(file) + kEntryBytes; }

constexpr const char* kChunk = "chunk";
constexpr const char* kBytes = "metadata.bytes";
constexpr const char* kId = "metadata.id";

}  // namespace

std::string ImageStore::Put(std::string bytes) {
  const auto size = static_cast<int64_t>(bytes.size());
  if (size == 0) ThrowAbout(kChunk, ": no bytes came");
  if (size > options_.max_image_bytes)
    ThrowAbout(kChunk, Text(": ", size, " bytes, expected at most ", options_.max_image_bytes));
  if (size > options_.budget_bytes) {
    throw Error(Code::kResourceExhausted,
                Text(kChunk, ": ", size, " bytes, the server keeps ", options_.budget_bytes,
                     " of all pictures"),
                kChunk);
  }
  const std::string id = Sha256Hex(bytes);
  Bytes kept = std::make_shared<const std::string>(std::move(bytes));
  std::list<Entry> gone;  // freed after the lock
  const std::lock_guard lock(mutex_);
  if (const auto found = by_id_.find(id); found != by_id_.end()) {
    by_use_.splice(by_use_.begin(), by_use_, found->second);
    return id;
  }
  // One alone may pass the budget by what it takes beside its file.
  while (!by_use_.empty() && counters_.bytes + KeptBytes(*kept) > options_.budget_bytes) {
    counters_.bytes -= KeptBytes(*by_use_.back().bytes);
    ++counters_.evictions;
    by_id_.erase(by_use_.back().id);
    gone.splice(gone.begin(), by_use_, std::prev(by_use_.end()));
  }
  counters_.bytes += KeptBytes(*kept);
  by_use_.push_front({.id = id, .bytes = std::move(kept)});
  by_id_[id] = by_use_.begin();
  return id;
}

ImageStore::Bytes ImageStore::Find(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) {
    ++counters_.misses;
    return nullptr;
  }
  ++counters_.hits;
  by_use_.splice(by_use_.begin(), by_use_, found->second);
  return found->second->bytes;
}

ImageStoreCounters ImageStore::counters() const {
  const std::lock_guard lock(mutex_);
  ImageStoreCounters counters = counters_;
  counters.entries = std::ssize(by_use_);
  return counters;
}

void ImageStore::Reserve(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (counters_.pending_bytes + bytes > options_.pending_bytes) {
    throw BusyError(Text("uploads under way hold ", counters_.pending_bytes,
                         " bytes, the limit is ", options_.pending_bytes));
  }
  counters_.pending_bytes += bytes;
}

void ImageStore::Release(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  counters_.pending_bytes -= bytes;
}

void ImageUpload::Expect(int64_t bytes) {
  const int64_t most = store_.options().max_image_bytes;
  if (bytes < 1 || bytes > most) ThrowAbout(kBytes, Text(" is ", bytes, ", expected 1 to ", most));
  expected_bytes_ = bytes;
}

void ImageUpload::ExpectId(std::string id) {
  if (!IsSha256Hex(id))
    ThrowAbout(kId, " is no SHA-256, expected 64 lower-case hexadecimal digits");
  expected_id_ = std::move(id);
}

void ImageUpload::Append(std::string_view chunk) {
  const auto size = static_cast<int64_t>(chunk.size());
  const int64_t all = bytes() + size;
  if (expected_bytes_ > 0 && all > expected_bytes_)
    ThrowAbout(kChunk, Text(": ", all, " bytes, metadata.bytes tells ", expected_bytes_));
  if (const int64_t most = store_.options().max_image_bytes; all > most)
    ThrowAbout(kChunk, Text(": ", all, " bytes, expected at most ", most));
  store_.Reserve(size);
  reserved_ += size;
  bytes_ += chunk;
}

std::string ImageUpload::Finish(const std::function<void(std::string_view bytes)>& check) {
  if (expected_bytes_ > 0 && bytes() != expected_bytes_)
    ThrowAbout(kChunk, Text(": ", bytes(), " bytes, metadata.bytes tells ", expected_bytes_));
  if (!expected_id_.empty() && Sha256Hex(bytes_) != expected_id_)
    throw Error(Code::kDataLoss, Text(kId, " is another SHA-256 than that of the bytes"), kId);
  if (check && !bytes_.empty()) check(bytes_);
  return store_.Put(std::move(bytes_));
}

}  // namespace binocle
