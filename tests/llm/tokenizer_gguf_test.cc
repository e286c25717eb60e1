// Vocabularies out of GGUF files against the references of the files that they were made of.
#include "llm/tokenizer_gguf.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "core/gguf.h"
#include "core/json.h"
#include "llm/streaming_decoder.h"

namespace binocle {
namespace {

const std::filesystem::path kGgufData = BINOCLE_TEST_DATA;

std::unique_ptr<Tokenizer> LoadGguf(const std::string& name) {
  const auto path = kGgufData / "gguf_models" / name;
  return MakeGgufTokenizer(GgufFile(path).metadata(), path.string());
}

TEST(GgufTokenizer, OfByteLevelPairsEncodesAsItsTokenizerJson) {
  const Json cases = ReadJsonFile(kGgufData / "tokenizer_bpe/smollm2/cases.json");
  ASSERT_GT(cases["encode"].size(), 80U);
  for (const char* file : {"tokenizer_gpt2.gguf", "tokenizer_refact.gguf"}) {
    const auto tokenizer = LoadGguf(file);
    for (const Json& row : cases["encode"]) {
      const auto ids = tokenizer->Encode(row["text"].get<std::string>(), AddSpecial::kYes);
      EXPECT_EQ(ids, row["ids"].get<std::vector<int32_t>>()) << file << ": " << row["text"];
      EXPECT_EQ(Decode(*tokenizer, ids), row["decoded"].get<std::string>()) << row["text"];
    }
  }
}

TEST(GgufTokenizer, OfPiecesAndScoresEncodesAsItsTokenizerModel) {
  const auto tokenizer = LoadGguf("tokenizer_llama.gguf");
  const Json cases = ReadJsonFile(kGgufData / "tokenizer/legacy/cases.json");
  EXPECT_EQ(tokenizer->vocabulary_size(), cases["size"].get<int32_t>());
  EXPECT_EQ(tokenizer->bos_id(), 1);
  EXPECT_EQ(tokenizer->eos_id(), 2);
  for (const Json& row : cases["encode"]) {
    const auto ids = tokenizer->Encode(row["text"].get<std::string>(), AddSpecial::kYes);
    EXPECT_EQ(ids, row["ids"].get<std::vector<int32_t>>()) << row["text"];
    EXPECT_EQ(Decode(*tokenizer, ids), row["decoded"].get<std::string>()) << row["text"];
  }
}

}  // namespace
}  // namespace binocle
