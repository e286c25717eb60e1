// Why a text is no JSON, in our words: the library's have its own numbers in brackets, and quote what they should not.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace binocle {

// "it ends too early", "no JSON from byte 12 on". `bytes`: of the whole text.
inline std::string JsonFault(const nlohmann::json::exception& error, size_t bytes) {
  constexpr int kNumberOverflows = 406;
  if (error.id == kNumberOverflows) return "has a number that is too large";
  const auto* parse = dynamic_cast<const nlohmann::json::parse_error*>(&error);
  if (parse == nullptr) return "a value is not of the type that it should have";
  if (parse->byte > bytes) return "it ends too early";
  return "no JSON from byte " + std::to_string(parse->byte) + " on";
}

}  // namespace binocle
