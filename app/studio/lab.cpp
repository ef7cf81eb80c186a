// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/lab.h"

#include <QFileInfo>
#include <QLocale>

#include "app/studio/request_params.h"

namespace kvista {

using nlohmann::json;

namespace {

json textsOf(const QStringList& list) {
  json texts = json::array();
  for (const QString& each : list) texts.push_back(each.toStdString());
  return texts;
}

}  // namespace

void Lab::askQuestions(const TasksWish& wish) {
  json params = planParams(document_);
  params["files"] = textsOf(wish.files);
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
  params["texts"] = textsOf(wish.statistics);
  params["kept"] = wish.kept;
  params["windows"] = wish.windows;
  const auto done = [this](const RanksRecord& record) {
    Q_EMIT ranked(record);
    return tr("%Ln text(s)", nullptr, static_cast<int>(record.texts.size()));
  };
  ranking_ = jobs_.start<RanksRecord>(tr("Measure ranks"), "ranks", params, read<RanksRecord>, done,
                                      {.again = [this, wish] { measureRanks(wish); }});
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
  training_ = jobs_.start<PredictorRecord>(tr("Train %1").arg(QFileInfo(wish.output).fileName()), "trainPredictor", params,
                                           read<PredictorRecord>, done, {.again = [this, wish] { trainPredictor(wish); }});
}

}  // namespace kvista
