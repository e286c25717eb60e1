// The commands of `binocle eval`. Each adds its options to it and runs as their callback.
#pragma once

namespace CLI {
class App;
}

namespace binocle::cli {

void AddEvalCompare(CLI::App& eval);
void AddEvalDescribe(CLI::App& eval);
void AddEvalJudge(CLI::App& eval);
void AddEvalList(CLI::App& eval);
void AddEvalMerge(CLI::App& eval);
void AddEvalReport(CLI::App& eval);
void AddEvalRun(CLI::App& eval);
void AddEvalScore(CLI::App& eval);
void AddEvalScorers(CLI::App& eval);

}  // namespace binocle::cli
