// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "core/base/amount.h"
#include "core/engine/report/charts.h"
#include "core/engine/report/html.h"
#include "core/engine/report/report.h"

namespace kvista {
namespace {

/// A figure: what is shown, and the number itself for whoever reads the page with a program.
std::string figure(std::string_view id, double value, const std::string& shown) {
  return fmt::format(R"(<data id="{}" value="{}">{}</data>)", id, value, escaped(shown));
}

std::string withSeparators(std::int64_t number) {
  std::string digits = fmt::format("{}", number);
  for (std::ptrdiff_t i = static_cast<std::ptrdiff_t>(digits.size()) - 3; i > (number < 0 ? 1 : 0); i -= 3)
    digits.insert(static_cast<std::size_t>(i), ",");
  return digits;
}

std::string row(std::string_view name, const std::string& html) {
  return fmt::format("<tr><th>{}</th><td>{}</td></tr>", name, html);
}

std::string chips(const Group& group) {
  std::string html;
  constexpr std::size_t kMostChips = 24;
  for (std::size_t i = 0; i < group.slots.size() && i < kMostChips; ++i) {
    const bool isKey = group.slots[i].side == Side::key;
    html +=
        fmt::format(R"(<span class="{}">{}{}</span>)", isKey ? "key" : "value", isKey ? 'K' : 'V', group.slots[i].head);
  }
  if (group.slots.size() > kMostChips) html += fmt::format(" and {} more", group.slots.size() - kMostChips);
  return html;
}

std::string bitsInWords(const Group& group) {
  std::map<int, int, std::greater<>> counts;
  for (const int width : group.widths) ++counts[width];
  std::vector<std::string> parts;
  for (const auto& [width, count] : counts)
    if (width > 0) parts.push_back(fmt::format("{} x {} bit", count, width));
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::int64_t fullBytes(const CompressionPlan& plan) {
  std::int64_t bytes = 0;
  for (const Group& group : plan.groups) bytes += 2 * static_cast<std::int64_t>(group.widths.size());
  return bytes;
}

std::string figures(const Report& report) {
  const Project& project = report.project;
  const std::int64_t bytes = bytesPerToken(project.plan), full = fullBytes(project.plan);
  const auto shown = [](std::string_view title, const std::string& value, const std::string& below) {
    return fmt::format(R"(<div>{}<b>{}</b><span class="soft">{}</span></div>)", title, value, below);
  };
  std::string html = shown("Bytes a token", figure("bytesPerToken", static_cast<double>(bytes), withSeparators(bytes)),
                           "of " + figure("fullBytesPerToken", static_cast<double>(full), withSeparators(full)));
  const double times = static_cast<double>(full) / static_cast<double>(std::max<std::int64_t>(1, bytes));
  html += shown(
      "Times smaller", figure("timesSmaller", times, fmt::format("{:.2f}", times)),
      fmt::format("{} bytes asked for", figure("requestedBytesPerToken", static_cast<double>(project.requestedBytes),
                                               withSeparators(project.requestedBytes))));
  const std::optional<double> rise = project.correctedLoss ? project.correctedLoss : project.predictedLoss;
  if (rise && project.baseLoss > 0) {
    const double perplexity = std::exp(project.baseLoss + *rise);
    html += shown("Perplexity, predicted",
                  "~" + figure("predictedPerplexity", perplexity, fmt::format("{:.2f}", perplexity)),
                  "from " + figure("basePerplexity", std::exp(project.baseLoss),
                                   fmt::format("{:.2f}", std::exp(project.baseLoss))));
  }
  if (report.planned && report.planned->cost.fullSecondsPerToken > 0) {
    const CostModel& cost = report.planned->cost;
    const double ratio = cost.secondsPerToken / cost.fullSecondsPerToken;
    html += shown(
        "Decoding, estimated",
        figure("secondsPerToken", cost.secondsPerToken, fmt::format("{:.0f} us", cost.secondsPerToken * 1e6)),
        fmt::format("{:.2f} of the whole cache's, {}, context {}, batch {}", ratio, escaped(report.cost.device),
                    figure("context", static_cast<double>(report.cost.context), withSeparators(report.cost.context)),
                    figure("batch", report.cost.batch, withSeparators(report.cost.batch))));
  }
  html +=
      shown("Plans tried",
            figure("plansTried", static_cast<double>(project.tried.size()), fmt::format("{}", project.tried.size())),
            "kept in the project");
  return "<section><div class=\"figures\">" + html + "</div></section>\n";
}

std::string modelTable(const Report& report) {
  const Project& project = report.project;
  std::string html = row("Path", escaped(project.model.string())) + row("Content hash", escaped(project.modelHash));
  if (report.shape) {
    const ModelShape& shape = *report.shape;
    html += row("Family", escaped(shape.family)) + row("Layers", fmt::format("{}", shape.layers)) +
            row("Query heads, KV heads",
                fmt::format("{}, {} of {} numbers", shape.queryHeads, shape.kvHeads, shape.headDim)) +
            row("Parameters",
                figure("parameters", static_cast<double>(shape.parameters), withSeparators(shape.parameters)));
  }
  return "<table>" + html + "</table>";
}

std::string refined(const Project& project) {
  if (!project.refined) return {};
  const RefinedFactors& factors = *project.refined;
  if (factors.planFingerprint != fingerprint(project.plan))
    return row("Factors", "as planned; refined ones are of an earlier plan");
  return row(
      "Factors",
      fmt::format("refined, {} {} on {}: divergence on held-out text {} to {} nats a token",
                  figure("refinedSteps", factors.steps, withSeparators(factors.steps)),
                  factors.steps == 1 ? "step" : "steps", escaped(fmt::format("{}", fmt::join(factors.texts, ", "))),
                  figure("divergenceBefore", factors.divergenceBefore, fmt::format("{:.4f}", factors.divergenceBefore)),
                  figure("divergenceAfter", factors.divergenceAfter, fmt::format("{:.4f}", factors.divergenceAfter))));
}

std::string provenance(const Report& report) {
  const Project& project = report.project;
  std::string html = row("KVista", escaped(report.version)) + row("Plan", escaped(fingerprint(project.plan))) +
                     row("Method", escaped(project.plan.method)) +
                     row("Grouping, allocator", escaped(project.plan.grouping + ", " + project.plan.allocator)) +
                     refined(project);
  if (!project.statistics.empty())
    html += row("Statistics", escaped(project.statistics.string())) +
            row("Calibration tokens' hash", escaped(project.tokensHash));
  if (report.statistics) {
    const Statistics& statistics = *report.statistics;
    html += row("Calibration text", escaped(fmt::format("{}", fmt::join(textsInWords(statistics.recipe), ", ")))) +
            row("Calibration tokens",
                figure("calibrationTokens", static_cast<double>(statistics.tokens), withSeparators(statistics.tokens)) +
                    " in " + amount(statistics.windows, "window")) +
            row("Drawn with seed", statistics.recipe.seed ? fmt::format("{}", *statistics.recipe.seed)
                                                          : std::string("from the start, in order")) +
            row("Calibrated on", escaped(statistics.device) + fmt::format(", {:.1f} s", statistics.seconds));
  }
  return "<table>" + html + "</table>";
}

std::string measured(const Project& project) {
  if (project.results.empty()) return {};
  std::string html =
      "<table><tr><th>Text</th><th>Plan</th><th class=\"number\">Original</th><th class=\"number\">Plan</th><th "
      "class=\"number\">Change</th></tr>";
  const std::string current = fingerprint(project.plan);
  for (std::size_t i = 0; i < project.results.size(); ++i) {
    const MeasuredResult& result = project.results[i];
    std::string plan = result.planFingerprint == current ? "this plan" : result.planFingerprint;
    for (const TriedPlan& tried : project.tried)
      if (plan != "this plan" && fingerprint(tried.plan) == result.planFingerprint) plan = tried.name;
    html += fmt::format(
        "<tr><td>{}</td><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td "
        "class=\"number\">{:+.2f} %</td></tr>",
        escaped(result.text), escaped(plan),
        figure(fmt::format("measuredBefore{}", i), result.perplexityBefore,
               fmt::format("{:.3f}", result.perplexityBefore)),
        figure(fmt::format("measuredAfter{}", i), result.perplexityAfter,
               fmt::format("{:.3f}", result.perplexityAfter)),
        (result.perplexityAfter / result.perplexityBefore - 1) * 100);
  }
  return html + "</table>";
}

/// Every plan of the project with the numbers of the plot.
std::string tried(const std::vector<PlanPoint>& points) {
  if (points.size() < 2) return {};
  std::string html =
      "<table><tr><th>Plan</th><th>Method</th><th class=\"number\">Bytes a token</th><th class=\"number\">Share of 16 "
      "bits</th>"
      "<th class=\"number\">Perplexity, predicted</th><th class=\"number\">Rise of perplexity</th></tr>";
  for (std::size_t i = 0; i < points.size(); ++i) {
    const PlanPoint& point = points[i];
    const std::string predicted = point.predicted ? "~" + figure(fmt::format("planPerplexity{}", i), *point.predicted,
                                                                 fmt::format("{:.2f}", *point.predicted))
                                                  : "";
    const std::string rise = point.rise
                                 ? (point.measured ? "" : "~") + figure(fmt::format("planRise{}", i), *point.rise,
                                                                        fmt::format("{:+.2f} %", 100 * *point.rise))
                                 : "";
    html += fmt::format(
        "<tr><td>{}{}</td><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td "
        "class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
        escaped(point.name), point.current && point.name != "this plan" ? " (this plan)" : "", escaped(point.method),
        figure(fmt::format("planBytes{}", i), static_cast<double>(point.bytesPerToken),
               withSeparators(point.bytesPerToken)),
        figure(fmt::format("planShare{}", i), point.share, fmt::format("{:.3f}", point.share)), predicted, rise);
  }
  return html + "</table>";
}

/// What one side of a layer has, as a cell with the exact number.
std::string cell(std::string_view id, int layer, std::optional<double> value, int digits) {
  if (!value || !std::isfinite(*value)) return "<td class=\"number\"></td>";
  return fmt::format("<td class=\"number\">{}</td>",
                     figure(fmt::format("{}{}", id, layer), *value, fmt::format("{:.{}f}", *value, digits)));
}

/// How many directions each layer's keys and values need, and where the plan errs: means of relative squared errors.
std::string layersTable(const Report& report) {
  if (report.spectra.empty() && !report.errors) return {};
  std::string html =
      "<table><tr><th>Layer</th><th class=\"number\">Normalised effective rank, keys</th><th "
      "class=\"number\">values</th>"
      "<th class=\"number\">Relative squared error, keys</th><th class=\"number\">values</th><th "
      "class=\"number\">attention scores</th>"
      "<th class=\"number\">attention outputs</th></tr>";
  const PlanErrorsRecord errors = report.errors.value_or(PlanErrorsRecord{});
  for (int layer = 0; layer < report.shape->layers; ++layer) {
    std::optional<double> keys, values;
    for (const LayerSpectrumRecord& spectrum : report.spectra)
      if (spectrum.layer == layer)
        (spectrum.side == Side::key ? keys : values) = spectrum.measures.normalisedEffectiveRank;
    html += fmt::format("<tr><td>{}</td>", layer) + cell("keyRank", layer, keys, 3) +
            cell("valueRank", layer, values, 3) + cell("keyError", layer, meanOf(errors.keys, layer), 4) +
            cell("valueError", layer, meanOf(errors.values, layer), 4) +
            cell("logitError", layer, meanOf(errors.logits, layer), 4) +
            cell("outputError", layer, meanOf(errors.attentionOutputs, layer), 4) + "</tr>";
  }
  return html + "</table>";
}

std::string planTable(const CompressionPlan& plan) {
  std::string html =
      "<table><tr><th>Layer</th><th>Heads</th><th class=\"number\">Rank</th><th>Directions</th><th "
      "class=\"number\">Bytes a token</th><th></th></tr>";
  for (const Group& group : plan.groups) {
    const std::int64_t bytes =
        bytesPerToken(plan, group) + (storesTokenNumbers(plan, group.slots.front().layer) ? kTokenNumberBytes : 0);
    html += fmt::format(
        "<tr><td>{}</td><td>{}</td><td class=\"number\">{} of {}</td><td>{}</td><td "
        "class=\"number\">{}</td><td>{}</td></tr>",
        group.slots.front().layer, chips(group), group.rank(), group.widths.size(), bitsInWords(group),
        withSeparators(bytes), group.locked ? "locked" : "");
  }
  return html + "</table>";
}

}  // namespace

std::string reportPage(const Report& report) {
  const Project& project = report.project;
  const std::vector<PlanPoint> points = planPoints(project);
  std::string gaps;
  for (const std::string& gap : report.gaps) gaps += fmt::format("<p class=\"warning\">{}</p>", escaped(gap));
  return htmlPage(
      report.name, fmt::format("KVista, method {}", project.plan.method),
      figures(report) + section("What is missing", gaps) +
          section("Notes", project.notes.empty() ? "" : "<pre>" + escaped(project.notes) + "</pre>") +
          section("Quality and bytes", qualitySvg(points)) + section("Plans", tried(points)) +
          section("Measured perplexity", measured(project)) +
          section("Spectra of all layers and the bits of their directions", waterlineSvg(project.plan, report.units)) +
          section("Similarity of key heads by layer (" + escaped(report.measure) + ", 0 to 1)",
                  similaritySvg(report.similarities, Side::key)) +
          section("Similarity of value heads by layer", similaritySvg(report.similarities, Side::value)) +
          section("Spectra of the keys", spectraSvg(report.spectra, Side::key)) +
          section("Spectra of the values", spectraSvg(report.spectra, Side::value)) +
          section("Errors by layer", report.errors ? errorsSvg(*report.errors) : "") +
          section("Spectra and errors by layer", layersTable(report)) + section("Plan", planTable(project.plan)) +
          section("Model", modelTable(report)) + section("Provenance", provenance(report)));
}

}  // namespace kvista
