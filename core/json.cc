#include "core/json.h"

#include <algorithm>
#include <cmath>

#include "core/json_fault.h"
#include "core/mapped_file.h"

namespace binocle {
namespace {

constexpr size_t kMaxFileBytes = size_t{64} << 20;
constexpr int kMaxDepth = 64;

// nlohmann's parser keeps nested values on the heap but destroys them recursively, so depth is bounded before it sees the text.
void CheckDepth(std::string_view text, const std::string& where) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth)
        ThrowInvalid(where, ": JSON is nested deeper than ", kMaxDepth, " levels");
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
}

std::string Brief(const Json& value) {
  return Printable(value.dump(-1, ' ', false, Json::error_handler_t::replace), 60);
}

template <typename Value>
Value Parse(std::string_view text, const std::string& where) {
  CheckDepth(text, where);
  // The parser takes it for the end.
  if (text.find('\0') != std::string_view::npos)
    ThrowInvalid(where, ": not valid JSON: has a NUL byte");
  try {
    return Value::parse(text);
  } catch (const Json::exception& e) {
    ThrowInvalid(where, ": not valid JSON: ", JsonFault(e, text.size()));
  }
}

}  // namespace

Json ParseJson(std::string_view text, const std::string& where) { return Parse<Json>(text, where); }

OrderedJson ParseOrderedJson(std::string_view text, const std::string& where) {
  return Parse<OrderedJson>(text, where);
}

Json ReadJsonFile(const std::filesystem::path& path) {
  Json json = ParseJson(ReadFile(path, kMaxFileBytes), path.string());
  if (!json.is_object())
    ThrowInvalid(path.string(), ": is a JSON ", json.type_name(), ", expected an object");
  return json;
}

JsonObject::JsonObject(const Json& object, std::string where)
    : object_(&object), where_(std::move(where)) {
  if (!object.is_object())
    ThrowInvalid(where_, ": is a JSON ", object.type_name(), ", expected an object");
}

const Json* JsonObject::Find(std::string_view key) const {
  const auto it = object_->find(key);
  return it == object_->end() || it->is_null() ? nullptr : &*it;
}

bool JsonObject::Has(std::string_view key) const { return Find(key) != nullptr; }

void JsonObject::Fail(std::string_view key, const std::string& expected) const {
  const Json* value = Find(key);
  ThrowInvalid(where_, ": ", key, " is ", value ? Brief(*value) : "missing", ", expected ",
               expected);
}

int64_t JsonObject::Int(std::string_view key, int64_t low, int64_t high) const {
  const Json* value = Find(key);
  const std::string expected =
      "an integer from " + std::to_string(low) + " to " + std::to_string(high);
  if (value == nullptr || !value->is_number()) Fail(key, expected);
  const double number = value->get<double>();
  if (std::floor(number) != number || number < static_cast<double>(low) ||
      number > static_cast<double>(high))
    Fail(key, expected);
  return static_cast<int64_t>(number);
}

int64_t JsonObject::IntOr(std::string_view key, int64_t fallback, int64_t low, int64_t high) const {
  return Has(key) ? Int(key, low, high) : fallback;
}

double JsonObject::Number(std::string_view key, double low, double high) const {
  const Json* value = Find(key);
  const double number = value != nullptr && value->is_number() ? value->get<double>() : NAN;
  if (!(number >= low && number <= high))
    Fail(key, internal::Concat("a number from ", low, " to ", high));
  return number;
}

double JsonObject::NumberOr(std::string_view key, double fallback, double low, double high) const {
  return Has(key) ? Number(key, low, high) : fallback;
}

bool JsonObject::BoolOr(std::string_view key, bool fallback) const {
  const Json* value = Find(key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) Fail(key, "true or false");
  return value->get<bool>();
}

std::string JsonObject::String(std::string_view key) const {
  const Json* value = Find(key);
  if (value == nullptr || !value->is_string()) Fail(key, "a string");
  return value->get<std::string>();
}

std::string JsonObject::StringOr(std::string_view key, std::string fallback) const {
  return Has(key) ? String(key) : std::move(fallback);
}

std::string JsonObject::Choice(std::string_view key, std::optional<std::string> fallback,
                               std::initializer_list<std::string_view> choices) const {
  if (!Has(key) && fallback) return *fallback;
  std::string expected;
  for (const auto choice : choices)
    expected += internal::Concat(expected.empty() ? "" : ", ", choice);
  const Json* value = Find(key);
  if (value == nullptr || !value->is_string()) Fail(key, "one of " + expected);
  const auto found = value->get<std::string>();
  if (std::find(choices.begin(), choices.end(), found) == choices.end())
    Fail(key, "one of " + expected);
  return found;
}

JsonObject JsonObject::Object(std::string_view key) const {
  const Json* value = Find(key);
  if (value == nullptr || !value->is_object()) Fail(key, "an object");
  return JsonObject(*value, internal::Concat(where_, ": ", key));
}

std::vector<double> JsonObject::Numbers(std::string_view key) const {
  const Json* value = Find(key);
  if (value == nullptr || !value->is_array()) Fail(key, "a list of numbers");
  std::vector<double> numbers;
  for (const Json& item : *value) {
    if (!item.is_number()) Fail(key, "a list of numbers");
    numbers.push_back(item.get<double>());
  }
  return numbers;
}

void JsonObject::OnlyKeys(std::initializer_list<std::string_view> keys) const {
  for (const auto& [key, value] : object_->items()) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end())
      ThrowInvalid(where_, ": unknown key ", Printable(key, 60));
  }
}

}  // namespace binocle
