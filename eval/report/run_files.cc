#include "eval/report/run_files.h"

#include <algorithm>
#include <cmath>
#include <fstream>

#include "core/error.h"
#include "core/mapped_file.h"
#include "eval/report/headline_terms.h"
#include "eval/run/sha256.h"
#include "eval/run/whole_file.h"
#include "eval/text.h"

namespace binocle::eval {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kResults = "_results.json";

// The one results file of a folder.
fs::path ResultsFile(const std::string& folder) {
  std::error_code failure;
  if (!fs::is_directory(folder, failure))
    Throw(Code::kNotFound, folder, ": is no folder, expected one that binocle eval run wrote");
  std::vector<fs::path> found;
  bool is_begun = false;
  for (const auto& entry : fs::directory_iterator(folder, failure)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(kResults)) found.push_back(entry.path());
    is_begun = is_begun || name.starts_with("journal_");
  }
  if (failure) ThrowFileError(failure.value(), folder, "cannot be read");
  if (found.empty())
    Throw(Code::kNotFound, folder, ": holds no *", kResults,
          is_begun ? ": the run is not finished (binocle eval run goes on, binocle eval merge puts "
                     "shards together)"
                   : ", expected a folder that binocle eval run wrote");
  if (found.size() == 1) return found[0];
  std::sort(found.begin(), found.end());
  Throw(Code::kFailedPrecondition, folder, ": holds ", found.size(), " results, ",
        found[0].filename().string(), " and ", found[1].filename().string(),
        ", expected those of one run");
}

std::string TextOr(const Json& object, const char* key) {
  const auto at = object.find(key);
  if (at == object.end() || at->is_null()) return "";
  return at->is_string() ? at->get<std::string>() : at->dump();
}

std::vector<std::string> WantedOf(const Json& sample) {
  for (const char* key : {"answer", "references", "objects"}) {
    const auto at = sample.find(key);
    if (at == sample.end() || at->is_null()) continue;
    if (!at->is_array()) return {TextOr(sample, key)};
    std::vector<std::string> texts;
    for (const Json& text : *at)
      texts.push_back(text.is_string() ? text.get<std::string>() : text.dump());
    return texts;
  }
  return {};
}

// As Fields::WantedYesNo reads it, without its error.
std::optional<YesNo> WantedYesNoOf(const Json& sample) {
  const auto at = sample.find("answer");
  if (at == sample.end() || !at->is_string()) return std::nullopt;
  const YesNo wanted =
      ParsePopeLmms(ReplaceAll(FromUtf8(at->get_ref<const std::string&>()), U".", U""));
  return wanted == YesNo::kOther ? std::nullopt : std::optional(wanted);
}

// Whose score counts for this sample.
std::string DeciderOf(const Json& about, const RunSample& sample) {
  const std::string judge = TextOr(about, "judge");
  if (!judge.empty()) return judge;
  const std::string open = TextOr(about, "open_scorer");
  return !open.empty() && sample.options == 0 ? open : TextOr(about, "scorer");
}

void ReadScores(const Json& line, const Json& about, RunSample& sample) {
  const std::string decider = DeciderOf(about, sample);
  if (const auto scored = line.find("scored"); scored != line.end()) {
    for (const auto& [name, found] : scored->items())
      sample.scores[name] = found.at("score").get<double>();
    if (scored->contains(decider)) sample.found = scored->at(decider);
  } else if (line.contains(decider) && line[decider].is_number()) {
    sample.scores[decider] = line[decider].get<double>();
  }
  if (const auto at = sample.scores.find(decider); at != sample.scores.end())
    sample.score = at->second;
}

RunSample SampleOf(const Json& line, const Json& about) {
  RunSample sample{.id = TextOr(line, "id"), .place = TextOr(line, "place")};
  sample.prompt = line.at("input").get<std::string>();
  sample.images = line.at("images").get<std::vector<std::string>>();
  sample.wanted = WantedOf(line);
  sample.wanted_yes_no = WantedYesNoOf(line);
  sample.together = TextOr(line, "group");
  if (const auto at = line.find("options"); at != line.end())
    sample.options = static_cast<int64_t>(at->size());
  sample.category = TextOr(line, "category");
  sample.abilities = line.value("abilities", std::vector<std::string>{});
  sample.answer_type = TextOr(line, "answer_type");
  sample.doc_hash = line.at("doc_hash").get<std::string>();
  if (const auto error = line.find("error"); error != line.end()) {
    sample.error =
        error->at("code").get<std::string>() + ": " + error->at("message").get<std::string>();
    return sample;
  }
  sample.prediction = line.at("prediction").get<std::string>();
  sample.cut_off = line.at("finish_reason") == "length";
  sample.prompt_tokens = line.at("prompt_tokens").get<int64_t>();
  sample.completion_tokens = line.at("completion_tokens").get<int64_t>();
  ReadScores(line, about, sample);
  return sample;
}

// The groups of samples: their pictures, and alone where there are none.
class Groups {
 public:
  int64_t Of(const std::vector<std::string>& images) {
    if (images.empty()) return next_++;
    const auto [at, is_new] = numbers_.try_emplace(images, next_);
    if (is_new) ++next_;
    return at->second;
  }

 private:
  std::map<std::vector<std::string>, int64_t> numbers_;
  int64_t next_ = 0;
};

