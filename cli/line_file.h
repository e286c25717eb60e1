// A file of lines, each of which may be a problem of its own: a line that is too long is reported, and the next one can still be read.
#pragma once

#include <cstdint>
#include <fstream>
#include <istream>
#include <optional>
#include <string>

namespace binocle::cli {

struct NumberedLine {
  int64_t number = 0;  // from 1
  std::string text;    // without its end
};

class LineFile {
 public:
  // "-": standard input. Throws NOT_FOUND, PERMISSION_DENIED, or INVALID_ARGUMENT for a directory.
  explicit LineFile(const std::string& path);

  // What errors call the file.
  const std::string& name() const { return name_; }
  // Of the line that was read last.
  int64_t number() const { return number_; }

  // The next line that is not blank; empty at the end. Throws RESOURCE_EXHAUSTED for a line of more than 64 MiB, which is then behind, and
  // DATA_LOSS where the file cannot be read on.
  std::optional<NumberedLine> Next();

 private:
  std::string name_;
  std::ifstream file_;
  std::istream& in_;
  int64_t number_ = 0;
};

}  // namespace binocle::cli
