#include "eval/fields.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace binocle::eval {
namespace {

constexpr int kMaxDepth = 64;
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

// The library's own builder of values, which looks at depth and names on its way: of two with one name it would keep the last. Its parser's
// callback sees them too and makes it quadratic: it looks through all elements of a list at the end of each.
class CheckingBuilder final : public nlohmann::detail::json_sax_dom_parser<Json> {
 public:
  explicit CheckingBuilder(Json& json) : json_sax_dom_parser(json) {}

  bool start_object(size_t size) {
    names_.emplace_back();
    CheckDepth(++depth_);
    return json_sax_dom_parser::start_object(size);
  }
  bool key(std::string& name) {
    if (!names_.back().insert(name).second) ThrowInvalid(name, " is given twice");
    return json_sax_dom_parser::key(name);
  }
  bool end_object() {
    names_.pop_back();
    --depth_;
    return json_sax_dom_parser::end_object();
  }
  bool start_array(size_t size) {
    CheckDepth(++depth_);
    return json_sax_dom_parser::start_array(size);
  }
  bool end_array() {
    --depth_;
    return json_sax_dom_parser::end_array();
  }

 private:
  static void CheckDepth(int depth) {
    if (depth > kMaxDepth) ThrowInvalid("JSON is nested deeper than ", kMaxDepth, " levels");
  }

  std::vector<std::set<std::string>> names_;  // of the objects that are open
  int depth_ = 0;
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
  try {
    Json json;
    CheckingBuilder builder(json);
    Json::sax_parse(line, &builder);
    if (!json.is_object()) ThrowInvalid("is a JSON ", json.type_name(), ", expected an object");
    return json;
  } catch (const Json::parse_error& e) {
    ThrowInvalid("not valid JSON: ", FaultAt(line, e.byte));
  } catch (const Json::exception&) {
    ThrowInvalid("not valid JSON: a number is too large");
  }
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
