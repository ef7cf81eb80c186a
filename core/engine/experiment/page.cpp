// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include <fmt/format.h>

#include "core/engine/experiment/tables.h"
#include "core/engine/report/html.h"
#include "core/engine/report/plot.h"
#include "core/plan/pareto.h"

namespace kvista {

using namespace plot;

namespace {

/// Below this a rise is within the noise of any measurement; it is drawn at the lower edge.
constexpr double kSmallestRise = 1e-4;
constexpr std::array kColours = {"#1f77b4", "#d95f02", "#1b7837", "#7b3294", "#b2182b", "#0b7a75", "#8c510a", "#525252"};

double riseOf(const ExperimentRow& row) { return std::max(kSmallestRise, std::expm1(row.figures->rise())); }

std::string htmlTable(const ExperimentTable& table) {
  std::string html = "<table><tr><th>System</th>";
  for (const double value : table.sweep->values) html += fmt::format("<th class=\"number\">{}</th>", escaped(valueInWords(table.sweep->unit, value)));
  html += "</tr>";
  std::string problems;
  for (std::size_t i = 0; i < table.cells.size(); ++i) {
    html += fmt::format("<tr><td>{}</td>", escaped(table.sweep->systems[i].name));
    for (const ExperimentCell& cell : table.cells[i]) {
      if (!cell.row || !cell.row->figures) {
        html += fmt::format("<td class=\"number\">{}</td>", cell.row ? "failed" : "");
        if (cell.row) problems += fmt::format("<p class=\"warning\">{}, {}: {}</p>", escaped(cell.row->system), escaped(valueInWords(cell.row->target.kind, cell.row->target.value)), escaped(cell.row->problem));
        continue;
      }
      const ExperimentRow::Figures& figures = *cell.row->figures;
      const std::string shown = fmt::format("<data value=\"{}\">{:.3f}</data>", std::exp(figures.loss), std::exp(figures.loss)), other = otherShare(*cell.row);
      html += fmt::format("<td class=\"number\" title=\"{} bytes a token, {:.4g} of the cache, {:.5f} nats more{}\">{}{}</td>", figures.bytesPerToken, figures.share, figures.rise(),
                          figures.note.empty() ? "" : "; " + escaped(figures.note), cell.isBest ? "<b>" + shown + "</b>" : shown,
                          other.empty() ? "" : " <span class=\"soft\">(" + other + ")</span>");
    }
    html += "</tr>";
  }
  return html + "</table>" + problems;
}

/// A line a system through its points, its name at its end; filled points are those that no other beats.
std::string plotOf(const ExperimentTable& table) {
  std::vector<const ExperimentRow*> rows;
  std::vector<double> shares, rises;
  std::vector<CostQuality> points;
  for (const auto& line : table.cells)
    for (const ExperimentCell& cell : line) {
      if (!cell.row || !cell.row->figures || !(cell.row->figures->share > 0)) continue;
      rows.push_back(cell.row);
      shares.push_back(cell.row->figures->share);
      rises.push_back(riseOf(*cell.row));
      points.push_back({shares.back(), cell.row->figures->loss});
    }
  if (rows.empty()) return {};
  Axis x{0, 1, 2, "share of the 16-bit cache's bytes", [](double value) { return value < 1 ? fmt::format("1/{:.0f}", 1 / value) : fmt::format("{:.0f}", value); }};
  Axis y{0, 1, 10, "rise of perplexity", [](double value) { return fmt::format("{:g} %", 100 * value); }};
  fit(x, shares);
  fit(y, rises);
  const auto place = [&](const ExperimentRow& row) { return std::pair{xOf(x, row.figures->share), yOf(y, riseOf(row))}; };
  std::vector<const ExperimentRow*> front;
  for (const std::size_t i : paretoFront(points)) front.push_back(rows[i]);
  std::string svg = frame(x, y, fmt::format("{}: rise of perplexity over the share of the cache's bytes", escaped(table.sweep->name)));
  std::vector<std::pair<double, double>> best;
  for (const ExperimentRow* row : front) best.push_back(place(*row));
  svg += path(best, "#c9d6f5", 7);
  std::vector<std::pair<double, std::pair<std::string, std::string>>> ends;  // height, name and colour
  for (std::size_t i = 0; i < table.cells.size(); ++i) {
    const std::string colour = kColours[i % kColours.size()];
    std::vector<std::pair<double, double>> way;
    for (const ExperimentCell& cell : table.cells[i]) {
      if (!cell.row || !cell.row->figures || !(cell.row->figures->share > 0)) continue;
      way.push_back(place(*cell.row));
      const bool isOnFront = std::ranges::find(front, cell.row) != front.end();
      svg += fmt::format(R"(<circle cx="{:.2f}" cy="{:.2f}" r="4" fill="{}" stroke="{}" stroke-width="1.6"><title>{}, {}: {:.3f}</title></circle>)", way.back().first,
                         way.back().second, isOnFront ? colour : "#fff", colour, escaped(cell.row->system), escaped(valueInWords(cell.row->target.kind, cell.row->target.value)),
                         std::exp(cell.row->figures->loss));
    }
    std::ranges::sort(way);
    svg += path(way, colour, 1.4);
    if (!way.empty()) ends.emplace_back(way.back().second, std::pair{table.sweep->systems[i].name, colour});
  }
  // Names beside the plot, in the order of their lines' right ends and apart from each other.
  std::ranges::sort(ends);
  double free = 0;
  for (const auto& [height, end] : ends) {
    const double at = std::max(height + 4, free);
    svg += text(kWidth - kRight + 10, at, end.second, end.first);
    free = at + 13;
  }
  return svg + "</svg><p class=\"soft\">A line a system. Filled points, which the broad line joins, are those that no other beats in both.</p>";
}

}  // namespace

std::string experimentPage(const Experiment& experiment, const std::vector<ExperimentRow>& rows, const ExperimentSubject& subject) {
  std::string body;
  for (const ExperimentTable& table : experimentTables(experiment, rows)) {
    const std::string uncompressed = table.original ? fmt::format("<p>Uncompressed: <data value=\"{0}\">{0:.3f}</data>, {1} predictions{2}.</p>", std::exp(table.original->loss),
                                                                  table.original->predictions, table.sweep->isRead() ? " behind the prompt" : "")
                                                    : "";
    body += section(fmt::format("{}, perplexity on {}", escaped(table.sweep->name), escaped(table.text)), uncompressed + htmlTable(table) + plotOf(table));
  }
  const ModelShape& shape = subject.decoder.shape();
  return htmlPage(experiment.name,
                  fmt::format("KVista {}. {}, {} layers, {} KV heads of {}; content {}. Calibrated on {} tokens.", subject.version, shape.family, shape.layers, shape.kvHeads,
                              shape.headDim, subject.modelHash, subject.statistics.tokens),
                  body);
}

}  // namespace kvista
