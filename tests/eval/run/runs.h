// Small runs for tests: a task over a folder that a test writes, and a model that answers from a function.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "binocle/eval_run.h"
#include "tests/eval/data_folder.h"

namespace binocle::eval {

// What the action throws, which must be an error.
inline Error Thrown(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error";
  return {Code::kUnknown, "no error"};
}

inline std::string ReadAllOf(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

inline std::vector<std::string> LinesOf(const std::filesystem::path& path) {
  std::vector<std::string> lines;
  std::ifstream in(path, std::ios::binary);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// Files at the end of a run by name, without journals and times.
inline std::map<std::string, std::string> FinalFilesIn(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("journal_") && !name.starts_with("times_"))
      files[name] = ReadAllOf(entry.path());
  }
  return files;
}

// A task "mine" of `pictures` pictures with `questions` questions each. The questions about a picture are not beside each other in the data. The
// answer to question q7 is a7.
class SmallRun {
 public:
  explicit SmallRun(int pictures = 4, int questions = 3, const std::string& more = "") {
    WriteTask("mine", more);
    std::string rows;
    for (int q = 0; q < questions; ++q) {
      for (int p = 0; p < pictures; ++p) {
        const std::string number = std::to_string(q * pictures + p);
        rows += R"({"id": "s)" + number + R"(", "q": "q)" + number + R"(", "a": "a)" + number +
                R"(", "image": ")" + std::to_string(p) + R"(.png"})" + "\n";
      }
    }
    for (int p = 0; p < pictures; ++p) folder_.Write("data/" + std::to_string(p) + ".png", "x");
    folder_.Write("data/a.jsonl", rows);
  }

  // `of_data`: more members of "data".
  void WriteTask(const std::string& name, const std::string& more = "",
                 const std::string& of_data = "") const {
    folder_.Write(name + ".json", R"({"schema": 1, "name": ")" + name + R"(", "version": "1",
      "description": "d", "data": {"format": "jsonl", "files": ["a.jsonl"], "how_to_get": "w")" +
                                      of_data + R"(},
      "columns": {"id": "id", "question": "q", "answer": "a"},
      "images": {"form": "path", "column": "image"},
      "prompts": {"default": {"text": "{question}", "source": "s"},
                  "loud": {"text": "{question}!", "source": "s"}},
      )" + (more.empty() ? R"("scorer": "exact_match")" : more) +
                                      R"(, "generation": {"max_new_tokens": 8}})");
  }

  const DataFolder& folder() const { return folder_; }
  std::filesystem::path out(const std::string& name = "out") const { return folder_.path() / name; }
  EvalRun Make(const std::string& out_name = "out") const {
    EvalRun run;
    run.tasks = {(folder_.path() / "mine.json").string()};
    run.data = (folder_.path() / "data").string();
    run.out = out(out_name).string();
    run.concurrency = 1;
    run.model.name = "org/model";
    return run;
  }

 private:
  DataFolder folder_;
};

// Answers "a7" to "q7", and keeps what it was asked.
class Answering {
 public:
  EvalAsk Ask() {
    return [this](const Request& request) { return Answer(request); };
  }
  // Called first; may throw.
  std::function<void(const Request&)> before;
  std::vector<Request> asked;

 private:
  Response Answer(const Request& request) {
    const std::lock_guard lock(mutex_);
    if (before) before(request);
    asked.push_back(request);
    Response response;
    binocle::Answer& answer = response.answers.emplace_back();
    answer.text = "a" + request.messages.at(0).text.substr(1);
    answer.token_ids = {1, 2};
    response.prompt_tokens = 10;
    response.image_tokens = 4;
    return response;
  }

  std::mutex mutex_;
};

inline std::vector<std::string> Prompts(const Answering& answering) {
  std::vector<std::string> prompts;
  for (const Request& request : answering.asked) prompts.push_back(request.messages.at(0).text);
  return prompts;
}

}  // namespace binocle::eval
