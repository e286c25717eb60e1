#include "eval/samples.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "eval/readers/values.h"
#include "eval/sample_images.h"

namespace binocle::eval {
namespace {

constexpr size_t kMaxOptions = 26;

// The column of a field that the task maps; null where the row has none or a null.
const Json* Find(const Json& row, const std::string& column) {
  const Json* value = column.empty() ? nullptr : FindColumn(row, column);
  return value == nullptr || value->is_null() ? nullptr : value;
}

const Json& Column(const Json& row, const std::string& column) {
  const Json* value = Find(row, column);
  if (value == nullptr) ThrowInvalid("has no column ", column);
  return *value;
}

std::string TextOr(const Json& row, const std::string& column) {
  const Json* value = Find(row, column);
  return value == nullptr ? "" : TextOf(*value, column);
}

std::string NonEmptyText(const Json& row, const std::string& column) {
  std::string text = TextOf(Column(row, column), column);
  if (text.empty()) ThrowInvalid("column ", column, " is empty");
  return text;
}

// "(a) Open (b) Closed": each option goes on to the next mark.
std::vector<std::string> LetteredOptions(const std::string& text) {
  std::vector<std::string> options;
  size_t at = text.find("(a)");
  while (at != std::string::npos) {
    const size_t begin = at + 3;
    const std::string next = {'(', static_cast<char>('b' + options.size()), ')'};
    at = text.find(next, begin);
    std::string option = text.substr(begin, at == std::string::npos ? at : at - begin);
    option.erase(0, option.find_first_not_of(' '));
    option.erase(option.find_last_not_of(' ') + 1);
    options.push_back(std::move(option));
  }
  return options;
}

std::vector<std::string> OptionsOf(const Json& row, const Columns& columns) {
  std::vector<std::string> options;
  if (columns.options.size() == 1) {
    const std::string& column = columns.options[0];
    const Json* value = Find(row, column);
    if (value == nullptr) return {};
    const bool is_lettered =
        value->is_string() && value->get_ref<const std::string&>().starts_with("(a)");
    options = is_lettered ? LetteredOptions(value->get<std::string>()) : TextsOf(*value, column);
    if (options.size() == 1 && options[0].empty()) options.clear();
  } else {
    bool ended = false;
    for (const std::string& column : columns.options) {
      std::string option = TextOr(row, column);
      if (option.empty()) {
        ended = true;
      } else if (ended) {
        ThrowInvalid("column ", column, " has an option after one that is empty");
      } else {
        options.push_back(std::move(option));
      }
    }
  }
  if (options.size() == 1 || options.size() > kMaxOptions)
    ThrowInvalid("has ", options.size(), " options, expected none or 2 to 26");
  return options;
}

// The letter that the row means, checked against the options.
std::string LetterOf(const Json& row, const Columns& columns, size_t options) {
  const std::string text = NonEmptyText(row, columns.answer);
  size_t index = kMaxOptions;
  if (columns.answer_form == AnswerForm::kIndex) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
    if (error != std::errc() || end != text.data() + text.size()) index = kMaxOptions;
  } else {
    std::string letter = text;
    if (columns.answer_form == AnswerForm::kLettered && letter.size() == 3 && letter[0] == '(' &&
        letter[2] == ')')
      letter = static_cast<char>(letter[1] - 'a' + 'A');
    if (letter.size() == 1 && letter[0] >= 'A' && letter[0] <= 'Z')
      index = static_cast<size_t>(letter[0] - 'A');
  }
  if (index >= std::max<size_t>(options, 1))
    ThrowInvalid("column ", columns.answer, " is ", Printable(text, 40), ", expected one of ",
                 options, " options");
  return std::string(1, static_cast<char>('A' + index));
}

std::string GroupOf(const Json& row, const Columns& columns) {
  if (columns.group.empty()) return "";
  const std::string text = NonEmptyText(row, columns.group);
  if (columns.group_plus == 0 && columns.group_modulo == 0 && columns.group_divide == 1)
    return text;
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0 ||
      number > int64_t{1} << 60)
    ThrowInvalid("column ", columns.group, " is ", Printable(text, 40),
                 ", expected an integer of 0 or more");
  number += columns.group_plus;
  if (columns.group_modulo > 0) number %= columns.group_modulo;
  return std::to_string(number / columns.group_divide);
}

std::string IdOf(const Json& row, const Columns& columns) {
  constexpr double kMostExact = 9007199254740992;  // 2^53: larger ones may be another's number too
  if (!columns.id.empty()) {
    const Json& id = Column(row, columns.id);
    if (id.is_number_float() && std::abs(id.get<double>()) > kMostExact)
      ThrowInvalid("column ", columns.id, " is ", id.dump(),
                   ", which is not exact, expected a text or a number of 64 bits");
    return NonEmptyText(row, columns.id);
  }
  return TextOr(row, "_file") + "-" + TextOr(row, "_row");
}

