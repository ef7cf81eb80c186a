// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/workflow.h"

#include <QDir>
#include <QFileInfo>
#include <QLocale>
#include <algorithm>

#include "app/studio/places.h"
#include "app/studio/read_answer.h"
#include "app/studio/request_params.h"
#include "core/io/project.h"

namespace kvista {
namespace {

using nlohmann::json;

struct MadePlan {
  PlannedPlan planned;
  std::vector<BudgetUnit> units;
};

Result<MadePlan> readMadePlan(const json& answer) {
  MadePlan made;
  KVISTA_ASSIGN(made.planned, read<PlannedPlan>(field(answer, "planned")));
  KVISTA_ASSIGN(made.units, unitsFromJson(field(answer, "units")));
  return made;
}

Result<std::vector<ExperimentRow>> readRows(const json& answer) {
  return readList<ExperimentRow>(field(answer, "rows"));
}

QString nameOf(const TextSelection& text) {
  if (text.paths.empty()) return {};
  const QString first = QFileInfo(QString::fromStdString(text.paths.front())).fileName();
  return text.paths.size() == 1
             ? first
             : Workflow::tr("%1 and %Ln more", nullptr, static_cast<int>(text.paths.size()) - 1).arg(first);
}

}  // namespace

Workflow::Workflow(Document& document, EngineClient& engine, JobList& jobs, QObject* parent)
    : QObject(parent), document_(document), engine_(engine), work_(engine, jobs) {
  connect(&document_, &Document::planChanged, this, &Workflow::askSpectra);
  connect(&document_, &Document::statisticsChanged, this, &Workflow::askSpectra);
}

void Workflow::open(const QString& path) {
  if (looksLikeProject(path.toStdString())) {
    document_.open(path.toStdString(), [this, path](Result<void> opened) {
      if (!opened) return Q_EMIT notOpened(path, opened.error());
      openModelOfProject();
    });
    return;
  }
  work_.preview<ModelRecord>(tr("Open %1").arg(QFileInfo(path).fileName()), "open", {{"path", path.toStdString()}},
                             read<ModelRecord>, this, [this, path](Result<ModelRecord> model) {
                               if (!model) return Q_EMIT notOpened(path, model.error());
                               layerSpectra_.clear();
                               document_.startFrom(*model);
                               Q_EMIT opened();
                             });
}

void Workflow::openModelOfProject() { openModel(QString::fromStdString(document_.modelPath().string()), false); }

void Workflow::openMovedModel(const QString& path) { openModel(path, true); }

void Workflow::openModel(const QString& path, bool moved) {
  work_.preview<ModelRecord>(tr("Open %1").arg(QFileInfo(path).fileName()), "open", {{"path", path.toStdString()}},
                             read<ModelRecord>, this, [this, path, moved](Result<ModelRecord> model) {
                               if (!model && model.error().code == ErrorCode::cancelled) return;
                               if (!model) return Q_EMIT modelMissing(path, model.error());
                               if (const auto set = moved ? document_.moveModel(*model) : document_.setModel(*model);
                                   !set)
                                 return Q_EMIT modelMissing(path, set.error());
                               Q_EMIT opened();
                               if (!document_.statisticsPath().empty())
                                 openStatistics(QString::fromStdString(document_.statisticsPath().string()));
                             });
}

QString Workflow::statisticsFile() const {
  // Another machine has none of this one's folders; it makes those of its own.
  if (host() && !engine_.hello().dataFolder.empty())
    return QStringLiteral("%1/statistics/%2-%3.kvstats")
        .arg(QString::fromStdString(engine_.hello().dataFolder),
             QFileInfo(QString::fromStdString(document_.modelPath().string())).fileName(),
             QString::fromStdString(document_.modelHash()));
  if (!document_.file().empty()) {
    std::filesystem::path file = document_.file();
    return QString::fromStdString(file.replace_extension(".kvstats").string());
  }
  const QString file = calibrationFile(QString::fromStdString(document_.modelPath().string()),
                                       QString::fromStdString(document_.modelHash()));
  QDir().mkpath(QFileInfo(file).absolutePath());
  return file;
}

/// Named after the plan: factors of another plan, which a saved project may hold, stay as they are.
QString Workflow::factorFile() const {
  const QFileInfo beside(statisticsFile());
  return QStringLiteral("%1/%2.%3.refined.safetensors")
      .arg(beside.absolutePath(), beside.completeBaseName(),
           QString::fromStdString(document_.planFingerprint()).left(8));
}

void Workflow::calibrate(const TextSelection& text, bool gradients) {
  json params = modelParams(document_);
  params["text"] = toJson(text);
  params["gradients"] = gradients;
  params["output"] = statisticsFile().toStdString();
  const QString name = tr("Calibrate on %1").arg(nameOf(text));
  work_.whenItFits(memoryParams({"calibrate", text, gradients}), name,
                   [this, name, params = std::move(params)](const QString& memory) {
                     const auto done = [this](StatisticsRecord record) {
                       takeStatistics(record);
                       Q_EMIT calibrated();
                       return tr("%L1 tokens").arg(record.tokens);
                     };
                     work_.start<StatisticsRecord>(name, "calibrate", params, read<StatisticsRecord>, done,
                                                   {.memory = memory});
                   });
}

void Workflow::openStatistics(const QString& path) {
  json params = modelParams(document_);
  params["path"] = path.toStdString();
  work_.preview<StatisticsRecord>(tr("Open %1").arg(QFileInfo(path).fileName()), "openStatistics", params,
                                  read<StatisticsRecord>, this, [this, path](Result<StatisticsRecord> record) {
                                    if (!record) return Q_EMIT notOpened(path, record.error());
                                    takeStatistics(*record);
                                  });
}

void Workflow::takeStatistics(const StatisticsRecord& record) {
  if (const auto set = document_.setStatistics(record); !set)
    return Q_EMIT notOpened(QString::fromStdString(record.path), set.error());
  askForLayers();
}

void Workflow::askForLayers() {
  showSimilarity(measure_);
  json params = statisticsParams(document_);
  work_.preview<std::vector<LayerSpectrumRecord>>(tr("Spectra of the layers"), "layerSpectra", params,
                                                  readList<LayerSpectrumRecord>, this,
                                                  [this](Result<std::vector<LayerSpectrumRecord>> records) {
                                                    if (!records) return Q_EMIT failed({}, records.error());
                                                    layerSpectra_ = *std::move(records);
                                                    Q_EMIT layerSpectraReady();
                                                  });
}

void Workflow::showSimilarity(const std::string& measure) {
  measure_ = measure;
  if (measure != viewedMeasure(document_.viewState())) {
    json view = document_.viewState();
    view["measure"] = measure;
    document_.setViewState(std::move(view));
  }
  if (!document_.statistics()) return;
  if (document_.similarity(measure, 0, Side::key)) return Q_EMIT document_.similarityChanged(0, Side::key);
  json params = statisticsParams(document_);
  params["measure"] = measure;
  work_.preview<std::vector<SimilarityRecord>>(tr("Similarity: %1").arg(QString::fromStdString(measure)), "similarity",
                                               params, readList<SimilarityRecord>, this,
                                               [this, measure](Result<std::vector<SimilarityRecord>> records) {
                                                 if (!records) return Q_EMIT failed({}, records.error());
                                                 for (SimilarityRecord& record : *records)
                                                   document_.addSimilarity(measure, std::move(record));
                                               });
}

void Workflow::askSpectra() {
  if (!document_.hasModel() || !document_.statistics() || document_.isInGesture()) return;
  const std::vector<int> layers = document_.staleLayers();
  if (layers.empty()) return work_.dropPreview("decompose");
  json params = planParams(document_);
  params["layers"] = layers;
  work_.preview<std::vector<BudgetUnit>>(tr("Spectra of the plan"), "decompose", params, unitsFromJson, this,
                                         [this, plan = document_.plan()](Result<std::vector<BudgetUnit>> units) {
                                           if (!units) return Q_EMIT failed({}, units.error());
                                           document_.addSpectra(plan, *std::move(units));
                                         });
}

void Workflow::propose(PlanWish wish, const QString& text) {
  const QString name = tr("Plan: %1").arg(QString::fromStdString(wish.method));
  propose(std::move(wish), name, text);
}

void Workflow::regroup(const std::string& grouping, int groupSize, const QString& text) {
  const CompressionPlan& plan = document_.plan();
  PlanWish wish;
  wish.method = plan.method;
  wish.grouping = grouping;
  wish.groupSize = groupSize;
  wish.allocator = plan.allocator;
  wish.metric = plan.metric;
  wish.rankStep = plan.rankStep;
  wish.damping = plan.damping;
  wish.sinkFree = plan.sinkFree;
  wish.centred = plan.centred;
  wish.compensate = plan.compensated;
  wish.unwhitened = plan.unwhitened;
  wish.uncalibrated = plan.uncalibrated;
  wish.sharedFrom = plan.sharedFrom;
  wish.chain = plan.chain;
  wish.trellis = plan.trellis;
  wish.tokenNumbers = plan.tokenNumbers;
  // An allowed loss leaves open at what ranks groups are weighed: the bytes it has led to do not.
  wish.target = plan.target.kind == Target::Kind::maxLoss
                    ? Target{Target::Kind::bytesPerToken, static_cast<double>(document_.planned().achievedBytes)}
                    : plan.target;
  propose(std::move(wish), tr("Groups by %1").arg(QString::fromStdString(grouping)), text);
}

void Workflow::propose(PlanWish wish, const QString& name, const QString& text) {
  wish.device = document_.cost().device;
  wish.context = document_.cost().context;
  wish.batch = document_.cost().batch;
  json params = statisticsParams(document_);
  params["wish"] = toJson(wish);
  const auto begin = [this, name, text, params = std::move(params)](const QString& memory) {
    const auto done = [this, text](MadePlan made) {
      if (const auto adopted = document_.adopt(made.planned, std::move(made.units), text); !adopted)
        Q_EMIT failed({}, adopted.error());
      return tr("%L1 bytes a token").arg(made.planned.achievedBytes);
    };
    work_.start<MadePlan>(name, "makePlan", params, readMadePlan, done,
                          {.memory = memory, .undone = [this] { Q_EMIT notPlanned(); }});
  };
  work_.whenItFits(memoryParams({"makePlan"}), name, begin, [this] { Q_EMIT notPlanned(); });
}

void Workflow::shareLayers(const SharingQuestion& question, QObject* context,
                           std::function<void(Result<SharingRecord>)> done) {
  json params = statisticsParams(document_);
  if (question.map.empty()) {
    params["count"] = question.count;
    params["least"] = question.least;
  } else {
    params["sharedFrom"] = question.map;
  }
  work_.preview<SharingRecord>(tr("Layers that share a cache"), "shareLayers", params, read<SharingRecord>, context,
                               std::move(done));
}

void Workflow::measure(const TextSelection& text) {
  json params = planParams(document_);
  params["text"] = toJson(text);
  const QString name = tr("Measure on %1").arg(nameOf(text));
  work_.whenItFits(
      memoryParams({"evaluate", text}), name, [this, name, params = std::move(params)](const QString& memory) {
        const auto done = [this](EvaluationRecord record) {
          document_.addResult(record);
          Q_EMIT measured(record);
          return tr("perplexity %1, original %2")
              .arg(QLocale().toString(record.perplexityAfter, 'f', 2),
                   QLocale().toString(record.perplexityBefore, 'f', 2));
        };
        work_.start<EvaluationRecord>(name, "evaluate", params, read<EvaluationRecord>, done, {.memory = memory});
      });
}

void Workflow::refine(const RefineWish& wish) {
  json params = planParams(document_);
  params.erase("factors");  // Training begins from the plan's own.
  params["text"] = toJson(wish.text);
  params["output"] = factorFile().toStdString();
  params["steps"] = wish.steps;
  if (wish.minutes) params["minutes"] = *wish.minutes;
  params["windowsPerStep"] = wish.windowsPerStep;
  params["nested"] = wish.nested;
  if (wish.other) params["evaluateOn"] = toJson(*wish.other);
  const QString name = tr("Refine on %1").arg(nameOf(wish.text));
  const auto begin = [this, name, wish, params = std::move(params)](const QString& memory) {
    const auto done = [this](RefineRecord record) {
      takeRefined(record);
      return tr("%Ln step(s), %1", nullptr, record.steps).arg(QString::fromStdString(record.ended));
    };
    const auto progress = [this](const ProgressRecord& reported) {
      if (!reported.points.empty()) Q_EMIT refinedPoints(reported.points);
    };
    refining_ =
        work_.start<RefineRecord>(name, "refine", params, read<RefineRecord>, done,
                                  {.progress = progress, .again = [this, wish] { refine(wish); }, .memory = memory});
  };
  refining_ = work_.whenItFits(memoryParams({"refine", wish.text, true, wish.windowsPerStep}), name, begin);
  Q_EMIT refiningBegan();
}

void Workflow::takeRefined(const RefineRecord& record) {
  if (record.bestStep > 0)
    document_.setRefined(RefinedFactors{record.factors, record.planFingerprint, record.texts, record.bestStep,
                                        record.divergenceBefore, record.divergenceAfter});
  if (const auto& unseen = record.unseen; unseen && record.bestStep > 0) {
    const EvaluationRecord result{unseen->text,
                                  unseen->tokensHash,
                                  record.planFingerprint,
                                  unseen->predictions,
                                  unseen->original,
                                  unseen->refined,
                                  0};
    document_.addResult(result);
    Q_EMIT measured(result);
  }
  Q_EMIT refined(record);
}

void Workflow::compareMethods(const ExperimentWish& wish) {
  json params = statisticsParams(document_);
  params["experiment"] = wish.experiment;
  params["texts"] = json::array();
  for (const TextSelection& text : wish.texts) params["texts"].push_back(toJson(text));
  params["folder"] = wish.folder.toStdString();
  const QString name =
      tr("Compare methods: %1").arg(QString::fromStdString(wish.experiment.value("name", std::string())));
  const auto begin = [this, name, wish, params = std::move(params)](const QString& memory) {
    const auto done = [this](std::vector<ExperimentRow> rows) {
      const auto failed = std::ranges::count_if(rows, [](const ExperimentRow& row) { return !row.figures; });
      experimentRows_ = std::move(rows);
      Q_EMIT experimentRows(experimentRows_);
      return failed > 0 ? tr("%L1 rows, %L2 of which failed").arg(experimentRows_.size()).arg(failed)
                        : tr("%L1 rows").arg(experimentRows_.size());
    };
    const auto progress = [this](const ProgressRecord& reported) {
      if (reported.rows.empty()) return;
      experimentRows_.insert(experimentRows_.end(), reported.rows.begin(), reported.rows.end());
      Q_EMIT experimentRows(experimentRows_);
    };
    experimenting_ = work_.start<std::vector<ExperimentRow>>(
        name, "experiment", params, readRows, done,
        {.progress = progress, .again = [this, wish] { compareMethods(wish); }, .memory = memory});
  };
  experimentRows_.clear();
  experimentFolder_ = wish.folder;
  Q_EMIT experimentRows(experimentRows_);
  experimenting_ = work_.whenItFits(memoryParams({"makePlan"}), name, begin);
}

void Workflow::askErrors() {
  if (!document_.statistics() || document_.isPredictionStale()) return;
  const std::string of = document_.planFingerprint();
  if (document_.errors(of)) return;
  work_.preview<PlanErrorsRecord>(tr("Errors of the plan"), "planErrors", planParams(document_), read<PlanErrorsRecord>,
                                  this, [this, of](Result<PlanErrorsRecord> record) {
                                    if (!record) return Q_EMIT failed({}, record.error());
                                    document_.addErrors(of, *std::move(record));
                                  });
}

json Workflow::memoryParams(const MemoryQuestion& question) const {
  json params = modelParams(document_);
  params["method"] = question.method.toStdString();
  params["text"] = toJson(question.text);
  params["gradients"] = question.gradients;
  params["windowsPerStep"] = question.windowsPerStep;
  // The others are about the model alone.
  if (question.method != "calibrate" && question.method != "makePlan") params["plan"] = toJson(document_.plan());
  return params;
}

void Workflow::checkPolicy(const QString& line, QObject* context, std::function<void(const QString&)> done) {
  const auto reader = [](const json& answer) -> Result<std::string> {
    if (!answer.is_string())
      return fail(ErrorCode::invalidArgument, "The engine answered something that is no policy.");
    return answer.get<std::string>();
  };
  const auto say = [done = std::move(done)](const Result<std::string>& read) {
    const bool isSlip = !read && read.error().code == ErrorCode::invalidArgument;  // not an engine that is gone
    done(isSlip ? QString::fromStdString(read.error().message) : QString());
  };
  engine_.preview<std::string>("checkPolicy", "checkPolicy", {{"policy", line.toStdString()}}, reader, context, say);
}

void Workflow::forecastMemory(const MemoryQuestion& question, QObject* context,
                              std::function<void(Result<std::vector<MemoryForecast>>)> done) {
  engine_.preview<std::vector<MemoryForecast>>("forecastMemory", "forecastMemory", memoryParams(question),
                                               readList<MemoryForecast>, context, std::move(done));
}

}  // namespace kvista
