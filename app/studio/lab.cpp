// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/lab.h"

#include <QFileInfo>
#include <QLocale>
#include <algorithm>

#include "app/studio/read_answer.h"
#include "app/studio/request_params.h"

namespace kvista {

using nlohmann::json;

namespace {

std::vector<std::string> pathsOf(const QStringList& list) {
  std::vector<std::string> paths;
  for (const QString& each : list) paths.push_back(each.toStdString());
  return paths;
}

/// Means over the layers of all calibrations, by how many there are.
QString ranksInWords(const RanksRecord& record) {
  double means[] = {0, 0};
  int layers = 0;
  for (const TextRanksRecord& text : record.texts) {
    layers += text.layers.rows;
    for (int row = 0; row < text.layers.rows; ++row)
      for (const int side : {0, 1}) means[side] += text.layers.at(row, side);
  }
  const auto mean = [&](int side) { return QLocale().toString(means[side] / std::max(1, layers), 'f', 3); };
  return Lab::tr("ranks on %Ln calibration(s): keys %1, values %2", nullptr, static_cast<int>(record.texts.size()))
      .arg(mean(0), mean(1));
}

/// What was planted and found, and the policy that the second side was under.
struct Retrieved {
  RetrievalRecord record;
  std::optional<QString> policy = {};
  bool overPlan = false;
};

Result<Retrieved> readRetrieved(const json& answer) {
  Retrieved found;
  KVISTA_ASSIGN(found.record, read<RetrievalRecord>(answer));
  if (const json& policy = field(answer, "policy"); policy.is_string())
    found.policy = QString::fromStdString(policy.get<std::string>());
  found.overPlan = field(answer, "overPlan") == true;
  return found;
}

}  // namespace

void Lab::askQuestions(const TasksWish& wish) {
  json params = planParams(document_);
  params["files"] = pathsOf(wish.files);
  params["items"] = wish.items;
  params["beginWithBos"] = wish.beginWithBos;
  if (!wish.policy.isEmpty()) params["policy"] = wish.policy.toStdString();
  const auto done = [this](const TasksRecord& record) {
    Q_EMIT answered(record);
    qsizetype items = 0;
    for (const TaskFileRecord& file : record.files) items += static_cast<qsizetype>(file.answers.size());
    return tr("%Ln question(s)", nullptr, static_cast<int>(items));
  };
  asking_ = jobs_.start<TasksRecord>(tr("Ask questions"), "tasks", params, read<TasksRecord>, done,
                                     {.again = [this, wish] { askQuestions(wish); }});
}

void Lab::measureAgreement(const AgreementWish& wish) {
  json params = planParams(document_);
  params["text"] = toJson(wish.text);
  params["prompts"] = wish.prompts;
  params["promptTokens"] = wish.promptTokens;
  params["write"] = wish.written;
  params["worst"] = 100;
  if (!wish.policy.isEmpty()) params["policy"] = wish.policy.toStdString();
  const auto done = [this](const AgreementRecord& record) {
    Q_EMIT agreed(record);
    return tr("%1 nats a token, %2 % of the written tokens are the same")
        .arg(QLocale().toString(record.mean, 'g', 3), QLocale().toString(100 * record.equalTokens, 'f', 1));
  };
  agreeing_ = jobs_.start<AgreementRecord>(tr("Measure agreement"), "agreement", params, read<AgreementRecord>, done,
                                           {.again = [this, wish] { measureAgreement(wish); }});
}

void Lab::measureRanks(const RanksWish& wish) {
  json params = modelParams(document_);
  params["texts"] = pathsOf(wish.statistics);
  params["kept"] = wish.kept;
  params["windows"] = wish.windows;
  const auto done = [this](const RanksRecord& record) {
    Q_EMIT ranked(record);
    return ranksInWords(record);
  };
  ranking_ = jobs_.start<RanksRecord>(tr("Measure ranks"), "ranks", params, read<RanksRecord>, done,
                                      {.again = [this, wish] { measureRanks(wish); }});
}

void Lab::compareKeyVariants() {
  const auto done = [this](const KeyVariantsRecord& record) {
    Q_EMIT compared(record);
    const auto best = std::ranges::min_element(record.variants, {}, &KeyVariantRecord::logits);
    return best == record.variants.end()
               ? QString()
               : tr("attention scores err least with %1").arg(QString::fromStdString(best->method));
  };
  comparing_ =
      jobs_.start<KeyVariantsRecord>(tr("Compare key variants"), "keyVariants", planParams(document_),
                                     read<KeyVariantsRecord>, done, {.again = [this] { compareKeyVariants(); }});
}

void Lab::testRetrieval(const RetrievalWish& wish) {
  json params = planParams(document_);
  if (!wish.texts.isEmpty()) params["text"] = toJson(TextSelection{pathsOf(wish.texts), 0, 0, 0, {}, false});
  params["kind"] = nameIn(kRetrievalKinds, wish.kind);
  if (wish.planted > 0) params["planted"] = wish.planted;
  if (!wish.lengths.empty()) params["lengths"] = wish.lengths;
  params["depths"] = wish.depths;
  params["trials"] = wish.trials;
  params["seed"] = wish.seed;
  if (!wish.policy.isEmpty()) params["policy"] = wish.policy.toStdString();
  const auto done = [this](const Retrieved& found) {
    const QString under = !found.policy    ? QString()
                          : found.overPlan ? tr("Plan under %1").arg(*found.policy)
                                           : tr("Original under %1").arg(*found.policy);
    Q_EMIT retrieved(found.record, under);
    return tr("%Ln length(s)", nullptr, static_cast<int>(found.record.lengths.size()));
  };
  jobs_.start<Retrieved>(tr("Test retrieval"), "retrieval", params, readRetrieved, done,
                         {.again = [this, wish] { testRetrieval(wish); }});
}

void Lab::measureUnder(const PolicyWish& wish) {
  json params = planParams(document_);
  params["text"] = toJson(wish.text);
  params["policy"] = wish.policy.toStdString();
  if (wish.prompt > 0) params["prompt"] = wish.prompt;
  const auto done = [this](const PolicyEvaluationRecord& record) {
    Q_EMIT measuredUnder(record);
    const auto perplexity = [](double value) { return QLocale().toString(value, 'f', 2); };
    QString said = tr("perplexity %1 under the policy, original %2")
                       .arg(perplexity(record.underPolicy), perplexity(record.original));
    if (record.plan) said = tr("%1, plan %2").arg(said, perplexity(*record.plan));
    return said;
  };
  jobs_.start<PolicyEvaluationRecord>(tr("Measure under %1").arg(wish.policy.section(QLatin1Char(' '), 0, 0)),
                                      "evaluatePolicy", params, read<PolicyEvaluationRecord>, done,
                                      {.again = [this, wish] { measureUnder(wish); }});
}

void Lab::trainPredictor(const PredictorWish& wish) {
  json params = modelParams(document_);
  params["text"] = toJson(wish.text);
  params["kind"] = nameIn(kPredictorKinds, wish.kind);
  params["output"] = wish.output.toStdString();
  const auto done = [this](const PredictorRecord& record) {
    Q_EMIT trained(record);
    return tr("correlation %1 over %Ln window(s) held out", nullptr, static_cast<int>(record.heldOutWindows))
        .arg(QLocale().toString(record.correlation, 'f', 3));
  };
  training_ =
      jobs_.start<PredictorRecord>(tr("Train %1").arg(QFileInfo(wish.output).fileName()), "trainPredictor", params,
                                   read<PredictorRecord>, done, {.again = [this, wish] { trainPredictor(wish); }});
}

}  // namespace kvista