void FillAnswer(const Json& row, const Columns& columns, Sample& sample) {
  if (!columns.options.empty()) sample.options = OptionsOf(row, columns);
  if (!columns.references.empty()) {
    sample.references = TextsOf(Column(row, columns.references), columns.references);
    if (sample.references.empty()) ThrowInvalid("column ", columns.references, " is empty");
  }
  if (!columns.objects.empty())
    sample.objects = TextsOf(Column(row, columns.objects), columns.objects);
  if (columns.answer.empty()) return;
  if (columns.answer_form == AnswerForm::kText ||
      (!columns.options.empty() && sample.options.empty())) {
    sample.answer = NonEmptyText(row, columns.answer);
  } else {
    sample.answer = LetterOf(row, columns, sample.options.size());
  }
}

Sample SampleOf(const Row& row, const Task& task) {
  const Columns& columns = task.columns;
  Sample sample{.id = IdOf(row.fields, columns), .place = row.place};
  if (!columns.question.empty()) sample.question = NonEmptyText(row.fields, columns.question);
  for (const auto& [name, column] : columns.fields)
    sample.fields[name] = TextOr(row.fields, column);
  FillAnswer(row.fields, columns, sample);
  if (!task.open && !columns.options.empty() && sample.options.empty())
    ThrowInvalid("has no options, expected 2 to 26");
  sample.category = TextOr(row.fields, columns.category);
  if (!columns.abilities.empty())
    sample.abilities = TextsOf(Column(row.fields, columns.abilities), columns.abilities);
  sample.answer_type = TextOr(row.fields, columns.answer_type);
  sample.group = GroupOf(row.fields, columns);
  return sample;
}

std::string OptionLines(const std::vector<std::string>& options) {
  std::string lines;
  for (size_t i = 0; i < options.size(); ++i) {
    lines += i == 0 ? "" : "\n";
    lines += static_cast<char>('A' + i);
    lines += ". " + options[i];
  }
  return lines;
}

bool IsOpen(const Task& task, const Sample& sample) {
  return task.open.has_value() && sample.options.empty();
}

}  // namespace

std::filesystem::path TaskFolder(const Task& task, const std::filesystem::path& data) {
  std::error_code ignored;
  const std::filesystem::path own = data / task.name;
  return std::filesystem::is_directory(own, ignored) ? own : data;
}

SampleReader::SampleReader(const Task& task, std::filesystem::path folder, ReaderLimits limits)
    : task_(task), folder_(std::move(folder)) {
  try {
    rows_ = OpenRows(task.data, folder_, limits, problems_);
  } catch (const Error& error) {
    if (error.code() != Code::kNotFound) throw;
    Throw(Code::kNotFound, error.message(), "; how to get the data of ", task.name, ": ",
          task.how_to_get);
  }
}

SampleReader::~SampleReader() = default;

bool SampleReader::IsWanted(const Json& fields) const {
  return std::all_of(task_.where.begin(), task_.where.end(), [&](const auto& condition) {
    const Json* value = FindColumn(fields, condition.first);
    return value != nullptr && !value->is_structured() &&
           TextOf(*value, condition.first) == condition.second;
  });
}

std::optional<Sample> SampleReader::Next() {
  while (auto row = rows_->Next()) {
    if (!IsWanted(row->fields)) {
      ++left_out_;
      continue;
    }
    Damage damage = Damage::kColumn;
    try {
      Sample sample = SampleOf(*row, task_);
      damage = Damage::kDuplicateId;
      if (!ids_.insert(sample.id).second)
        ThrowInvalid("id ", sample.id, " is that of an earlier row");
      damage = Damage::kImage;
      sample.images = ReadSampleImages(row->fields, task_.images, folder_);
      return sample;
    } catch (const Error& error) {
      problems_.Add(damage, row->place, error.message());
    }
  }
  return std::nullopt;
}

std::string RenderPrompt(const Task& task, const Sample& sample, const std::string& name) {
  const Prompt& prompt = IsOpen(task, sample) ? task.open->prompt : task.PromptOf(name);
  return prompt.text.Render([&](const std::string& field) {
    if (field == "question") return sample.question;
    if (field == "options") return OptionLines(sample.options);
    return sample.fields.at(field);  // the task's parser knows the names
  });
}

const std::string& ScorerOf(const Task& task, const Sample& sample) {
  return IsOpen(task, sample) ? task.open->scorer : task.scorer;
}

OrderedJson AnswerLine(const Sample& sample, std::string_view prediction) {
  OrderedJson line = {{"id", sample.id}, {"prediction", prediction}};
  const auto add = [&](const char* name, const auto& value) {
    if (!value.empty()) line[name] = value;
  };
  add("answer", sample.answer);
  add("references", sample.references);
  add("options", sample.options);
  if (sample.objects) line["objects"] = *sample.objects;
  add("category", sample.category);
  add("abilities", sample.abilities);
  add("answer_type", sample.answer_type);
  add("group", sample.group);
  return line;
}

}  // namespace binocle::eval
