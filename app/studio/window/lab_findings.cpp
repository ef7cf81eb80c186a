// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/lab_findings.h"

#include <algorithm>

#include "app/studio/window/lab_cells.h"
#include "views/number_text.h"

namespace kvista {
namespace {

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
  return (record.overPlan ? LabText::tr("The plan under %1") : LabText::tr("The original under %1"))
      .arg(QString::fromStdString(record.policy));
}
QString capital(QString word) {
  if (!word.isEmpty()) word[0] = word[0].toUpper();
  return word;
}

std::vector<LabCell> rowOf(const TaskAnswerRecord& each) {
  std::vector<LabCell> row = {count(each.line), words(each.question, true), words(each.wanted),
                              answer(each.before, each.rightBefore), answer(each.after, each.rightAfter)};
  const auto margin = [](const std::optional<double>& value) {
    return value ? number(*value, signedText(*value, 2)) : none();
  };
  row.push_back(margin(each.marginBefore));
  row.push_back(margin(each.marginAfter));
  row.push_back(each.marginBefore && each.marginAfter ? margin(*each.marginAfter - *each.marginBefore) : none());
  return row;
}

}  // namespace

LabFindings findingsOf(const TasksRecord& record) {
  const QString error = LabText::tr("Standard error of the accuracy: sqrt(p (1 - p) / (n - 1))");
  const QString margin =
      LabText::tr("Log-likelihood of the right answer less that of the likeliest other, nats: above 0 is right");
  LabFindings found;
  found.summary.columns = {
      {LabText::tr("File"), {}, false, true},
      {LabText::tr("Measure"),
       LabText::tr("acc: the likeliest answer is right; acc_norm: likeliest by its bytes; exact_match: what is written "
                   "is the answer"),
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
      const double before = static_cast<double>(measure.rightBefore) / asked,
                   after = static_cast<double>(measure.rightAfter) / asked;
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
      found.summary.rows.back().front().tip += LabText::tr(
          "\n%Ln answer(s) had to be asked without the beginning of their context: the model has too few positions",
          nullptr, static_cast<int>(each.shortened));
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
  const QString divergence =
      LabText::tr("KL(original || %1) of the next token, nats, after both have read the text itself")
          .arg(otherOf(record)) +
      (record.policy.empty() ? QString()
                             : LabText::tr("\n%1, behind the first half of each window").arg(policyOf(record)));
  const QString parting =
      LabText::tr("Tokens before the first that differs; all %1 where none does").arg(countText(record.written));
  LabFindings found;
  found.summary.columns = {
      {LabText::tr("Tokens")},
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
       {LabText::tr("%1 of %2")
            .arg(countText(record.undiverged), countText(static_cast<std::int64_t>(record.pairs.size()))),
        QString::number(record.undiverged)}}};
  LabTable written{{{LabText::tr("First differs"), parting},
                    {LabText::tr("Prompt"), {}, false, true},
                    {LabText::tr("Both write"), {}, false, true},
                    {LabText::tr("then the original"), {}, false, true},
                    {LabText::tr("then the %1").arg(otherOf(record)), policyOf(record), false, true}},
                   {}};
  for (const WrittenRecord& each : record.pairs)
    written.rows.push_back(
        {each.same < record.written ? count(each.same) : LabCell{LabText::tr("never"), QString::number(each.same)},
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
    tokens.rows.push_back({nats(each.divergence), count(each.window), count(each.position), words(each.context, true),
                           token(each.text), token(each.original), token(each.plan)});
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
      {LabText::tr("Correlation"),
       LabText::tr("Of what it foretells and what is true, over the tokens of the windows held out")}};
  const bool hasRecall =
      std::ranges::any_of(records, [](const PredictorRecord& each) { return each.recall.has_value(); });
  if (hasRecall) {
    const QString part = LabText::tr(
        "Part of the attention of the next queries that goes to a quarter of the keys, over the windows held out. %1");
    const auto column = [&](const QString& name, const QString& which) {
      found.summary.columns.push_back({name, part.arg(which)});
    };
    column(LabText::tr("Finds, %"), LabText::tr("The keys that it foretells"));
    column(LabText::tr("all so far"), LabText::tr("Without it: the keys that got most attention so far (H2O)"));
    column(LabText::tr("last queries"),
           LabText::tr("Without it: the keys that the last 32 queries looked at most (SnapKV)"));
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

}  // namespace kvista
