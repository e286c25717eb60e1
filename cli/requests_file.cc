#include "cli/requests_file.h"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <limits>
#include <set>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "binocle/error.h"
#include "cli/flags.h"
#include "cli/intervention_flags.h"

namespace binocle::cli {
namespace {

constexpr size_t kMaxRequestLine = size_t{16} << 20;

// One line's object with errors that name line and key.
class LineReader {
 public:
  LineReader(const Json& json, int64_t number) : json_(json), number_(number) {}

  [[noreturn]] void Fail(const std::string& key, const std::string& expected) const {
    const auto it = json_.find(key);
    std::string found = it == json_.end() ? "missing" : Line(*it);
    if (found.size() > 60) found = found.substr(0, 60) + "…";
    throw Error(Code::kInvalidArgument, "line " + std::to_string(number_) + ": " + key + " is " +
                                            found + ", expected " + expected);
  }
  const Json* Find(const std::string& key) const {
    const auto it = json_.find(key);
    return it == json_.end() || it->is_null() ? nullptr : &*it;
  }
  std::optional<std::string> Text(const std::string& key) const {
    const Json* value = Find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_string()) Fail(key, "a string");
    return value->get<std::string>();
  }
  void Integer(const std::string& key, int64_t& out) const {
    const Json* value = Find(key);
    if (value == nullptr) return;
    if (!value->is_number_integer()) Fail(key, "an integer");
    if (value->is_number_unsigned() &&
        value->get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      Fail(key, "at most 63 bits");
    out = value->get<int64_t>();
  }
  void Number(const std::string& key, double& out) const {
    const Json* value = Find(key);
    if (value == nullptr) return;
    if (!value->is_number()) Fail(key, "a number");
    out = value->get<double>();
  }
  void Boolean(const std::string& key, bool& out) const {
    const Json* value = Find(key);
    if (value == nullptr) return;
    if (!value->is_boolean()) Fail(key, "true or false");
    out = value->get<bool>();
  }
  std::vector<std::string> Texts(const std::string& key) const {
    const Json* value = Find(key);
    std::vector<std::string> texts;
    if (value == nullptr) return texts;
    if (value->is_string()) return {value->get<std::string>()};
    if (!value->is_array()) Fail(key, "a list of strings");
    for (const Json& item : *value) {
      if (!item.is_string()) Fail(key, "a list of strings");
      texts.push_back(item.get<std::string>());
    }
    return texts;
  }

 private:
  const Json& json_;
  int64_t number_;
};

constexpr std::string_view kRequestKeys[] = {
    "id",          "image",         "images",     "prompt",   "messages",
    "system",      "prompt_format", "answer",     "kind",     "max_new_tokens",
    "temperature", "top_k",         "top_p",      "min_p",    "repetition_penalty",
    "seed",        "stop",          "n",          "logprobs", "grounding",
    "var",         "modulate",      "pai",        "guidance", "vcd",
    "choices",     "regex",         "json_schema"};
constexpr std::string_view kMessageKeys[] = {"role", "text", "image", "images"};

void CheckKeys(const Json& json, const LineReader& reader,
               std::span<const std::string_view> known) {
  for (const auto& [key, value] : json.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) reader.Fail(key, "no such key");
  }
}

// Where the picture is. One that is nowhere is missed in the file's folder.
std::string Located(const std::string& name, const std::filesystem::path& folder) {
  const std::filesystem::path beside = folder / name;  // an absolute name stays as it is
  std::error_code ignored;
  const bool elsewhere =
      !std::filesystem::exists(beside, ignored) && std::filesystem::exists(name, ignored);
  return elsewhere ? name : beside.string();
}

std::vector<ImageInput> Images(const LineReader& reader, const RequestDefaults& defaults) {
  if (reader.Find("image") != nullptr && reader.Find("images") != nullptr)
    reader.Fail("image", "no images beside it");
  std::vector<ImageInput> images;
  for (const char* key : {"images", "image"}) {
    for (const std::string& name : reader.Texts(key)) {
      if (name.empty()) reader.Fail(key, "paths that are not empty");
      ImageInput& image = images.emplace_back(defaults.picture);
      image.path = Located(name, defaults.folder);
    }
  }
  return images;
}

std::vector<Message> Messages(const LineReader& reader, const RequestDefaults& defaults,
                              int64_t number) {
  const Json* messages = reader.Find("messages");
  const auto prompt = reader.Text("prompt");
  if (messages == nullptr) {
    if (!prompt) reader.Fail("prompt", "a string");
    return {{.role = MessageRole::kUser, .text = *prompt, .images = Images(reader, defaults)}};
  }
  if (prompt || reader.Find("images") != nullptr || reader.Find("image") != nullptr)
    reader.Fail("messages", "no prompt and images beside it");
  if (!messages->is_array()) reader.Fail("messages", "a list");
  std::vector<Message> result;
  for (const Json& item : *messages) {
    const LineReader message(item, number);
    if (!item.is_object()) reader.Fail("messages", "a list of objects");
    CheckKeys(item, message, kMessageKeys);
    const auto role = message.Text("role");
    if (role != "user" && role != "assistant") message.Fail("role", "user or assistant");
    result.push_back({.role = role == "user" ? MessageRole::kUser : MessageRole::kAssistant,
                      .text = message.Text("text").value_or(""),
                      .images = Images(message, defaults)});
  }
  return result;
}

void ReadGeneration(const LineReader& reader, GenerationOptions& g) {
  reader.Integer("max_new_tokens", g.max_new_tokens);
  reader.Number("temperature", g.temperature);
  reader.Integer("top_k", g.top_k);
  reader.Number("top_p", g.top_p);
  reader.Number("min_p", g.min_p);
  reader.Number("repetition_penalty", g.repetition_penalty);
  reader.Integer("n", g.n);
  reader.Integer("logprobs", g.logprobs);
  if (reader.Find("stop") != nullptr) g.stop = reader.Texts("stop");
  if (const Json* seed = reader.Find("seed")) {
    if (!seed->is_number_unsigned()) reader.Fail("seed", "an integer of 0 or more");
    g.seed = seed->get<uint64_t>();
  }
}

// One of the three, in place of the command line's; a schema is an object or its text.
void ReadConstraint(const LineReader& reader, Constraint& out) {
  const Json* choices = reader.Find("choices");
  const auto regex = reader.Text("regex");
  const Json* schema = reader.Find("json_schema");
  if (int{choices != nullptr} + int{regex.has_value()} + int{schema != nullptr} > 1)
    reader.Fail(regex ? "regex" : "choices", "no other constraint beside it");
  if (choices != nullptr) out = Choices{reader.Texts("choices")};
  if (regex) out = Regex{*regex};
  if (schema != nullptr)
    out = JsonSchema{schema->is_string() ? schema->get<std::string>() : schema->dump()};
}

// A text as on the command line, or null to turn off what the command line has turned on.
void ReadInterventions(const Json& json, const LineReader& reader, int64_t number,
                       Interventions& out) {
  for (const std::string_view name_view : kInterventionNames) {
    const std::string name(name_view);
    if (!json.contains(name)) continue;
    ClearIntervention(name, out);
    const auto text = reader.Text(name);
    if (!text) continue;
    try {
      SetIntervention(name, *text, out);
    } catch (const Error& error) {
      throw Error(error.code(), "line " + std::to_string(number) + ": " + error.message());
    }
  }
}

// Deep values would exhaust the stack when they are printed. Brackets inside strings do not count.
bool IsTooDeep(const std::string& text) {
  constexpr int kMaxDepth = 64;
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string && c == '\\') {
      ++i;
    } else if (c == '"') {
      in_string = !in_string;
    } else if (!in_string) {
      depth += (c == '[' || c == '{') - (c == ']' || c == '}');
      if (depth > kMaxDepth) return true;
    }
  }
  return false;
}

