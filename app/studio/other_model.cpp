// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/other_model.h"

#include <QFileInfo>
#include <memory>
#include <utility>

#include "app/studio/background.h"
#include "app/studio/document.h"
#include "app/studio/places.h"
#include "app/studio/read_answer.h"

namespace kvista {
namespace {

/// The document's own requests of the same method go on beside these.
const QString kLane = QStringLiteral("other model");

/// Empty: there are none.
QString statisticsNear(const ModelRecord& model) {
  const QString path = QString::fromStdString(model.path);
  const QFileInfo file(path);
  for (const QString& place :
       {calibrationFile(path, QString::fromStdString(model.hash)), path + QStringLiteral(".kvstats"),
        QStringLiteral("%1/%2.kvstats").arg(file.absolutePath(), file.completeBaseName())})
    if (QFileInfo(place).isFile()) return place;
  return {};
}

/// As much as is in a project's file; nothing but the path of a model.
Result<ComparedModel> readModel(const QString& path) {
  ComparedModel read;
  read.path = path;
  if (!looksLikeProject(path.toStdString())) return read;
  KVISTA_ASSIGN(Project project, loadProject(path.toStdString()));
  if (project.statistics.empty())
    return fail(ErrorCode::invalidArgument, path.toStdString() + " is not calibrated: nothing is known of its heads.",
                "Open it, calibrate it (Ctrl+K) and save it first.");
  read.name = QFileInfo(path).completeBaseName();
  const std::string plan = fingerprint(project.plan);
  for (const MeasuredResult& result : project.results)
    if (result.planFingerprint == plan) read.measured = result;
  read.project = std::move(project);
  return read;
}

}  // namespace

void OtherModel::open(const QString& path, const QString& statistics) {
  close();
  inBackground(
      diskThread(), this, [path] { return readModel(path); },
      [this, path, statistics, serial = serial_](Result<ComparedModel> read) {
        if (serial != serial_) return;
        if (!read) return Q_EMIT failed(path, read.error());
        const auto& project = read->project;
        openModel(*read, project ? QString::fromStdString(project->statistics.string()) : statistics);
      });
}

void OtherModel::openModel(ComparedModel wanted, const QString& statistics) {
  const std::string model = wanted.project ? wanted.project->model.string() : wanted.path.toStdString();
  jobs_.preview<ModelRecord>(
      tr("Open %1").arg(QFileInfo(wanted.path).fileName()), QStringLiteral("open"), {{"path", model}},
      read<ModelRecord>, this,
      [this, wanted, statistics](Result<ModelRecord> opened) mutable {
        if (!opened) return Q_EMIT failed(wanted.path, opened.error());
        wanted.model = *std::move(opened);
        if (const auto& project = wanted.project) {
          if (const auto fits = checkModel(wanted.model, project->modelHash, project->plan); !fits)
            return Q_EMIT failed(wanted.path, fits.error());
        } else {
          wanted.name = QFileInfo(QString::fromStdString(wanted.model.path)).fileName();
        }
        const QString file = statistics.isEmpty() ? statisticsNear(wanted.model) : statistics;
        if (file.isEmpty()) return Q_EMIT statisticsWanted(wanted.path, wanted.name);
        openStatistics(std::move(wanted), file);
      },
      kLane);
}

void OtherModel::openStatistics(ComparedModel wanted, const QString& statistics) {
  const nlohmann::json params = {{"model", wanted.model.path}, {"path", statistics.toStdString()}};
  const auto done = [this, wanted, statistics](Result<StatisticsRecord> record) mutable {
    if (!record) return Q_EMIT failed(statistics, record.error());
    wanted.statistics = *std::move(record);
    model_ = std::move(wanted);
    Q_EMIT opened();
    Q_EMIT changed();
  };
  jobs_.preview<StatisticsRecord>(tr("Open %1").arg(QFileInfo(statistics).fileName()), QStringLiteral("openStatistics"),
                                  params, read<StatisticsRecord>, this, done, kLane);
}

void OtherModel::close() {
  jobs_.dropPreview(kLane);
  ++serial_;
  wanted_.clear();
  model_.reset();
  Q_EMIT changed();
}

void OtherModel::want(const std::string& measure) {
  if (!model_ || wanted_ == measure || similarity(measure, 0, Side::key)) return;
  wanted_ = measure;
  jobs_.preview<std::vector<SimilarityRecord>>(
      tr("Similarity of %1: %2").arg(model_->name, QString::fromStdString(measure)), QStringLiteral("similarity"),
      {{"model", model_->model.path}, {"statistics", model_->statistics.path}, {"measure", measure}},
      readList<SimilarityRecord>, this,
      [this, measure](Result<std::vector<SimilarityRecord>> records) {
        if (!records) return Q_EMIT failed(model_->path, records.error());
        for (SimilarityRecord& record : *records)
          model_->similarities[{measure, record.layer, record.side}] = std::move(record.matrix);
        Q_EMIT changed();
      },
      kLane);
}

const Matrix* OtherModel::similarity(const std::string& measure, int layer, Side side) const {
  if (!model_) return nullptr;
  const auto found = model_->similarities.find({measure, layer, side});
  return found == model_->similarities.end() ? nullptr : &found->second;
}

}  // namespace kvista
