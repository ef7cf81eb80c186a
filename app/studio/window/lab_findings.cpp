// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/lab_findings.h"

#include <QCoreApplication>
#include <QFileInfo>
#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>

#include "core/plan/correlation.h"
#include "core/plan/spectrum.h"
#include "views/number_text.h"

namespace kvista {
namespace {

class LabText {
  Q_DECLARE_TR_FUNCTIONS(kvista::LabText)
};

constexpr qsizetype kShown = 90;  // Characters of a text in a cell.

QString signedText(double value, int decimals) {
  const QString size = decimalText(std::abs(value), decimals);
  if (size == decimalText(0, decimals)) return size;
  return (value < 0 ? QStringLiteral("−") : value > 0 ? QStringLiteral("+") : QString()) + size;
}
LabCell number(double value, const QString& text) { return {text, plainNumber(value)}; }
LabCell percent(double part) { return number(part, decimalText(100 * part, 1)); }
LabCell none() { return {QStringLiteral("–"), QStringLiteral("")}; }  // Nothing in files.
LabCell count(std::int64_t value) { return {countText(value), QString::number(value)}; }

/// In one line; of a long text its beginning or its end.
QString line(const QString& text, bool end) {
  const QString flat = text.simplified();
  if (flat.size() <= kShown) return flat;
  return end ? QStringLiteral("…") + flat.right(kShown) : flat.left(kShown) + QStringLiteral("…");
}
LabCell words(const std::string& text, bool end = false) {
  const QString whole = QString::fromStdString(text);
  return {line(whole, end), whole, whole};
}
/// A token by itself, whose blanks are all there is to see.
LabCell token(const std::string& text) {
  QString shown = QString::fromStdString(text);
  const QString whole = shown;
  shown.replace(QLatin1Char('\n'), QStringLiteral("⏎"));
  return {QStringLiteral("“%1”").arg(shown), whole};
}
LabCell file(const std::string& path) {
  const QString whole = QString::fromStdString(path);
  return {QFileInfo(whole).fileName(), whole, whole};
}

LabCell answer(const std::string& given, bool isRight) {
  LabCell cell = words(given);
  cell.text = (isRight ? QStringLiteral("✓ ") : QStringLiteral("✗ ")) + cell.text;
  cell.tip = isRight ? LabText::tr("right: %1").arg(cell.tip) : LabText::tr("wrong: %1").arg(cell.tip);
  return cell;
}

/// What stands beside the original: the plan, or what a policy makes of it or of the model.
template <class Record>
QString otherOf(const Record& record) {
  return record.policy.empty() ? LabText::tr("plan") : LabText::tr("policy");
}
template <class Record>
QString policyOf(const Record& record) {
  if (record.policy.empty()) return {};
  return (record.overPlan ? LabText::tr("The plan under %1") : LabText::tr("The original under %1")).arg(QString::fromStdString(record.policy));
}
QString capital(QString word) {
  if (!word.isEmpty()) word[0] = word[0].toUpper();
  return word;
}

std::vector<LabCell> rowOf(const TaskAnswerRecord& each) {
  std::vector<LabCell> row = {count(each.line), words(each.question, true), words(each.wanted), answer(each.before, each.rightBefore),
                              answer(each.after, each.rightAfter)};
  const auto margin = [](const std::optional<double>& value) { return value ? number(*value, signedText(*value, 2)) : none(); };
  row.push_back(margin(each.marginBefore));
  row.push_back(margin(each.marginAfter));
  row.push_back(each.marginBefore && each.marginAfter ? margin(*each.marginAfter - *each.marginBefore) : none());
  return row;
}

}  // namespace

LabFindings findingsOf(const TasksRecord& record) {
  const QString error = LabText::tr("Standard error of the accuracy: sqrt(p (1 - p) / (n - 1))");
  const QString margin = LabText::tr("Log-likelihood of the right answer less that of the likeliest other, nats: above 0 is right");
  LabFindings found;
  found.summary.columns = {
      {LabText::tr("File"), {}, false, true},
      {LabText::tr("Measure"),
       LabText::tr("acc: the likeliest answer is right; acc_norm: likeliest by its bytes; exact_match: what is written is the answer"),
       false},
      {LabText::tr("Questions")},
      {LabText::tr("Original, %")},
      {LabText::tr("± original"), error},
      {LabText::tr("%1, %").arg(capital(otherOf(record))), policyOf(record)},
      {LabText::tr("± %1").arg(otherOf(record)), error},
      {LabText::tr("Difference, %"), LabText::tr("Percentage points, %1 less original").arg(otherOf(record))},
      {LabText::tr("Same answer, %"), LabText::tr("Questions that both answer alike, right or wrong")}};
  std::vector<std::vector<LabCell>> all, changed;
  for (const TaskFileRecord& each : record.files) {
    for (const TaskMeasureRecord& measure : each.measures) {
      const auto asked = static_cast<double>(measure.asked);
      const double before = static_cast<double>(measure.rightBefore) / asked, after = static_cast<double>(measure.rightAfter) / asked;
      found.summary.rows.push_back({file(each.file),
                                    {QString::fromStdString(measure.name)},
                                    count(measure.asked),
                                    percent(before),
                                    percent(measure.errorBefore),
                                    percent(after),
                                    percent(measure.errorAfter),
                                    number(after - before, signedText(100 * (after - before), 1)),
                                    percent(static_cast<double>(measure.same) / asked)});
    }
    if (each.shortened > 0 && !found.summary.rows.empty())
      found.summary.rows.back().front().tip +=
          LabText::tr("\n%Ln answer(s) had to be asked without the beginning of their context: the model has too few positions", nullptr,
                      static_cast<int>(each.shortened));
    for (const TaskAnswerRecord& given : each.answers) {
      std::vector<LabCell> row = rowOf(given);
      if (record.files.size() > 1) row.insert(row.begin(), file(each.file));
      if (given.before != given.after) changed.push_back(row);
      all.push_back(std::move(row));
    }
  }
  std::vector<LabColumn> columns = {{LabText::tr("Line")},
                                    {LabText::tr("Question"), {}, false, true},
                                    {LabText::tr("Right answer"), {}, false, true},
                                    {LabText::tr("Original"), {}, false, true},
                                    {capital(otherOf(record)), policyOf(record), false, true},
                                    {LabText::tr("Margin, nats"), LabText::tr("Of the original. %1").arg(margin)},
                                    {LabText::tr("of the %1").arg(otherOf(record)), margin},
                                    {LabText::tr("Change"), LabText::tr("Of the margin, nats")}};
  if (record.files.size() > 1) columns.insert(columns.begin(), {LabText::tr("File"), {}, false});
  found.details = {{QStringLiteral("changed"), LabText::tr("Answered differently"), {columns, std::move(changed)}},
                   {QStringLiteral("all"), LabText::tr("All answers"), {columns, std::move(all)}}};
  return found;
}

LabFindings findingsOf(const AgreementRecord& record) {
  const QString divergence = LabText::tr("KL(original || %1) of the next token, nats, after both have read the text itself").arg(otherOf(record)) +
                             (record.policy.empty() ? QString() : LabText::tr("\n%1, behind the first half of each window").arg(policyOf(record)));
  const QString parting = LabText::tr("Tokens before the first that differs; all %1 where none does").arg(countText(record.written));
  LabFindings found;
  found.summary.columns = {{LabText::tr("Tokens")},
                           {LabText::tr("Same likeliest, %"), LabText::tr("Predictions whose likeliest token is the same")},
                           {LabText::tr("KL, nats"), LabText::tr("Mean. %1").arg(divergence)},
                           {LabText::tr("median"), divergence},
                           {LabText::tr("99 %"), LabText::tr("99th percentile. %1").arg(divergence)},
                           {LabText::tr("largest"), divergence},
                           {LabText::tr("Same written, %"), LabText::tr("Tokens that both wrote the same at their place")},
                           {LabText::tr("First differs"), LabText::tr("Mean. %1").arg(parting)},
                           {LabText::tr("median"), parting},
                           {LabText::tr("Never"), LabText::tr("Texts that are the same to the end")}};
  const auto nats = [](double value) { return number(value, significantText(value, 3)); };
  found.summary.rows = {
      {count(record.predictions),
       percent(record.sameLikeliest),
       nats(record.mean),
       nats(record.median),
       nats(record.percentile99),
       nats(record.largest),
       percent(record.equalTokens),
       number(record.meanFirst, decimalText(record.meanFirst, 1)),
       number(record.medianFirst, decimalText(record.medianFirst, 1)),
       {LabText::tr("%1 of %2").arg(countText(record.undiverged), countText(static_cast<std::int64_t>(record.pairs.size()))),
        QString::number(record.undiverged)}}};
  LabTable written{{{LabText::tr("First differs"), parting},
                    {LabText::tr("Prompt"), {}, false, true},
                    {LabText::tr("Both write"), {}, false, true},
                    {LabText::tr("then the original"), {}, false, true},
                    {LabText::tr("then the %1").arg(otherOf(record)), policyOf(record), false, true}},
                   {}};
  for (const WrittenRecord& each : record.pairs)
    written.rows.push_back({each.same < record.written ? count(each.same) : LabCell{LabText::tr("never"), QString::number(each.same)},
                            words(each.prompt, true), words(each.shared, true), words(each.original), words(each.plan)});
  LabTable tokens{{{LabText::tr("KL, nats"), divergence},
                   {LabText::tr("Window"), LabText::tr("From 0")},
                   {LabText::tr("Token"), LabText::tr("Its place in the window, from 0")},
                   {LabText::tr("Behind"), LabText::tr("The text before it"), false, true},
                   {LabText::tr("the text has"), {}, false},
                   {LabText::tr("likeliest: original"), {}, false},
                   {otherOf(record), policyOf(record), false}},
                  {}};
  for (const ComparedTokenRecord& each : record.worst)
    tokens.rows.push_back({nats(each.divergence), count(each.window), count(each.position), words(each.context, true), token(each.text),
                           token(each.original), token(each.plan)});
  found.details = {{QStringLiteral("written"), LabText::tr("What both wrote"), std::move(written)},
                   {QStringLiteral("tokens"), LabText::tr("Predictions that differ most"), std::move(tokens)}};
  if (!record.pairs.empty()) {
    found.curve = LabCurve{record.written, {}};
    for (const WrittenRecord& each : record.pairs) found.curve->same.push_back(each.same);
  }
  return found;
}

LabFindings findingsOf(const std::vector<PredictorRecord>& records) {
  LabFindings found;
  found.summary.columns = {
      {LabText::tr("File"), {}, false, true},
      {LabText::tr("For the policy"), {}, false},
      {LabText::tr("Windows")},
      {LabText::tr("held out")},
      {LabText::tr("Tokens of each")},
      {LabText::tr("Correlation"), LabText::tr("Of what it foretells and what is true, over the tokens of the windows held out")}};
  const bool hasRecall = std::ranges::any_of(records, [](const PredictorRecord& each) { return each.recall.has_value(); });
  if (hasRecall) {
    const QString part = LabText::tr("Part of the attention of the next queries that goes to a quarter of the keys, over the windows held out. %1");
    const auto column = [&](const QString& name, const QString& which) { found.summary.columns.push_back({name, part.arg(which)}); };
    column(LabText::tr("Finds, %"), LabText::tr("The keys that it foretells"));
    column(LabText::tr("all so far"), LabText::tr("Without it: the keys that got most attention so far (H2O)"));
    column(LabText::tr("last queries"), LabText::tr("Without it: the keys that the last 32 queries looked at most (SnapKV)"));
    column(LabText::tr("at best"), LabText::tr("The keys that will get most"));
  }
  for (const PredictorRecord& each : records) {
    const QString policy = QString::fromStdString(nameIn(kPredictorKinds, each.kind));
    found.summary.rows.push_back({file(each.file),
                                  {policy},
                                  count(each.windows),
                                  count(each.heldOutWindows),
                                  count(each.window),
                                  number(each.correlation, decimalText(each.correlation, 3))});
    if (!hasRecall) continue;
    const RecallRecord recall = each.recall.value_or(RecallRecord());
    for (const double part : {recall.predicted, recall.accumulated, recall.recent, recall.best})
      found.summary.rows.back().push_back(each.recall ? percent(part) : none());
  }
  return found;
}

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
      table.columns.push_back({texts.size() > 1 ? QStringLiteral("%1 %2").arg(each.name, nameOf(column)) : nameOf(column), each.name});
  }
  for (int layer = 0; layer < layers; ++layer) {
    std::vector<LabCell> row = {count(layer)};
    for (const RankedText& each : texts)
      for (int column = 0; column < matrixOf(each.text).columns; ++column) row.push_back(heat(matrixOf(each.text), layer, column));
    table.rows.push_back(std::move(row));
  }
  return table;
}

