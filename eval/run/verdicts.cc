#include "eval/run/verdicts.h"

#include <utility>

#include "core/error.h"
#include "eval/fields.h"
#include "eval/readers/text_file.h"
#include "eval/run/sha256.h"

namespace binocle::eval {
namespace {

std::string PredictionHash(const OrderedJson& record) {
  return Sha256Of(record.at("prediction").get<std::string>());
}

std::string IdOf(const OrderedJson& line, const std::string& place) {
  const auto id = line.find("id");
  if (id == line.end() || !(id->is_string() || id->is_number_integer()))
    ThrowInvalid(place, ": id is ", id == line.end() ? "missing" : "no text",
                 ", expected that of a line that was to be graded");
  return id->is_string() ? id->get<std::string>() : id->dump();
}

OrderedJson ParseVerdict(std::string_view text, const std::string& place) {
  try {
    return OrderedJson(ParseAnswerLine(text));
  } catch (const Error& error) {
    throw WithContext(error, place);
  }
}

void CheckScore(const OrderedJson& line, const std::string& place) {
  const auto score = line.find("score");
  if (score == line.end()) ThrowInvalid(place, ": score is missing, expected a number, 0 to 1");
  if (!score->is_number() || score->get<double>() < 0 || score->get<double>() > 1)
    ThrowInvalid(place, ": score is ", Printable(score->dump(), 40), ", expected a number, 0 to 1");
  if (line.contains("choice"))
    ThrowInvalid(place, ": has a score and a choice, expected a score alone");
}

void CheckChoice(const OrderedJson& line, const std::string& place) {
  constexpr const char* kExpected = ", expected a capital letter, or null for none of the options";
  const auto choice = line.find("choice");
  if (choice == line.end()) ThrowInvalid(place, ": choice is missing", kExpected);
  if (line.contains("score"))
    ThrowInvalid(place, ": has a choice and a score, expected a choice alone");
  const std::string letter = choice->is_string() ? choice->get<std::string>() : "";
  const bool is_letter = letter.size() == 1 && letter[0] >= 'A' && letter[0] <= 'Z';
  if (!is_letter && !choice->is_null())
    ThrowInvalid(place, ": choice is ", Printable(choice->dump(), 40), kExpected);
}

}  // namespace

std::string JudgeNameOf(const Json& task) {
  const auto judge = task.at("judge").get<std::string>();
  return judge.empty() ? task.value("choice_judge", "") : judge;
}

JudgeKind JudgeKindOf(const Json& task) {
  if (task.at("judge") != "") return JudgeKind::kScore;
  return JudgeNameOf(task).empty() ? JudgeKind::kNone : JudgeKind::kChoice;
}

OrderedJson JudgeLine(const OrderedJson& record) {
  OrderedJson line = {{"id", record.at("id")}, {"question", record.at("prompt")}};
  for (const char* name : {"answer", "references", "options", "category", "prediction", "images"}) {
    if (record.contains(name)) line[name] = record[name];
  }
  line["prediction_sha256"] = PredictionHash(record);
  return line;
}

Verdicts Verdicts::Read(const std::filesystem::path& path, JudgeKind kind) {
  const TextFile file(path, path.string());
  Verdicts verdicts;
  Lines lines(file.text());
  for (std::string_view text; lines.Next(text);) {
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string place = file.Place(lines.number());
    OrderedJson line = ParseVerdict(text, place);
    const std::string id = IdOf(line, place);
    kind == JudgeKind::kChoice ? CheckChoice(line, place) : CheckScore(line, place);
    if (!verdicts.lines_.emplace(id, std::move(line)).second)
      ThrowInvalid(place, ": id is ", Printable(id, 60), ", which an earlier line has");
  }
  return verdicts;
}

const OrderedJson* Verdicts::Find(const OrderedJson& record) const {
  const auto found = lines_.find(record.at("id").get<std::string>());
  if (found == lines_.end()) return nullptr;
  const auto hash = found->second.find("prediction_sha256");
  const bool stale = hash != found->second.end() && *hash != PredictionHash(record);
  return stale ? nullptr : &found->second;
}

}  // namespace binocle::eval
