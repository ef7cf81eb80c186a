// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
//
// What is told of the directions of a cache: how many it needs, and which of them serve best.
#include <QFileInfo>
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <iterator>

#include "app/studio/window/lab_cells.h"
#include "app/studio/window/lab_findings.h"
#include "core/plan/correlation.h"
#include "core/plan/spectrum.h"
#include "views/number_text.h"
#include "views/plain_table.h"

namespace kvista {
namespace {

/// One text of one model, as the columns of a table have it.
struct RankedText {
  const ModelRanks& model;
  const TextRanksRecord& text;
  QString name;  ///< Of the file; with its model's before it where there are several.
};

std::vector<RankedText> textsOf(const std::vector<ModelRanks>& models) {
  std::vector<RankedText> texts;
  for (const ModelRanks& model : models)
    for (const TextRanksRecord& text : model.ranks.texts) {
      const QString name = QFileInfo(QString::fromStdString(text.statistics)).completeBaseName();
      texts.push_back({model, text, models.size() > 1 ? QStringLiteral("%1 · %2").arg(model.name, name) : name});
    }
  return texts;
}

LabCell heat(const Matrix& matrix, int layer, int column) {
  if (layer >= matrix.rows) return none();
  LabCell cell = number(matrix.at(layer, column), decimalText(matrix.at(layer, column), 3));
  cell.heat = matrix.at(layer, column);
  return cell;
}

/// Layers downwards, what `matrices` have across; `columns` are called as `nameOf` says.
template <class MatrixOf, class NameOf>
LabTable heatTable(const std::vector<RankedText>& texts, const MatrixOf& matrixOf, const NameOf& nameOf) {
  LabTable table{{{LabText::tr("Layer"), {}, false}}, {}};
  int layers = 0;
  for (const RankedText& each : texts) {
    const Matrix& matrix = matrixOf(each.text);
    layers = std::max(layers, matrix.rows);
    for (int column = 0; column < matrix.columns; ++column)
      table.columns.push_back(
          {texts.size() > 1 ? QStringLiteral("%1 %2").arg(each.name, nameOf(column)) : nameOf(column), each.name});
  }
  for (int layer = 0; layer < layers; ++layer) {
    std::vector<LabCell> row = {count(layer)};
    for (const RankedText& each : texts)
      for (int column = 0; column < matrixOf(each.text).columns; ++column)
        row.push_back(heat(matrixOf(each.text), layer, column));
    table.rows.push_back(std::move(row));
  }
  return table;
}

QString sideName(int column) { return column == 0 ? LabText::tr("keys") : LabText::tr("values"); }

/// How it chooses directions, by the name of the method that does so.
LabCell variantOf(const std::string& method) {
  const QString id = QString::fromStdString(method);
  if (method == "kqsvd")
    return {LabText::tr("KQ-SVD: of keys and queries multiplied"), id,
            LabText::tr("No others of their number keep attention scores better")};
  if (method == "ksvd")
    return {LabText::tr("K-SVD: of the keys alone"), id, LabText::tr("No others of their number keep the keys better")};
  if (method == "eigen")
    return {LabText::tr("Eigen Attention: of keys and queries together"), id,
            LabText::tr("One basis for both, keys above queries")};
  return {id};
}

double meanOf(const Matrix& matrix, int column) {
  double sum = 0;
  for (int row = 0; row < matrix.rows; ++row) sum += matrix.at(row, column);
  return matrix.rows > 0 ? sum / matrix.rows : 0;
}

}  // namespace

LabFindings findingsOf(const std::vector<ModelRanks>& models) {
  const std::vector<RankedText> texts = textsOf(models);
  const QString rank =
      LabText::tr("Normalised effective rank, mean over the layers: 1 where all directions carry alike");
  const QString correlation =
      LabText::tr("Of the normalised effective rank and what truncation costs, over layers, keys and values");
  LabFindings found;
  found.summary.columns = {
      {LabText::tr("Model"), {}, false},
      {LabText::tr("Statistics"), {}, false, true},
      {LabText::tr("Tokens")},
      {LabText::tr("Keys"), rank},
      {LabText::tr("Values"), rank},
      {LabText::tr("Kept, %"), LabText::tr("Of the directions of one layer's keys or values at a time")},
      {LabText::tr("Costs"), LabText::tr("Mean rise of the loss by that, nats a token")},
      {LabText::tr("Pearson"), correlation},
      {LabText::tr("Spearman"), correlation}};
  LabTable costs{{{LabText::tr("Model"), {}, false},
                  {LabText::tr("Statistics"), {}, false, true},
                  {LabText::tr("Layer")},
                  {LabText::tr("of"), {}, false},
                  {LabText::tr("Rank"), LabText::tr("Normalised effective rank")},
                  {LabText::tr("Costs"), LabText::tr("Rise of the loss where they alone are truncated, nats a token")}},
                 {}};
  const double kept = models.back().ranks.kept;  // What was measured last is drawn, and what is like it.
  LabPoints points{LabText::tr("%1 %").arg(decimalText(100 * kept, 0)), {}, {}};
  const auto correlations = [](const std::vector<double>& ranks, const std::vector<double>& losses) {
    std::vector<LabCell> cells;
    for (const double each : {pearson(ranks, losses), spearman(ranks, losses)})
      cells.push_back(std::isnan(each) ? none() : number(each, signedText(each, 3)));
    return cells;
  };
  std::vector<double> allRanks, allLosses;
  for (const auto& [model, text, name] : texts) {
    LabCell tokens = count(text.tokens);
    if (static_cast<double>(text.tokens) < kTokensADirection * text.directions) {
      tokens.text = LabText::tr("%1, few").arg(tokens.text);
      tokens.tip = LabText::tr("For %1 directions; below %2 tokens for each, ranks look other than they are.")
                       .arg(countText(text.directions), countText(static_cast<std::int64_t>(kTokensADirection)));
    }
    const double keys = meanOf(text.layers, 0), values = meanOf(text.layers, 1);
    std::vector<LabCell> row = {{model.name},
                                file(text.statistics),
                                tokens,
                                number(keys, decimalText(keys, 3)),
                                number(values, decimalText(values, 3))};
    if (text.losses.isEmpty()) {
      row.resize(found.summary.columns.size(), none());
      found.summary.rows.push_back(std::move(row));
      continue;
    }
    std::vector<double> ranks, losses;
    for (int layer = 0; layer < text.layers.rows; ++layer)
      for (const int side : {0, 1}) {
        ranks.push_back(text.layers.at(layer, side));
        losses.push_back(text.losses.at(layer, side));
        costs.rows.push_back({{model.name},
                              file(text.statistics),
                              count(layer),
                              {sideName(side)},
                              heat(text.layers, layer, side),
                              number(losses.back(), signedText(losses.back(), 5))});
        if (model.ranks.kept == kept)
          points.points.push_back({LabText::tr("layer %1 %2").arg(layer).arg(sideName(side)), ranks.back(),
                                   losses.back(), side == 0, static_cast<std::size_t>(points.texts.size())});
      }
    const double mean = (meanOf(text.losses, 0) + meanOf(text.losses, 1)) / 2;
    row.push_back(percent(model.ranks.kept));
    row.push_back(number(mean, signedText(mean, 5)));
    std::ranges::move(correlations(ranks, losses), std::back_inserter(row));
    found.summary.rows.push_back(std::move(row));
    if (model.ranks.kept != kept) continue;
    points.texts << name;
    allRanks.insert(allRanks.end(), ranks.begin(), ranks.end());
    allLosses.insert(allLosses.end(), losses.begin(), losses.end());
  }
  if (points.texts.size() > 1) {
    std::vector<LabCell> row = {{LabText::tr("all"), {}, {}, true}};
    row.resize(found.summary.columns.size() - 2, none());
    std::ranges::move(correlations(allRanks, allLosses), std::back_inserter(row));
    found.summary.rows.push_back(std::move(row));
  }
  const auto head = [](const char* letter) {
    return [letter](int column) { return QLatin1String(letter) + QString::number(column); };
  };
  found.details = {
      {QStringLiteral("layers"), LabText::tr("Ranks by layer"),
       heatTable(
           texts, [](const TextRanksRecord& text) -> const Matrix& { return text.layers; }, sideName)},
      {QStringLiteral("keyHeads"), LabText::tr("Keys by head"),
       heatTable(
           texts, [](const TextRanksRecord& text) -> const Matrix& { return text.keyHeads; }, head("K"))},
      {QStringLiteral("valueHeads"), LabText::tr("Values by head"),
       heatTable(
           texts, [](const TextRanksRecord& text) -> const Matrix& { return text.valueHeads; }, head("V"))}};
  if (!points.points.empty()) {
    std::ranges::stable_sort(costs.rows, std::greater(),
                             [](const std::vector<LabCell>& row) { return row.back().plain.toDouble(); });
    found.details.push_back({QStringLiteral("costs"), LabText::tr("What truncation costs"), std::move(costs)});
    found.points = std::move(points);
  }
  return found;
}

LabFindings findingsOf(const KeyVariantsRecord& record) {
  const auto tip = [](const QString& of) {
    return LabText::tr(
               "Relative squared error of %1 at the plan's ranks, mean over layers and heads; the least of the three "
               "is bold")
        .arg(of);
  };
  LabFindings found;
  found.summary.columns = {{LabText::tr("Directions"), {}, false, true},
                           {LabText::tr("Keys"), tip(LabText::tr("keys"))},
                           {LabText::tr("Values"), tip(LabText::tr("values"))},
                           {LabText::tr("Scores"), tip(LabText::tr("attention scores"))},
                           {LabText::tr("Outputs"), tip(LabText::tr("attention outputs"))}};
  constexpr std::array kErrors = {&KeyVariantRecord::keys, &KeyVariantRecord::values, &KeyVariantRecord::logits,
                                  &KeyVariantRecord::attentionOutputs};
  for (const KeyVariantRecord& each : record.variants) {
    std::vector<LabCell> row = {variantOf(each.method)};
    for (const auto error : kErrors) {
      row.push_back(number(each.*error, decimalText(each.*error, 4)));
      row.back().isStrong = std::ranges::all_of(
          record.variants, [&](const KeyVariantRecord& other) { return each.*error <= other.*error; });
    }
    found.summary.rows.push_back(std::move(row));
  }
  return found;
}

}  // namespace kvista
