#include "service/http/json_body.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "service/http/json_scan.h"

namespace binocle::http {
namespace {

constexpr size_t kMaxMembers = 1000;    // ordered_json looks members up one by one
constexpr size_t kMaxNameBytes = 1024;  // and compares all of their bytes
constexpr size_t kMaxShown = 60;

[[noreturn]] void FailBody(const std::string& message) {
  throw Error(Code::kInvalidArgument, "the body " + message);
}

// Builds the value and looks at every name on its way: of two the library would keep the last. As a callback of its parser this would be
// quadratic in the objects of a list.
class CheckingBuilder final : public nlohmann::json_sax<Json> {
 public:
  Json Take() && { return std::move(root_); }

  bool null() override { return Put(nullptr); }
  bool boolean(bool value) override { return Put(value); }
  bool number_integer(int64_t value) override { return Put(value); }
  bool number_unsigned(uint64_t value) override { return Put(value); }
  bool number_float(double value, const std::string&) override { return Put(value); }
  bool string(std::string& value) override { return Put(std::move(value)); }
  bool binary(Json::binary_t&) override { return false; }  // not in texts
  bool start_object(size_t) override { return Open(Json::object()); }
  bool start_array(size_t) override { return Open(Json::array()); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }
  bool key(std::string& name) override {
    std::set<std::string>& names = open_.back().names;
    if (name.size() > kMaxNameBytes)
      FailBody("has a member whose name is longer than " + std::to_string(kMaxNameBytes) +
               " bytes");
    if (names.contains(name)) FailBody("has the member " + Describe(name) + " twice");
    if (names.size() >= kMaxMembers)
      FailBody("has an object of more than " + std::to_string(kMaxMembers) + " members");
    names.insert(name);
    member_ = &(*open_.back().value)[name];
    return true;
  }
  // In our words: the library's have its own numbers, and end with what it last read.
  bool parse_error(size_t byte, const std::string&, const nlohmann::detail::exception& e) override {
    constexpr int kNumberOverflows = 406;
    const std::string at = std::to_string(byte);
    if (e.id == kNumberOverflows)
      FailBody("is not valid JSON: at byte " + at + " ends a number that is too large");
    FailBody("is not valid JSON: at byte " + at + " is what JSON does not have there");
  }

 private:
  struct Container {
    Json* value;
    std::set<std::string> names;  // of an object
  };

  Json* Place(Json value) {
    if (open_.empty()) return &(root_ = std::move(value));
    if (Json& top = *open_.back().value; top.is_array()) {
      top.push_back(std::move(value));
      return &top.back();
    }
    return &(*member_ = std::move(value));
  }
  bool Put(Json value) { return Place(std::move(value)) != nullptr; }
  bool Open(Json value) {
    open_.push_back({Place(std::move(value)), {}});
    return true;
  }
  bool Close() {
    open_.pop_back();
    return true;
  }

  Json root_;
  std::vector<Container>
      open_;  // outermost first; a container does not move while one within it is open
  Json* member_ = nullptr;  // of the innermost object, where the next value goes
};

}  // namespace

Json ParseBody(std::string text) {
  ScanJson(text);
  CheckingBuilder builder;
  Json::sax_parse(text, &builder);
  Json json = std::move(builder).Take();
  if (!json.is_object()) FailBody("is " + Describe(json) + ", expected a JSON object");
  return json;
}

std::string Line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string Describe(const Json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list of " + std::to_string(value.size());
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (text.size() <= kMaxShown) return Line(value);
    return Line(Json(text.substr(0, kMaxShown))) + "…";
  }
  return Line(value);
}

void FailAt(const std::string& place, const Json& value, const std::string& expected) {
  throw Error(Code::kInvalidArgument, place + " is " + Describe(value) + ", expected " + expected,
              place);
}

void RefuseAt(const std::string& place, const std::string& rest) {
  throw Error(Code::kUnimplemented, place + " " + rest, place);
}

