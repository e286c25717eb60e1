#include "eval/report/html.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "eval/report/style.h"

namespace binocle::eval {
namespace {

constexpr size_t kMostFigureBytes = size_t{8} << 20;

std::string Base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t bits = 0;
    for (size_t k = 0; k < 3; ++k)
      bits = bits << 8 | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    for (size_t k = 0; k < 4; ++k) text += k <= count ? kDigits[bits >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

// By the first bytes; empty for what is no picture that browsers draw without running anything.
std::string_view PictureType(std::string_view bytes) {
  if (bytes.starts_with("\x89PNG\r\n\x1a\n")) return "image/png";
  if (bytes.starts_with("\xff\xd8\xff")) return "image/jpeg";
  if (bytes.starts_with("RIFF") && bytes.substr(0, 12).ends_with("WEBP")) return "image/webp";
  return "";
}

double Percent(double value, double low, double high) {
  if (!(high > low)) return 0;
  return 100 * std::clamp((value - low) / (high - low), 0.0, 1.0);
}

// With the column's name, for where it stands alone.
Html Cell(const std::string& column, const Html& inside) {
  if (column.empty()) return Element("td", "drawn", inside);
  return Markup("<td data-column=\"") + Escaped(column) + Markup("\">") + inside +
         Markup("</td>\n");
}

}  // namespace

Html Markup(std::string_view markup) { return {std::string(markup)}; }

Html Escaped(std::string_view text) {
  Html html;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '&': html.text += "&amp;"; break;
      case '<': html.text += "&lt;"; break;
      case '>': html.text += "&gt;"; break;
      case '"': html.text += "&quot;"; break;
      case '\'': html.text += "&#39;"; break;
      default:
        if ((byte < 32 && c != '\n' && c != '\t') || byte == 127)
          html.text += "\xef\xbf\xbd";
        else
          html.text += c;
    }
  }
  return html;
}

Html Said(std::string_view text) {
  if (text.empty()) return Markup("<span class=\"none\">nothing</span>");
  return Markup("<bdi class=\"said\">") + Escaped(text) + Markup("</bdi>");
}

Html Element(std::string_view tag, std::string_view css, const Html& inside) {
  const std::string name(tag);
  const std::string css_class = css.empty() ? "" : " class=\"" + Escaped(css).text + "\"";
  return {"<" + name + css_class + ">" + inside.text + "</" + name + ">\n"};
}

Html Details(std::string_view summary, const Html& inside) {
  return Element("details", "", Element("summary", "", Escaped(summary)) + inside);
}

std::string Number(double value, int digits) {
  if (!std::isfinite(value)) return "–";
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string Count(int64_t value) { return std::to_string(value); }

Html Interval(const std::optional<EvalInterval>& interval) {
  if (!interval) return Markup("–");
  return Element("span", "number", Escaped(Number(interval->value))) +
         Element("span", "interval",
                 Escaped("(" + Number(interval->low) + " – " + Number(interval->high) + ")"));
}

Html IntervalBar(const std::optional<EvalInterval>& interval, double low, double high) {
  if (!interval) return {};
  const double from = Percent(interval->low, low, high);
  const double to = Percent(interval->high, low, high);
  std::string marks;
  if (low < 0 && high > 0)
    marks = "<s style=\"left:" + Number(Percent(0, low, high), 2) + "%\"></s>";
  return Markup("<span class=\"bar\" aria-hidden=\"true\">" + marks +
                "<i style=\"left:" + Number(from, 2) + "%;width:" + Number(to - from, 2) +
                "%\"></i><b style=\"left:" + Number(Percent(interval->value, low, high), 2) +
                "%\"></b></span>");
}

Html Render(const Table& table) {
  Html head;
  for (const std::string& name : table.head) head += Element("th", "", Escaped(name));
  Html rows;
  for (const std::vector<Html>& cells : table.rows) {
    Html row;
    for (size_t i = 0; i < cells.size(); ++i)
      row += i == 0 ? Element("th", "", cells[i]) : Cell(table.head[i], cells[i]);
    rows += Element("tr", "", row);
  }
  return Element(
      "div", "scroll",
      Element("table", table.narrow == Narrow::kCards ? "cards" : "",
              Element("thead", "", Element("tr", "", head)) + Element("tbody", "", rows)));
}

Html Figure(const EvalFigure& figure) {
  const std::string_view type = PictureType(figure.bytes);
  Html inside;
  std::string caption = figure.caption;
  if (!figure.bytes.empty() && type.empty()) caption += " (no PNG, JPEG or WebP: not shown)";
  if (figure.bytes.size() > kMostFigureBytes) {
    caption += " (more than 8 MiB: not shown)";
  } else if (!type.empty()) {
    inside = Markup("<img alt=\"\" src=\"data:" + std::string(type) + ";base64," +
                    Base64(figure.bytes) + "\">");
  }
  return Element("figure", "", inside + Element("figcaption", "", Escaped(caption)));
}

std::string Page(std::string_view title, std::string_view subtitle, const Html& body) {
  return "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
         "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src "
         "data:; "
         "style-src 'unsafe-inline'\">\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
         "<meta name=\"color-scheme\" content=\"light dark\">\n<title>" +
         Escaped(title).text + "</title>\n<style>\n" + std::string(PageStyle()) +
         "</style>\n</head>\n<body>\n<header><h1>" + Escaped(title).text + "</h1><p>" +
         Escaped(subtitle).text + "</p></header>\n<main>\n" + body.text +
         "</main>\n</body>\n</html>\n";
}

}  // namespace binocle::eval
