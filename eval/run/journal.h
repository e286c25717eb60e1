// The journal of a run: what was asked, and every answer, a JSON object a line.
//
//   {"run": {…}, "shard": {…}, "seal": "1c29c1dd06cd9e8e"}                   the first line: whose journal it is
//   {"task": 0, "doc_id": 17, …, "prediction": "red", "seal": "…"}           one sample
//
// A line's seal is the first 16 digits of the SHA-256 of the line up to `,"seal"`. Lines are appended, each on the disk before Append
// returns, so that a process that is killed leaves at most one that is torn: the last. Opening cuts it off. Anything else that is wrong
// is DATA_LOSS.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/mapped_file.h"

namespace binocle::eval {

// The object in one line, whatever bytes its texts hold.
std::string DumpLine(const OrderedJson& object);
// `object` with its seal, without a line's end. It has no member "seal" and is not empty.
std::string Sealed(const OrderedJson& object);
// Whether the seal of a line without its end is right.
bool IsSealed(std::string_view line);

// A journal as it is on the disk. Lines stay where they are: what is kept of each is its place.
class JournalFile {
 public:
  // Throws NOT_FOUND, and DATA_LOSS for a line that is not the last and whose seal is wrong.
  explicit JournalFile(const std::filesystem::path& path);

  const std::string& path() const { return file_->path(); }
  // Whole lines, the first one included.
  size_t lines() const { return lines_.size(); }
  std::string_view line(size_t index) const { return lines_[index]; }
  // Throws DATA_LOSS, with the line's number, for what is no JSON.
  Json Parse(size_t index) const;
  // Bytes of whole lines; behind them is what is torn.
  size_t whole_bytes() const { return whole_bytes_; }
  bool is_torn() const { return whole_bytes_ < file_->size(); }
  // "FILE: line 3"
  std::string Place(size_t index) const;

 private:
  std::unique_ptr<MappedFile> file_;
  std::vector<std::string_view> lines_;
  size_t whole_bytes_ = 0;
};

// Whether a line is on the disk when Append returns, or with a later one.
enum class Sync : bool { kNow, kLater };

// A journal that is written. One process at a time: the file is locked.
class Journal {
 public:
  // Opens or makes the file. Throws RESOURCE_EXHAUSTED where another process has it, and what the system says.
  explicit Journal(const std::filesystem::path& path);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // What is in the file now.
  JournalFile Read() const { return JournalFile(path_); }
  // Cuts off everything behind the first `bytes` bytes.
  void Cut(size_t bytes);
  // Seals and appends. After a failure the file is as it was, if the system lets it, and nothing is appended any more. One thread at a
  // time.
  void Append(const OrderedJson& object, Sync sync = Sync::kNow);

 private:
  std::filesystem::path path_;
  int fd_ = -1;
  int64_t size_ = 0;
  bool failed_ = false;
};

// How `found` differs from `wanted`, the first few places: "tasks[0].version is 2, expected 1"; empty where it does not.
std::string DifferenceOf(const Json& found, const Json& wanted);

}  // namespace binocle::eval