Fields::Fields(const Json& object, std::string where) : object_(&object), where_(std::move(where)) {
  if (!object.is_object()) FailAt(where_, object, "an object");
}

std::string Fields::Place(std::string_view key) const {
  return where_.empty() ? std::string(key) : where_ + "." + std::string(key);
}

const Json* Fields::Find(std::string_view key) const {
  const auto it = object_->find(std::string(key));
  return it == object_->end() || it->is_null() ? nullptr : &*it;
}

void Fields::Fail(std::string_view key, const std::string& expected) const {
  const Json* value = Find(key);
  if (value != nullptr) FailAt(Place(key), *value, expected);
  throw Error(Code::kInvalidArgument, Place(key) + " is missing, expected " + expected, Place(key));
}

std::optional<std::string> Fields::Text(std::string_view key) const {
  const Json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) Fail(key, "a string");
  return value->get<std::string>();
}

std::string Fields::RequiredText(std::string_view key) const {
  auto text = Text(key);
  if (!text) Fail(key, "a string");
  return *std::move(text);
}

std::optional<int64_t> Fields::Integer(std::string_view key) const {
  const Json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_number_unsigned() && value->get<uint64_t>() > uint64_t{INT64_MAX})
    Fail(key, "an integer of 63 bits");
  if (value->is_number_integer()) return value->get<int64_t>();
  constexpr double kExact = 9007199254740992;  // 2^53
  const double number = value->is_number() ? value->get<double>() : NAN;
  if (!(std::abs(number) <= kExact) || std::floor(number) != number) Fail(key, "an integer");
  return static_cast<int64_t>(number);
}

void Fields::Integer(std::string_view key, int64_t& out) const {
  if (const auto value = Integer(key)) out = *value;
}

void Fields::Number(std::string_view key, double& out) const {
  const Json* value = Find(key);
  if (value == nullptr) return;
  if (!value->is_number()) Fail(key, "a number");
  out = value->get<double>();
}

void Fields::Boolean(std::string_view key, bool& out) const {
  const Json* value = Find(key);
  if (value == nullptr) return;
  if (!value->is_boolean()) Fail(key, "true or false");
  out = value->get<bool>();
}

std::optional<std::vector<std::string>> Fields::Texts(std::string_view key, Single single) const {
  const std::string expected =
      single == Single::kAllowed ? "a string or a list of strings" : "a list of strings";
  const Json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (single == Single::kAllowed && value->is_string())
    return std::vector<std::string>{value->get<std::string>()};
  if (!value->is_array()) Fail(key, expected);
  std::vector<std::string> texts;
  for (const Json& item : *value) {
    if (!item.is_string())
      FailAt(Place(key) + "[" + std::to_string(texts.size()) + "]", item, "a string");
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

std::optional<std::vector<int64_t>> Fields::Integers(std::string_view key) const {
  const Json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_array()) Fail(key, "a list of integers");
  std::vector<int64_t> integers;
  for (const Json& item : *value) {
    const bool fits = item.is_number_integer() &&
                      !(item.is_number_unsigned() && item.get<uint64_t>() > uint64_t{INT64_MAX});
    if (!fits) FailAt(Place(key) + "[" + std::to_string(integers.size()) + "]", item, "an integer");
    integers.push_back(item.get<int64_t>());
  }
  return integers;
}

std::optional<Fields> Fields::Object(std::string_view key) const {
  const Json* value = Find(key);
  if (value == nullptr) return std::nullopt;
  return Fields(*value, Place(key));
}

void Fields::OnlyKeys(std::initializer_list<std::string_view> keys) const {
  for (const auto& [key, value] : object_->items()) {
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
    std::string known;
    for (const std::string_view k : keys) known += (known.empty() ? "" : ", ") + std::string(k);
    const std::string place = Place(key.size() <= kMaxShown ? key : key.substr(0, kMaxShown));
    throw Error(Code::kInvalidArgument, place + " is unknown, expected some of " + known, place);
  }
}

}  // namespace binocle::http
