// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>
#include <QString>
#include <map>
#include <optional>
#include <string>
#include <tuple>

#include "app/studio/engine_jobs.h"
#include "core/io/project.h"
#include "core/protocol/records.h"

namespace kvista {

/// A second model that the document's is compared with.
struct ComparedModel {
  QString path;  ///< As it was opened: a project or a model.
  QString name;  ///< "llama-step-2000"
  ModelRecord model;
  StatisticsRecord statistics;
  std::optional<Project> project;                                     ///< What was opened, unless it was a model alone.
  std::optional<MeasuredResult> measured;                             ///< The newest of the project's plan.
  std::map<std::tuple<std::string, int, Side>, Matrix> similarities;  ///< By measure, layer and side, once asked for.
};

/// Asks the engine for a second model, of which nothing is edited or saved. Of several wishes only the newest counts.
class OtherModel final : public QObject {
  Q_OBJECT

 public:
  OtherModel(EngineClient& engine, JobList& jobs) : jobs_(engine, jobs) {}

  /// In place of the one that is open: a project with the statistics it names, or a model with `statistics`; where that
  /// is empty, with those of a calibration, in their usual place or beside the model, or else `statisticsWanted` is
  /// emitted.
  void open(const QString& path, const QString& statistics = {});
  void close();
  /// Null: none is open.
  [[nodiscard]] const ComparedModel* model() const { return model_ ? &*model_ : nullptr; }
  /// Asks for similarities that are not known; once, until another measure was wanted.
  void want(const std::string& measure);
  /// Null: not known.
  [[nodiscard]] const Matrix* similarity(const std::string& measure, int layer, Side side) const;

 Q_SIGNALS:
  void opened();
  /// Another model, none any more, or more is known of it.
  void changed();
  void statisticsWanted(const QString& path, const QString& name);
  void failed(const QString& path, const kvista::Error& error);

 private:
  void openModel(ComparedModel wanted, const QString& statistics);
  void openStatistics(ComparedModel wanted, const QString& statistics);

  EngineJobs jobs_;
  std::optional<ComparedModel> model_;
  std::string wanted_;       // The measure asked for last.
  std::int64_t serial_ = 0;  // Of the wish to open: a project read for an earlier one is dropped.
};

}  // namespace kvista
