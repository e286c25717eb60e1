#include "service/http/chunk_framing.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "service/common/text.h"

namespace binocle::http {
namespace {

// A size with its extensions.
constexpr size_t kMaxLineBytes = 4096;
constexpr size_t kQuotedLineBytes = 40;

// "1f" or "1f ; name=value".
bool ParseSize(std::string_view line, uint64_t& size) {
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), size, 16);
  if (error != std::errc()) return false;
  const std::string_view rest = line.substr(static_cast<size_t>(end - line.data()));
  const size_t mark = rest.find_first_not_of(" \t");
  return mark == std::string_view::npos || rest[mark] == ';';
}

}  // namespace

bool ChunkFraming::Accept(std::string_view bytes) {
  while (!bytes.empty()) {
    if (part_ == Part::kData) {
      const size_t taken = static_cast<size_t>(std::min<uint64_t>(left_, bytes.size()));
      bytes.remove_prefix(taken);
      left_ -= taken;
      if (left_ == 0) part_ = Part::kDataEnd;
      continue;
    }
    line_ += bytes.front();
    bytes.remove_prefix(1);
    if (line_.ends_with('\n') ? !EndLine() : line_.size() > kMaxLineBytes) {
      return Fail(Text("a line between chunks has more than ", kMaxLineBytes, " bytes"));
    }
  }
  return true;
}

bool ChunkFraming::EndLine() {
  std::string line = std::exchange(line_, {});
  line.pop_back();
  const bool whole = line.ends_with('\r');
  if (whole) line.pop_back();
  switch (part_) {
    case Part::kSize:
      if (!whole || !ParseSize(line, left_))
        return Fail(Text("a chunk's size is \"", ValidUtf8(line, kQuotedLineBytes),
                         "\", expected hexadecimal digits"));
      part_ = left_ == 0 ? Part::kTrailer : Part::kData;
      return true;
    case Part::kDataEnd:
      if (!whole || !line.empty()) return Fail("a chunk does not end where its size says");
      part_ = Part::kSize;
      return true;
    case Part::kTrailer:
      if (line.empty()) return true;
      return Fail(Text("after the last chunk comes the line \"", ValidUtf8(line, kQuotedLineBytes),
                       "\", expected none: trailer fields are not supported"));
    case Part::kData: return true;
  }
  return true;
}

bool ChunkFraming::Fail(std::string fault) {
  if (fault_.empty()) fault_ = std::move(fault);
  return false;
}

}  // namespace binocle::http
