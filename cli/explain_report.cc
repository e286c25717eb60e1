#include "cli/explain_report.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <map>
#include <vector>

namespace binocle::cli {
namespace {

constexpr size_t kMostSinks = 12;

__attribute__((format(printf, 2, 3))) void Add(std::string& out, const char* format, ...) {
  va_list arguments, again;
  va_start(arguments, format);
  va_copy(again, arguments);
  const size_t length = static_cast<size_t>(std::vsnprintf(nullptr, 0, format, arguments));
  va_end(arguments);
  const size_t before = out.size();
  out.resize(before + length + 1);
  std::vsnprintf(out.data() + before, length + 1, format, again);
  va_end(again);
  out.resize(before + length);
}

std::string OrDash(const std::optional<double>& value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", value.value_or(0));
  return value ? text : "-";
}

void AddWords(const Explanation& e, const OverlayNames& overlays, std::string& out) {
  Add(out, "%-20s %8s %9s  %s\n", "word", "picture", "grounding", "map");
  for (size_t i = 0; i < e.words.size(); ++i) {
    const ExplainedWord& w = e.words[i];
    const std::vector<std::string>& files = overlays.words[i];
    Add(out, "%-20s %8.3f %9.3f  ", w.text.c_str(), w.map.visual_mass, w.grounding);
    for (const std::string& file : files) out += (file == files[0] ? "" : ", ") + file;
    out += files.empty() ? "none: no row with a query gave it\n" : "\n";
  }
}

// What a detector found at one position, over all layers.
struct SinkPlace {
  std::vector<int64_t> massive, aligned;  // layers
  double mass = 0;                        // the largest
  const ExplainedSink* sink = nullptr;    // of the layer with that mass
};

std::string LayersText(const std::vector<int64_t>& layers) {
  if (layers.empty()) return "-";
  std::string text;
  for (size_t begin = 0; begin < layers.size();) {
    size_t end = begin + 1;
    while (end < layers.size() && layers[end] == layers[end - 1] + 1) ++end;
    text += (begin == 0 ? "" : ",") + std::to_string(layers[begin]);
    if (end - begin > 1) text += "-" + std::to_string(layers[end - 1]);
    begin = end;
  }
  return text;
}

std::string PlaceText(const ExplainedSink& s) {
  if (s.image < 0) return "'" + s.text + "'";
  std::string text = "picture " + std::to_string(s.image);
  if (s.row >= 0) text += " row " + std::to_string(s.row) + " col " + std::to_string(s.col);
  return text;
}

void AddSinks(const SinkReport& report, std::string& out) {
  std::map<int64_t, SinkPlace> places;
  for (const SinkLayer& layer : report.layers) {
    for (const ExplainedSink& sink : layer.sinks) {
      SinkPlace& place = places[sink.position];
      if (sink.massive) place.massive.push_back(layer.layer);
      if (sink.aligned) place.aligned.push_back(layer.layer);
      if (place.sink == nullptr || sink.mass.value_or(0) > place.mass) {
        place.sink = &sink;
        place.mass = sink.mass.value_or(0);
      }
    }
  }
  out += "\nsinks: by massive dimensions (";
  if (report.dims.empty()) out += "none known of this model";
  for (const int64_t d : report.dims) out += (d == report.dims[0] ? "" : "+") + std::to_string(d);
  Add(out, "), and by |cosine| to the first token of at least %g\n", report.cosine);
  Add(out, "%8s %-28s %-14s %-14s %s\n", "position", "where", "massive in", "aligned in",
      "largest mass");
  std::vector<std::pair<int64_t, SinkPlace>> order(places.begin(), places.end());
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.second.mass > b.second.mass; });
  for (size_t i = 0; i < std::min(order.size(), kMostSinks); ++i) {
    const SinkPlace& p = order[i].second;
    Add(out, "%8lld %-28s %-14s %-14s %.3f\n", static_cast<long long>(order[i].first),
        PlaceText(*p.sink).c_str(), LayersText(p.massive).c_str(), LayersText(p.aligned).c_str(),
        p.mass);
  }
  if (order.size() > kMostSinks)
    Add(out, "%8s and %zu more with less mass\n", "", order.size() - kMostSinks);
}

void AddHeads(const HeadReport& report, std::string& out) {
  Add(out, "\nheads: weight on pictures, * where image-centric (mass >= %g, non-sink >= %g)\n",
      report.mass, report.rho);
  for (int64_t l = 0; l < report.layers; ++l) {
    Add(out, "layer %3lld", static_cast<long long>(l));
    for (int64_t h = 0; h < report.heads; ++h) {
      const HeadStatistics& s = report.statistics[static_cast<size_t>(l * report.heads + h)];
      Add(out, " %5.3f%s", s.visual_mass, s.image_centric ? "*" : " ");
    }
    out += "\n";
  }
}

void AddFaithfulness(const std::string& name, const std::vector<Faithfulness>& pictures,
                     std::string& out) {
  for (size_t i = 0; i < pictures.size(); ++i) {
    const Faithfulness& f = pictures[i];
    Add(out, "%-20s %7zu %9s %9s %9s\n", name.c_str(), i, OrDash(f.pearson).c_str(),
        OrDash(f.spearman).c_str(), OrDash(f.curves ? f.curves->advantage : std::nullopt).c_str());
  }
}

}  // namespace

std::string ExplanationReport(const Explanation& e, const OverlayNames& overlays) {
  std::string out = e.response.answers[0].text + "\n\n";
  AddWords(e, overlays, out);
  AddSinks(e.sinks, out);
  AddHeads(e.head_report, out);
  if (e.faithfulness.empty()) return out;
  Add(out,
      "\nfaithfulness against covering blocks of %lld x %lld patches (0 chance, 1 the drops of "
      "single blocks)\n"
      "%-20s %7s %9s %9s %9s\n",
      static_cast<long long>(e.block), static_cast<long long>(e.block), "map", "picture", "pearson",
      "spearman", "deletion");
  AddFaithfulness("(answer)", e.faithfulness, out);
  for (const ExplainedWord& w : e.words) AddFaithfulness(w.text, w.faithfulness, out);
  return out;
}

}  // namespace binocle::cli