QString sideName(int column) { return column == 0 ? LabText::tr("keys") : LabText::tr("values"); }

double meanOf(const Matrix& matrix, int column) {
  double sum = 0;
  for (int row = 0; row < matrix.rows; ++row) sum += matrix.at(row, column);
  return matrix.rows > 0 ? sum / matrix.rows : 0;
}

}  // namespace

LabFindings findingsOf(const std::vector<ModelRanks>& models) {
  const std::vector<RankedText> texts = textsOf(models);
  const QString rank = LabText::tr("Normalised effective rank, mean over the layers: 1 where all directions carry alike");
  const QString correlation = LabText::tr("Of the normalised effective rank and what truncation costs, over layers, keys and values");
  LabFindings found;
  found.summary.columns = {{LabText::tr("Model"), {}, false},
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
    std::vector<LabCell> row = {{model.name}, file(text.statistics), tokens, number(keys, decimalText(keys, 3)), number(values, decimalText(values, 3))};
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
        costs.rows.push_back({{model.name}, file(text.statistics), count(layer), {sideName(side)}, heat(text.layers, layer, side),
                              number(losses.back(), signedText(losses.back(), 5))});
        if (model.ranks.kept == kept)
          points.points.push_back({LabText::tr("layer %1 %2").arg(layer).arg(sideName(side)), ranks.back(), losses.back(), side == 0,
                                   static_cast<std::size_t>(points.texts.size())});
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
  const auto head = [](const char* letter) { return [letter](int column) { return QLatin1String(letter) + QString::number(column); }; };
  found.details = {
      {QStringLiteral("layers"), LabText::tr("Ranks by layer"), heatTable(texts, [](const TextRanksRecord& text) -> const Matrix& { return text.layers; }, sideName)},
      {QStringLiteral("keyHeads"), LabText::tr("Keys by head"),
       heatTable(texts, [](const TextRanksRecord& text) -> const Matrix& { return text.keyHeads; }, head("K"))},
      {QStringLiteral("valueHeads"), LabText::tr("Values by head"),
       heatTable(texts, [](const TextRanksRecord& text) -> const Matrix& { return text.valueHeads; }, head("V"))}};
  if (!points.points.empty()) {
    std::ranges::stable_sort(costs.rows, std::greater(), [](const std::vector<LabCell>& row) { return row.back().plain.toDouble(); });
    found.details.push_back({QStringLiteral("costs"), LabText::tr("What truncation costs"), std::move(costs)});
    found.points = std::move(points);
  }
  return found;
}

}  // namespace kvista
