// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "core/engine/experiment/tables.h"
#include "core/engine/report/html.h"
#include "core/engine/report/plot.h"
#include "core/plan/pareto.h"

namespace kvista {

using namespace plot;

namespace {

/// Below this a rise is within the noise of any measurement; it is drawn at the lower edge.
constexpr double kSmallestRise = 1e-4;
constexpr std::size_t kColours = 10;

/// Marks, and the page in the dark where the reader's system is; on paper it is light.
constexpr const char* kMarkStyle = R"(
.mark { width: 12px; height: 12px; margin-right: 6px; vertical-align: -1px; }
.filled { fill: currentColor; } .open { fill: #fff; } .quiet { opacity: .45; } .front { color: #d5dff7; }
.s0 { color: #1f5fbf; } .s1 { color: #c2410c; } .s2 { color: #15803d; } .s3 { color: #7e22ce; } .s4 { color: #a16207; }
.s5 { color: #be185d; } .s6 { color: #0f766e; } .s7 { color: #b91c1c; } .s8 { color: #0284c7; } .s9 { color: #4b5563; }
@media screen and (prefers-color-scheme: dark) {
  :root { color-scheme: dark; }
  body { background: #12161c; color: #e4e8ee; } section { background: #1a2029; border-color: #323b47; } th, td { border-color: #323b47; }
  .soft, figcaption, .axis, th { color: #9ba7b6; fill: #9ba7b6; } .warning { color: #f2a950; }
  .grid { stroke: #2b333e; } .open { fill: #1a2029; } .front { color: #2d3f66; }
  .s0 { color: #7fb0ff; } .s1 { color: #ff9d66; } .s2 { color: #6ed58f; } .s3 { color: #cda2ff; } .s4 { color: #e3bf5f; }
  .s5 { color: #ff90c4; } .s6 { color: #5fd3c6; } .s7 { color: #ff8585; } .s8 { color: #66cbff; } .s9 { color: #b9c2ce; }
}
)";

double riseOf(const ExperimentRow& row) { return std::max(kSmallestRise, std::expm1(row.figures->rise())); }

/// A colour and a shape for each of 60 systems, so that neighbours share neither; beyond, names of points alone tell
/// them apart.
std::string lookOf(std::size_t system) { return fmt::format("s{}", system % kColours); }
std::size_t shapeOf(std::size_t system) { return (system % kColours + system / kColours) % kShapes; }

/// A system's mark, for the table.
std::string legendMark(std::size_t system) {
  return fmt::format(R"(<svg class="mark {}" viewBox="0 0 12 12">{}</svg>)", lookOf(system),
                     mark(6, 6, shapeOf(system), true));
}

std::string htmlTable(const ExperimentTable& table) {
  std::string html = "<table><tr><th>System</th>";
  for (const double value : table.sweep->values)
    html += fmt::format("<th class=\"number\">{}</th>", escaped(valueInWords(table.sweep->unit, value)));
  html += "</tr>";
  std::string problems;
  for (std::size_t i = 0; i < table.cells.size(); ++i) {
    html += fmt::format("<tr><td>{}{}</td>", legendMark(i), escaped(table.sweep->systems[i].name));
    for (const ExperimentCell& cell : table.cells[i]) {
      if (!cell.row || !cell.row->figures) {
        html += fmt::format("<td class=\"number\">{}</td>", cell.row ? "failed" : "");
        if (cell.row)
          problems += fmt::format("<p class=\"warning\">{}, {}: {}</p>", escaped(cell.row->system),
                                  escaped(valueInWords(cell.row->target.kind, cell.row->target.value)),
                                  escaped(cell.row->problem));
        continue;
      }
      const ExperimentRow::Figures& figures = *cell.row->figures;
      const std::string shown = fmt::format("<data value=\"{}\">{:.3f}</data>", std::exp(figures.loss),
                                            std::exp(figures.loss)),
                        other = otherShare(*cell.row);
      html += fmt::format(
          "<td class=\"number\" title=\"{} bytes a token, {:.4g} of the cache, {:.5f}{} nats more{}\">{}{}</td>",
          figures.bytesPerToken, figures.share, figures.rise(),
          figures.riseError ? fmt::format(" ± {:.5f}", *figures.riseError) : "",
          figures.note.empty() ? "" : "; " + escaped(figures.note), cell.isBest ? "<b>" + shown + "</b>" : shown,
          other.empty() ? "" : " <span class=\"soft\">(" + other + ")</span>");
    }
    html += "</tr>";
  }
  return html + "</table>" + problems;
}

/// No more of a name than stands beside a plot.
std::string shortened(std::string_view name) {
  constexpr std::size_t kMost = 24;
  if (name.size() <= kMost) return std::string(name);
  std::size_t end = kMost - 1;
  while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xc0) == 0x80) --end;  // Not within a character.
  return std::string(name.substr(0, end)) + "\u2026";
}

/// A name beside the plot, at the height of its line's right end.
struct EndLabel {
  double height;
  std::size_t system;
};

/// All names where there is room for them, else those of systems with a point on the front; in the order of their
/// lines' right ends, apart from each other and within the picture.
std::string endLabels(const ExperimentTable& table, std::vector<EndLabel> labels, const std::vector<bool>& isOnFront) {
  constexpr double kLine = 13;
  const auto most = static_cast<std::size_t>((kHeight - kBottom - kTop) / kLine) + 1;
  if (labels.size() > most) std::erase_if(labels, [&](const EndLabel& label) { return !isOnFront[label.system]; });
  std::ranges::sort(labels, {}, &EndLabel::height);
  if (labels.size() > most) labels.resize(most);
  double lowest = kHeight - kBottom;
  for (auto label = labels.rbegin(); label != labels.rend(); ++label) {
    label->height = std::min(label->height, lowest);
    lowest = label->height - kLine;
  }
  std::string svg;
  double highest = kTop;
  for (const EndLabel& label : labels) {
    const double at = std::max(label.height, highest);
    highest = at + kLine;
    svg += fmt::format(
        R"(<g class="{}">{}{}</g>)", lookOf(label.system), mark(kWidth - kRight + 12, at, shapeOf(label.system), true),
        text(kWidth - kRight + 22, at + 4, "currentColor", shortened(table.sweep->systems[label.system].name)));
  }
  return svg;
}

/// A line a system through its points; filled points are those that no other beats.
std::string plotOf(const ExperimentTable& table) {
  std::vector<const ExperimentRow*> rows;
  std::vector<std::size_t> systems;  // Of each row.
  std::vector<double> shares, rises;
  std::vector<CostQuality> points;
  for (std::size_t i = 0; i < table.cells.size(); ++i)
    for (const ExperimentCell& cell : table.cells[i]) {
      if (!cell.row || !cell.row->figures || !(cell.row->figures->share > 0)) continue;
      rows.push_back(cell.row);
      systems.push_back(i);
      shares.push_back(cell.row->figures->share);
      rises.push_back(riseOf(*cell.row));
      points.push_back({shares.back(), cell.row->figures->loss});
    }
  if (rows.empty()) return {};
  Axis x{0, 1, 2, "share of the 16-bit cache's bytes",
         [](double value) { return value < 1 ? fmt::format("1/{:.0f}", 1 / value) : fmt::format("{:.0f}", value); }};
  Axis y{0, 1, 10, "rise of perplexity",
         [](double value) { return fmt::format("{}{:g} %", value < 1.01 * kSmallestRise ? "≤ " : "", 100 * value); }};
  fit(x, shares);
  fit(y, rises);
  const auto place = [&](std::size_t i) { return std::pair{xOf(x, shares[i]), yOf(y, rises[i])}; };
  std::vector<bool> isBest(rows.size()), isOnFront(table.cells.size());
  std::vector<std::pair<double, double>> best;
  for (const std::size_t i : paretoFront(points)) {
    isBest[i] = isOnFront[systems[i]] = true;
    best.push_back(place(i));
  }
  std::string svg = frame(
      x, y, fmt::format("{}: rise of perplexity over the share of the cache's bytes", escaped(table.sweep->name)));
  svg += fmt::format(R"(<g class="front">{}</g>)", path(best, "currentColor", 7));
  std::vector<EndLabel> ends;
  std::string lines, marks, bestMarks;  // What is on the front hides what is not.
  for (std::size_t i = 0, next = 0; i < table.cells.size(); ++i) {
    std::vector<std::pair<double, double>> way;
    for (; next < rows.size() && systems[next] == i; ++next) {
      way.push_back(place(next));
      const std::string words = fmt::format("{}, {}: {:.3f}", rows[next]->system,
                                            valueInWords(rows[next]->target.kind, rows[next]->target.value),
                                            std::exp(rows[next]->figures->loss));
      (isBest[next] ? bestMarks : marks) +=
          fmt::format(R"(<g class="{}">{}</g>)", lookOf(i),
                      mark(way.back().first, way.back().second, shapeOf(i), isBest[next], words));
    }
    if (way.empty()) continue;
    std::ranges::sort(way);
    lines += fmt::format(R"(<g class="{} {}">{}</g>)", lookOf(i), isOnFront[i] ? "strong" : "quiet",
                         path(way, "currentColor", isOnFront[i] ? 1.6 : 1));
    ends.push_back({way.back().second, i});
  }
  svg += lines + marks + bestMarks + endLabels(table, std::move(ends), isOnFront);
  return svg +
         "</svg><p class=\"soft\">A line a system, marked as in the table. Filled points, which the broad line joins, "
         "are those that no other beats in both.</p>";
}

}  // namespace

std::string experimentPage(const Experiment& experiment, const std::vector<ExperimentRow>& rows,
                           const ExperimentSubject& subject) {
  std::string body;
  for (const ExperimentTable& table : experimentTables(experiment, rows)) {
    const std::string uncompressed =
        table.original ? fmt::format("<p>Uncompressed: <data value=\"{0}\">{0:.3f}</data>, {1} predictions{2}.</p>",
                                     std::exp(table.original->loss), table.original->predictions,
                                     table.sweep->isRead() ? " behind the prompt" : "")
                       : "";
    body += section(fmt::format("{}, perplexity on {}", escaped(table.sweep->name), escaped(table.text)),
                    uncompressed + htmlTable(table) + plotOf(table));
  }
  const ModelShape& shape = subject.decoder.shape();
  return htmlPage(experiment.name,
                  fmt::format("KVista {}. {}, {} layers, {} KV heads of {}; content {}. Calibrated on {} tokens.",
                              subject.version, shape.family, shape.layers, shape.kvHeads, shape.headDim,
                              subject.modelHash, subject.statistics.tokens),
                  body, kMarkStyle);
}

}  // namespace kvista
