#include "eval/readers/values.h"

#include <array>
#include <cstdint>

#include "core/error.h"
#include "eval/readers/python_list.h"

namespace binocle::eval {
namespace {

[[noreturn]] void Fail(std::string_view column, const Json& found, const char* expected) {
  ThrowInvalid(column, " is ",
               Printable(found.dump(-1, ' ', false, Json::error_handler_t::replace), 60),
               ", expected ", expected);
}

std::vector<std::string> TextsOfText(const std::string& text, std::string_view column) {
  if (!text.starts_with('[') || !text.ends_with(']')) return {text};
  const Json list = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (list.is_array()) {
    std::vector<std::string> items;
    for (const Json& item : list) items.push_back(TextOf(item, column));
    return items;
  }
  if (auto items = PythonList(text)) return *items;
  return {text};
}

constexpr std::array<int8_t, 256> Base64Values() {
  std::array<int8_t, 256> values{};
  for (auto& value : values) value = -1;
  const std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < digits.size(); ++i)
    values[static_cast<unsigned char>(digits[i])] = static_cast<int8_t>(i);
  return values;
}

}  // namespace

const Json* FindColumn(const Json& fields, std::string_view column) {
  if (!fields.is_object()) return nullptr;
  if (const auto value = fields.find(column); value != fields.end()) return &*value;
  const size_t dot = column.find('.');
  if (dot == std::string_view::npos) return nullptr;
  const auto outer = fields.find(column.substr(0, dot));
  return outer == fields.end() ? nullptr : FindColumn(*outer, column.substr(dot + 1));
}

std::string TextOf(const Json& value, std::string_view column) {
  if (value.is_null()) return "";
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number() || value.is_boolean()) return value.dump();
  Fail(column, value, "a text or a number");
}

std::vector<std::string> TextsOf(const Json& value, std::string_view column) {
  if (value.is_string()) return TextsOfText(value.get_ref<const std::string&>(), column);
  if (value.is_number()) return {value.dump()};
  if (!value.is_array()) Fail(column, value, "a text or a list of texts");
  std::vector<std::string> texts;
  for (const Json& item : value) {
    const Json* text = item.is_object() ? FindColumn(item, "answer") : &item;
    if (text == nullptr || text->is_null()) Fail(column, value, "a list of texts");
    texts.push_back(TextOf(*text, column));
  }
  return texts;
}

std::string DecodeBase64(std::string_view text) {
  static constexpr std::array<int8_t, 256> kValues = Base64Values();
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  uint32_t bits = 0;
  int count = 0;  // of bits that no byte has yet
  bool ended = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t') continue;
    if (c == '=') {
      ended = true;
      continue;
    }
    const int8_t value = kValues[static_cast<unsigned char>(c)];
    if (value < 0 || ended)
      ThrowInvalid("is no base64: ", Printable(text.substr(i, 1)), " at character ", i + 1);
    bits = (bits << 6) | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes += static_cast<char>((bits >> count) & 0xFF);
    }
  }
  if (count == 6) ThrowInvalid("is no base64: its last character is half a byte");
  return bytes;
}

}  // namespace binocle::eval
