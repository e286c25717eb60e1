// Any bytes as a text, through good models. Ids must be inside the vocabulary, and decoded text UTF-8 and the same in one
// piece and as a stream.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/error.h"
#include "llm/streaming_decoder.h"
#include "llm/tokenizer_sentencepiece.h"
#include "llm/utf8.h"

namespace {

using binocle::Tokenizer;

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
  static const std::unique_ptr<Tokenizer> models[] = {
      binocle::LoadSentencePieceTokenizer(BINOCLE_TEST_DATA "/tokenizer/legacy"),
      binocle::LoadSentencePieceTokenizer(BINOCLE_TEST_DATA "/tokenizer/non_legacy"),
      binocle::LoadSentencePieceTokenizer(BINOCLE_TEST_DATA "/tokenizer/binocle")};
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto& tokenizer : models) CheckText(*tokenizer, text.substr(0, 4096));
  return 0;
}
