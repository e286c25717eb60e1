// Texts with places for the fields of a sample: prompts, and the paths of pictures.
//
//   {question}                   the field
//   {question|capitalize}        its first character in upper case (ASCII), the others in lower case
//   {question|strip}             without blanks around
//   {image_id:012}               filled up with zeros on the left to 12 characters
//   [[Context: {hint}<newline>]] left out where a field in it is empty
//   {{ and }}                    { and }
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace binocle::eval {

class Template {
 public:
  Template() = default;
  // Throws INVALID_ARGUMENT, with the place in the text.
  explicit Template(std::string_view text);

  // As it was given.
  const std::string& text() const { return text_; }
  // The fields that it asks for, each once.
  const std::vector<std::string>& names() const { return names_; }
  std::string Render(const std::function<std::string(const std::string& name)>& field) const;

 private:
  enum class Filter { kNone, kCapitalize, kStrip };
  struct Piece {
    std::string text;  // before the field
    std::string name;  // empty: no field
    Filter filter = Filter::kNone;
    size_t width = 0;
    int group = 0;  // 0: in none
  };

  void AddField(std::string_view spec, size_t at);

  std::string text_;
  std::vector<Piece> pieces_;
  std::vector<std::string> names_;
};

}  // namespace binocle::eval