std::vector<RunSample> ReadSamples(const fs::path& path, const Json& about) {
  if (!IsThere(path))
    Throw(Code::kDataLoss, path.string(), ": is not there, expected it beside the results");
  const MappedFile file(path);
  std::vector<RunSample> samples;
  Groups groups;
  std::string_view rest = file.bytes();
  for (int64_t number = 1; !rest.empty(); ++number) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string where = path.string() + ": line " + std::to_string(number);
    try {
      const Json line = ParseJson(rest.substr(0, end), where);
      if (line.at("doc_id") != number - 1)
        Throw(Code::kDataLoss, where, ": doc_id is ", line["doc_id"].dump(), ", expected ",
              number - 1);
      samples.push_back(SampleOf(line, about));
      samples.back().group = groups.Of(samples.back().images);
    } catch (const Json::exception& e) {
      Throw(Code::kDataLoss, where, ": is no sample of a run: ", e.what());
    } catch (const Error& error) {
      throw Error(Code::kDataLoss, error.message());
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return samples;
}

// Whether the samples come to the score that the results tell of.
void CheckScore(const fs::path& path, const RunTask& task) {
  const Json& score = task.about.at("score");
  if (score.is_null()) return;
  const auto metric = task.about.at("metric").get<std::string>();
  const auto wanted = score.get<double>();
  const std::vector<ScoredSample> scored = ScoredSamplesOf(task);
  const HeadlineUnits units = UnitsOf(task.scorer(), scored);
  const double found = units.value().value_or(0);
  if (units.units.empty() || std::abs(found - wanted) > 1e-9 * units.most)
    Throw(Code::kDataLoss, path.string(), ": the ", metric == "score" ? "mean score" : metric,
          " is ", found, " of ", scored.size(), " samples, expected ", score.dump(),
          " (binocle.tasks.", task.name, ".score of the results)");
}

// Whether the samples are those that the results tell of.
void CheckSamples(const fs::path& path, const RunTask& task, const std::string& hash) {
  const auto expect = [&](const char* what, int64_t found, const char* member) {
    const auto wanted = task.about.at(member).get<int64_t>();
    if (found != wanted)
      Throw(Code::kDataLoss, path.string(), ": has ", found, " ", what, ", expected ", wanted,
            " (binocle.tasks.", task.name, ".", member, " of the results)");
  };
  expect("samples", std::ssize(task.samples), "samples");
  int64_t answered = 0;
  Sha256 hashes;
  for (const RunSample& sample : task.samples) {
    answered += sample.prediction ? 1 : 0;
    hashes.Add(sample.doc_hash);
  }
  expect("answers", answered, "answered");
  if (const std::string found = hashes.Hex(); found != hash)
    Throw(Code::kDataLoss, path.string(), ": holds other samples than the run had: their hash is ",
          found, ", expected ", hash, " (task_hashes of the results)");
  CheckScore(path, task);
}

// Nothing where one is not as RunEval writes it: times are beside a run, not of it.
std::optional<double> SecondsPerAnswer(const std::string& folder) {
  double seconds = 0;
  double answers = 0;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (!entry.path().filename().string().starts_with("times_")) continue;
    std::ifstream file(entry.path());
    for (std::string text; std::getline(file, text);) {
      const Json line = Json::parse(text, nullptr, false);
      if (!line.is_object()) return std::nullopt;
      const Json none = -1;
      const Json& s = line.contains("seconds") ? line["seconds"] : none;
      const Json& a = line.contains("answered") ? line["answered"] : none;
      if (!s.is_number() || !a.is_number()) return std::nullopt;
      seconds += s.get<double>();
      answers += a.get<double>();
    }
  }
  if (!(answers > 0) || !(seconds > 0)) return std::nullopt;
  return seconds / answers;
}

void ReadTasks(const fs::path& path, const Json& results, RunFiles& files) {
  const std::string name = path.filename().string();
  const std::string stem = name.substr(0, name.size() - kResults.size());
  for (const auto& [task_name, unused] : results.at("results").items()) {
    RunTask task{.name = task_name, .about = results.at("binocle").at("tasks").at(task_name)};
    const fs::path samples = path.parent_path() / (stem + "_samples_" + task_name + ".jsonl");
    task.samples = ReadSamples(samples, task.about);
    CheckSamples(samples, task, results.at("task_hashes").at(task_name).get<std::string>());
    files.tasks.push_back(std::move(task));
  }
}

}  // namespace

std::string RunSample::Wanted() const {
  std::string text;
  for (const std::string& one : wanted) text += (text.empty() ? "" : " · ") + one;
  return text;
}

std::string RunTask::scorer() const {
  const std::string judge = TextOr(about, "judge");
  return judge.empty() ? TextOr(about, "scorer") : judge;
}

RunFiles ReadRunFiles(const std::string& folder) {
  const fs::path path = ResultsFile(folder);
  const Json results = [&] {
    try {
      return ReadJsonFile(path);
    } catch (const Error& error) {
      throw Error(Code::kDataLoss, error.message());
    }
  }();
  if (!results.contains("binocle"))
    ThrowInvalid(path.string(),
                 ": has no member binocle, expected the results of binocle eval run");
  try {
    RunFiles files{.folder = folder, .model = results.at("model_name").get<std::string>()};
    files.run = results.at("binocle");
    files.run.erase("tasks");
    ReadTasks(path, results, files);
    files.seconds_per_answer = SecondsPerAnswer(folder);
    return files;
  } catch (const Json::exception& e) {
    Throw(Code::kDataLoss, path.string(), ": is no whole results file: ", e.what());
  }
}

}  // namespace binocle::eval
