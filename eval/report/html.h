// Pages that need no other file: no scripts, no network; what users and models wrote is text and stays it.
//
// Every function returns HTML. Arguments of the type std::string_view are text and are escaped; those of the type Html are markup already.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "binocle/eval_report.h"

namespace binocle::eval {

// Markup, told apart from text by its type.
struct Html {
  std::string text;

  Html& operator+=(const Html& more) {
    text += more.text;
    return *this;
  }
  friend Html operator+(Html a, const Html& b) { return a += b; }
};

// Markup of our own, as it stands.
Html Markup(std::string_view markup);
// Text of whoever: &, <, >, quotes as references; control characters, which no page may hold, as U+FFFD.
Html Escaped(std::string_view text);
// What a user or a model wrote, in an element that keeps its line ends and its direction of writing to itself.
Html Said(std::string_view text);

// <tag class="css">inside</tag>
Html Element(std::string_view tag, std::string_view css, const Html& inside);
// Closed until it is asked for.
Html Details(std::string_view summary, const Html& inside);

// "0.7083", or "–" where there is none.
std::string Number(double value, int digits = 4);
std::string Count(int64_t value);
// "0.7083 (0.5417 – 0.8333)"
Html Interval(const std::optional<EvalInterval>& interval);
// The same drawn between `low` and `high`.
Html IntervalBar(const std::optional<EvalInterval>& interval, double low, double high);

// What becomes of a table on a screen as narrow as a telephone's.
enum class Narrow : bool {
  kTable,  // it is scrolled to the side
  kCards,  // a row is a card: its name, and below it one cell after the other with the name of its column
};
struct Table {
  std::vector<std::string> head;        // empty where a cell is a drawing of the one before
  std::vector<std::vector<Html>> rows;  // cells; the first of a row is its name
  Narrow narrow = Narrow::kTable;
};
// May be scrolled to the side where it is too wide, and shows by a shadow that there is more: what matters most comes first.
Html Render(const Table& table);

// A picture as it is in a file; only PNG, JPEG and WebP of at most 8 MiB are shown, of others the caption with what they are.
Html Figure(const EvalFigure& figure);

// The whole file.
std::string Page(std::string_view title, std::string_view subtitle, const Html& body);

}  // namespace binocle::eval
