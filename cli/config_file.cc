#include "cli/config_file.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <sstream>
#include <utility>

#include "binocle/error.h"
#include "cli/commands.h"
#include "cli/small_file.h"

namespace binocle::cli {
namespace {

std::string At(const std::string& path, const YAML::Mark& mark) {
  return path + (mark.is_null() ? "" : ":" + std::to_string(mark.line + 1)) + ": ";
}

[[noreturn]] void Fail(const std::string& path, const YAML::Node& node,
                       const std::string& message) {
  throw UsageError{At(path, node.Mark()) + message};
}

constexpr const char* kExpectedValue = ", expected a text, number, truth value or list";
constexpr const char* kLeaveOut = " (leave the line out for the default)";

std::string ScalarOf(const std::string& path, const std::string& key, const YAML::Node& node) {
  if (!node.IsScalar()) {
    const char* found = node.IsNull() ? "null" : node.IsMap() ? "a mapping" : "a list";
    Fail(path, node, key + " is " + found + kExpectedValue);
  }
  if (node.Scalar().empty()) Fail(path, node, key + " is empty" + kExpectedValue + kLeaveOut);
  return node.Scalar();
}

// Where the quote at `begin` ends; npos: nowhere.
size_t EndOfQuote(const std::string& text, size_t begin) {
  const char quote = text[begin];
  for (size_t i = begin + 1; i < text.size(); ++i) {
    const bool twice = quote == '\'' && text.compare(i, 2, "''") == 0;
    if (twice || (quote == '"' && text[i] == '\\')) {
      ++i;
    } else if (text[i] == quote) {
      return i;
    }
  }
  return std::string::npos;
}

// The library takes the rest of the file for the text of a quote that does not end, or tells of the last line: here it is told of the first.
void CheckQuotes(const std::string& path, const std::string& text) {
  bool flow = false;  // JSON, or YAML that looks like it
  char last = '\n';   // that is no blank
  // Behind `last` a value may begin; a key's colon wants a blank behind it, or belongs to a word.
  const auto value_begins = [&](char before) {
    constexpr std::string_view kMarks = "\n:-?[{,";
    return kMarks.substr(0, flow ? 7 : 4).find(last) != std::string_view::npos &&
           (flow || before != last || last == '\n');
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i], before = i == 0 ? '\n' : text[i - 1];
    if (c == '#' && std::isspace(static_cast<unsigned char>(before)) != 0) {
      i = std::min(text.find('\n', i), text.size()) - 1;
    } else if ((c == '"' || c == '\'') && value_begins(before)) {
      const size_t end = EndOfQuote(text, i);
      if (end == std::string::npos) {
        const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<long>(i), '\n');
        throw UsageError{path + ":" + std::to_string(line) +
                         ": a quote begins and does not end, expected another " + c};
      }
      i = end;
      last = c;
    } else if (c != ' ' && c != '\t' && c != '\r') {
      flow = flow || c == '[' || c == '{';
      last = c;
    }
  }
}

// What the option is given, as words of a command line.
std::vector<std::string> ValuesOf(const std::string& path, const std::string& key,
                                  const YAML::Node& node) {
  std::vector<std::string> values;
  if (!node.IsSequence()) return {ScalarOf(path, key, node)};
  for (const YAML::Node& value : node) values.push_back(ScalarOf(path, key, value));
  return values;
}

