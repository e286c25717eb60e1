#include "eval/report/task_page.h"

#include <algorithm>
#include <set>

#include "eval/report/charts.h"
#include "eval/report/incomplete.h"

namespace binocle::eval {
namespace {

Html Note(std::string_view text) { return Element("p", "note", Escaped(text)); }

Html PartsTable(std::string_view what, const std::vector<PartScore>& parts) {
  if (parts.empty()) return {};
  Table table{.head = {std::string(what), "score (95 %)", "", "metric", "samples", "groups"},
              .narrow = Narrow::kCards};
  const bool some_unscored = std::any_of(parts.begin(), parts.end(),
                                         [](const PartScore& part) { return part.unscored > 0; });
  if (some_unscored) table.head.emplace_back("without a score");
  for (const PartScore& part : parts) {
    table.rows.push_back({Escaped(part.name), Interval(part.score),
                          IntervalBar(part.score, 0, part.most), Escaped(part.metric),
                          Escaped(Count(part.samples)), Escaped(Count(part.groups))});
    if (some_unscored) table.rows.back().push_back(Escaped(Count(part.unscored)));
  }
  return Render(table);
}

// A cell of a confusion: shaded by its share of the row.
Html Cell(int64_t count, int64_t row_total) {
  const double share =
      row_total == 0 ? 0 : 100.0 * static_cast<double>(count) / static_cast<double>(row_total);
  return Markup("<span class=\"shade\" style=\"background:color-mix(in srgb, var(--tint) " +
                Number(share, 0) + "%, transparent)\">" + Count(count) + "</span>");
}

Html Confusion(const std::vector<std::string>& rows, const std::vector<std::string>& columns,
               const std::vector<std::vector<int64_t>>& counts) {
  Table table{.head = {"wanted"}};
  table.head.insert(table.head.end(), columns.begin(), columns.end());
  for (size_t i = 0; i < rows.size(); ++i) {
    int64_t total = 0;
    for (const int64_t count : counts[i]) total += count;
    std::vector<Html>& cells = table.rows.emplace_back();
    cells.push_back(Escaped(rows[i]));
    for (const int64_t count : counts[i]) cells.push_back(Cell(count, total));
  }
  return Element("div", "matrix", Render(table));
}

Html YesNoPart(const TaskReport& report) {
  if (report.yes_no.empty()) return {};
  Html html = Element("h3", "", Escaped("Yes or no"));
  html +=
      Note(Count(report.yes_no_samples) + " answers to questions whose answer is yes or no, of " +
           Count(report.estimate.answered) +
           ", as each of the public scripts reads them. Yes is wanted for " +
           (report.wanted_yes_ratio ? Number(report.wanted_yes_ratio->value) : "–") + ".");
  Table table{.head = {"parser", "accuracy (95 %)", "F1 of yes (95 %)", "yes ratio (95 %)"},
              .narrow = Narrow::kCards};
  Html matrices;
  for (const YesNoScore& score : report.yes_no) {
    const bool counts = score.parser == report.estimate.scorer;
    table.rows.push_back({Escaped(score.parser + (counts ? " (counts)" : "")),
                          Interval(score.accuracy), Interval(score.f1), Interval(score.yes_ratio)});
    std::vector<std::vector<int64_t>> rows;
    for (const auto& row : score.table) rows.emplace_back(row.begin(), row.end());
    matrices += Element("div", "",
                        Element("p", "", Escaped(score.parser)) +
                            Confusion({"yes", "no"}, {"yes", "no", "other"}, rows));
  }
  return html + Render(table) + Element("div", "tables", matrices);
}

Html ChoicePart(const TaskReport& report) {
  if (!report.choices) return {};
  std::vector<std::string> columns = report.choices->letters;
  columns.emplace_back("no answer");
  return Element("h3", "", Escaped("Options")) +
         Note("Wanted letters by those that " + report.estimate.scorer + " reads in the answers.") +
         Confusion(report.choices->letters, columns, report.choices->counts);
}

Html StylePart(const TaskReport& report) {
  const AnswerStyle& style = report.style;
  if (style.words.empty()) return {};
  Html charts = Histogram("Words.", style.words) + Histogram("Tokens.", style.tokens) +
                Histogram("Different words (distinct-1).", style.distinct_1) +
                Histogram("Different pairs (distinct-2).", style.distinct_2) +
                Histogram("Different fours (distinct-4).", style.distinct_4);
  Html html = Element("h3", "", Escaped("Answers"));
  if (!style.distinct_4.empty())
    html += Note(Count(style.repetitive) + " of " + Count(std::ssize(style.distinct_4)) +
                 " answers of four words or more repeat themselves: less than half of their "
                 "sequences of four words are different.");
  return html + Element("div", "charts", charts);
}

// Whatever numbers the scorers have besides their means: F1, CHAIR, acc+, and the like.
Html SummariesPart(const TaskReport& report) {
  Table table{.head = {"scorer", "number", "value"}};
  const Json scorers = report.task->about.value("scorers", Json::object());
  for (const auto& [scorer, members] : scorers.items()) {
    for (const auto& [name, value] : members.items()) {
      if (!value.is_number() && !value.is_null()) continue;
      table.rows.push_back({Escaped(scorer), Escaped(name),
                            Escaped(value.is_number_integer() ? value.dump()
                                    : value.is_null()         ? "–"
                                                              : Number(value.get<double>()))});
    }
  }
  if (table.rows.empty()) return {};
  return Details("All numbers of the scorers", Render(table));
}

Html TroublePart(const TaskReport& report) {
  const Json& about = report.task->about;
  Html html;
  const auto add = [&](const char* member, const std::string& title, const auto& text_of) {
    Html items;
    for (const Json& one : about.value(member, Json::array()))
      items += Element("li", "", Said(text_of(one)));
    if (!items.text.empty()) html += Details(title, Element("ul", "", items));
  };
  add("failures", Count(report.estimate.failed) + " failed; the first", [](const Json& failure) {
    return failure.value("id", "") + ": " + failure.value("code", "") + ": " +
           failure.value("message", "");
  });
  add("problems", Count(report.estimate.skipped) + " damaged rows; the first",
      [](const Json& problem) { return problem.value("message", ""); });
  return html;
}

std::vector<std::string> PicturesOf(const TaskReport& report, const RunSample& sample) {
  std::vector<std::string> pictures;
  for (const std::string& image : sample.images) {
    const auto at = report.pictures.find(image);
    pictures.push_back(at == report.pictures.end() ? "" : at->second);
  }
  return pictures;
}

EvalShownSample ShownOf(const RunFiles& run, const TaskReport& report, const RunSample& sample) {
  const RunTask& task = *report.task;
  Json asked = Json::object();
  for (const char* member : {"request", "settings", "exif"})
    asked[member] = run.run.value(member, Json());
  return {.run = run.folder,
          .task = task.name,
          .id = sample.id,
          .prompt = sample.prompt,
          .prediction = *sample.prediction,
          .images = sample.images,
          .pictures = PicturesOf(report, sample),
          .max_new_tokens = task.about.at("generation").at("max_new_tokens").get<int64_t>(),
          .asked = asked.dump()};
}

Html SampleCard(const TaskReport& report, const RunFiles& run, const RunSample& sample,
                const EvalReportOptions& options) {
  Html figures;
  if (options.figures) {
    for (const EvalFigure& figure : options.figures(ShownOf(run, report, sample)))
      figures += Figure(figure);
  }
  Html list;
  const auto add = [&](std::string_view name, const Html& value) {
    list += Element("dt", "", Escaped(name)) + Element("dd", "", value);
  };
  add("asked", Said(sample.prompt));
  add("wanted", Said(sample.Wanted()));
  add("answer", Said(*sample.prediction));
  add("score", Escaped(Number(*sample.score)));
  if (sample.found.contains("parsed")) {
    const Json& parsed = sample.found["parsed"];
    add("read as", parsed.is_string() ? Said(parsed.get<std::string>()) : Escaped(parsed.dump()));
  }
  if (!sample.category.empty()) add("category", Escaped(sample.category));
  add("sample", Escaped(sample.id));
  Html card;
  if (!figures.text.empty()) card += Element("div", "figures", figures);
  return Element("article", "", card + Element("dl", "", list));
}

Html WorstPart(const TaskReport& report, const RunFiles& run, const EvalReportOptions& options) {
  if (report.worst.empty()) return {};
  Html cards;
  for (const RunSample* sample : report.worst) cards += SampleCard(report, run, *sample, options);
  return Element("h3", "", Escaped("Worst answers")) +
         Note(
             "The lowest scores first; among equal ones every category in turn, in the order of "
             "the data.") +
         Element("div", "samples", cards);
}

Html FactsPart(const TaskReport& report) {
  const Json& about = report.task->about;
  const auto number = [&](const Json& value) { return value.dump(); };
  const Json& generation = about.at("generation");
  return Note(about.value("description", "") + " · version " + about.value("version", "") +
              ", prompt " + about.at("prompt").value("name", "") + ", at most " +
              number(generation.at("max_new_tokens")) + " tokens, temperature " +
              number(generation.at("temperature")) + ". " +
              (about.value("judge", "") == "" ? "Scorer " : "Judge ") + report.task->scorer() +
              "; " + number(about.value("cut_off", Json(0))) + " answers were cut off.");
}

std::string WhyNoScore(const TaskReport& report) {
  if (report.task->about.value("judge", "") != "")
    return "There is no score yet: a judge has not graded all answers.";
  return report.estimate.incomplete_groups > 0
             ? "There is no score: no group of samples that count together is whole."
             : "There is no score: no sample was answered.";
}

std::string MetricOf(const EvalEstimate& task) {
  return task.metric + (task.higher_is_better ? "" : " (lower is better)");
}

}  // namespace

Html TaskSection(const RunFiles& run, const TaskReport& report, const EvalReportOptions& options) {
  Html html = Element("h2", "", Escaped(report.task->name)) + FactsPart(report);
  if (!report.estimate.score) html += Note(WhyNoScore(report));
  html += PartsTable("scorer", report.scorers);
  if (report.chair_i) {
    Table table{.head = {"", "share (95 %)", ""}, .narrow = Narrow::kCards};
    table.rows.push_back({Escaped("hallucinated mentions (CHAIR_i)"), Interval(report.chair_i),
                          IntervalBar(report.chair_i, 0, 1)});
    html += Render(table);
  }
  html += PartsTable("category", report.categories);
  html += PartsTable("ability", report.abilities);
  html += PartsTable("answer type", report.answer_types);
  html += YesNoPart(report) + ChoicePart(report) + StylePart(report) + SummariesPart(report);
  html += TroublePart(report) + WorstPart(report, run, options);
  return Element("section", "", html);
}

Html ScoresTable(const std::vector<EvalEstimate>& tasks) {
  std::set<std::string> runs;
  for (const EvalEstimate& task : tasks) runs.insert(task.run);
  const bool several = runs.size() > 1;
  Table table{.head = {"task", "score (95 %)", "", "metric", "scorer", "samples", "groups",
                       "answered", "empty", "failed", "skipped"},
              .narrow = Narrow::kCards};
  for (const EvalEstimate& task : tasks) {
    Html name = Escaped(task.task);
    if (several) name += Element("span", "folder", Escaped(task.run));
    std::vector<Html> row = {name, Interval(task.score) + WhatIsMissing(task),
                             IntervalBar(task.score, 0, task.most), Escaped(MetricOf(task)),
                             Escaped(task.scorer)};
    for (const int64_t count :
         {task.samples, task.groups, task.answered, task.empty, task.failed, task.skipped})
      row.push_back(Escaped(Count(count)));
    table.rows.push_back(std::move(row));
  }
  return Render(table);
}

}  // namespace binocle::eval
