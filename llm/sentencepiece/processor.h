// A sentencepiece model.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "llm/sentencepiece/module.h"

namespace binocle {

class SentencePieceProcessor {
 public:
  using Kind = SentencePieceModule::Kind;

  SentencePieceProcessor() = default;
  // `name` stands for the file in messages. INVALID_ARGUMENT for bytes that are no model; INTERNAL where the module is missing.
  SentencePieceProcessor(std::string_view bytes, const std::string& name);

  int32_t size() const;
  // Of ids below size().
  std::string Piece(int32_t id) const;
  Kind KindOf(int32_t id) const;
  // The unknown token's for a piece that is none.
  int32_t IdOf(std::string_view piece) const;
  std::vector<std::string> Encode(std::string_view text) const;

 private:
  const SentencePieceModule* module_ = nullptr;  // the process's, never unloaded
  std::shared_ptr<void> model_;                  // owned by copies together; the module's memory
};

}  // namespace binocle
