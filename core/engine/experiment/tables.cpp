// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/engine/experiment/tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/plan/plan_names.h"

namespace kvista {
namespace {

/// RFC 4180: quoted where it has to be.
std::string quoted(const std::string& field) {
  if (field.find_first_of(",\"\r\n") == std::string::npos) return field;
  std::string result = "\"";
  for (const char character : field) result += character == '"' ? std::string("\"\"") : std::string(1, character);
  return result + "\"";
}

/// A name in a cell of a Markdown table.
std::string cellText(const std::string& name) {
  std::string result;
  for (const char character : name)
    result += character == '|' ? std::string("\\|") : character == '\n' ? std::string(" ") : std::string(1, character);
  return result;
}

bool isInTheRunning(const ExperimentRow* row) { return row && row->keepsToTarget(); }

void markBest(ExperimentTable& table) {
  for (std::size_t column = 0; column < table.sweep->values.size(); ++column) {
    double best = std::numeric_limits<double>::infinity();
    for (const auto& line : table.cells)
      if (const ExperimentRow* row = line[column].row; isInTheRunning(row)) best = std::min(best, row->figures->loss);
    for (auto& line : table.cells)
      line[column].isBest = isInTheRunning(line[column].row) && line[column].row->figures->loss == best;
  }
}

}  // namespace

std::vector<ExperimentTable> experimentTables(const Experiment& experiment, const std::vector<ExperimentRow>& rows) {
  std::vector<std::string> texts;
  for (const ExperimentRow& row : rows)
    if (std::ranges::find(texts, row.text) == texts.end()) texts.push_back(row.text);
  std::vector<ExperimentTable> tables;
  for (const ExperimentSweep& sweep : experiment.sweeps)
    for (const std::string& text : texts) {
      ExperimentTable table{&sweep, text, {}, {}};
      for (const ExperimentSystem& system : sweep.systems) {
        std::vector<ExperimentCell>& line = table.cells.emplace_back(sweep.values.size());
        for (const ExperimentRow& row : rows) {
          if (row.sweep != sweep.name || row.system != system.name || row.text != text) continue;
          const auto column = std::ranges::find(sweep.values, row.target.value);
          if (column != sweep.values.end()) line[static_cast<std::size_t>(column - sweep.values.begin())].row = &row;
          if (row.figures) table.original = row.figures;
        }
      }
      if (table.original) table.original->loss = table.original->originalLoss;
      markBest(table);
      tables.push_back(std::move(table));
    }
  return tables;
}

std::string valueInWords(Target::Kind unit, double value) {
  switch (unit) {
    case Target::Kind::share: {
      const double times = 1 / value;
      const bool isWhole = times > 1.5 && std::abs(times - std::round(times)) < 1e-6;
      return isWhole ? fmt::format("1/{:.0f} of the bytes", times) : fmt::format("{:.4g} of the bytes", value);
    }
    case Target::Kind::keptFraction:
      return fmt::format("{:.4g} kept", value);
    case Target::Kind::bytesPerToken:
      return fmt::format("{:.0f} bytes a token", value);
    case Target::Kind::maxLoss:
      return fmt::format("at most +{:.4g} %", 100 * value);
  }
  return {};
}

std::string otherShare(const ExperimentRow& row) {
  const bool isAsked = row.target.kind == Target::Kind::share || row.target.kind == Target::Kind::keptFraction;
  if (!row.figures || (isAsked && std::abs(row.figures->share / row.target.value - 1) <= 0.02)) return {};
  return fmt::format("{:.3g}", row.figures->share);
}

std::string experimentCsv(const std::vector<ExperimentRow>& rows) {
  std::string csv =
      "sweep,system,unit,value,text,share,bytes_per_token,perplexity,original_perplexity,loss,loss_rise,"
      "loss_rise_standard_error,predicted_loss_rise,predictions,seconds,note,problem\r\n";
  for (const ExperimentRow& row : rows) {
    csv += fmt::format("{},{},{},{},{},", quoted(row.sweep), quoted(row.system), nameIn(kTargetKinds, row.target.kind),
                       row.target.value, quoted(row.text));
    if (row.figures) {
      const ExperimentRow::Figures& figures = *row.figures;
      csv += fmt::format("{},{},{},{},{},{},{},{},{},{:.2f},{},", figures.share, figures.bytesPerToken,
                         std::exp(figures.loss), std::exp(figures.originalLoss), figures.loss, figures.rise(),
                         figures.riseError ? fmt::format("{}", *figures.riseError) : "",
                         figures.predictedRise ? fmt::format("{}", *figures.predictedRise) : "", figures.predictions,
                         figures.seconds, quoted(figures.note));
    } else {
      csv += ",,,,,,,,,,,";
    }
    csv += quoted(row.problem) + "\r\n";
  }
  return csv;
}

std::string experimentMarkdown(const Experiment& experiment, const std::vector<ExperimentRow>& rows) {
  std::string markdown;
  for (const ExperimentTable& table : experimentTables(experiment, rows)) {
    markdown += fmt::format(
        "{}### {}: perplexity on {}{}\n\n| system |", markdown.empty() ? "" : "\n", table.sweep->name, table.text,
        table.original ? fmt::format(" ({:.3f} uncompressed)", std::exp(table.original->loss)) : "");
    std::string rule = "|---|";
    for (const double value : table.sweep->values) {
      markdown += fmt::format(" {} |", valueInWords(table.sweep->unit, value));
      rule += "---|";
    }
    markdown += "\n" + rule + "\n";
    std::string problems;
    for (std::size_t i = 0; i < table.cells.size(); ++i) {
      markdown += fmt::format("| {} |", cellText(table.sweep->systems[i].name));
      for (const ExperimentCell& cell : table.cells[i]) {
        if (!cell.row) {
          markdown += " |";
        } else if (!cell.row->figures) {
          markdown += " failed |";
          problems +=
              fmt::format("\n* {}, {}: {}", cellText(cell.row->system),
                          valueInWords(cell.row->target.kind, cell.row->target.value), cellText(cell.row->problem));
        } else {
          const std::string shown = fmt::format("{:.2f}", std::exp(cell.row->figures->loss)),
                            other = otherShare(*cell.row);
          markdown += fmt::format(" {}{} |", cell.isBest ? "**" + shown + "**" : shown,
                                  other.empty() ? "" : " (" + other + ")");
        }
      }
      markdown += "\n";
    }
    if (!problems.empty()) markdown += problems + "\n";
  }
  return markdown;
}

}  // namespace kvista
