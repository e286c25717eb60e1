// JSON configuration files with errors that name the file, the key, what was found and what was expected.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace binocle {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

// Parses `text`; nesting deeper than 64 levels and text that is no JSON are INVALID_ARGUMENT. `where` names the source.
Json ParseJson(std::string_view text, const std::string& where);
// The same with the keys of objects in the order of the text.
OrderedJson ParseOrderedJson(std::string_view text, const std::string& where);
// A JSON file of at most 64 MiB whose top level is an object.
Json ReadJsonFile(const std::filesystem::path& path);

// One object of a configuration file, with its place in the file ("config.json: text_config").
class JsonObject {
 public:
  JsonObject(const Json& object, std::string where);

  const std::string& where() const { return where_; }
  const Json& json() const { return *object_; }
  // Present and not null.
  bool Has(std::string_view key) const;

  // The value, or the error that says what is wrong with it. Bounds are inclusive.
  int64_t Int(std::string_view key, int64_t low, int64_t high) const;
  int64_t IntOr(std::string_view key, int64_t fallback, int64_t low, int64_t high) const;
  double Number(std::string_view key, double low, double high) const;
  double NumberOr(std::string_view key, double fallback, double low, double high) const;
  bool BoolOr(std::string_view key, bool fallback) const;
  std::string String(std::string_view key) const;
  std::string StringOr(std::string_view key, std::string fallback) const;
  // One of `choices`.
  std::string Choice(std::string_view key, std::optional<std::string> fallback,
                     std::initializer_list<std::string_view> choices) const;
  JsonObject Object(std::string_view key) const;
  std::vector<double> Numbers(std::string_view key) const;

  // Throws when the object has a key that is not listed.
  void OnlyKeys(std::initializer_list<std::string_view> keys) const;
  [[noreturn]] void Fail(std::string_view key, const std::string& expected) const;

 private:
  const Json* Find(std::string_view key) const;

  const Json* object_;
  std::string where_;
};

}  // namespace binocle
