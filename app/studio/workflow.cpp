// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/workflow.h"

#include <QDir>
#include <QFileInfo>
#include <QLocale>
#include <QPointer>
#include <algorithm>

#include "app/studio/background.h"
#include "app/studio/memory_words.h"
#include "app/studio/places.h"
#include "app/studio/read_list.h"
#include "core/io/atomic_file.h"
#include "core/io/project.h"

namespace kvista {
namespace {

using nlohmann::json;

struct MadePlan {
  PlannedPlan planned;
  std::vector<BudgetUnit> units;
};

const json& field(const json& answer, const char* name) {
  static const json kMissing;
  const auto found = answer.is_object() ? answer.find(name) : answer.end();
  return found == answer.end() ? kMissing : *found;
}

Result<MadePlan> readMadePlan(const json& answer) {
  MadePlan made;
  KVISTA_ASSIGN(made.planned, read<PlannedPlan>(field(answer, "planned")));
  KVISTA_ASSIGN(made.units, unitsFromJson(field(answer, "units")));
  return made;
}

/// What both sides have written, whole.
struct GeneratedTexts {
  GeneratedPiece original;
  std::optional<GeneratedPiece> plan;
};

Result<GeneratedTexts> readTexts(const json& answer) {
  GeneratedTexts texts;
  KVISTA_ASSIGN(texts.original, read<GeneratedPiece>(field(answer, "original")));
  if (const json& plan = field(answer, "plan"); !plan.is_null()) {
    KVISTA_ASSIGN(texts.plan, read<GeneratedPiece>(plan));
  }
  return texts;
}

Result<std::string> readPage(const json& answer) {
  const json& page = field(answer, "html");
  if (!page.is_string()) return fail(ErrorCode::internal, "The engine's answer holds no report.");
  return page.get<std::string>();
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
    : QObject(parent), document_(document), engine_(engine), jobs_(jobs) {
  connect(&document_, &Document::planChanged, this, &Workflow::askSpectra);
  connect(&document_, &Document::statisticsChanged, this, &Workflow::askSpectra);
}

template <class Record>
std::int64_t Workflow::job(const QString& name, const QString& method, const json& params,
                           Result<Record> (*reader)(const json&), std::function<QString(Record)> done, Following following) {
  // The id is not known before the request is made; answers come later than that.
  auto id = std::make_shared<std::int64_t>(0);
  *id = engine_.ask<Record>(
      method, params, reader, this,
      [this, id, name, method, params, reader, done, following](Result<Record> answer) {
        if (answer) return jobs_.succeed(*id, done(*std::move(answer)));
        Error error = answer.error();
        if (engineDied() && method == QStringLiteral("calibrate"))
          error.hint += " " + tr("Continue goes on from the sums that were kept last.").toStdString();
        if (following.undone) following.undone();
        failJob(*id, error, following.again ? following.again : [this, name, method, params, reader, done, following] {
          job(name, method, params, reader, done, following);
        });
      },
      [this, id, following](const json& message) {
        auto record = read<ProgressRecord>(message);
        if (!record) return;
        if (following.progress) following.progress(*record);
        jobs_.report(*id, *std::move(record));
      });
  jobs_.begin(*id, name, false, following.memory);
  return *id;
}

std::int64_t Workflow::whenItFits(const MemoryQuestion& question, const QString& name, std::function<void(const QString& memory)> begin,
                                  std::function<void()> undone) {
  auto id = std::make_shared<std::int64_t>(0);
  *id = engine_.ask<std::vector<MemoryForecast>>(
      "forecastMemory", memoryParams(question), readList<MemoryForecast>, this,
      [this, id, method = question.method, begin = std::move(begin), undone = std::move(undone)](const Result<std::vector<MemoryForecast>>& forecast) {
        const MemoryWords words = memoryWords(forecast);
        const QString memory = QString(words.text).replace(QLatin1Char('\n'), QStringLiteral("; "));
        if (forecast ? words.fits : forecast.error().code != ErrorCode::cancelled) {
          jobs_.drop(*id);
          return begin(forecast ? memory : QString());
        }
        if (undone) undone();
        jobs_.fail(*id, forecast ? Error{ErrorCode::outOfMemory, tr("It was not started: it would take %1.").arg(memory).toStdString(), {},
                                         memoryAdvice(method).toStdString()}
                                 : forecast.error());
      });
  jobs_.begin(*id, name);
  return *id;
}

bool Workflow::engineDied() const {
  return engine_.state() == EngineClient::State::lost || engine_.state() == EngineClient::State::failed;
}

void Workflow::failJob(std::int64_t id, const Error& error, std::function<void()> again) {
  jobs_.fail(id, error, engineDied() ? std::move(again) : nullptr);
}

void Workflow::continueJob(std::int64_t id) {
  const auto found = std::ranges::find(jobs_.jobs(), id, &Job::id);
  if (found == jobs_.jobs().end() || !found->again) return;
  const std::function<void()> again = found->again;
  jobs_.forget(id);
  if (engine_.state() == EngineClient::State::failed) engine_.start(engine_.command());
  again();
}

template <class Record>
void Workflow::preview(const QString& name, const QString& method, const json& params,
                       Result<Record> (*reader)(const json&), QObject* context,
                       std::function<void(Result<Record>)> done) {
  dropPreview(method);
  auto id = std::make_shared<std::int64_t>(0);
  *id = engine_.preview<Record>(
      method, method, params, reader, this,
      [this, id, method, context = QPointer<QObject>(context), done = std::move(done)](Result<Record> answer) {
        if (previews_.value(method) == *id) previews_.remove(method);
        jobs_.drop(*id);
        if (context) done(std::move(answer));
      },
      [this, id](const json& message) {
        if (auto record = read<ProgressRecord>(message)) jobs_.report(*id, *std::move(record));
      });
  previews_.insert(method, *id);
  jobs_.begin(*id, name, true);
}

void Workflow::dropPreview(const QString& method) {
  engine_.dropPreview(method);
  if (const auto found = previews_.constFind(method); found != previews_.constEnd()) {
    jobs_.drop(*found);
    previews_.erase(found);
  }
}

void Workflow::open(const QString& path) {
  if (looksLikeProject(path.toStdString())) {
    document_.open(path.toStdString(), [this, path](Result<void> opened) {
      if (!opened) return Q_EMIT notOpened(path, opened.error());
      openModelOfProject();
    });
    return;
  }
  preview<ModelRecord>(tr("Open %1").arg(QFileInfo(path).fileName()), "open", {{"path", path.toStdString()}},
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
  preview<ModelRecord>(tr("Open %1").arg(QFileInfo(path).fileName()), "open", {{"path", path.toStdString()}},
                       read<ModelRecord>, this, [this, path, moved](Result<ModelRecord> model) {
                         if (!model && model.error().code == ErrorCode::cancelled) return;
                         if (!model) return Q_EMIT modelMissing(path, model.error());
                         if (const auto set = moved ? document_.moveModel(*model) : document_.setModel(*model); !set)
                           return Q_EMIT modelMissing(path, set.error());
                         Q_EMIT opened();
                         if (!document_.statisticsPath().empty())
                           openStatistics(QString::fromStdString(document_.statisticsPath().string()));
                       });
}

json Workflow::modelParams() const { return {{"model", document_.modelPath().string()}}; }

json Workflow::planParams() const {
  json params = modelParams();
  if (document_.statistics()) params["statistics"] = document_.statistics()->path;
  params["plan"] = toJson(document_.plan());
  if (const std::filesystem::path factors = document_.refinedFactors(); !factors.empty()) params["factors"] = factors.string();
  return params;
}

json Workflow::exportParams(const ExportWish& wish) const {
  json params = planParams();
  params["form"] = wish.form.toStdString();
  params["dtype"] = wish.dtype.toStdString();
  params["target"] = wish.target.toStdString();
  params["overwrite"] = wish.overwrite;
  return params;
}

QString Workflow::statisticsFile() const {
  // Another machine has none of this one's folders; it makes those of its own.
  if (host() && !engine_.hello().dataFolder.empty())
    return QStringLiteral("%1/statistics/%2-%3.kvstats")
        .arg(QString::fromStdString(engine_.hello().dataFolder), QFileInfo(QString::fromStdString(document_.modelPath().string())).fileName(),
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
      .arg(beside.absolutePath(), beside.completeBaseName(), QString::fromStdString(document_.planFingerprint()).left(8));
}

void Workflow::calibrate(const TextSelection& text, bool gradients) {
  json params = modelParams();
  params["text"] = toJson(text);
  params["gradients"] = gradients;
  params["output"] = statisticsFile().toStdString();
  const QString name = tr("Calibrate on %1").arg(nameOf(text));
  whenItFits({"calibrate", text, gradients}, name, [this, name, params = std::move(params)](const QString& memory) {
    const auto done = [this](StatisticsRecord record) {
      takeStatistics(record);
      Q_EMIT calibrated();
      return tr("%L1 tokens").arg(record.tokens);
    };
    job<StatisticsRecord>(name, "calibrate", params, read<StatisticsRecord>, done, {.memory = memory});
  });
}

void Workflow::openStatistics(const QString& path) {
  json params = modelParams();
  params["path"] = path.toStdString();
  preview<StatisticsRecord>(tr("Open %1").arg(QFileInfo(path).fileName()), "openStatistics", params,
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
  json params = modelParams();
  params["statistics"] = document_.statistics()->path;
  preview<std::vector<LayerSpectrumRecord>>(tr("Spectra of the layers"), "layerSpectra", params,
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
  json params = modelParams();
  params["statistics"] = document_.statistics()->path;
  params["measure"] = measure;
  preview<std::vector<SimilarityRecord>>(tr("Similarity: %1").arg(QString::fromStdString(measure)), "similarity",
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
  if (layers.empty()) return dropPreview("decompose");
  json params = planParams();
  params["layers"] = layers;
  preview<std::vector<BudgetUnit>>(tr("Spectra of the plan"), "decompose", params, unitsFromJson, this,
                                   [this, plan = document_.plan()](Result<std::vector<BudgetUnit>> units) {
                                     if (!units) return Q_EMIT failed({}, units.error());
                                     document_.addSpectra(plan, *std::move(units));
                                   });
}

void Workflow::propose(const std::string& method, const Target& target, const QString& text,
                       std::optional<CompressionPlan> keep) {
  PlanWish wish;
  wish.method = method;
  wish.target = target;
  wish.keep = std::move(keep);
  propose(std::move(wish), tr("Plan: %1").arg(QString::fromStdString(method)), text);
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
  json params = modelParams();
  if (document_.statistics()) params["statistics"] = document_.statistics()->path;
  params["wish"] = toJson(wish);
  const auto begin = [this, name, text, params = std::move(params)](const QString& memory) {
    const auto done = [this, text](MadePlan made) {
      if (const auto adopted = document_.adopt(made.planned, std::move(made.units), text); !adopted)
        Q_EMIT failed({}, adopted.error());
      return tr("%L1 bytes a token").arg(made.planned.achievedBytes);
    };
    job<MadePlan>(name, "makePlan", params, readMadePlan, done, {.memory = memory, .undone = [this] { Q_EMIT notPlanned(); }});
  };
  whenItFits({"makePlan"}, name, begin, [this] { Q_EMIT notPlanned(); });
}

void Workflow::measure(const TextSelection& text) {
  json params = planParams();
  params["text"] = toJson(text);
  const QString name = tr("Measure on %1").arg(nameOf(text));
  whenItFits({"evaluate", text}, name, [this, name, params = std::move(params)](const QString& memory) {
    const auto done = [this](EvaluationRecord record) {
      document_.addResult(record);
      Q_EMIT measured(record);
      return tr("perplexity %1, original %2")
          .arg(QLocale().toString(record.perplexityAfter, 'f', 2), QLocale().toString(record.perplexityBefore, 'f', 2));
    };
    job<EvaluationRecord>(name, "evaluate", params, read<EvaluationRecord>, done, {.memory = memory});
  });
}

void Workflow::refine(const RefineWish& wish) {
  json params = planParams();
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
    refining_ = job<RefineRecord>(name, "refine", params, read<RefineRecord>, done,
                                  {.progress = progress, .again = [this, wish] { refine(wish); }, .memory = memory});
  };
  refining_ = whenItFits({"refine", wish.text, true, wish.windowsPerStep}, name, begin);
  Q_EMIT refiningBegan();
}

void Workflow::takeRefined(const RefineRecord& record) {
  if (record.bestStep > 0)
    document_.setRefined(RefinedFactors{record.factors, record.planFingerprint, record.texts, record.bestStep, record.divergenceBefore,
                                        record.divergenceAfter});
  if (const auto& unseen = record.unseen; unseen && record.bestStep > 0) {
    const EvaluationRecord result{unseen->text, unseen->tokensHash, record.planFingerprint, unseen->predictions, unseen->original, unseen->refined, 0};
    document_.addResult(result);
    Q_EMIT measured(result);
  }
  Q_EMIT refined(record);
}

void Workflow::askErrors() {
  if (!document_.statistics() || document_.isPredictionStale()) return;
  const std::string of = document_.planFingerprint();
  if (document_.errors(of)) return;
  preview<PlanErrorsRecord>(tr("Errors of the plan"), "planErrors", planParams(), read<PlanErrorsRecord>, this,
                            [this, of](Result<PlanErrorsRecord> record) {
                              if (!record) return Q_EMIT failed({}, record.error());
                              document_.addErrors(of, *std::move(record));
                            });
}

void Workflow::tokenLosses(const QString& text) {
  json params = planParams();
  params["text"] = text.toStdString();
  askTokenLosses(tr("Losses token by token"), std::move(params));
}

void Workflow::tokenLossesOfFile(const QString& path) {
  json params = planParams();
  params["text"] = toJson(TextSelection{{path.toStdString()}, 0, 0, 0, {}, false});
  params["maxTokens"] = kMostTokens;
  askTokenLosses(tr("Losses of %1").arg(QFileInfo(path).fileName()), std::move(params));
}

void Workflow::askTokenLosses(const QString& name, json params) {
  job<TokenLossRecord>(name, "tokenLosses", std::move(params), read<TokenLossRecord>, [this](TokenLossRecord record) {
    Q_EMIT tokenLossesReady(record);
    return tr("%Ln token(s)", nullptr, static_cast<int>(record.pieces.size()));
  });
}

void Workflow::testRetrieval() {
  job<RetrievalRecord>(tr("Test retrieval"), "retrieval", planParams(), read<RetrievalRecord>, [this](RetrievalRecord record) {
    Q_EMIT retrievalReady(record);
    return tr("%Ln length(s)", nullptr, static_cast<int>(record.lengths.size()));
  });
}

json Workflow::memoryParams(const MemoryQuestion& question) const {
  json params = modelParams();
  params["method"] = question.method.toStdString();
  params["text"] = toJson(question.text);
  params["gradients"] = question.gradients;
  params["windowsPerStep"] = question.windowsPerStep;
  // The others are about the model alone.
  if (question.method != "calibrate" && question.method != "makePlan") params["plan"] = toJson(document_.plan());
  return params;
}

void Workflow::forecastMemory(const MemoryQuestion& question, QObject* context, std::function<void(Result<std::vector<MemoryForecast>>)> done) {
  engine_.preview<std::vector<MemoryForecast>>("forecastMemory", "forecastMemory", memoryParams(question), readList<MemoryForecast>, context,
                                               std::move(done));
}

void Workflow::examinePath(const QString& path, QObject* context, std::function<void(Result<PathRecord>)> done) {
  engine_.preview<PathRecord>("examinePath", "examinePath", {{"path", path.toStdString()}}, read<PathRecord>, context, std::move(done));
}

void Workflow::generate(const GenerationWish& wish) {
  stopGenerating();
  json params = planParams();
  params["prompt"] = wish.prompt.toStdString();
  params["maxTokens"] = wish.maxTokens;
  params["chat"] = wish.chat;
  params["temperature"] = wish.temperature;
  params["seed"] = wish.seed;
  for (const GenerationWish::Turn& turn : wish.turns)
    for (const auto& [list, answer] : {std::pair{"turns", turn.original}, std::pair{"planTurns", turn.plan}}) {
      params[list].push_back({{"role", "user"}, {"content", turn.said.toStdString()}});
      params[list].push_back({{"role", "assistant"}, {"content", answer.toStdString()}});
    }
  generation_ = Generation{};
  auto id = std::make_shared<std::int64_t>(0);
  *id = engine_.ask<GeneratedTexts>(
      "generate", std::move(params), readTexts, this,
      [this, id, wish](const Result<GeneratedTexts>& answer) {
        const bool isCurrent = generation_ && generation_->id == *id;
        if (answer) {
          if (isCurrent) {
            finishSide(answer->original, generation_->original);
            if (answer->plan) finishSide(*answer->plan, generation_->plan);
          }
          jobs_.succeed(*id, {});
        } else {
          failJob(*id, answer.error(), [this, wish] { generate(wish); });
        }
        if (!isCurrent) return;
        generation_.reset();
        Q_EMIT generationEnded();
      },
      [this, id](const json& message) {
        auto record = read<ProgressRecord>(message);
        if (!record) return;
        if (record->piece && generation_ && generation_->id == *id) {
          (record->piece->compressed ? generation_->plan : generation_->original) += record->piece->text.size();
          Q_EMIT piece(*record->piece);
        }
        jobs_.report(*id, *std::move(record));
      });
  generation_->id = *id;
  jobs_.begin(*id, tr("Generate"));
}

void Workflow::finishSide(const GeneratedPiece& whole, std::size_t& handed) {
  GeneratedPiece rest = whole;
  rest.text.erase(0, std::min(handed, rest.text.size()));
  handed = whole.text.size();
  Q_EMIT piece(rest);
}

void Workflow::stopGenerating() {
  if (generation_) engine_.cancel(generation_->id);
}

void Workflow::previewExport(const ExportWish& wish, QObject* context,
                             std::function<void(Result<ExportPreview>)> done) {
  preview<ExportPreview>(tr("Look at the export"), "previewExport", exportParams(wish), read<ExportPreview>, context,
                         std::move(done));
}

void Workflow::exportPlan(const ExportWish& wish) {
  const QString name = tr("Export to %1").arg(QFileInfo(wish.target).fileName());
  whenItFits({"export"}, name, [this, name, params = exportParams(wish)](const QString& memory) {
    const auto done = [this](ExportRecord record) {
      Q_EMIT exported(record);
      const auto files = static_cast<int>(record.files.size());
      return record.verified ? tr("%Ln file(s), verified", nullptr, files) : tr("%Ln file(s)", nullptr, files);
    };
    job<ExportRecord>(name, "export", params, read<ExportRecord>, done, {.memory = memory});
  });
}

void Workflow::writeReport(const QString& file) {
  // The engine's machine may have no file of the project, and its disk is not where the report is wanted.
  const std::filesystem::path name = document_.file().empty() ? document_.modelPath() : document_.file();
  const json params = {{"project", name.string()}, {"content", toJson(document_.project(), {})}};
  job<std::string>(tr("Report"), "report", params, readPage, [this, file](std::string page) {
    const QString size = QLocale().formattedDataSize(static_cast<qint64>(page.size()), 1, QLocale::DataSizeSIFormat);
    inBackground(diskThread(), this, [file, page = std::move(page)] { return writeFileAtomically(file.toStdString(), page); },
                 [this, file](const Result<void>& written) {
                   if (!written) return Q_EMIT failed(file, written.error());
                   Q_EMIT reported(file);
                 });
    return size;
  });
}

}  // namespace kvista