Json ParseLine(const RequestLine& line) {
  const std::string where = "line " + std::to_string(line.number);
  if (IsTooDeep(line.text)) throw Error(Code::kInvalidArgument, where + ": is nested too deeply");
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const auto unique = [&](int, Json::parse_event_t event, const Json& value) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second) {
      throw Error(Code::kInvalidArgument,
                  where + ": " + value.get<std::string>() + " is given twice");
    }
    return true;
  };
  try {
    Json json = Json::parse(line.text, unique);
    if (!json.is_object())
      throw Error(Code::kInvalidArgument,
                  where + ": is a JSON " + std::string(json.type_name()) + ", expected an object");
    return json;
  } catch (const Json::exception& e) {
    constexpr int kNumberOverflows = 406;
    const auto* parse = dynamic_cast<const Json::parse_error*>(&e);
    std::string fault = "has a value that is none";
    if (e.id == kNumberOverflows) fault = "has a number that is too large";
    if (parse != nullptr) fault = "no JSON from byte " + std::to_string(parse->byte) + " on";
    if (parse != nullptr && parse->byte > line.text.size()) fault = "it ends too early";
    throw Error(Code::kInvalidArgument, where + ": not valid JSON: " + fault);
  }
}

}  // namespace

std::string RequestsName(const std::string& path) { return path == "-" ? "standard input" : path; }