// Whether the option has its values from here.
bool Give(const std::string& path, const std::string& key, const YAML::Node& node,
          CLI::Option& option) {
  const std::vector<std::string> values = ValuesOf(path, key, node);
  const bool one = option.get_items_expected_max() <= 1 &&
                   option.get_multi_option_policy() != CLI::MultiOptionPolicy::TakeAll;
  // `tokens: []` must not open the server either. Of an option that may come several times it is none.
  if (values.empty() && one)
    Fail(path, node, key + " is an empty list" + kExpectedValue + kLeaveOut);
  if (node.IsSequence() && one) Fail(path, node, key + " is a list, expected one value");
  if (option.count() > 0) return false;  // the command line goes first
  const bool flag = option.get_expected_min() == 0;
  const auto bad = std::find_if(values.begin(), values.end(), [](const std::string& value) {
    return value != "true" && value != "false";
  });
  if (flag && bad != values.end())
    Fail(path, node, key + " is " + *bad + ", expected true or false");
  try {
    for (const std::string& value : values) {
      if (!flag || value == "true") option.add_result(value);
    }
    if (option.count() > 0) option.run_callback();
  } catch (const UsageError& error) {
    Fail(path, node, error.message);
  } catch (const CLI::Error& error) {
    Fail(path, node, error.what());
  }
  return option.count() > 0;
}

}  // namespace

struct ConfigMap::Node {
  YAML::Node yaml;
};

ConfigMap::ConfigMap(std::string path, std::shared_ptr<const Node> node)
    : path_(std::move(path)), node_(std::move(node)) {}
ConfigMap::ConfigMap(const ConfigMap&) = default;
ConfigMap::~ConfigMap() = default;

ConfigMap ConfigMap::Read(const std::string& path) {
  const std::string text = ReadSmallFile(path);
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF"))
    throw UsageError{path + ": is UTF-16 or UTF-32, expected UTF-8"};
  CheckQuotes(path, text);
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    if (documents.size() > 1) Fail(path, documents[1], "begins a second document, expected one");
    YAML::Node root = documents.empty() ? YAML::Node() : documents[0];
    if (root.IsNull()) root = YAML::Node(YAML::NodeType::Map);
    if (!root.IsMap()) Fail(path, root, "is no mapping of options to values");
    return {path, std::make_shared<Node>(Node{root})};
  } catch (const YAML::Exception& error) {
    throw UsageError{At(path, error.mark) + error.msg};
  }
}

std::map<std::string, std::string> ConfigMap::Apply(CLI::App& command,
                                                    const std::vector<std::string>& taken) const {
  std::map<std::string, std::string> places;
  std::set<std::string> seen;
  for (const auto& entry : node_->yaml) {
    const std::string key = ScalarOf(path_, "a key", entry.first);
    if (!seen.insert(key).second) Fail(path_, entry.first, key + " comes twice");
    // A mistake, or a variable that was not set: `tokens:` must not open the server to everybody.
    if (entry.second.IsNull())
      Fail(path_, entry.first, key + " is null" + kExpectedValue + kLeaveOut);
    if (std::find(taken.begin(), taken.end(), key) != taken.end()) continue;
    std::string name = key;
    std::replace(name.begin(), name.end(), '_', '-');
    CLI::Option* option = command.get_option_no_throw("--" + name);
    if (option == nullptr || name == "help" || name == "config" || name == "check")
      Fail(path_, entry.first, key + " is not an option of a configuration");
    if (Give(path_, key, entry.second, *option))
      places["--" + name] = At(path_, entry.first.Mark());
  }
  return places;
}

std::vector<ConfigMap> ConfigMap::Maps(const std::string& key) const {
  const YAML::Node list = node_->yaml[key];
  if (!list) return {};
  if (!list.IsSequence()) Fail(path_, list, key + " is no list");
  if (list.size() == 0)
    Fail(path_, list,
         key + " is an empty list, expected entries (leave the line out for the default)");
  std::vector<ConfigMap> maps;
  for (const YAML::Node& node : list) {
    if (!node.IsMap()) Fail(path_, node, key + ": an entry is no mapping");
    maps.push_back({path_, std::make_shared<Node>(Node{node})});
  }
  return maps;
}

bool ConfigMap::Has(const std::string& key) const { return static_cast<bool>(node_->yaml[key]); }

std::string ConfigMap::Place() const { return At(path_, node_->yaml.Mark()); }

std::string ConfigMap::Text(const std::string& key) const {
  const YAML::Node node = node_->yaml[key];
  return node ? ScalarOf(path_, key, node) : std::string();
}

}  // namespace binocle::cli
