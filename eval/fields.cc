#include "eval/fields.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace binocle::eval {
namespace {

constexpr size_t kMaxDepth = 64;
constexpr size_t kMinOptions = 2;
constexpr size_t kMaxOptions = 26;

const char* kOptionsExpected = "a list of 2 to 26 texts, or texts under \"A\", \"B\" and so on";

std::string Found(const Json* value) {
  if (value == nullptr) return "missing";
  return Printable(value->dump(-1, ' ', false, Json::error_handler_t::replace), 60);
}

// Where a text stops being JSON, in our words: `byte` is the one that the parser took last, from 1 on.
std::string FaultAt(std::string_view text, size_t byte) {
  constexpr size_t kShown = 20;
  if (byte == 0 || byte > text.size()) return "it ends too early";
  const std::string_view read = text.substr(0, byte);
  const auto lines = std::count(read.begin(), read.end(), '\n');
  const std::string line = lines == 0 ? "" : "line " + std::to_string(lines + 1) + ", ";
  return internal::Concat(line, "byte ", byte, " is not expected there: ",
                          Printable(read.substr(byte > kShown ? byte - kShown : 0)));
}

// Builds the value and looks at depth and names on its way: of two with one name the library would keep the last. Its parser's callback
// sees them too and makes it quadratic: it looks through all elements of a list at the end of each.
class CheckingBuilder final : public nlohmann::json_sax<Json> {
 public:
  explicit CheckingBuilder(std::string_view line) : line_(line) {}
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
    if (!open_.back().names.insert(name).second) ThrowInvalid(name, " is given twice");
    member_ = &(*open_.back().value)[name];
    return true;
  }
  bool parse_error(size_t byte, const std::string&, const nlohmann::detail::exception& e) override {
    constexpr int kOutOfRange = 406;
    if (e.id == kOutOfRange) ThrowInvalid("not valid JSON: a number is too large");
    ThrowInvalid("not valid JSON: ", FaultAt(line_, byte));
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
    if (open_.size() == kMaxDepth)
      ThrowInvalid("JSON is nested deeper than ", kMaxDepth, " levels");
    open_.push_back({Place(std::move(value)), {}});
    return true;
  }
  bool Close() {
    open_.pop_back();
    return true;
  }

  std::string_view line_;
  Json root_;
  std::vector<Container>
      open_;  // outermost first; a container does not move while one within it is open
  Json* member_ = nullptr;  // of the innermost object, where the next value goes
};

bool AreTexts(const Json& list) {
  for (const Json& item : list) {
    if (!item.is_string()) return false;
  }
  return list.is_array();
}

}  // namespace

Json ParseAnswerLine(std::string_view line) {
  // The parser takes it for the end.
  if (line.find('\0') != std::string_view::npos) ThrowInvalid("not valid JSON: has a NUL byte");
  CheckingBuilder builder(line);
  Json::sax_parse(line, &builder);
  Json json = std::move(builder).Take();
  if (!json.is_object()) ThrowInvalid("is a JSON ", json.type_name(), ", expected an object");
  return json;
}

const Json* Fields::Find(std::string_view key) const {
  const auto value = line_.find(key);
  return value == line_.end() || value->is_null() ? nullptr : &*value;
}

void Fields::Fail(std::string_view key, const std::string& expected) const {
  ThrowInvalid(key, " is ", Found(Find(key)), ", expected ", expected);
}

Text Fields::Prediction() const {
  const Json* prediction = Find("prediction");
  if (prediction == nullptr || !prediction->is_string()) Fail("prediction", "a text");
  return FromUtf8(prediction->get_ref<const std::string&>());
}

std::vector<Text> Fields::References() const {
  const char* key = Has("references") ? "references" : "answer";
  const Json* value = Find(key);
  if (value == nullptr) ThrowInvalid("references is missing, expected a list of texts, or answer");
  std::vector<Text> references;
  if (value->is_string() && std::string_view(key) == "answer") {
    references.push_back(FromUtf8(value->get_ref<const std::string&>()));
  } else {
    if (!AreTexts(*value) || value->empty()) Fail(key, "a list of at least one text");
    for (const Json& item : *value)
      references.push_back(FromUtf8(item.get_ref<const std::string&>()));
  }
  return references;
}

YesNo Fields::WantedYesNo() const {
  const Json* value = Find("answer");
  if (value == nullptr || !value->is_string()) Fail("answer", "yes or no");
  const YesNo wanted =
      ParsePopeLmms(ReplaceAll(FromUtf8(value->get_ref<const std::string&>()), U".", U""));
  if (wanted == YesNo::kOther) Fail("answer", "yes or no");
  return wanted;
}

Letter Fields::WantedLetter(size_t options) const {
  const Json* value = Find("answer");
  const std::string last(1, static_cast<char>('A' + options - 1));
  const std::string expected = "one letter, A to " + last;
  if (value == nullptr || !value->is_string()) Fail("answer", expected);
  const auto& letter = value->get_ref<const std::string&>();
  if (letter.size() != 1 || letter[0] < 'A' || letter[0] > last[0]) Fail("answer", expected);
  return letter[0];
}

std::vector<Text> Fields::Options() const {
  const Json* value = Find("options");
  if (value == nullptr || (!value->is_array() && !value->is_object()))
    Fail("options", kOptionsExpected);
  if (value->size() < kMinOptions || value->size() > kMaxOptions) Fail("options", kOptionsExpected);
  std::vector<Text> options;
  for (size_t i = 0; i < value->size(); ++i) {
    const std::string letter(1, static_cast<char>('A' + i));
    if (value->is_object() && !value->contains(letter)) Fail("options", kOptionsExpected);
    const Json& option = value->is_array() ? (*value)[i] : (*value)[letter];
    if (!option.is_string()) Fail("options", kOptionsExpected);
    options.push_back(FromUtf8(option.get_ref<const std::string&>()));
  }
  return options;
}

std::string Fields::NameOr(std::string_view key) const {
  const Json* value = Find(key);
  if (value == nullptr) return "";
  if (value->is_number_integer()) return value->dump();
  if (!value->is_string() || value->get_ref<const std::string&>().empty())
    Fail(key, "a text that is not empty");
  return value->get<std::string>();
}

std::string Fields::Name(std::string_view key) const {
  if (!Has(key)) Fail(key, "a text or an integer");
  return NameOr(key);
}

std::vector<std::string> Fields::Texts(std::string_view key) const {
  const Json* value = Find(key);
  if (value == nullptr) return {};
  if (!AreTexts(*value)) Fail(key, "a list of texts");
  return value->get<std::vector<std::string>>();
}

std::vector<double> Fields::Numbers(std::string_view key) const {
  const std::string expected = "a list of 2 to 26 numbers";
  const Json* value = Find(key);
  if (value == nullptr || !value->is_array() || value->size() < kMinOptions ||
      value->size() > kMaxOptions)
    Fail(key, expected);
  std::vector<double> numbers;
  for (const Json& item : *value) {
    if (!item.is_number() || !std::isfinite(item.get<double>())) Fail(key, expected);
    numbers.push_back(item.get<double>());
  }
  return numbers;
}

}  // namespace binocle::eval