std::filesystem::path RequestsFolder(const std::string& path) {
  return path == "-" ? "" : std::filesystem::path(path).parent_path();
}

RequestsFile::RequestsFile(const std::string& path)
    : name_(RequestsName(path)), in_(path == "-" ? std::cin : file_) {
  if (path == "-") return;
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    throw Error(Code::kInvalidArgument, path + ": is a directory, expected a JSONL file");
  file_.open(path);
  if (!file_)
    throw Error(std::filesystem::exists(path, ignored) ? Code::kPermissionDenied : Code::kNotFound,
                path + ": cannot open");
  if (!std::filesystem::is_regular_file(path, ignored)) return;
  int64_t count = 0;
  while (Next()) ++count;
  total_ = count;
  file_.clear();
  file_.seekg(0);
  number_ = 0;
}

std::optional<RequestLine> RequestsFile::Next() {
  std::string text;
  while (ReadLine(text)) {
    if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
    empty_ = false;
    return RequestLine{.id = number_, .text = std::move(text), .number = number_};
  }
  if (empty_)
    throw Error(Code::kInvalidArgument,
                name_ + ": holds no requests, expected one JSON object a line");
  return std::nullopt;
}

// The next line without its end, blank or not; false at the end of input.
bool RequestsFile::ReadLine(std::string& text) {
  text.clear();
  char c = 0;
  while (in_.get(c)) {
    if (c == '\n') {
      ++number_;
      return true;
    }
    if (text.size() >= kMaxRequestLine)
      throw Error(Code::kResourceExhausted, name_ + ": line " + std::to_string(number_ + 1) +
                                                " is longer than " +
                                                std::to_string(kMaxRequestLine) + " bytes");
    text += c;
  }
  if (text.empty()) return false;
  ++number_;
  return true;
}

Request ParseRequestLine(const RequestLine& line, const RequestDefaults& defaults, Json& id) {
  const Json json = ParseLine(line);
  if (json.contains("id")) id = json["id"];
  const LineReader reader(json, line.number);
  CheckKeys(json, reader, kRequestKeys);
  Request request = defaults.request;
  request.messages = Messages(reader, defaults, line.number);
  if (const auto system = reader.Text("system")) request.system = system;
  if (const auto name = reader.Text("prompt_format")) {
    const auto format = ParsePromptFormat(*name);
    if (!format) reader.Fail("prompt_format", "chat or raw");
    request.prompt_format = *format;
  }
  ReadGeneration(reader, request.generation);
  ReadConstraint(reader, request.constraint);
  ReadInterventions(json, reader, line.number, request.interventions);
  reader.Boolean("grounding", request.grounding);
  return request;
}

}  // namespace binocle::cli
