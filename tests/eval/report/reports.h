// Finished runs for tests of reports: a small task, answers by a function.
#pragma once

#include <functional>
#include <string>

#include "tests/eval/run/runs.h"

namespace binocle::eval {

// A task "mine" over rows that a test writes, with its runs in folders.
class Finished {
 public:
  // Lines of JSON with members id, q, image and what `columns` names.
  Finished(const std::string& rows, const std::string& columns, const std::string& scorer) {
    folder_.Write("data/a.jsonl", rows);
    for (int i = 0; i < 9; ++i) folder_.Write("data/" + std::to_string(i) + ".png", "x");
    WriteTask("1", columns, scorer);
  }
  void WriteTask(const std::string& version, const std::string& columns,
                 const std::string& scorer) const {
    folder_.Write("mine.json", R"({"schema": 1, "name": "mine", "version": ")" + version + R"(",
      "description": "d", "data": {"format": "jsonl", "files": ["a.jsonl"], "how_to_get": "w"},
      "columns": {"id": "id", "question": "q")" +
                                   columns + R"(},
      "images": {"form": "path", "column": "image"},
      "prompts": {"default": {"text": "{question}", "source": "s"},
                  "loud": {"text": "{question}!", "source": "s"}},
      )" + scorer + R"(, "generation": {"max_new_tokens": 8}})");
  }
  const DataFolder& folder() const { return folder_; }

  // Answers by the prompt. Returns the folder.
  std::string Run(const std::string& out,
                  const std::function<std::string(const std::string&)>& answer,
                  const std::function<void(EvalRun&)>& change = {}) const {
    EvalRun run;
    run.tasks = {(folder_.path() / "mine.json").string()};
    run.data = (folder_.path() / "data").string();
    run.out = (folder_.path() / out).string();
    run.concurrency = 1;
    run.model.name = "m";
    if (change) change(run);
    RunEval(run, [&](const Request& request) {
      Response response;
      Answer& one = response.answers.emplace_back();
      one.text = answer(request.messages.at(0).text);
      one.token_ids = {1, 2, 3};
      response.prompt_tokens = 10;
      return response;
    });
    return run.out;
  }

 private:
  DataFolder folder_;
};

// {"id": "s0", "q": "q0", "a": …, "image": "0.png", …}: `answers` in turn, two questions a picture.
inline std::string RowsOf(const std::vector<std::string>& answers, const std::string& more = "") {
  std::string rows;
  for (size_t i = 0; i < answers.size(); ++i) {
    const std::string number = std::to_string(i);
    rows += R"({"id": "s)" + number + R"(", "q": "q)" + number + R"(", "a": ")" + answers[i] +
            R"(", "image": ")" + std::to_string(i / 2 % 9) + R"(.png")" + more + "}\n";
  }
  return rows;
}

// What a run that has all of `answers` right says, but for the questions in `wrong`.
inline std::function<std::string(const std::string&)> AnswersBut(
    const std::vector<std::string>& answers, const std::set<size_t>& wrong,
    const std::string& instead = "no idea") {
  return [=](const std::string& prompt) {
    const auto i = static_cast<size_t>(std::stoul(prompt.substr(1)));
    return wrong.contains(i) ? instead : answers.at(i);
  };
}

inline void ReplaceIn(const std::filesystem::path& path, const std::string& from,
                      const std::string& to) {
  std::string text = ReadAllOf(path);
  const size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << path << " has no " << from;
  std::ofstream(path, std::ios::binary) << text.replace(at, from.size(), to);
}

}  // namespace binocle::eval
