#include "cli/line_file.h"

#include <filesystem>
#include <iostream>

#include "binocle/error.h"

namespace binocle::cli {
namespace {

constexpr size_t kMaxLineBytes = size_t{64} << 20;

}  // namespace

LineFile::LineFile(const std::string& path)
    : name_(path == "-" ? "standard input" : path), in_(path == "-" ? std::cin : file_) {
  if (path == "-") return;
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    throw Error(Code::kInvalidArgument, path + ": is a directory, expected a JSONL file");
  file_.open(path, std::ios::binary);
  if (!file_)
    throw Error(std::filesystem::exists(path, ignored) ? Code::kPermissionDenied : Code::kNotFound,
                path + ": cannot open");
}

std::optional<NumberedLine> LineFile::Next() {
  std::string text;
  bool blank = true;
  bool begun = false;
  bool too_long = false;
  char c = 0;
  while (in_.get(c)) {
    begun = true;
    if (c != '\n') {
      blank = blank && (c == ' ' || c == '\t' || c == '\r');
      too_long = too_long || text.size() >= kMaxLineBytes;
      if (!too_long) text += c;
      continue;
    }
    ++number_;
    if (!blank) break;
    text.clear();
    begun = false;
  }
  if (in_.bad()) throw Error(Code::kDataLoss, name_ + ": cannot be read on");
  if (in_.eof() && begun) ++number_;
  if (blank) return std::nullopt;
  if (too_long)
    throw Error(Code::kResourceExhausted,
                "is longer than " + std::to_string(kMaxLineBytes) + " bytes");
  return NumberedLine{.number = number_, .text = std::move(text)};
}

}  // namespace binocle::cli
