// A YAML or JSON file with a command's options: `max_images: 8` is --max-images 8, a list repeats an option, true sets a flag.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace binocle::cli {

// One mapping of the file.
class ConfigMap {
 public:
  // Reads the file, at most 1 MiB. NOT_FOUND; UsageError with the line where it is no YAML.
  static ConfigMap Read(const std::string& path);
  ConfigMap(const ConfigMap&);
  ~ConfigMap();

  // Gives the values to the command's options where the command line has not. UsageError with file and line for a key that is no option,
  // for one that comes twice, has no value, or one that the option refuses. `taken` are keys that the caller reads itself. Returns where
  // the options that were given values have them: "--max-images" at "serve.yaml:7: ".
  std::map<std::string, std::string> Apply(CLI::App& command,
                                           const std::vector<std::string>& taken) const;

  // The mappings of a list; empty where there is none.
  std::vector<ConfigMap> Maps(const std::string& key) const;
  bool Has(const std::string& key) const;
  // "" where there is none.
  std::string Text(const std::string& key) const;
  // "serve.yaml:7: ", where it begins.
  std::string Place() const;

 private:
  struct Node;
  ConfigMap(std::string path, std::shared_ptr<const Node> node);

  std::string path_;
  std::shared_ptr<const Node> node_;  // shared by copies
};

}  // namespace binocle::cli
