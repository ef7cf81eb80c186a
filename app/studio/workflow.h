// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>
#include <QString>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <vector>

#include "app/studio/document.h"
#include "app/studio/engine_client.h"
#include "app/studio/engine_jobs.h"

namespace kvista {

/// What refining is asked for.
struct RefineWish {
  TextSelection text;
  std::optional<TextSelection> other;  ///< To measure on; absent: windows held out of `text`.
  int steps = 300;
  std::optional<double> minutes;  ///< Instead of the steps.
  int windowsPerStep = 4;
  bool nested = false;
};

/// A work whose memory is forecast before it begins.
struct MemoryQuestion {
  QString method;  ///< The engine's: calibrate, makePlan, evaluate, refine or export.
  TextSelection text = {};
  bool gradients = true;
  int windowsPerStep = RefineWish{}.windowsPerStep;
};

/// A map of layers that read the cache of another, whose effect is asked for; or how many of them are to be found.
struct SharingQuestion {
  std::vector<int> map = {};  ///< Empty: to be found.
  int count = 1;
  double least = 0.5;  ///< Least cosine of final states.
};

/// What an export is asked for.
struct ExportWish {
  QString form, container, dtype, target;
  bool overwrite = false;
  QString weightDtype = {};  ///< Empty: tensors that are carried over stay as they are.
  qint64 shardBytes = 0;     ///< Most bytes of a weight file; 0: the usual.
  QString policy = {};       ///< In a line; empty: none.
};

/// What an experiment is asked for; the calibration is the document's.
struct ExperimentWish {
  nlohmann::json experiment;         ///< What its file holds.
  std::vector<TextSelection> texts;  ///< To measure on.
  QString folder;                    ///< For results, where the engine runs.
};

/// Brings document and engine together: asks the engine for what the document lacks, and does what takes a while as a
/// job. What may not fit into memory is forecast first, whoever wants it, and begins only where it fits.
class Workflow final : public QObject {
  Q_OBJECT

 public:
  Workflow(Document& document, EngineClient& engine, JobList& jobs, QObject* parent = nullptr);

  /// A project, or anything the engine can open as a model; which, is decided by content.
  void open(const QString& path);
  /// Opens the model, and the statistics, of the project that the document holds.
  void openModelOfProject();
  /// Looks for the open project's model at another place.
  void openMovedModel(const QString& path);
  /// Where the statistics of a calibration go when the project has no file yet: a folder of the user's.
  void calibrate(const TextSelection& text, bool gradients);
  void openStatistics(const QString& path);
  /// A plan by the engine's planner, as one step under the name `text`, for the device, context and batch of the
  /// document.
  void propose(PlanWish wish, const QString& text);
  /// The plan anew with the groups that a grouping makes of every layer, its settings and bytes being kept. For
  /// groupings that need spectra which the document does not have.
  void regroup(const std::string& grouping, int groupSize, const QString& text);
  /// Needs statistics. Only the newest question is answered.
  void shareLayers(const SharingQuestion& question, QObject* context, std::function<void(Result<SharingRecord>)> done);
  void measure(const TextSelection& text);
  /// Trains the plan's factors; those that come are the document's (see setRefined), and are kept when it is cancelled.
  void refine(const RefineWish& wish);
  /// Many methods side by side; what is measured comes as rows while it goes on.
  void compareMethods(const ExperimentWish& wish);
  void askErrors();
  void showSimilarity(const std::string& measure);
  /// What a work would take of the memory. Only the newest question is answered.
  void forecastMemory(const MemoryQuestion& question, QObject* context,
                      std::function<void(Result<std::vector<MemoryForecast>>)> done);
  /// The machine of an engine whose paths are not those of this one (see EngineCommand::host).
  [[nodiscard]] std::optional<QString> host() const { return engine_.command().host(); }
  /// What is at a path there. Only the newest question is answered.
  void examinePath(const QString& path, QObject* context, std::function<void(Result<PathRecord>)> done);
  /// What is wrong with a policy's line, in words; nothing where it can be read. Only the newest question is answered.
  void checkPolicy(const QString& line, QObject* context, std::function<void(const QString& problem)> done);
  void previewExport(const ExportWish& wish, QObject* context, std::function<void(Result<ExportPreview>)> done);
  void exportPlan(const ExportWish& wish);
  /// The report of the project as it stands, saved or not, as one HTML file of this machine.
  void writeReport(const QString& file);

  /// What is under way, for whoever wants to end it, go on with it, or add to it.
  [[nodiscard]] EngineJobs& work() { return work_; }
  [[nodiscard]] const EngineClient& engine() const { return engine_; }
  [[nodiscard]] const std::string& measureShown() const { return measure_; }
  /// The job of the last refining; 0: there was none.
  [[nodiscard]] std::int64_t refining() const { return refining_; }
  /// The job of the last experiment, 0: there was none, and the folder of its results.
  [[nodiscard]] std::int64_t experimenting() const { return experimenting_; }
  [[nodiscard]] const QString& experimentFolder() const { return experimentFolder_; }
  /// Shapes of layers' spectra, once asked for by opening statistics.
  [[nodiscard]] const std::vector<LayerSpectrumRecord>& layerSpectra() const { return layerSpectra_; }

 Q_SIGNALS:
  /// Something could not be done that no job stands for. `about`: the file or place, may be empty.
  void failed(const QString& about, const kvista::Error& error);
  void notOpened(const QString& path, const kvista::Error& error);
  /// No plan came of what was proposed: it did not fit into memory, failed or was cancelled.
  void notPlanned();
  /// The project's model is not where it was.
  void modelMissing(const QString& path, const kvista::Error& error);
  void opened();
  void calibrated();
  void measured(const kvista::EvaluationRecord& record);
  void refiningBegan();
  /// Of the training's curve, as they come.
  void refinedPoints(const std::vector<kvista::LossPoint>& points);
  void refined(const kvista::RefineRecord& record);
  /// All that the experiment under way has so far; none when it begins.
  void experimentRows(const std::vector<kvista::ExperimentRow>& rows);
  void exported(const kvista::ExportRecord& record);
  void reported(const QString& file);
  void layerSpectraReady();

 private:
  void propose(PlanWish wish, const QString& name, const QString& text);
  void openModel(const QString& path, bool moved);
  void takeStatistics(const StatisticsRecord& record);
  void takeRefined(const RefineRecord& record);
  void askSpectra();
  void askForLayers();
  [[nodiscard]] nlohmann::json memoryParams(const MemoryQuestion& question) const;
  [[nodiscard]] nlohmann::json exportParams(const ExportWish& wish) const;
  [[nodiscard]] QString statisticsFile() const;
  [[nodiscard]] QString factorFile() const;

  Document& document_;
  EngineClient& engine_;
  EngineJobs work_;
  std::int64_t refining_ = 0, experimenting_ = 0;
  QString experimentFolder_;
  std::vector<ExperimentRow> experimentRows_;
  std::string measure_ = kUsualMeasure;
  std::vector<LayerSpectrumRecord> layerSpectra_;
};

}  // namespace kvista
