#include "eval/run/plan.h"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

#include "core/error.h"
#include "core/mapped_file.h"
#include "eval/run/sha256.h"
#include "eval/run/shards.h"

namespace binocle::eval {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxTaskBytes = size_t{1} << 20;

void CheckRun(const EvalRun& run) {
  if (run.tasks.empty()) ThrowOption("tasks", "is empty, expected at least one task");
  if (run.limit) CheckOption("limit", *run.limit, 1, int64_t{1} << 40);
  CheckOption("concurrency", run.concurrency, 1, 1024);
  CheckOption("shard", run.shard.count, 1, 1 << 16);
  CheckOption("shard", run.shard.index, 0, run.shard.count - 1);
  CheckOption("n", run.request.generation.n, 1, 1);
  if (!run.request.messages.empty())
    ThrowOption("request", "has messages, expected none: tasks bring them");
}

std::string PromptNameOf(const Task& task, const EvalRun& run) {
  if (run.prompt.empty())
    return task.prompts.contains(run.model.family) ? run.model.family : "default";
  if (task.prompts.contains(run.prompt)) return run.prompt;
  std::string names;
  for (const auto& [name, prompt] : task.prompts) names += (names.empty() ? "" : ", ") + name;
  ThrowOption("prompt", "is ", Printable(run.prompt, 60), ", expected one that task ", task.name,
              " has: ", names);
}

TaskGeneration GenerationOf(const Task& task, const EvalRun& run) {
  TaskGeneration generation = task.generation;
  if (run.max_new_tokens) generation.max_new_tokens = *run.max_new_tokens;
  if (run.temperature) generation.temperature = *run.temperature;
  if (run.stop) generation.stops = *run.stop;
  return generation;
}

// Questions of another seed or version have other scores, and nobody would see it.
void CheckHash(const Task& task, const fs::path& path, const std::string& file,
               const DataHash& hash) {
  const auto wanted = task.data.sha256.find(file);
  if (wanted == task.data.sha256.end() || wanted->second == hash.sha256) return;
  ThrowInvalid(path.string(), ": its SHA-256 is ", hash.sha256, ", expected ", wanted->second,
               ", the questions of task ", task.name, " ", task.version, " (", task.how_to_get,
               ")");
}

OrderedJson DataJson(const Task& task, const fs::path& folder) {
  OrderedJson files = OrderedJson::array();
  for (const auto* list : {&task.data.files, &task.data.annotations}) {
    for (const std::string& file : *list) {
      const DataHash hash = HashData(folder / file);
      CheckHash(task, folder / file, file, hash);
      files.push_back({{"file", file}, {"bytes", hash.bytes}, {"sha256", hash.sha256}});
    }
  }
  return files;
}

OrderedJson ProblemsJson(const Problems& problems) {
  OrderedJson list = OrderedJson::array();
  for (const Problem& problem : problems.kept())
    list.push_back({{"kind", DamageName(problem.damage)}, {"message", problem.message}});
  return list;
}

// Numbers pictures, and adds up what their files are.
class Pictures {
 public:
  // Of samples with the same pictures: the same number. One without pictures is alone.
  int32_t GroupOf(const Sample& sample) {
    const std::string key = ImageKey(sample);
    if (key.empty()) return next_++;
    const auto [at, is_new] = groups_.try_emplace(key, next_);
    if (is_new) ++next_;
    return at->second;
  }

 private:
  std::unordered_map<std::string, int32_t> groups_;
  int32_t next_ = 0;
};

// The sizes of a task's pictures that are files of their own: not read, so this is what tells one set of them from another.
class PictureFiles {
 public:
  void Add(const Sample& sample) {
    for (const SampleImage& image : sample.images) {
      if (image.path.empty() || !seen_.insert(image.path.string()).second) continue;
      std::error_code ignored;
      bytes_ += static_cast<int64_t>(fs::file_size(image.path, ignored));
    }
  }
  OrderedJson Json() const { return {{"files", seen_.size()}, {"bytes", bytes_}}; }

