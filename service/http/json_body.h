// JSON from strangers: bodies with limits, and their fields with errors that name the place.
//
// Everything thrown is a binocle::Error with INVALID_ARGUMENT whose option() is the place ("messages[0].content"); no exception of the
// JSON library comes out.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "binocle/error.h"

namespace binocle::http {

// Keeps the order of members: that of a JSON schema is the order in which an answer has them.
using Json = nlohmann::ordered_json;

// A body that is one JSON object: as ScanJson wants it, with 1000 members an object, names of up to 1024 bytes, none twice. The text is gone
// when this returns.
Json ParseBody(std::string text);

// On one line, with invalid UTF-8 replaced.
std::string Line(const Json& json);

// What was found, for a message: a short value itself, a long one by its kind.
std::string Describe(const Json& value);

// Refuses the value at `place`: "place is 5, expected …".
[[noreturn]] void FailAt(const std::string& place, const Json& value, const std::string& expected);
// Refuses what we know and do not do; UNIMPLEMENTED.
[[noreturn]] void RefuseAt(const std::string& place, const std::string& rest);

// An object of a body with its place in it; null members are absent ones.
class Fields {
 public:
  // Throws when `object` is something else.
  Fields(const Json& object, std::string where);

  const Json& json() const { return *object_; }
  // "messages[0].role"; the bare key at the top.
  std::string Place(std::string_view key) const;
  const Json* Find(std::string_view key) const;
  bool Has(std::string_view key) const { return Find(key) != nullptr; }
  [[noreturn]] void Fail(std::string_view key, const std::string& expected) const;

  // Absent: nothing, or `out` as it was. An integer may be written with a point ("16.0"); booleans are no numbers.
  std::optional<std::string> Text(std::string_view key) const;
  std::string RequiredText(std::string_view key) const;
  std::optional<int64_t> Integer(std::string_view key) const;
  void Integer(std::string_view key, int64_t& out) const;
  void Number(std::string_view key, double& out) const;
  void Boolean(std::string_view key, bool& out) const;
  // A list of strings; one string where `single` allows it.
  enum class Single { kAllowed, kRefused };
  std::optional<std::vector<std::string>> Texts(std::string_view key, Single single) const;
  std::optional<std::vector<int64_t>> Integers(std::string_view key) const;
  std::optional<Fields> Object(std::string_view key) const;

  // Throws when there is a member that is not listed.
  void OnlyKeys(std::initializer_list<std::string_view> keys) const;

 private:
  const Json* object_;
  std::string where_;
};

}  // namespace binocle::http
