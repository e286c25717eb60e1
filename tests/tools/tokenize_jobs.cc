// Encodes and decodes lines for tools/reference/tokenizer_sweep.py.
//
//   tokenize_jobs MODEL_DIRECTORY    stdin: a JSON string a line; stdout: {"ids": […], "text": …} for each, the text decoded from the ids
#include <iostream>
#include <string>

#include "core/json.h"
#include "llm/streaming_decoder.h"
#include "llm/tokenizer.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    const auto tokenizer = binocle::LoadTokenizer(argv[1]);
    for (std::string line; std::getline(std::cin, line);) {
      const std::string text = binocle::Json::parse(line).get<std::string>();
      const std::vector<int32_t> ids = tokenizer->Encode(text, binocle::AddSpecial::kYes);
      std::cout << binocle::Json{{"ids", ids}, {"text", binocle::Decode(*tokenizer, ids)}}.dump()
                << '\n';
    }
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return 0;
}
