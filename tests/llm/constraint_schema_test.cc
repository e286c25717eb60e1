#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <regex>

#include "core/json.h"
#include "llm/constraint/automaton.h"
#include "llm/constraint/json_schema.h"
#include "tests/testing/errors.h"
#include "tests/testing/random.h"

namespace binocle {
namespace {

Automaton CompileSchema(std::string_view schema) { return Determinize(ParseJsonSchema(schema)); }

std::string SchemaErrorOf(const std::string& schema) {
  return testing::ErrorOf([&] { CompileSchema(schema); });
}

using testing::Random;

// A text of the language: any edges, until a state accepts and the walk is tired of it. Nothing for walks that go on too long.
std::optional<std::string> RandomText(const Automaton& automaton, Random& random) {
  std::string text;
  Automaton::State state = Automaton::kStart;
  while (text.size() < 4000) {
    const auto edges = automaton.edges(state);
    if (automaton.accepting(state) && (edges.empty() || random.Below(4) == 0)) return text;
    // Quotes and brackets end what would go on for ever.
    std::vector<Automaton::Edge> choice(edges.begin(), edges.end());
    for (const auto& edge : edges) {
      if (edge.low == '"' || edge.low == ']') choice.insert(choice.end(), edges.size(), edge);
    }
    const auto& edge = choice[random.Below(choice.size())];
    text += static_cast<char>(edge.low + random.Below(size_t{edge.high} - edge.low + 1));
    state = edge.target;
  }
  return std::nullopt;
}

size_t Characters(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

// JSON Schema by its specification, for the keywords of the subset.
class Validator {
 public:
  explicit Validator(const Json& root) : root_(root) {}

  bool Valid(const Json& schema, const Json& value) const {
    if (schema.contains("$ref")) {
      return Valid(root_.at(Json::json_pointer(schema.at("$ref").get<std::string>().substr(1))),
                   value);
    }
    const auto valid = [&](const Json& alternative) { return Valid(alternative, value); };
    if (schema.contains("anyOf") &&
        std::none_of(schema["anyOf"].begin(), schema["anyOf"].end(), valid))
      return false;
    if (schema.contains("oneOf") &&
        std::count_if(schema["oneOf"].begin(), schema["oneOf"].end(), valid) != 1)
      return false;
    if (schema.contains("const") && schema["const"] != value) return false;
    if (schema.contains("enum") &&
        std::find(schema["enum"].begin(), schema["enum"].end(), value) == schema["enum"].end())
      return false;
    if (schema.contains("type") && !HasOneOf(schema["type"], value)) return false;
    if (value.is_string()) return ValidString(schema, value.get<std::string>());
    if (value.is_number()) return ValidNumber(schema, value);
    if (value.is_array()) return ValidArray(schema, value);
    return !value.is_object() || ValidObject(schema, value);
  }

 private:
  static bool Has(const std::string& type, const Json& value) {
    if (type == "integer")
      return value.is_number_integer() ||
             (value.is_number() && std::floor(value.get<double>()) == value.get<double>());
    return type == "number" ? value.is_number() : value.type_name() == type;
  }
  static bool HasOneOf(const Json& types, const Json& value) {
    if (types.is_string()) return Has(types, value);
    return std::any_of(types.begin(), types.end(),
                       [&](const Json& type) { return Has(type, value); });
  }
  static bool ValidString(const Json& schema, const std::string& text) {
    if (schema.contains("minLength") && Characters(text) < schema["minLength"]) return false;
    if (schema.contains("maxLength") && Characters(text) > schema["maxLength"]) return false;
    return !schema.contains("pattern") ||
           std::regex_search(text, std::regex(schema["pattern"].get<std::string>()));
  }
  static bool ValidNumber(const Json& schema, const Json& value) {
    if (schema.contains("minimum") && value < schema["minimum"]) return false;
    if (schema.contains("maximum") && value > schema["maximum"]) return false;
    if (schema.contains("exclusiveMinimum") && value <= schema["exclusiveMinimum"]) return false;
    return !schema.contains("exclusiveMaximum") || value < schema["exclusiveMaximum"];
  }
  bool ValidArray(const Json& schema, const Json& value) const {
    if (schema.contains("minItems") && value.size() < schema["minItems"]) return false;
    if (schema.contains("maxItems") && value.size() > schema["maxItems"]) return false;
    const size_t fixed = schema.contains("prefixItems") ? schema["prefixItems"].size() : 0;
    for (size_t i = 0; i < value.size(); ++i) {
      if (i < fixed && !Valid(schema["prefixItems"][i], value[i])) return false;
      if (i >= fixed && (!schema.contains("items") || schema["items"] == Json(false) ||
                         !Valid(schema["items"], value[i])))
        return false;
    }
    return true;
  }
  bool ValidObject(const Json& schema, const Json& value) const {
    if (!schema.contains("properties")) return true;
    for (const Json& name : schema.value("required", Json::array())) {
      if (!value.contains(name.get<std::string>())) return false;
    }
    for (const auto& [name, child] : value.items()) {
      if (!schema["properties"].contains(name) || !Valid(schema["properties"][name], child))
        return false;
    }
    return true;
  }

  const Json& root_;
};

// Raw strings would be longer than what they hold: ' stands for ".
std::string Quoted(std::string text) {
  std::replace(text.begin(), text.end(), '\'', '"');
  return text;
}

const char* const kSchemas[] = {
    "{'type': 'boolean'}",
    "{'type': ['null', 'integer']}",
    "{'type': 'number'}",
    "{'type': 'integer', 'minimum': -17, 'exclusiveMaximum': 1205}",
    "{'type': 'integer', 'minimum': 0.5, 'maximum': 9}",
    "{'type': 'integer', 'exclusiveMinimum': 99, 'maximum': 100000}",
    "{'type': 'integer', 'maximum': -3}",
    "{'type': 'string'}",
    "{'type': 'string', 'minLength': 2, 'maxLength': 5}",
    "{'type': 'string', 'minLength': 3}",
    "{'type': 'string', 'pattern': '^[a-c]+$'}",
    "{'type': 'string', 'pattern': 'x[0-9]'}",
    "{'type': 'string', 'pattern': '^a|b$'}",
    "{'type': 'string', 'pattern': '^[\\\"\\\\\\\\\\n\\u0001x]{2}$'}",
    "{'enum': ['red', 'gr\\\"ün', 3, -0.5, null, {'a': [1, 2], 'b': {}}, []]}",
    "{'type': 'string', 'enum': ['a', 1, 'b']}",
    "{'const': {'k': ['v', true]}}",
    "{'type': 'array', 'items': {'type': 'integer', 'minimum': 0, 'maximum': 9}}",
    "{'type': 'array', 'items': {'type': 'boolean'}, 'minItems': 2, 'maxItems': 4}",
    "{'type': 'array', 'items': {'type': 'null'}, 'minItems': 3}",
    "{'type': 'array', 'prefixItems': [{'type': 'null'}, {'type': 'boolean'}], 'items': {'enum': "
    "[7]}, 'minItems': 1}",
    "{'type': 'array', 'prefixItems': [{'type': 'null'}, {'type': 'boolean'}], 'items': false}",
    "{'type': 'array', 'prefixItems': [{'type': 'null'}, {'type': 'boolean'}], 'maxItems': 1}",
    "{'type': 'object', 'properties': {}}",
    "{'type': 'object', 'properties': {'z': {'type': 'null'}, 'a/~': {'type': 'boolean'}, 'm': "
    "{'enum': [1]}}, 'required': ['m']}",
    "{'type': 'object', 'properties': {'p': {'type': 'null'}, 'q': {'enum': [1]}, 'r': {'enum': "
    "[2]}}, 'additionalProperties': false}",
    "{'type': 'object', 'properties': {'p': {'type': 'object', 'properties': {'x': {'type': "
    "'integer'}, 'y': {'type': 'null'}}},"
    " 'l': {'type': 'array', 'items': {'type': 'string', 'maxLength': 2}}}, 'required': ['p', "
    "'l']}",
    "{'anyOf': [{'type': 'integer'}, {'type': 'string', 'maxLength': 1}, {'type': 'number'}]}",
    "{'oneOf': [{'type': 'integer'}, {'type': 'string'}, {'enum': [null, true]}]}",
    "{'oneOf': [{'const': 1}, {'enum': [2, '1']}]}",
    "{'oneOf': [{'type': 'object', 'properties': {'kind': {'const': 'a'}, 'n': {'type': "
    "'integer'}}, 'required': ['kind']},"
    " {'type': 'object', 'properties': {'kind': {'enum': ['b', 'c']}}, 'required': ['kind']}]}",
    "{'$schema': 'x', 'title': 't', 'description': 'd', '$ref': '#/$defs/a~1b', '$defs': {'a/b': "
    "{'type': 'array', 'items':"
    " {'$ref': '#/definitions/c'}, 'maxItems': 2}}, 'definitions': {'c': {'type': 'boolean', "
    "'default': true}}}",
};

TEST(ConstraintSchema, EveryTextIsJsonThatTheSchemaAccepts) {
  Random random(9);
  for (const char* quoted : kSchemas) {
    const std::string text = Quoted(quoted);
    const Json schema = Json::parse(text);
    const Validator validator(schema);
    const Automaton automaton = CompileSchema(text);
    int checked = 0;
    for (int round = 0; round < 400; ++round) {
      const auto answer = RandomText(automaton, random);
      if (!answer) continue;
      Json value;
      ASSERT_NO_THROW(value = Json::parse(*answer)) << text << "\n" << *answer;
      ASSERT_TRUE(validator.Valid(schema, value)) << text << "\n" << *answer;
      ++checked;
    }
    EXPECT_GT(checked, 200) << text;
  }
}

// The values themselves, written as the grammar says, are there.
TEST(ConstraintSchema, AllowsTheSpellingsThatItPromises) {
  const struct {
    const char* schema;
    std::vector<const char*> yes;
    std::vector<const char*> no;
  } kCases[] = {
      {"{'type': 'integer'}",
       {"0", "-1", "999999999999999999"},
       {"-0", "01", "1.0", "1000000000000000000", "+1", ""}},
      {"{'type': 'number'}",
       {"0", "-0.5", "12.25e-3", "1E+99", "123456789012345"},
       {".5", "1.", "1e100", "00", "1234567890123456"}},
      {"{'type': 'string'}",
       {"''", "'a\\\"\\\\\\n\\t'", "'日本🙂'"},
       {"'\\/'", "'\\u0041'", "'", "'\n'", "'a"}},
      {"{'type': 'array', 'items': {'enum': [1]}}",
       {"[]", "[1]", "[1,1, 1]"},
       {"[ ]", "[1,]", "[1,  1]", "[1 ,1]"}},
      {"{'type': 'object', 'properties': {'z': {'enum': [1]}, 'a': {'enum': [2]}, 'm': {'enum': "
       "[3]}}, 'required': ['a']}",
       {"{'a':2}", "{'z': 1, 'a':2,'m': 3}", "{'a': 2, 'm':3}", "{'z':1,'a':2}"},
       {"{}", "{'z':1}", "{'a':2,'z':1}", "{'a':2,}", "{,'a':2}", "{ 'a':2}", "{'a':2,'a':2}"}},
      {"{'enum': [{'a': [1, 2.5]}]}", {"{'a':[1,2.5]}", "{'a': [1, 2.5]}"}, {"{'a':[1, 2.50]}"}},
      {"{'type': 'string', 'format': 'date'}",
       {"'2024-02-29'", "'2000-02-29'", "'1999-12-31'"},
       {"'2023-02-29'", "'1900-02-29'", "'2024-04-31'", "'2024-13-01'"}},
      {"{'type': 'string', 'format': 'time'}",
       {"'23:59:59Z'", "'00:00:00.123+01:30'"},
       {"'24:00:00Z'", "'12:00:00'"}},
      {"{'type': 'string', 'format': 'date-time'}",
       {"'2024-02-29T10:20:30Z'", "'2026-11-25T10:20:30.5-08:00'"},
       {"'2023-02-29T10:20:30Z'", "'2024-02-29'"}},
      {"{'type': 'string', 'format': 'uuid'}",
       {"'123e4567-E89b-12d3-a456-426614174000'"},
       {"'123e4567e89b12d3a456426614174000'"}},
  };
  for (const auto& [schema, yes, no] : kCases) {
    const Automaton automaton = CompileSchema(Quoted(schema));
    for (const char* text : yes)
      EXPECT_TRUE(automaton.Accepts(Quoted(text))) << schema << ": " << text;
    for (const char* text : no)
      EXPECT_FALSE(automaton.Accepts(Quoted(text))) << schema << ": " << text;
  }
}

TEST(ConstraintSchema, IntegerBoundsAreExact) {
  Random random(4);
  for (int round = 0; round < 60; ++round) {
    const auto a = static_cast<int64_t>(random.Below(4000)) - 2000;
    const int64_t b = a + static_cast<int64_t>(random.Below(round % 2 == 0 ? 20 : 3000));
    const Automaton automaton =
        CompileSchema(R"({"type":"integer","minimum":)" + std::to_string(a) + R"(,"maximum":)" +
                      std::to_string(b) + "}");
    for (int64_t i = -5200; i <= 5200; ++i)
      ASSERT_EQ(automaton.Accepts(std::to_string(i)), i >= a && i <= b)
          << i << " in " << a << " … " << b;
    EXPECT_FALSE(automaton.Accepts("-0"));
  }
}

TEST(ConstraintSchema, NamesTheKeywordAndItsPlace) {
  const auto outside = [](const std::string& what) {
    return "UNIMPLEMENTED: " + Quoted(what) +
           " is outside the supported subset (docs/constraints.md)";
  };
  const auto error = [](const std::string& schema) { return SchemaErrorOf(Quoted(schema)); };
  EXPECT_EQ(error("{}"), outside("at #: a schema without type, enum, const, anyOf, oneOf or $ref"));
  EXPECT_EQ(error("true"), outside("at #: a schema that accepts everything"));
  EXPECT_EQ(error("{'type': 'object'}"), outside("at #: an object without 'properties'"));
  EXPECT_EQ(error("{'type': 'array'}"),
            outside("at #: an array without 'items' and 'prefixItems'"));
  EXPECT_EQ(error("{'type': 'object', 'properties': {'a/b': {'allOf': []}}}"),
            outside("at #/properties/a~1b: 'allOf'"));
  EXPECT_EQ(error("{'type': 'array', 'items': {'type': 'array', 'items': {'type': 'null'}, "
                  "'uniqueItems': true}}"),
            outside("at #/items: 'uniqueItems'"));
  EXPECT_EQ(error("{'type': 'number', 'minimum': 1}"), outside("at #: 'minimum'"));
  EXPECT_EQ(error("{'type': ['integer', 'number'], 'minimum': 1}"),
            outside("at #: 'minimum' of a number that need not be an integer"));
  EXPECT_EQ(error("{'type': 'string', 'format': 'email'}"), outside("at #: 'format': 'email'"));
  EXPECT_EQ(error("{'type': 'string', 'format': 'date', 'maxLength': 3}"),
            outside("at #: more than one of pattern, format and the lengths"));
  EXPECT_EQ(error("{'type': 'object', 'properties': {}, 'additionalProperties': {'type': 'null'}}"),
            outside("at #: 'additionalProperties' other than false"));
  EXPECT_EQ(error("{'anyOf': [{'type': 'null'}], 'type': 'null'}"),
            outside("at #: 'type' beside 'anyOf'"));
  EXPECT_EQ(error("{'$ref': '#'}"), outside("at #: '$ref': '#'"));
  EXPECT_EQ(error("{'$ref': '#/$defs/a', '$defs': {'a': {'type': 'array', 'items': {'$ref': "
                  "'#/$defs/a'}}}}"),
            outside("at #/$defs/a/items: the recursive '$ref': '#/$defs/a'"));
  EXPECT_EQ(error("{'oneOf': [{'type': 'integer'}, {'type': 'number'}]}"),
            outside("at #: 'oneOf' whose alternatives 0 and 1 may accept the same value"));
  EXPECT_EQ(error("{'oneOf': [{'const': 1}, {'enum': ['a', 1.0]}]}"),
            outside("at #: 'oneOf' whose alternatives 0 and 1 may accept the same value"));
  EXPECT_EQ(error("{'oneOf': [{'const': {'a': 1, 'b': 2}}, {'const': {'b': 2, 'a': 1}}]}"),
            outside("at #: 'oneOf' whose alternatives 0 and 1 may accept the same value"));
  EXPECT_EQ(error("{'type': 'string', 'pattern': 'a(?=b)'}"),
            "UNIMPLEMENTED: at #: pattern: at byte 1: look-around are outside the supported "
            "dialect (docs/constraints.md)");
}

TEST(ConstraintSchema, NamesMistakesAndTheirPlace) {
  const auto error = [](const std::string& schema) { return SchemaErrorOf(Quoted(schema)); };
  const std::string invalid = "INVALID_ARGUMENT: ";
  EXPECT_EQ(error("{'type'"), invalid + "the schema: not valid JSON: it ends too early");
  EXPECT_EQ(error("{'type' 3}"), invalid + "the schema: not valid JSON: no JSON from byte 9 on");
  EXPECT_EQ(error("{'minimum': 1e999}"),
            invalid + "the schema: not valid JSON: has a number that is too large");
  EXPECT_EQ(error("3"), invalid + "at #: is a JSON number, expected a schema");
  EXPECT_EQ(error("{'type': 'array', 'items': false}").substr(0, 8), "no error")
      << "the empty array";
  EXPECT_EQ(error("false"), invalid + "at #: the schema false accepts nothing");
  EXPECT_EQ(error("{'type': 'float'}"),
            Quoted(invalid + "at #: type is 'float', expected one or some of null, boolean, "
                             "integer, number, string, array, object"));
  EXPECT_EQ(error("{'$ref': '#/$defs/a'}"),
            Quoted(invalid + "at #: $ref names '#/$defs/a', which is not there"));
  EXPECT_EQ(error("{'type': 'object', 'properties': {}, 'required': ['a']}"),
            Quoted(invalid + "at #: required names 'a', which is not among the properties"));
  EXPECT_EQ(error("{'type': 'string', 'minLength': -1}"),
            invalid + "at #: minLength is -1, expected an integer from 0 to 1000000000");
  EXPECT_EQ(error("{'type': 'string', 'minLength': 3, 'maxLength': 2}"),
            invalid + "at #: maxLength is 2, below minLength, which is 3");
  EXPECT_EQ(error("{'type': 'integer', 'minimum': 3, 'maximum': 2}"),
            invalid + "at #: no integer of at most 18 digits is within its bounds");
  EXPECT_EQ(error("{'type': 'array', 'prefixItems': [{'type': 'null'}], 'minItems': 2}"),
            invalid + "at #: minItems is 2, but there are at most 1 items");
  EXPECT_EQ(error("{'enum': []}"), invalid + "at #: enum has no value of the schema's type");
  EXPECT_EQ(error("{'type': 'string', 'pattern': 'a('}"),
            invalid + "at #: pattern: at byte 1: '(' is never closed");
}

TEST(ConstraintSchema, HostileSchemasRunIntoLimits) {
  const auto exhausted = [](const std::string& schema) {
    return SchemaErrorOf(Quoted(schema)).starts_with("RESOURCE_EXHAUSTED: ");
  };
  EXPECT_TRUE(exhausted("{'type': 'string', 'maxLength': 1000000000}"));
  EXPECT_TRUE(exhausted("{'type': 'array', 'items': {'type': 'string'}, 'minItems': 1000000000}"));
  std::string doubling = "{'$ref': '#/$defs/d0', '$defs': {'d40': {'type': 'null'}";
  std::string chain = "{'$ref': '#/$defs/d0', '$defs': {'d900': {'type': 'null'}";
  for (int i = 0; i < 900; ++i) {
    const std::string next = "{'$ref': '#/$defs/d" + std::to_string(i + 1) + "'}";
    const std::string name = ", 'd" + std::to_string(i) + "': ";
    if (i < 40)
      doubling +=
          name + "{'type': 'array', 'prefixItems': [" + next + ", " + next + "], 'minItems': 2}";
    chain += name + next;
  }
  EXPECT_TRUE(exhausted(doubling + "}}"));
  EXPECT_TRUE(exhausted(chain + "}}"));
  std::string properties;
  for (int i = 0; i < 3000; ++i)
    properties += (i > 0 ? ", 'p" : "'p") + std::to_string(i) + "': {'enum': [1]}";
  EXPECT_TRUE(exhausted("{'type': 'object', 'properties': {" + properties + "}}"));
  EXPECT_TRUE(SchemaErrorOf(std::string(60000, '[')).starts_with("INVALID_ARGUMENT: "))
      << "too deep to parse";
}

}  // namespace
}  // namespace binocle
