#include "llm/tokenizer.h"

#include "core/error.h"
#include "core/mapped_file.h"
#include "llm/tokenizer_json.h"
#include "llm/tokenizer_sentencepiece.h"

namespace binocle {

void CheckTextBytes(std::string_view text) {
  if (text.size() <= kMaxTextBytes) return;
  Throw(Code::kResourceExhausted, "prompt: has ", text.size(), " bytes, the limit is ",
        kMaxTextBytes);
}

std::unique_ptr<Tokenizer> LoadTokenizer(const std::filesystem::path& directory) {
  if (IsThere(directory / "tokenizer.model")) return LoadSentencePieceTokenizer(directory);
  if (IsThere(directory / "tokenizer.json")) return LoadJsonTokenizer(directory);
  Throw(Code::kNotFound, directory.string(),
        ": has no tokenizer, expected tokenizer.model or tokenizer.json");
}

bool HasTokenizer(const std::filesystem::path& directory) {
  return IsThere(directory / "tokenizer.model") || IsThere(directory / "tokenizer.json");
}

}  // namespace binocle
