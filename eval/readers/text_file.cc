#include "eval/readers/text_file.h"

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace binocle::eval {

TextFile::TextFile(const std::filesystem::path& path, std::string name)
    : file_(path), name_(std::move(name)), text_(file_.bytes()) {
  // With a mark, or as the first character, which is ASCII in all of our formats, shows.
  const bool is_wide = text_.size() > 1 && (text_[0] == '\0') != (text_[1] == '\0');
  if (text_.starts_with("\xFF\xFE") || text_.starts_with("\xFE\xFF") || is_wide)
    ThrowInvalid(file_.path(), ": is UTF-16 or UTF-32, expected UTF-8");
  if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
}

bool Lines::Next(std::string_view& line) {
  if (rest_.empty()) return false;
  const size_t end = std::min(rest_.find('\n'), rest_.size());
  line = rest_.substr(0, end);
  rest_.remove_prefix(std::min(end + 1, rest_.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  ++number_;
  return true;
}

}  // namespace binocle::eval
