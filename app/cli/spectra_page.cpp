// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/cli/spectra_page.h"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "core/engine/report/html.h"
#include "core/engine/report/plot.h"
#include "core/plan/correlation.h"

namespace kvista {
namespace {

constexpr const char* kMarkStyle = R"(
.filled { fill: currentColor; } .open { fill: #fff; } .heat td { padding: 4px 8px; border: 1px solid #fff; text-align: center; }
)";

const char* nameOf(Side side) { return side == Side::key ? "key" : "value"; }

/// Layers downwards; across, texts, or the heads of each. Models may have more or fewer layers than others.
std::string heatTable(const std::vector<TextSpectra>& texts, Side side) {
  using Column = std::pair<std::size_t, int>;  // Text and head.
  std::map<Column, std::map<int, double>> ranks;
  std::set<int> layers;
  for (std::size_t t = 0; t < texts.size(); ++t)
    for (std::size_t i = 0; i < texts[t].spectra.size(); ++i) {
      const CacheSpectrum& spectrum = texts[t].spectra[i];
      if (spectrum.side != side) continue;
      ranks[{t, spectrum.head}][spectrum.layer] = texts[t].measures[i].normalisedEffectiveRank;
      layers.insert(spectrum.layer);
    }
  if (ranks.empty()) return {};
  std::string html = "<table class=\"heat\"><tr><th>Layer</th>";
  for (const auto& [column, byLayer] : ranks) {
    const auto [text, head] = column;
    html += fmt::format("<th>{}{}</th>", texts.size() > 1 || head < 0 ? escaped(texts[text].name) : "",
                        head < 0 ? "" : fmt::format(" head {}", head));
  }
  html += "</tr>";
  for (const int layer : layers) {
    html += fmt::format("<tr><th>{}</th>", layer);
    for (const auto& [column, byLayer] : ranks) {
      const auto found = byLayer.find(layer);
      constexpr double kBright = 0.6;  // Of viridis, from where dark letters are read better.
      html += found == byLayer.end()
                  ? "<td></td>"
                  : fmt::format("<td style=\"background: {}; color: {}\">{:.3f}</td>", viridis(found->second),
                                found->second > kBright ? "#000" : "#fff", found->second);
    }
    html += "</tr>";
  }
  return html + "</table>";
}

/// A point a text, layer and side: what it loses over its rank.
std::string scatter(const std::vector<TextSpectra>& texts, std::size_t index, std::size_t count) {
  using namespace plot;
  const RanksAndLosses all = ranksAndLosses(texts, index, count);
  constexpr double kThousandth = 1e3;
  Axis x{0, 100, 0, "normalised effective rank", [](double value) { return fmt::format("{:.0f} %", value); }};
  Axis y{0, 1, 0, "rise of the loss, thousandths of a nat", [](double value) { return fmt::format("{:g}", value); }};
  std::vector<double> rises = {0};
  for (const double loss : all.losses) rises.push_back(kThousandth * loss);
  fit(y, rises);
  std::string svg = frame(x, y, "rise of the loss over the normalised effective rank");
  std::string names;
  std::size_t point = 0;
  for (std::size_t t = 0; t < texts.size(); ++t) {
    const std::size_t shape = t % kShapes;
    for (const CacheSpectrum& spectrum : texts[t].spectra) {
      const double rank = all.ranks[point], loss = all.losses[point];
      const std::string words = fmt::format("{}, layer {} {}s: {:.4f}, {:+.5f} nats", texts[t].name, spectrum.layer,
                                            nameOf(spectrum.side), rank, loss);
      svg +=
          fmt::format("<g class=\"{}\">{}</g>", nameOf(spectrum.side),
                      mark(xOf(x, 100 * rank), yOf(y, kThousandth * loss), shape, spectrum.side == Side::key, words));
      ++point;
    }
    if (texts.size() == 1) continue;
    const double height = kTop + 16 * static_cast<double>(t);
    names += mark(kWidth - kRight + 12, height, shape, true) +
             text(kWidth - kRight + 22, height + 4, "currentColor", texts[t].name);
  }
  return svg + names + "</svg>";
}

}  // namespace

double RanksAndLosses::linear() const { return pearson(ranks, losses); }
double RanksAndLosses::ranked() const { return spearman(ranks, losses); }

RanksAndLosses ranksAndLosses(const std::vector<TextSpectra>& texts, std::size_t index, std::size_t count) {
  RanksAndLosses all;
  for (const TextSpectra& text : texts)
    for (std::size_t i = 0; i < text.measures.size(); ++i) {
      all.ranks.push_back(text.measures[i].normalisedEffectiveRank);
      all.losses.push_back(text.losses[i * count + index].loss);
    }
  return all;
}

std::string spectraPage(const std::vector<TextSpectra>& texts, const std::vector<double>& kept) {
  std::string body;
  for (const Side side : {Side::key, Side::value})
    body += section(fmt::format("Normalised effective rank of {}s", nameOf(side)), heatTable(texts, side));
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const RanksAndLosses all = ranksAndLosses(texts, i, kept.size());
    const std::string correlation = std::isnan(all.linear())
                                        ? "No correlation, since the loss or the rank is the same everywhere."
                                        : fmt::format("Pearson {:+.3f}, Spearman {:+.3f}.", all.linear(), all.ranked());
    body += section(
        fmt::format("What it costs that one layer's keys or values alone keep {:g} of their directions", kept[i]),
        fmt::format("<p>{} Keys are filled, values open.</p>{}", correlation, scatter(texts, i, kept.size())));
  }
  std::string calibrated, models;
  for (const TextSpectra& text : texts) {
    calibrated += fmt::format("{}{} of {:.0f} tokens", calibrated.empty() ? "" : ", ", text.name, text.tokens);
    if (!models.ends_with(text.model)) models += (models.empty() ? "" : ", ") + text.model;
  }
  return htmlPage("Spectra of " + models, "Statistics: " + calibrated + ".", body, kMarkStyle);
}

}  // namespace kvista
