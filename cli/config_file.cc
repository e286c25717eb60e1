#include "cli/config_file.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
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
  throw Error(Code::kInvalidArgument, At(path, node.Mark()) + message);
}

std::string ScalarOf(const std::string& path, const std::string& key, const YAML::Node& node) {
  if (!node.IsScalar()) Fail(path, node, key + " is no text, number or truth value");
  return node.Scalar();
}

// What the option is given, as words of a command line.
std::vector<std::string> ValuesOf(const std::string& path, const std::string& key,
                                  const YAML::Node& node) {
  std::vector<std::string> values;
  if (!node.IsSequence()) return {ScalarOf(path, key, node)};
  for (const YAML::Node& value : node) values.push_back(ScalarOf(path, key, value));
  return values;
}

void Give(const std::string& path, const std::string& key, const YAML::Node& node,
          CLI::Option& option) {
  if (option.count() > 0 || node.IsNull()) return;  // the command line goes first
  const bool flag = option.get_expected_min() == 0;
  try {
    for (const std::string& value : ValuesOf(path, key, node)) {
      if (flag && value != "true" && value != "false")
        Fail(path, node, key + " is " + value + ", expected true or false");
      if (!flag || value == "true") option.add_result(value);
    }
    if (option.count() > 0) option.run_callback();
  } catch (const UsageError& error) {
    Fail(path, node, error.message);
  } catch (const CLI::Error& error) {
    Fail(path, node, error.what());
  }
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
  try {
    YAML::Node root = YAML::Load(text);
    if (root.IsNull()) root = YAML::Node(YAML::NodeType::Map);
    if (!root.IsMap()) Fail(path, root, "is no mapping of options to values");
    return {path, std::make_shared<Node>(Node{root})};
  } catch (const YAML::Exception& error) {
    throw Error(Code::kInvalidArgument, At(path, error.mark) + error.msg);
  }
}

void ConfigMap::Apply(CLI::App& command, const std::vector<std::string>& taken) const {
  std::set<std::string> seen;
  for (const auto& entry : node_->yaml) {
    const std::string key = ScalarOf(path_, "a key", entry.first);
    if (!seen.insert(key).second) Fail(path_, entry.first, key + " comes twice");
    if (std::find(taken.begin(), taken.end(), key) != taken.end()) continue;
    std::string name = key;
    std::replace(name.begin(), name.end(), '_', '-');
    CLI::Option* option = command.get_option_no_throw("--" + name);
    if (option == nullptr || name == "help" || name == "config" || name == "check")
      Fail(path_, entry.first, key + " is not an option of a configuration");
    Give(path_, key, entry.second, *option);
  }
}

std::vector<ConfigMap> ConfigMap::Maps(const std::string& key) const {
  const YAML::Node list = node_->yaml[key];
  if (!list || list.IsNull()) return {};
  if (!list.IsSequence()) Fail(path_, list, key + " is no list");
  std::vector<ConfigMap> maps;
  for (const YAML::Node& node : list) {
    if (!node.IsMap()) Fail(path_, node, key + ": an entry is no mapping");
    maps.push_back({path_, std::make_shared<Node>(Node{node})});
  }
  return maps;
}

bool ConfigMap::Has(const std::string& key) const { return static_cast<bool>(node_->yaml[key]); }

std::string ConfigMap::Text(const std::string& key) const {
  const YAML::Node node = node_->yaml[key];
  return node ? ScalarOf(path_, key, node) : std::string();
}

}  // namespace binocle::cli
