// Any bytes as a tokenizer.model. One that is accepted must encode and decode; nothing but binocle::Error comes out.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/error.h"
#include "llm/streaming_decoder.h"
#include "llm/tokenizer_sentencepiece.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view model(reinterpret_cast<const char*>(data), size);
  for (const bool legacy : {true, false}) {
    try {
      const binocle::TokenizerConfig config{.legacy = legacy, .unk = "<unk>"};
      const auto tokenizer = binocle::MakeSentencePieceTokenizer(model, config, "fuzz.model");
      const auto ids =
          tokenizer->Encode("  the cat \xF0\x9F\x99\x82</s>\xFF\n", binocle::AddSpecial::kYes);
      for (const int32_t id : ids) BINOCLE_CHECK(id >= 0 && id < tokenizer->vocabulary_size(), id);
      binocle::Decode(*tokenizer, ids);
    } catch (const binocle::Error&) {
    }
  }
  return 0;
}
