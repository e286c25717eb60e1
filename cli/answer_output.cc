#include "cli/answer_output.h"

#include <cstdio>
#include <iostream>

namespace binocle::cli {

Observer StreamedToStdout() {
  return {.on_delta =
              [](const Delta& delta) {
                if (delta.answer == 0) std::cout << delta.text << std::flush;
              },
          .keep_going = {}};
}

void PrintOtherAnswers(const Response& response) {
  for (size_t i = 1; i < response.answers.size(); ++i)
    std::cout << '\n' << response.answers[i].text;
  std::cout << '\n';
}

void PrintTimings(const Response& r) {
  const Timings& t = r.timings;
  std::fprintf(stderr,
               "load %.0f ms, pictures %.1f, anchor %.1f, augment %.1f, fusion %.1f, prefill %.1f "
               "(%lld tokens), first token %.1f, total %.1f, %.2f per token\n",
               t.load, t.decode, t.anchor, t.augment, t.fusion, t.prefill,
               static_cast<long long>(r.prompt_tokens), t.first_token, t.total, t.per_token);
}

}  // namespace binocle::cli