 private:
  std::set<std::string> seen_;
  int64_t bytes_ = 0;
};

OrderedJson ConstraintJson(const Constraint& constraint) {
  if (const auto* choices = std::get_if<Choices>(&constraint))
    return {{"choices", choices->values}};
  if (const auto* regex = std::get_if<Regex>(&constraint)) return {{"regex", regex->pattern}};
  if (const auto* schema = std::get_if<JsonSchema>(&constraint))
    return {{"json_schema", schema->schema}};
  return nullptr;
}

OrderedJson AttentionJson(const AttentionOptions& attention) {
  OrderedJson json = OrderedJson::object();
  if (attention.kind)
    json["attention"] = *attention.kind == AttentionKind::kStock ? "stock" : "composite";
  if (attention.composite_layers) json["composite_layers"] = attention.composite_layers->Text();
  if (attention.aligner)
    json["aligner"] = *attention.aligner == Aligner::kNone ? "none"
                      : *attention.aligner == Aligner::kVo ? "vo"
                                                           : "vo_ffn";
  return json;
}

// What all requests have in common, but for interventions, which EvalRun::settings tell.
OrderedJson RequestJson(const Request& request) {
  const GenerationOptions& g = request.generation;
  return {{"prompt_format", request.prompt_format == PromptFormat::kRaw ? "raw" : "chat"},
          {"system", request.system ? OrderedJson(*request.system) : OrderedJson()},
          {"top_k", g.top_k},
          {"top_p", g.top_p},
          {"min_p", g.min_p},
          {"repetition_penalty", g.repetition_penalty},
          {"seed", g.seed},
          {"logprobs", g.logprobs},
          {"grounding", request.grounding},
          {"constraint", ConstraintJson(request.constraint)},
          {"attention", AttentionJson(request.attention)}};
}

struct TaskReading {
  PlannedTask planned;
  OrderedJson json;
};

TaskReading ReadOneTask(const std::string& path, const EvalRun& run, Pictures& pictures,
                        std::vector<int32_t>& groups) {
  const std::string text = ReadFile(path, kMaxTaskBytes);
  Task read = ReadTask(path);
  ScorerSet scorers(read);
  PlannedTask planned{.task = std::move(read), .scorers = std::move(scorers)};
  const Task& task = planned.task;
  planned.folder = TaskFolder(task, run.data);
  planned.prompt = PromptNameOf(task, run);
  planned.generation = GenerationOf(task, run);
  TaskSamples samples(task, planned.folder, planned.scorers);
  PictureFiles files;
  int64_t all = 0;
  while (const auto next = samples.Next()) {
    ++all;
    if (run.limit && all > *run.limit) continue;
    groups.push_back(pictures.GroupOf(next->sample));
    planned.shard_of.push_back(0);
    files.Add(next->sample);
  }
  if (all == 0)
    ThrowInvalid(planned.folder.string(), ": holds no sample of task ", task.name, ", ",
                 samples.problems().Summary().dump(),
                 samples.problems().kept().empty()
                     ? ""
                     : "; the first: " + samples.problems().kept()[0].message);
  const Prompt& prompt = task.PromptOf(planned.prompt);
  OrderedJson json = {
      {"task", task.name},
      {"version", task.version},
      {"task_sha256", Sha256Of(text)},
      {"definition", ParseOrderedJson(text, path)},
      {"description", task.description},
      {"scorer", task.scorer},
      {"also_scorers", task.also_scorers},
      {"open_scorer", task.open ? task.open->scorer : ""},
      {"judge", task.judge},
      {"objects", task.objects.empty() ? OrderedJson() : ParseOrderedJson(task.objects, path)},
      {"prompt", {{"name", planned.prompt}, {"source", prompt.source}}},
      {"generation",
       {{"max_new_tokens", planned.generation.max_new_tokens},
        {"temperature", planned.generation.temperature},
        {"stop", planned.generation.stops}}},
      {"constraint", run.task_constraint},
      {"data", DataJson(task, planned.folder)},
      {"pictures", files.Json()},
      {"samples", planned.samples()},
      {"all_samples", all},
      {"rows_left_out", samples.left_out()},
      {"skipped", samples.problems().Summary()},
      {"problems", ProblemsJson(samples.problems())},
  };
  if (!task.choice_judge.empty()) json["choice_judge"] = task.choice_judge;
  return {std::move(planned), std::move(json)};
}

}  // namespace

int64_t Plan::Samples(int64_t shard) const {
  int64_t count = 0;
  for (const PlannedTask& task : tasks)
    count += std::count(task.shard_of.begin(), task.shard_of.end(), static_cast<int32_t>(shard));
  return count;
}

Plan MakePlan(const EvalRun& run) {
  CheckRun(run);
  Plan plan;
  Pictures pictures;
  std::vector<int32_t> groups;  // of all samples of all tasks
  std::set<std::string> names;
  OrderedJson tasks = OrderedJson::array();
  for (const std::string& path : run.tasks) {
    TaskReading read = ReadOneTask(path, run, pictures, groups);
    if (!names.insert(read.planned.task.name).second)
      ThrowInvalid("task ", read.planned.task.name, " is given twice");
    plan.tasks.push_back(std::move(read.planned));
    tasks.push_back(std::move(read.json));
  }
  const std::vector<int32_t> shards = AssignShards(groups, run.shard.count);
  size_t at = 0;
  for (PlannedTask& task : plan.tasks) {
    for (int32_t& shard : task.shard_of) shard = shards[static_cast<size_t>(groups[at++])];
  }
  plan.run = {{"format", 1},
              {"binocle", BINOCLE_VERSION},
              {"model_name", run.model.name},
              {"model", ParseOrderedJson(run.model.identity, "identity")},
              {"settings", ParseOrderedJson(run.settings, "settings")},
              {"request", RequestJson(run.request)},
              {"exif", run.exif},
              {"limit", run.limit ? OrderedJson(*run.limit) : OrderedJson()},
              {"tasks", std::move(tasks)}};
  return plan;
}

}  // namespace binocle::eval
