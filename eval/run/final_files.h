// The files at the end of a run, from its journal alone: the same journal lines, in whatever order, give the same bytes.
#pragma once

#include <filesystem>

#include "binocle/eval_run.h"
#include "eval/run/journal.h"
#include "eval/run/journal_index.h"

namespace binocle::eval {

// Writes samples, what judges are to grade, and last of all the results, whose being there says that all is. Verdicts that are in the
// folder count. The journal is one of a run without shards, or of all shards put together, and has a line for every sample.
EvalResult WriteFinalFiles(const JournalFile& journal, const JournalIndex& index,
                           const std::filesystem::path& out);

}  // namespace binocle::eval
