#include "eval/task.h"

#include <algorithm>
#include <set>
#include <utility>

#include "core/error.h"
#include "core/mapped_file.h"
#include "eval/chair.h"
#include "eval/fields.h"
#include "eval/scorer.h"

namespace binocle::eval {
namespace {

constexpr size_t kMaxTaskBytes = size_t{1} << 20;

std::vector<std::string> Texts(const JsonObject& object, std::string_view key) {
  if (!object.Has(key)) return {};
  const Json& value = object.json()[std::string(key)];
  if (value.is_string()) return {value.get<std::string>()};
  const auto is_text = [](const Json& item) { return item.is_string(); };
  if (!value.is_array() || !std::all_of(value.begin(), value.end(), is_text))
    object.Fail(key, "a text or a list of texts");
  return value.get<std::vector<std::string>>();
}

std::map<std::string, std::string> TextMap(const JsonObject& object, std::string_view key) {
  std::map<std::string, std::string> map;
  if (!object.Has(key)) return map;
  const JsonObject texts = object.Object(key);
  for (const auto& [name, value] : texts.json().items()) map[name] = texts.String(name);
  return map;
}

Template TemplateOf(const JsonObject& object, std::string_view key) {
  try {
    return Template(object.String(key));
  } catch (const Error& error) {
    throw WithContext(error, internal::Concat(object.where(), ": ", key));
  }
}

// Data belongs to the data folder: a task file from elsewhere must not read other files.
void CheckInside(const JsonObject& object, std::string_view key, const std::string& path) {
  const std::filesystem::path parts(path);
  if (path.empty() || parts.is_absolute() ||
      std::find(parts.begin(), parts.end(), "..") != parts.end())
    object.Fail(key, "paths within the data folder");
}

DataFiles ParseData(const JsonObject& object) {
  object.OnlyKeys({"format", "files", "annotations", "records", "sha256", "where", "how_to_get"});
  DataFiles data;
  const auto format = FindDataFormat(object.String("format"));
  if (!format) object.Fail("format", kDataFormatNames);
  data.format = *format;
  data.files = Texts(object, "files");
  data.annotations = Texts(object, "annotations");
  if (data.files.empty()) object.Fail("files", "at least one file");
  for (const std::string& file : data.files) CheckInside(object, "files", file);
  for (const std::string& file : data.annotations) CheckInside(object, "annotations", file);
  const size_t annotations = data.format == DataFormat::kVqa ? data.files.size() : 0;
  if (data.annotations.size() != annotations)
    object.Fail("annotations", annotations == 0 ? "none but for the format vqa" : "one per file");
  data.records = object.StringOr("records", "");
  if (!data.records.empty() && data.format != DataFormat::kJson)
    object.Fail("records", "none but for the format json");
  data.sha256 = TextMap(object, "sha256");
  for (const auto& [file, hash] : data.sha256) {
    const bool listed = std::find(data.files.begin(), data.files.end(), file) != data.files.end();
    const bool hex =
        hash.size() == 64 && hash.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!listed || !hex) object.Fail("sha256", "64 hexadecimal digits for some of the files");
  }
  return data;
}

AnswerForm AnswerFormOf(const JsonObject& object) {
  const std::string form =
      object.Choice("answer_form", "text", {"text", "letter", "lettered", "index"});
  if (form == "letter") return AnswerForm::kLetter;
  if (form == "lettered") return AnswerForm::kLettered;
  return form == "index" ? AnswerForm::kIndex : AnswerForm::kText;
}

Columns ParseColumns(const JsonObject& object) {
  object.OnlyKeys({"id", "question", "answer", "answer_form", "references", "options", "objects",
                   "category", "abilities", "answer_type", "group", "group_plus", "group_modulo",
                   "group_divide", "fields"});
  Columns columns;
  columns.id = object.StringOr("id", "");
  columns.question = object.StringOr("question", "");
  columns.answer = object.StringOr("answer", "");
  columns.answer_form = AnswerFormOf(object);
  columns.references = object.StringOr("references", "");
  columns.options = Texts(object, "options");
  columns.objects = object.StringOr("objects", "");
  columns.category = object.StringOr("category", "");
  columns.abilities = object.StringOr("abilities", "");
  columns.answer_type = object.StringOr("answer_type", "");
  columns.group = object.StringOr("group", "");
  columns.group_plus = object.IntOr("group_plus", 0, -1000000, 1000000);
  columns.group_modulo = object.IntOr("group_modulo", 0, 0, 1000000000);
  columns.group_divide = object.IntOr("group_divide", 1, 1, 1000000000);
  columns.fields = TextMap(object, "fields");
  return columns;
}

Images ParseImages(const JsonObject& object) {
  object.OnlyKeys({"form", "column", "path", "folder", "optional"});
  Images images;
  images.form = object.Choice("form", std::nullopt, {"path", "base64"}) == "path"
                    ? ImageForm::kPath
                    : ImageForm::kBase64;
  images.columns = Texts(object, "column");
  if (object.Has("path")) images.path = TemplateOf(object, "path");
  if (images.columns.empty() == !images.path.has_value())
    object.Fail("column", "a column or a list of columns, or else path");
  if (images.path && images.form != ImageForm::kPath)
    object.Fail("path", "none where form is base64");
  images.folder = object.StringOr("folder", "");
  if (!images.folder.empty()) CheckInside(object, "folder", images.folder);
  images.optional = object.BoolOr("optional", false);
  return images;
}

Prompt ParsePrompt(const JsonObject& object, const Columns& columns) {
  Prompt prompt{TemplateOf(object, "text"), object.String("source")};
  for (const std::string& name : prompt.text.names()) {
    const bool known = (name == "question" && !columns.question.empty()) ||
                       (name == "options" && !columns.options.empty()) ||
                       columns.fields.contains(name);
    if (!known)
      ThrowInvalid(object.where(), ": text asks for {", name,
                   "}, expected question, options or one of columns: fields");
  }
  return prompt;
}

// What every row can give the scorer; the rest shows row by row.
void CheckScorer(const JsonObject& task, std::string_view key, const std::string& name,
                 const Columns& columns) {
  const std::vector<ScorerDefinition> all = AllScorers();
  const auto scorer = std::find_if(
      all.begin(), all.end(), [&](const auto& candidate) { return candidate.info.name == name; });
  if (scorer == all.end()) task.Fail(key, "names that binocle eval scorers lists");
  const std::map<std::string, bool> given = {
      {"prediction", true},
      {"answer", !columns.answer.empty()},
      {"references", !columns.references.empty()},
      {"references|answer", !columns.references.empty() || !columns.answer.empty()},
      {"options", !columns.options.empty()},
      {"objects|references", !columns.objects.empty() || !columns.references.empty()},
      {"category", !columns.category.empty()},
      {"group", !columns.group.empty()}};
  for (const std::string& member : scorer->info.required) {
    const auto found = given.find(member);
    if (found == given.end() || !found->second)
      ThrowInvalid(task.where(), ": columns: ", member, " is missing, expected a column: ", key,
                   " ", name, " needs it");
  }
}

bool ReadsOptions(const std::string& name) {
  for (const ScorerDefinition& scorer : AllScorers()) {
    const auto& required = scorer.info.required;
    if (scorer.info.name == name)
      return std::find(required.begin(), required.end(), "options") != required.end();
  }
  return false;
}

void ParseScoring(const JsonObject& object, Task& task) {
  task.scorer = object.StringOr("scorer", "");
  task.judge = object.StringOr("judge", "");
  if (task.scorer.empty() == task.judge.empty())
    object.Fail("scorer", "a scorer's name, or else judge");
  if (!task.scorer.empty()) CheckScorer(object, "scorer", task.scorer, task.columns);
  task.choice_judge = object.StringOr("choice_judge", "");
  if (!task.choice_judge.empty() && !ReadsOptions(task.scorer))
    object.Fail("choice_judge", "none but beside a scorer that needs options");
  task.also_scorers = Texts(object, "also_scorers");
  for (const std::string& name : task.also_scorers)
    CheckScorer(object, "also_scorers", name, task.columns);
  if (!object.Has("without_options")) return;
  const JsonObject open = object.Object("without_options");
  open.OnlyKeys({"text", "source", "scorer"});
  task.open = OpenQuestions{ParsePrompt(open, task.columns), open.String("scorer")};
  CheckScorer(open, "scorer", task.open->scorer, task.columns);
}

TaskGeneration ParseGeneration(const JsonObject& object) {
  object.OnlyKeys({"max_new_tokens", "temperature", "stops"});
  TaskGeneration generation;
  generation.max_new_tokens = object.Int("max_new_tokens", 1, 1 << 20);
  generation.temperature = object.NumberOr("temperature", 0, 0, 100);
  generation.stops = Texts(object, "stops");
  for (const std::string& stop : generation.stops) {
    if (stop.empty()) object.Fail("stops", "texts that are not empty");
  }
  return generation;
}

TaskConstraint ParseConstraint(const JsonObject& object, const Columns& columns) {
  object.OnlyKeys({"choices", "option_letters"});
  TaskConstraint constraint{Texts(object, "choices"), object.BoolOr("option_letters", false)};
  if (constraint.choices.empty() == !constraint.option_letters)
    object.Fail("choices", "a list of texts, or else option_letters");
  if (constraint.option_letters && columns.options.empty())
    object.Fail("option_letters", "columns: options beside it");
  return constraint;
}

std::string NameOf(const JsonObject& object) {
  const std::string name = object.String("name");
  if (name.empty() || name.size() > 64 ||
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") != std::string::npos)
    object.Fail("name", "1 to 64 of a to z, 0 to 9 and _");
  return name;
}

Task ParseTaskObject(const JsonObject& object) {
  // First: a file of another schema may have any keys.
  if (object.Int("schema", 1, 1 << 20) != kTaskSchema)
    object.Fail("schema", std::to_string(kTaskSchema));
  object.OnlyKeys({"schema", "name", "version", "description", "homepage", "data", "columns",
                   "images", "prompts", "without_options", "scorer", "also_scorers", "judge",
                   "choice_judge", "generation", "constraint", "group_by_image", "objects"});
  Task task;
  task.name = NameOf(object);
  task.version = object.String("version");
  task.description = object.String("description");
  task.homepage = object.StringOr("homepage", "");
  const JsonObject data = object.Object("data");
  task.data = ParseData(data);
  task.where = TextMap(data, "where");
  task.how_to_get = data.String("how_to_get");
  task.columns = ParseColumns(object.Object("columns"));
  task.images = ParseImages(object.Object("images"));
  const JsonObject prompts = object.Object("prompts");
  for (const auto& [name, value] : prompts.json().items()) {
    const JsonObject prompt = prompts.Object(name);
    prompt.OnlyKeys({"text", "source"});
    task.prompts.emplace(name, ParsePrompt(prompt, task.columns));
  }
  if (!task.prompts.contains("default")) prompts.Fail("default", "a prompt");
  ParseScoring(object, task);
  task.generation = ParseGeneration(object.Object("generation"));
  if (object.Has("constraint"))
    task.constraint = ParseConstraint(object.Object("constraint"), task.columns);
  task.group_by_image = object.BoolOr("group_by_image", true);
  task.objects_file = object.StringOr("objects", "");
  if (!task.objects_file.empty()) {
    CheckInside(object, "objects", task.objects_file);
    if (task.scorer != "chair") object.Fail("objects", "none but with the scorer chair");
  }
  return task;
}

}  // namespace

const Prompt& Task::PromptOf(const std::string& name) const {
  const auto found = prompts.find(name);
  return found == prompts.end() ? prompts.at("default") : found->second;
}

Task ParseTask(std::string_view text, const std::string& where) {
  try {
    const Json json = ParseAnswerLine(text);
    return ParseTaskObject(JsonObject(json, "task"));
  } catch (const Error& error) {
    throw WithContext(error, where);
  }
}

Task ReadTask(const std::filesystem::path& path) {
  Task task = ParseTask(ReadFile(path, kMaxTaskBytes), path.string());
  if (!task.objects_file.empty()) {
    const std::filesystem::path file = path.parent_path() / task.objects_file;
    task.objects = ReadFile(file, kMaxTaskBytes);
    try {
      const CaptionObjects objects(task.objects);
    } catch (const Error& error) {
      throw WithContext(error, file.string());
    }
  }
  return task;
}

std::vector<Task> ReadTasks(const std::filesystem::path& folder) {
  std::error_code error;
  std::vector<std::filesystem::path> paths;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().extension() == ".json") paths.push_back(entry->path());
  }
  if (error) Throw(Code::kNotFound, folder.string(), ": ", error.message());
  std::sort(paths.begin(), paths.end());
  std::vector<Task> tasks;
  for (const auto& path : paths) {
    tasks.push_back(ReadTask(path));
    if (tasks.back().name != path.stem())
      ThrowInvalid(path.string(), ": task: name is ", tasks.back().name,
                   ", expected the file's name, ", path.stem().string());
  }
  return tasks;
}

}  // namespace binocle::eval
