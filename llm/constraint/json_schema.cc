#include "llm/constraint/json_schema.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <set>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/json.h"
#include "llm/constraint/json_grammar.h"
#include "llm/constraint/json_schema_parts.h"

namespace binocle {
namespace {

using State = Nfa::State;
using Keywords = std::vector<std::string_view>;

constexpr int kMaxDepth = 64;  // of schemas in schemas, with what references add

// Say nothing about a value, or are looked up elsewhere.
constexpr std::string_view kAnnotations[] = {"title",    "description", "default",    "examples",
                                             "$schema",  "$id",         "$comment",   "$defs",
                                             "readOnly", "definitions", "deprecated", "writeOnly"};

// The keywords beside `type` that say something about values of the type.
Keywords KeywordsOf(std::string_view type) {
  if (type == "string") return {"minLength", "maxLength", "pattern", "format"};
  if (type == "integer") return {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"};
  if (type == "array") return {"items", "prefixItems", "minItems", "maxItems"};
  if (type == "object") return {"properties", "required", "additionalProperties"};
  return {};
}

// A schema and where it is.
struct SchemaPlace {
  const OrderedJson& schema;
  std::string pointer;  // "#/properties/colour"

  bool Has(std::string_view key) const { return schema.contains(std::string(key)); }
  const OrderedJson& At(std::string_view key) const { return schema.at(std::string(key)); }
  SchemaPlace Under(std::string_view key, const OrderedJson& child) const {
    std::string escaped;
    for (const char c : key) escaped += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
    return {child, pointer + "/" + escaped};
  }
  SchemaPlace Child(std::string_view key) const { return Under(key, At(key)); }

  template <typename... Parts>
  [[noreturn]] void Invalid(const Parts&... parts) const {
    ThrowInvalid("at ", Printable(pointer), ": ", parts...);
  }
  template <typename... Parts>
  [[noreturn]] void Unimplemented(const Parts&... parts) const {
    Throw(Code::kUnimplemented, "at ", Printable(pointer), ": ", parts...,
          " is outside the supported subset (docs/constraints.md)");
  }
};

class Compiler {
 public:
  explicit Compiler(const OrderedJson& root) : root_(root) {}

  Nfa Run() && {
    nfa_.Accept(Value(Nfa::kStart, {root_, "#"}));
    return std::move(nfa_);
  }

 private:
  State Value(State from, const SchemaPlace& place);
  State Composed(State from, const SchemaPlace& place);
  State Reference(State from, const SchemaPlace& place);
  State Typed(State from, const SchemaPlace& place);
  State OfType(State from, const SchemaPlace& place, std::string_view type);
  State String(State from, const SchemaPlace& place);
  State Integer(State from, const SchemaPlace& place);
  State Array(State from, const SchemaPlace& place);
  State Object(State from, const SchemaPlace& place);
  State Literals(State from, const SchemaPlace& place);
  State Literal(State from, const OrderedJson& value);

  State Quoted(State from, const RegexNode& inside) {
    return nfa_.AddText(nfa_.AddRegex(nfa_.AddText(from, "\""), inside), "\"");
  }
  // "," or ":" and perhaps a space.
  State Separator(State from, std::string_view mark) {
    const State close = nfa_.AddText(from, mark);
    const State wide = nfa_.AddText(close, " ");
    nfa_.AddEmpty(close, wide);
    return wide;
  }

  const OrderedJson& root_;
  Nfa nfa_;
  int depth_ = 0;
  std::set<std::string, std::less<>> open_;  // references being followed
};

std::string Quote(std::string_view text) {
  return OrderedJson(std::string(text)).dump(-1, ' ', false);
}

void CheckKeywords(const SchemaPlace& place, const Keywords& allowed) {
  for (const auto& [key, value] : place.schema.items()) {
    const auto is_key = [&k = key](std::string_view known) { return known == k; };
    if (std::none_of(std::begin(kAnnotations), std::end(kAnnotations), is_key) &&
        std::none_of(allowed.begin(), allowed.end(), is_key))
      place.Unimplemented("\"", Printable(key, 60), "\"",
                          allowed.size() == 1 && allowed[0] != "type"
                              ? " beside \"" + std::string(allowed[0]) + "\""
                              : "");
  }
}

// A count that a keyword gives.
int CountOr(const SchemaPlace& place, std::string_view key, int fallback) {
  if (!place.Has(key)) return fallback;
  const OrderedJson& value = place.At(key);
  constexpr int kMost = 1'000'000'000;
  if (!HasJsonType(value, "integer") || value.get<double>() < 0 || value.get<double>() > kMost)
    place.Invalid(key, " is ", Printable(value.dump(), 60), ", expected an integer from 0 to ",
                  kMost);
  return static_cast<int>(value.get<double>());
}

// The types of `type`, none where it is absent.
std::vector<std::string> TypesOf(const SchemaPlace& place) {
  constexpr std::string_view kTypes[] = {"null",   "boolean", "integer", "number",
                                         "string", "array",   "object"};
  if (!place.Has("type")) return {};
  const OrderedJson& types = place.At("type");
  const auto is_type = [&](const OrderedJson& type) {
    return type.is_string() && std::find(std::begin(kTypes), std::end(kTypes),
                                         type.get_ref<const std::string&>()) != std::end(kTypes);
  };
  const bool list =
      types.is_array() && !types.empty() && std::all_of(types.begin(), types.end(), is_type);
  if (!list && !is_type(types))
    place.Invalid(
        "type is ", Printable(types.dump(), 60),
        ", expected one or some of null, boolean, integer, number, string, array, object");
  return JsonTypes(place.schema);
}

State Compiler::Value(State from, const SchemaPlace& place) {
  if (place.schema.is_boolean()) {
    if (place.schema.get<bool>()) place.Unimplemented("a schema that accepts everything");
    place.Invalid("the schema false accepts nothing");
  }
  if (!place.schema.is_object())
    place.Invalid("is a JSON ", place.schema.type_name(), ", expected a schema");
  if (depth_ == kMaxDepth)
    Throw(Code::kResourceExhausted, "at ", Printable(place.pointer),
          ": schemas are nested deeper than ", kMaxDepth, " levels");
  ++depth_;
  const State end = place.Has("$ref")                          ? Reference(from, place)
                    : place.Has("anyOf") || place.Has("oneOf") ? Composed(from, place)
                    : place.Has("enum") || place.Has("const")  ? Literals(from, place)
                                                               : Typed(from, place);
  --depth_;
  return end;
}

State Compiler::Reference(State from, const SchemaPlace& place) {
  CheckKeywords(place, {"$ref"});
  const OrderedJson& reference = place.At("$ref");
  if (!reference.is_string()) place.Invalid("$ref is no string");
  const auto& name = reference.get_ref<const std::string&>();
  if (!name.starts_with("#/$defs/") && !name.starts_with("#/definitions/"))
    place.Unimplemented("\"$ref\": ", Printable(Quote(name), 80));
  const OrderedJson* target = FindDefinition(root_, name);
  if (target == nullptr)
    place.Invalid("$ref names ", Printable(Quote(name), 80), ", which is not there");
  if (!open_.insert(name).second)
    place.Unimplemented("the recursive \"$ref\": ", Printable(Quote(name), 80));
  const State end = Value(from, {*target, name});
  open_.erase(name);
  return end;
}

State Compiler::Composed(State from, const SchemaPlace& place) {
  const char* key = place.Has("anyOf") ? "anyOf" : "oneOf";
  CheckKeywords(place, {key});
  const SchemaPlace list = place.Child(key);
  if (!list.schema.is_array() || list.schema.empty())
    list.Invalid("expected a list of at least one schema");
  const State end = nfa_.NewState();
  for (size_t i = 0; i < list.schema.size(); ++i)
    nfa_.AddEmpty(Value(from, list.Under(std::to_string(i), list.schema[i])), end);
  if (std::string_view(key) == "anyOf") return end;
  for (size_t i = 0; i < list.schema.size(); ++i) {
    for (size_t k = 0; k < i; ++k) {
      if (MayOverlap(root_, list.schema[k], list.schema[i]))
        place.Unimplemented("\"oneOf\" whose alternatives ", k, " and ", i,
                            " may accept the same value");
    }
  }
  return end;
}

// The values of enum or const, those that `type` allows.
State Compiler::Literals(State from, const SchemaPlace& place) {
  const char* key = place.Has("const") ? "const" : "enum";
  CheckKeywords(place, {key, "type"});
  std::vector<const OrderedJson*> values;
  if (place.Has("const")) {
    values.push_back(&place.At(key));
  } else if (!place.At(key).is_array()) {
    place.Invalid("enum is no list");
  } else {
    for (const OrderedJson& value : place.At(key)) values.push_back(&value);
  }
  const std::vector<std::string> types = TypesOf(place);
  const State end = nfa_.NewState();
  bool any = false;
  for (const OrderedJson* value : values) {
    const bool fits =
        types.empty() || std::any_of(types.begin(), types.end(),
                                     [&](const auto& type) { return HasJsonType(*value, type); });
    if (fits) nfa_.AddEmpty(Literal(from, *value), end);
    any = any || fits;
  }
  if (!any) place.Invalid(key, " has no value of the schema's type");
  return end;
}

State Compiler::Literal(State from, const OrderedJson& value) {
  if (!value.is_structured()) return nfa_.AddText(from, value.dump(-1, ' ', false));
  const bool object = value.is_object();
  State at = nfa_.AddText(from, object ? "{" : "[");
  bool first = true;
  for (const auto& [key, child] : value.items()) {
    if (!std::exchange(first, false)) at = Separator(at, ",");
    if (object) at = Separator(nfa_.AddText(at, Quote(key)), ":");
    at = Literal(at, child);
  }
  return nfa_.AddText(at, object ? "}" : "]");
}

State Compiler::Typed(State from, const SchemaPlace& place) {
  const std::vector<std::string> types = TypesOf(place);
  if (types.empty()) {
    CheckKeywords(place, {});
    place.Unimplemented("a schema without type, enum, const, anyOf, oneOf or $ref");
  }
  Keywords allowed = {"type"};
  for (const std::string& type : types) {
    for (const std::string_view key : KeywordsOf(type)) allowed.push_back(key);
  }
  CheckKeywords(place, allowed);
  const State end = nfa_.NewState();
  for (const std::string& type : types) nfa_.AddEmpty(OfType(from, place, type), end);
  return end;
}

State Compiler::OfType(State from, const SchemaPlace& place, std::string_view type) {
  if (type == "null") return nfa_.AddText(from, "null");
  if (type == "integer") return Integer(from, place);
  if (type == "string") return String(from, place);
  if (type == "array") return Array(from, place);
  if (type == "object") return Object(from, place);
  if (type == "number") {
    for (const std::string_view key : KeywordsOf("integer")) {
      if (place.Has(key))
        place.Unimplemented("\"", key, "\" of a number that need not be an integer");
    }
    return nfa_.AddRegex(from, JsonNumber());
  }
  const State end = nfa_.AddText(from, "true");
  nfa_.AddEmpty(nfa_.AddText(from, "false"), end);
  return end;
}

State Compiler::String(State from, const SchemaPlace& place) {
  const bool length = place.Has("minLength") || place.Has("maxLength");
  if (length + place.Has("pattern") + place.Has("format") > 1)
    place.Unimplemented("more than one of pattern, format and the lengths");
  if (place.Has("format")) {
    const OrderedJson& name = place.At("format");
    const auto format =
        name.is_string() ? JsonFormat(name.get_ref<const std::string&>()) : std::nullopt;
    if (!format) place.Unimplemented("\"format\": ", Printable(name.dump(), 60));
    return Quoted(from, *format);
  }
  if (place.Has("pattern")) {
    if (!place.At("pattern").is_string()) place.Invalid("pattern is no string");
    try {
      return Quoted(from, JsonCharactersMatching(
                              ParseRegex(place.At("pattern").get_ref<const std::string&>())));
    } catch (const Error& e) {
      throw WithContext(e, "at " + Printable(place.pointer) + ": pattern");
    }
  }
  const int min = CountOr(place, "minLength", 0);
  const int max = CountOr(place, "maxLength", RegexNode::kUnbounded);
  if (max != RegexNode::kUnbounded && max < min)
    place.Invalid("maxLength is ", max, ", below minLength, which is ", min);
  return Quoted(from, JsonCharacters(min, max));
}

// The integers within the bounds that are written at all.
State Compiler::Integer(State from, const SchemaPlace& place) {
  int64_t low = -kMaxJsonInteger;
  int64_t high = kMaxJsonInteger;
  const auto bound = [&](std::string_view key) {
    const OrderedJson& value = place.At(key);
    if (!value.is_number())
      place.Invalid(key, " is ", Printable(value.dump(), 60), ", expected a number");
    return value;
  };
  // Whole numbers are taken as they are: a double holds 53 bits of one.
  const auto clamped = [](const OrderedJson& value, double rounded) -> int64_t {
    constexpr int64_t kBeyond = kMaxJsonInteger + 1;
    if (value.is_number_unsigned())
      return static_cast<int64_t>(std::min(value.get<uint64_t>(), static_cast<uint64_t>(kBeyond)));
    if (value.is_number_integer()) return std::max(value.get<int64_t>(), -kBeyond);
    return static_cast<int64_t>(std::clamp(rounded, -1e18, 1e18));
  };
  const auto up = [&](const OrderedJson& v) { return clamped(v, std::ceil(v.get<double>())); };
  const auto down = [&](const OrderedJson& v) { return clamped(v, std::floor(v.get<double>())); };
  if (place.Has("minimum")) low = std::max(low, up(bound("minimum")));
  if (place.Has("exclusiveMinimum")) low = std::max(low, down(bound("exclusiveMinimum")) + 1);
  if (place.Has("maximum")) high = std::min(high, down(bound("maximum")));
  if (place.Has("exclusiveMaximum")) high = std::min(high, up(bound("exclusiveMaximum")) - 1);
  if (low > high) place.Invalid("no integer of at most 18 digits is within its bounds");
  return nfa_.AddRegex(from, JsonInteger(low, high));
}

State Compiler::Array(State from, const SchemaPlace& place) {
  if (!place.Has("items") && !place.Has("prefixItems"))
    place.Unimplemented("an array without \"items\" and \"prefixItems\"");
  const SchemaPlace prefix = place.Has("prefixItems") ? place.Child("prefixItems") : place;
  const size_t fixed = place.Has("prefixItems") ? prefix.schema.size() : 0;
  if (place.Has("prefixItems") && (!prefix.schema.is_array() || fixed == 0))
    prefix.Invalid("expected a list of at least one schema");
  const bool more = place.Has("items") && place.At("items") != OrderedJson(false);
  const auto min = static_cast<size_t>(CountOr(place, "minItems", 0));
  const int limit = CountOr(place, "maxItems", RegexNode::kUnbounded);
  const bool endless = more && limit == RegexNode::kUnbounded;
  const size_t max = limit == RegexNode::kUnbounded ? fixed
                     : more                         ? static_cast<size_t>(limit)
                                                    : std::min(fixed, static_cast<size_t>(limit));
  if (!endless && min > max)
    place.Invalid("minItems is ", min, ", but there are at most ", max, " items");

  State at = nfa_.AddText(from, "[");
  const State close = nfa_.NewState();
  if (min == 0) nfa_.AddEmpty(at, close);
  // With `endless` the last item may come again.
  const size_t copies = endless ? std::max({min, fixed + 1}) : max;
  for (size_t i = 0; i < copies; ++i) {
    const State item = nfa_.NewState();
    nfa_.AddEmpty(i == 0 ? at : Separator(at, ","), item);
    at = Value(
        item, i < fixed ? prefix.Under(std::to_string(i), prefix.schema[i]) : place.Child("items"));
    if (i + 1 >= min) nfa_.AddEmpty(at, close);
    if (endless && i + 1 == copies) nfa_.AddEmpty(Separator(at, ","), item);
  }
  return nfa_.AddText(close, "]");
}

// Properties in the schema's order. `bare` is the state before any of them, `filled` the one after some; both lead to the next
// property, so that what follows is there once however many were left out.
State Compiler::Object(State from, const SchemaPlace& place) {
  if (!place.Has("properties")) place.Unimplemented("an object without \"properties\"");
  const SchemaPlace properties = place.Child("properties");
  if (!properties.schema.is_object()) properties.Invalid("expected an object of schemas");
  if (place.Has("additionalProperties") && place.At("additionalProperties") != OrderedJson(false))
    place.Unimplemented("\"additionalProperties\" other than false");
  std::unordered_set<std::string> required;
  if (place.Has("required")) {
    if (!place.At("required").is_array()) place.Invalid("required is no list");
    for (const OrderedJson& name : place.At("required")) {
      if (!name.is_string() || !properties.schema.contains(name.get_ref<const std::string&>()))
        place.Invalid("required names ", Printable(name.dump(), 60),
                      ", which is not among the properties");
      required.insert(name.get<std::string>());
    }
  }
  State bare = nfa_.AddText(from, "{");
  State filled = Nfa::kNone;
  for (const auto& [name, schema] : properties.schema.items()) {
    const State begin = nfa_.NewState();
    if (bare != Nfa::kNone) nfa_.AddEmpty(bare, begin);
    if (filled != Nfa::kNone) nfa_.AddEmpty(Separator(filled, ","), begin);
    const State value = Separator(nfa_.AddText(begin, Quote(name)), ":");
    const State end = nfa_.NewState();
    nfa_.AddEmpty(Value(value, properties.Under(name, schema)), end);
    if (required.contains(name)) {
      bare = Nfa::kNone;
    } else if (filled != Nfa::kNone) {
      nfa_.AddEmpty(filled, end);
    }
    filled = end;
  }
  const State close = nfa_.NewState();
  for (const State last : {bare, filled}) {
    if (last != Nfa::kNone) nfa_.AddEmpty(last, close);
  }
  return nfa_.AddText(close, "}");
}

}  // namespace

Nfa ParseJsonSchema(std::string_view schema) {
  const OrderedJson root = ParseOrderedJson(schema, "the schema");
  return Compiler(root).Run();
}

}  // namespace binocle
