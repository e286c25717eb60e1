// Tasks: what is asked of a model, over which data, and how the answers are scored, as one declarative file (docs/evaluation.md, "Add a
// task").
//
//   const Task task = ReadTask("eval/tasks/textvqa.json");
//
// Schema 1. A key that is not known is refused, so that a spelling mistake is no silent default.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "eval/readers/readers.h"
#include "eval/template.h"

namespace binocle::eval {

inline constexpr int64_t kTaskSchema = 1;

// How a column gives the answer.
enum class AnswerForm {
  kText,
  kLetter,    // "B"
  kLettered,  // "(b)"
  kIndex,     // 1: the second option
};

// Which columns of a row are which fields of a sample. Empty: there is none.
struct Columns {
  std::string id;  // empty: FILE-ROW
  std::string question;
  std::string answer;
  AnswerForm answer_form = AnswerForm::kText;
  std::string references;
  std::vector<std::string>
      options;  // one: a list, or a text "(a) … (b) …"; several: one option each, as many as are not empty
  std::string objects;
  std::string category;
  std::string abilities;  // lists: MM-Vet's capabilities, of which a question needs several
  std::string answer_type;
  std::string group;
  int64_t group_plus = 0;    // (group + plus) % modulo / divide, for groups that are integers
  int64_t group_modulo = 0;  // 0: none
  int64_t group_divide = 1;
  std::map<std::string, std::string> fields;  // more fields for prompts: name to column
};

enum class ImageForm { kPath, kBase64 };

struct Images {
  ImageForm form = ImageForm::kPath;
  std::vector<std::string> columns;  // the pictures, one or a list in each
  std::optional<Template> path;      // instead: a path made of a row's columns
  std::string folder;                // within the data folder, in front of paths
  bool optional = false;             // rows without a picture are samples too
};

struct Prompt {
  Template text;
  std::string source;  // where it was published
};

// What a task without options in a row asks and how it is scored.
struct OpenQuestions {
  Prompt prompt;
  std::string scorer;
};

struct TaskGeneration {
  int64_t max_new_tokens = 0;
  double temperature = 0;
  std::vector<std::string> stops;
};

// What answers could be held to. Published scores are without: a runner applies it only where asked.
struct TaskConstraint {
  std::vector<std::string> choices;
  bool option_letters = false;
};

struct Task {
  std::string name;
  std::string version;
  std::string description;
  std::string homepage;
  std::string how_to_get;  // the data, in words
  DataFiles data;
  std::map<std::string, std::string> where;  // only rows with these texts in these columns
  Columns columns;
  Images images;
  std::map<std::string, Prompt> prompts;  // by name or model family; "default" is there
  std::optional<OpenQuestions> open;
  std::string scorer;                     // empty: a judge decides
  std::vector<std::string> also_scorers;  // reported beside it
  std::string judge;                      // empty: a scorer decides
  std::string choice_judge;  // who says which option an answer means that the scorer cannot read
  std::string objects_file;  // beside the task file: what chair knows; empty: COCO's
  std::string objects;       // its content; ReadTask reads it
  TaskGeneration generation;
  TaskConstraint constraint;
  bool group_by_image = true;  // questions about a picture are asked one after the other

  // Of that name, or the default.
  const Prompt& PromptOf(const std::string& name) const;
};

// Throws INVALID_ARGUMENT with the place, what was found and what was expected.
Task ParseTask(std::string_view text, const std::string& where);
Task ReadTask(const std::filesystem::path& path);
// All "*.json" of a folder by name. Throws where two tasks have the same name or a task's name is not its file's.
std::vector<Task> ReadTasks(const std::filesystem::path& folder);

}  // namespace binocle::eval
