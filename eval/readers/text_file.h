// A text file as readers see it: mapped, so that its length costs no memory, and cut into lines.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/mapped_file.h"

namespace binocle::eval {

class TextFile {
 public:
  // `name` is what messages call the file. Throws like MappedFile, and INVALID_ARGUMENT for UTF-16 and UTF-32, which begin with marks of
  // their own.
  TextFile(const std::filesystem::path& path, std::string name);

  const std::string& name() const { return name_; }
  // Without a byte order mark.
  std::string_view text() const { return text_; }
  // "NAME:LINE"
  std::string Place(int64_t line) const { return name_ + ":" + std::to_string(line); }

 private:
  MappedFile file_;
  std::string name_;
  std::string_view text_;
};

// Lines end with LF or CR LF; the last one may end with the text.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}

  // False at the end. The line comes without its end.
  bool Next(std::string_view& line);
  // Of the line that came last, from 1 on.
  int64_t number() const { return number_; }

 private:
  std::string_view rest_;
  int64_t number_ = 0;
};

}  // namespace binocle::eval
