// Answers as they come, for people.
#pragma once

#include "binocle/request.h"

namespace binocle::cli {

// Prints the first answer to stdout as it comes.
Observer StreamedToStdout();
// The others, which are made beside it, each on a line of its own, and the last line's end.
void PrintOtherAnswers(const Response& response);
// Where the time went, on stderr.
void PrintTimings(const Response& response);

}  // namespace binocle::cli
