// A scorer's name, a line break, and any bytes as a line of answers. Nothing but binocle::Error comes out; a line that is accepted comes back
// as an object with a score of 0 … 1, and the summary is JSON.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "binocle/eval.h"
#include "core/error.h"
#include "core/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t end = std::min(input.find('\n'), input.size());
  try {
    binocle::Scoring scoring(input.substr(0, end));
    const std::string line = scoring.Score(input.substr(std::min(end + 1, size)));
    const binocle::Json scored = binocle::Json::parse(line);
    const double score = scored.at("score").get<double>();
    BINOCLE_CHECK(score >= 0 && score <= 1, score);
    const std::string summary = scoring.Summary(binocle::IncompleteGroups::kLeftOut);
    BINOCLE_CHECK(binocle::Json::parse(summary).at("summary").at("lines") == 1, summary);
  } catch (const binocle::Error& error) {
    BINOCLE_CHECK(error.message().find('\n') == std::string::npos, error.message());
  }
  return 0;
}
