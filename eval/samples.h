// Samples: the rows of a task's data as a model is asked them and as a scorer needs them.
//
//   SampleReader reader(task, "data/textvqa");
//   while (auto sample = reader.Next()) Ask(RenderPrompt(task, *sample, "default"), sample->images);
//   std::cerr << reader.problems().Summary();
//
// Samples come in the order of the files. What is wrong with a row (a column, its id, a picture) is reported and counted, and costs that
// row only. Pictures are looked for, not decoded.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "eval/readers/rows.h"
#include "eval/task.h"

namespace binocle::eval {

// One of the two.
struct SampleImage {
  std::filesystem::path path;
  std::string bytes;  // an encoded picture
};

struct Sample {
  std::string id;  // only once in a task
  std::string place;
  std::string question;
  std::map<std::string, std::string> fields;  // of columns: fields
  std::vector<SampleImage> images;
  std::string answer;  // a letter where the task has options
  std::vector<std::string> references;
  std::vector<std::string> options;
  std::optional<std::vector<std::string>> objects;  // an empty list: there are none
  std::string category;
  std::vector<std::string> abilities;
  std::string answer_type;
  std::string group;
};

// Where a task's data is in `data`: the folder of the task's name in it, where there is one.
std::filesystem::path TaskFolder(const Task& task, const std::filesystem::path& data);

class SampleReader {
 public:
  // Opens the task's files within `folder`. `task` must outlive this. Throws like OpenRows, with how to get the data where a file is not
  // there.
  SampleReader(const Task& task, std::filesystem::path folder, ReaderLimits limits = {});
  ~SampleReader();
  SampleReader(const SampleReader&) = delete;
  SampleReader& operator=(const SampleReader&) = delete;

  std::optional<Sample> Next();
  // Counts the sample's row as damaged after all, for what its columns hold.
  void Refuse(const Sample& sample, const std::string& what) {
    problems_.Add(Damage::kColumn, sample.place, what);
  }
  const Problems& problems() const { return problems_; }
  // Rows that data: where left out.
  int64_t left_out() const { return left_out_; }

 private:
  bool IsWanted(const Json& fields) const;

  const Task& task_;
  std::filesystem::path folder_;
  Problems problems_;
  std::unique_ptr<RowReader> rows_;
  std::unordered_set<std::string> ids_;
  int64_t left_out_ = 0;
};

// Of the prompt of that name (Task::PromptOf), or of "without_options" where the sample has none and the task knows such questions.
std::string RenderPrompt(const Task& task, const Sample& sample, const std::string& name);
// Empty where a judge decides.
const std::string& ScorerOf(const Task& task, const Sample& sample);
// A line for Scoring::Score: id, prediction and what the scorer reads.
OrderedJson AnswerLine(const Sample& sample, std::string_view prediction);
// The same for the same pictures in the same order: a path, or a hash of the bytes. Empty without pictures.
std::string ImageKey(const Sample& sample);

}  // namespace binocle::eval
