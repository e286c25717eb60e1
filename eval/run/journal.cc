#include "eval/run/journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "eval/run/sha256.h"
#include "eval/run/whole_file.h"

namespace binocle::eval {
namespace {

constexpr std::string_view kSeal = ",\"seal\":\"";
constexpr size_t kSealDigits = 16;
constexpr size_t kSealBytes = kSeal.size() + kSealDigits + 2;  // and "}
constexpr size_t kMaxDifferences = 5;

[[noreturn]] void ThrowErrno(const std::filesystem::path& path, const char* what) {
  ThrowFileError(errno, path, what);
}

// The name of a new file is on the disk only with its folder.
void SyncFolder(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.parent_path();
  const int fd = open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

// Whether a line goes on behind a seal: a whole one was there, and what ended it is damaged.
bool HoldsWholeLine(std::string_view line) {
  const size_t seal = line.find(kSeal);
  return seal != std::string_view::npos && seal + kSealBytes < line.size();
}

std::string Shown(const Json& value) {
  return Printable(value.dump(-1, ' ', false, Json::error_handler_t::replace), 60);
}

void Compare(const Json& found, const Json& wanted, const std::string& where,
             std::vector<std::string>& differences) {
  if (found == wanted || differences.size() > kMaxDifferences) return;
  const std::string name = where.empty() ? "the run" : where;
  if (found.is_object() && wanted.is_object()) {
    Json keys = found;
    keys.update(wanted);
    for (const auto& [key, ignored] : keys.items()) {
      const std::string inner = where.empty() ? key : where + "." + key;
      if (!found.contains(key)) {
        differences.push_back(inner + " is missing, expected " + Shown(wanted[key]));
      } else if (!wanted.contains(key)) {
        differences.push_back(inner + " is " + Shown(found[key]) + ", expected none");
      } else {
        Compare(found[key], wanted[key], inner, differences);
      }
    }
  } else if (found.is_array() && wanted.is_array() && found.size() == wanted.size()) {
    for (size_t i = 0; i < found.size(); ++i)
      Compare(found[i], wanted[i], name + "[" + std::to_string(i) + "]", differences);
  } else {
    differences.push_back(name + " is " + Shown(found) + ", expected " + Shown(wanted));
  }
}

}  // namespace

std::string DumpLine(const OrderedJson& object) {
  return object.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

std::string Sealed(const OrderedJson& object) {
  std::string line = DumpLine(object);
  line.pop_back();
  const std::string seal = Sha256Of(line).substr(0, kSealDigits);
  return line.append(kSeal).append(seal).append("\"}");
}

bool IsSealed(std::string_view line) {
  if (line.size() < kSealBytes) return false;
  const std::string_view text = line.substr(0, line.size() - kSealBytes);
  std::string_view end = line.substr(text.size());
  if (!end.starts_with(kSeal) || !end.ends_with("\"}")) return false;
  return end.substr(kSeal.size(), kSealDigits) == Sha256Of(text).substr(0, kSealDigits);
}

JournalFile::JournalFile(const std::filesystem::path& path)
    : file_(std::make_unique<MappedFile>(path)) {
  std::string_view rest = file_->bytes();
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    const bool last = end + 1 >= rest.size();
    if (end < rest.size() && IsSealed(line)) {
      lines_.push_back(line);
      whole_bytes_ += end + 1;
      rest.remove_prefix(end + 1);
    } else if (last && !HoldsWholeLine(line)) {
      return;  // torn, or its length was on the disk before its bytes
    } else {
      Throw(Code::kDataLoss, Place(lines_.size()),
            " is damaged: its seal is not that of its text; bring the file back, or begin anew");
    }
  }
}

Json JournalFile::Parse(size_t index) const {
  try {
    return ParseJson(lines_[index], Place(index));
  } catch (const Error& error) {
    throw Error(Code::kDataLoss, error.message());
  }
}

std::string JournalFile::Place(size_t index) const {
  return file_->path() + ": line " + std::to_string(index + 1);
}

Journal::Journal(const std::filesystem::path& path) : path_(path) {
  fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd_ < 0) ThrowErrno(path, "cannot be opened");
  // A file system without locks says something else, and is believed.
  if (flock(fd_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    close(fd_);
    Throw(Code::kResourceExhausted, path.string(),
          ": another process writes it, expected one run at a time");
  }
  size_ = lseek(fd_, 0, SEEK_END);
  SyncFolder(path);
}

Journal::~Journal() { close(fd_); }

void Journal::Cut(size_t bytes) {
  if (ftruncate(fd_, static_cast<off_t>(bytes)) != 0 || fsync(fd_) != 0)
    ThrowErrno(path_, "cannot be cut");
  size_ = static_cast<int64_t>(bytes);
}

void Journal::Append(const OrderedJson& object, Sync sync) {
  const std::string line = Sealed(object) + '\n';
  if (failed_)
    Throw(Code::kFailedPrecondition, path_.string(), ": an earlier line could not be written");
  if (!WriteAll(fd_, line) || (sync == Sync::kNow && fdatasync(fd_) != 0)) {
    const int error = errno;
    failed_ = true;
    // Half a line would be damage in the middle if anything came behind it.
    if (ftruncate(fd_, size_) != 0) errno = 0;
    errno = error;
    ThrowErrno(path_, "cannot be written");
  }
  size_ += static_cast<int64_t>(line.size());
}

std::string DifferenceOf(const Json& found, const Json& wanted) {
  std::vector<std::string> differences;
  Compare(found, wanted, "", differences);
  std::string text;
  for (size_t i = 0; i < differences.size() && i < kMaxDifferences; ++i)
    text += (text.empty() ? "" : "; ") + differences[i];
  if (differences.size() > kMaxDifferences) text += "; and more";
  return text;
}

}  // namespace binocle::eval
