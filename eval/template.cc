#include "eval/template.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/error.h"
#include "eval/text.h"

namespace binocle::eval {
namespace {

constexpr size_t kMaxWidth = 64;

[[noreturn]] void Fail(size_t at, std::string_view found, const char* expected) {
  ThrowInvalid("character ", at + 1, " is ", Printable(found, 20), ", expected ", expected);
}

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == '-' || c == ' ';
}

std::string Capitalized(const std::string& text) {
  std::string lower = ToUtf8(Lower(FromUtf8(text)));
  if (!lower.empty() && lower[0] >= 'a' && lower[0] <= 'z')
    lower[0] = static_cast<char>(lower[0] - 'a' + 'A');
  return lower;
}

}  // namespace

Template::Template(std::string_view text) : text_(text) {
  Piece next;
  int groups = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const std::string_view two = text.substr(i, 2);
    const char c = text[i];
    if (two == "{{" || two == "}}") {
      next.text += c;
      ++i;
    } else if (two == "[[" || two == "]]") {
      if ((two == "[[") == (next.group != 0)) Fail(i, two, "[[ and ]] in turn");
      const int group = two == "[[" ? ++groups : 0;
      pieces_.push_back(next);
      next = Piece{.group = group};
      ++i;
    } else if (c == '{') {
      const size_t end = text.find('}', i);
      if (end == std::string_view::npos) Fail(i, "{", "a } after it, or {{ for the character");
      pieces_.push_back(next);
      AddField(text.substr(i + 1, end - i - 1), i);
      next = Piece{.group = next.group};
      i = end;
    } else if (c == '}') {
      Fail(i, "}", "}} for the character");
    } else {
      next.text += c;
    }
  }
  if (next.group != 0) Fail(text.size(), "the end", "]] before it");
  pieces_.push_back(next);
}

// The field of the last piece.
void Template::AddField(std::string_view spec, size_t at) {
  Piece& piece = pieces_.back();
  const size_t mark = std::min(spec.find_first_of("|:"), spec.size());
  piece.name = spec.substr(0, mark);
  if (piece.name.empty() || !std::all_of(piece.name.begin(), piece.name.end(), IsNameCharacter))
    Fail(at, "{" + std::string(spec) + "}", "a field's name in braces");
  if (std::find(names_.begin(), names_.end(), piece.name) == names_.end())
    names_.push_back(piece.name);
  if (mark == spec.size()) return;
  const std::string_view rest = spec.substr(mark + 1);
  if (spec[mark] == '|') {
    if (rest != "capitalize" && rest != "strip")
      Fail(at, "{" + std::string(spec) + "}", "|capitalize or |strip");
    piece.filter = rest == "strip" ? Filter::kStrip : Filter::kCapitalize;
    return;
  }
  const bool is_width = rest.size() >= 2 && rest.size() <= 3 && rest[0] == '0' &&
                        rest.find_first_not_of("0123456789") == std::string_view::npos;
  if (is_width) piece.width = static_cast<size_t>(std::stoi(std::string(rest)));
  if (!is_width || piece.width == 0 || piece.width > kMaxWidth)
    Fail(at, "{" + std::string(spec) + "}", "a width of 1 to 64 with a zero in front, as in :012");
}

std::string Template::Render(
    const std::function<std::string(const std::string& name)>& field) const {
  std::map<std::string, std::string> values;
  for (const std::string& name : names_) values[name] = field(name);
  std::set<int> hidden;
  for (const Piece& piece : pieces_) {
    if (piece.group != 0 && !piece.name.empty() && values[piece.name].empty())
      hidden.insert(piece.group);
  }
  std::string out;
  for (const Piece& piece : pieces_) {
    if (hidden.contains(piece.group)) continue;
    out += piece.text;
    if (piece.name.empty()) continue;
    std::string value = values[piece.name];
    if (piece.filter == Filter::kCapitalize) value = Capitalized(value);
    if (piece.filter == Filter::kStrip) value = ToUtf8(Strip(FromUtf8(value)));
    if (value.size() < piece.width) value.insert(0, piece.width - value.size(), '0');
    out += value;
  }
  return out;
}

}  // namespace binocle::eval
