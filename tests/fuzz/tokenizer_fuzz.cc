// Fuzzes the tokenizer: any text against a good model, and any bytes as a model.
//
// The first input byte chooses: even, the rest is a text for the model of $BINOCLE_FUZZ_TOKENIZER (a directory; by
// default the golden legacy one); odd, the rest is a tokenizer.model. What must hold: nothing but binocle::Error is
// thrown, ids are inside the vocabulary, decoded text is UTF-8 and the same in one piece and as a stream.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "core/error.h"
#include "llm/streaming_decoder.h"
#include "llm/tokenizer_sentencepiece.h"
#include "llm/utf8.h"

namespace {

using binocle::Tokenizer;

std::unique_ptr<Tokenizer> LoadGood() {
  const char* directory = std::getenv("BINOCLE_FUZZ_TOKENIZER");
  return binocle::LoadSentencePieceTokenizer(
      directory != nullptr ? directory : BINOCLE_TEST_DATA "/tokenizer/legacy");
}

void CheckText(const Tokenizer& tokenizer, std::string_view text) {
  const std::vector<int32_t> ids = tokenizer.Encode(text, binocle::AddSpecial::kYes);
  binocle::StreamingDecoder decoder(tokenizer);
  std::string streamed;
  for (const int32_t id : ids) {
    BINOCLE_CHECK(id >= 0 && id < tokenizer.vocabulary_size(), id);
    const std::string delta = decoder.Push(id);
    BINOCLE_CHECK(binocle::IsUtf8(delta), delta);
    streamed += delta;
  }
  streamed += decoder.Finish();
  BINOCLE_CHECK(streamed == binocle::Decode(tokenizer, ids), streamed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 0) {
    static const std::unique_ptr<Tokenizer> good = LoadGood();
    CheckText(*good, rest.substr(0, 4096));
    return 0;
  }
  try {
    const binocle::TokenizerConfig config{.legacy = data[0] % 4 == 1};
    CheckText(*binocle::MakeSentencePieceTokenizer(rest, config, "fuzz.model"),
              " the cat \xF0\x9F\x99\x82</s>\xFF\n");
  } catch (const binocle::Error&) {
  }
  return 0;
}
