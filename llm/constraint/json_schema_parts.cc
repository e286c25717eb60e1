#include "llm/constraint/json_schema_parts.h"

#include <algorithm>
#include <cmath>

namespace binocle {
namespace {

// Comparisons of schemas or values before two alternatives count as overlapping: references can make a small schema as large as they like.
constexpr int kMaxComparisons = 100'000;

std::vector<Json> ValuesOf(const OrderedJson& schema) {
  if (schema.contains("const")) return {Json(schema.at("const"))};
  std::vector<Json> values;
  if (schema.contains("enum")) {
    for (const OrderedJson& value : schema.at("enum")) values.emplace_back(value);
  }
  return values;
}

std::string_view KindOf(const OrderedJson& value) {
  return value.is_number() ? "number" : std::string_view(value.type_name());
}

std::vector<std::string> KindsOf(const OrderedJson& schema) {
  std::vector<std::string> kinds = JsonTypes(schema);
  std::replace(kinds.begin(), kinds.end(), std::string("integer"), std::string("number"));
  if (schema.contains("const")) kinds = {std::string(KindOf(schema.at("const")))};
  if (schema.contains("enum")) {
    kinds.clear();
    for (const OrderedJson& value : schema.at("enum")) kinds.emplace_back(KindOf(value));
  }
  return kinds;
}

bool Requires(const OrderedJson& schema, const std::string& name) {
  if (!schema.contains("required") || !schema.at("properties").contains(name)) return false;
  const OrderedJson& names = schema.at("required");
  return std::find(names.begin(), names.end(), OrderedJson(name)) != names.end();
}

class Comparison {
 public:
  explicit Comparison(const OrderedJson& root) : root_(root) {}

  bool MayOverlap(const OrderedJson& a, const OrderedJson& b) {
    if (++comparisons_ > kMaxComparisons) return true;
    if (a.contains("$ref"))
      return MayOverlap(*FindDefinition(root_, a.at("$ref").get_ref<const std::string&>()), b);
    for (const char* alternatives : {"anyOf", "oneOf"}) {
      if (!a.contains(alternatives)) continue;
      const OrderedJson& list = a.at(alternatives);
      return std::any_of(list.begin(), list.end(), [&](const OrderedJson& alternative) {
        return MayOverlap(alternative, b);
      });
    }
    if (IsComposed(b)) return MayOverlap(b, a);
    return ShareAKind(a, b) && !DifferInValues(a, b) && !DifferInAProperty(a, b);
  }

 private:
  static bool IsComposed(const OrderedJson& schema) {
    return schema.contains("$ref") || schema.contains("anyOf") || schema.contains("oneOf");
  }

  bool ShareAKind(const OrderedJson& a, const OrderedJson& b) {
    const std::vector<std::string> kinds = KindsOf(a);
    const std::vector<std::string> others = KindsOf(b);
    comparisons_ += static_cast<int>(kinds.size());
    const auto in_others = [&](const std::string& kind) {
      return std::find(others.begin(), others.end(), kind) != others.end();
    };
    return std::any_of(kinds.begin(), kinds.end(), in_others);
  }

  bool DifferInValues(const OrderedJson& a, const OrderedJson& b) {
    const std::vector<Json> values = ValuesOf(a);
    const std::vector<Json> others = ValuesOf(b);
    if (values.empty() || others.empty()) return false;
    for (const Json& value : values) {
      for (const Json& other : others) {
        if (value == other || ++comparisons_ > kMaxComparisons) return false;
      }
    }
    return true;
  }

  // Objects that both need a property, which no value suits in both.
  bool DifferInAProperty(const OrderedJson& a, const OrderedJson& b) {
    if (KindsOf(a) != std::vector<std::string>{"object"} || KindsOf(a) != KindsOf(b)) return false;
    if (!a.contains("properties") || !b.contains("properties")) return false;
    for (const auto& [name, schema] : a.at("properties").items()) {
      if (Requires(a, name) && Requires(b, name) &&
          !MayOverlap(schema, b.at("properties").at(name)))
        return true;
    }
    return false;
  }

  const OrderedJson& root_;
  int comparisons_ = 0;
};

}  // namespace

bool HasJsonType(const OrderedJson& value, std::string_view type) {
  if (type == "number") return value.is_number();
  if (type == "integer") {
    return value.is_number_integer() ||
           (value.is_number() && std::floor(value.get<double>()) == value.get<double>());
  }
  return value.type_name() == type;
}

std::vector<std::string> JsonTypes(const OrderedJson& schema) {
  const auto types = schema.find("type");
  if (types == schema.end()) return {};
  if (types->is_string()) return {types->get<std::string>()};
  return types->get<std::vector<std::string>>();
}

const OrderedJson* FindDefinition(const OrderedJson& root, std::string_view reference) {
  for (const std::string_view place : {"$defs", "definitions"}) {
    const std::string prefix = "#/" + std::string(place) + "/";
    const auto definitions = root.find(std::string(place));
    if (!reference.starts_with(prefix) || definitions == root.end() || !definitions->is_object())
      continue;
    std::string name;  // ~1 stands for / and ~0 for ~
    for (size_t i = prefix.size(); i < reference.size(); ++i) {
      if (reference[i] == '/') return nullptr;
      const bool escape = reference[i] == '~' && i + 1 < reference.size();
      name += !escape ? reference[i] : reference[++i] == '1' ? '/' : '~';
    }
    const auto found = definitions->find(name);
    return found == definitions->end() ? nullptr : &*found;
  }
  return nullptr;
}

bool MayOverlap(const OrderedJson& root, const OrderedJson& a, const OrderedJson& b) {
  return Comparison(root).MayOverlap(a, b);
}

}  // namespace binocle
