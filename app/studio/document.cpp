// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/document.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "app/studio/background.h"
#include "core/plan/device_profiles.h"
#include "core/plan/edit.h"
#include "core/plan/plan_groups.h"

namespace kvista {
namespace {

Error mismatch(const std::string& what, const std::string& path, const std::string& was, const std::string& is) {
  return {ErrorCode::invalidArgument,
          fmt::format("{} at {} are not the ones that the project was made with: hash {} instead of {}.", what, path,
                      is, was),
          "", "Locate the right ones, or begin a new project."};
}

std::vector<std::string> fingerprintsOf(const std::vector<TriedPlan>& tried) {
  std::vector<std::string> prints;
  for (const TriedPlan& each : tried) prints.push_back(fingerprint(each.plan));
  return prints;
}

}  // namespace

Document::Document(QObject* parent) : QObject(parent) {
  connect(&stack_, &QUndoStack::cleanChanged, this, &Document::tellModified);
}
Document::~Document() { stack_.disconnect(this); }

void Document::clear() {
  ++session_;
  ++serial_;
  ++tableSerial_;
  allocating_ = nullptr;
  gesture_.reset();
  stack_.clear();
  stack_.setClean();
  open_ = false;
  file_.clear();
  project_ = {};
  triedFingerprints_.clear();
  model_.reset();
  statistics_.reset();
  cost_ = viewedCost({});
  planned_ = {};
  snapshot_ = {};
  spectra_ = {};
  table_.reset();
  tableOf_.reset();
  predictions_.clear();
  similarities_.clear();
  errors_.clear();
  selection_ = {};
  changes_ = savedChanges_ = 0;
}

void Document::startFrom(const ModelRecord& model) {
  clear();
  open_ = true;
  project_.model = model.path;
  project_.modelHash = model.hash;
  model_ = model;
  CompressionPlan plan;
  plan.method = "coded";
  plan.grouping = "manual";
  plan.allocator = "waterline";
  plan.groups = singleSlots(model.shape);
  assume(std::move(plan), 0, {});
  snapshot_ = PlanSnapshot(planned_.plan, {});
  Q_EMIT projectChanged();
  Q_EMIT modelChanged();
  Q_EMIT planChanged();
  tellModified();
}

void Document::takeProject(Project project, const std::filesystem::path& file) {
  auto prints = fingerprintsOf(project.tried);
  take(std::move(project), std::move(prints), file);
}

void Document::take(Project project, std::vector<std::string> triedFingerprints, const std::filesystem::path& file) {
  clear();
  triedFingerprints_ = std::move(triedFingerprints);
  open_ = true;
  file_ = file;
  planned_.requestedBytes = project.requestedBytes;
  planned_.predictedLoss = project.predictedLoss;
  planned_.correctedLoss = project.correctedLoss;
  planned_.plan = std::exchange(project.plan, {});
  planned_.achievedBytes = bytesPerToken(planned_.plan);
  project_ = std::move(project);
  rememberPrediction(planned_.plan, planned_.predictedLoss, planned_.correctedLoss);
  for (const TriedPlan& each : project_.tried) rememberPrediction(each.plan, each.predictedLoss, each.correctedLoss);
  cost_ = viewedCost(project_.view);
  spectra_.follow(planned_.plan);
  snapshot_ = PlanSnapshot(planned_.plan, {});
  Q_EMIT projectChanged();
  Q_EMIT planChanged();
  Q_EMIT resultsChanged();
  Q_EMIT notesChanged();
  tellModified();
}

void Document::takeRecovered(Project project, const std::filesystem::path& file) {
  takeProject(std::move(project), file);
  countChange();
}

void Document::open(const std::filesystem::path& file, std::function<void(Result<void>)> done) {
  struct Loaded {
    Project project;
    std::vector<std::string> prints;
  };
  inBackground(
      diskThread(), this,
      [file]() -> Result<Loaded> {
        KVISTA_ASSIGN(Project project, loadProject(file));
        auto prints = fingerprintsOf(project.tried);
        return Loaded{std::move(project), std::move(prints)};
      },
      [this, file, done = std::move(done)](Result<Loaded> loaded) {
        if (!loaded) return done(tl::unexpected(std::move(loaded).error()));
        take(std::move(loaded->project), std::move(loaded->prints), file);
        done({});
      });
}

void Document::save(const std::filesystem::path& file, std::function<void(Result<void>)> done) {
  inBackground(
      diskThread(), this, [file, project = project()] { return saveProject(file, project); },
      [this, file, session = session_, index = stack_.index(), changes = changes_,
       done = std::move(done)](Result<void> saved) {
        if (saved && session == session_) {
          file_ = file;
          savedChanges_ = changes;
          // The stack can only be told that it is clean where it stands.
          if (stack_.index() == index && !gesture_)
            stack_.setClean();
          else
            stack_.resetClean();
          Q_EMIT projectChanged();
          tellModified();
        }
        done(std::move(saved));
      });
}

void Document::close() {
  clear();
  Q_EMIT projectChanged();
  Q_EMIT modelChanged();
  Q_EMIT planChanged();
  tellModified();
}

Project Document::project() const {
  Project project = project_;
  const PlannedPlan& planned = gesture_ ? gesture_->before : planned_;
  project.plan = planned.plan;
  project.requestedBytes = planned.requestedBytes;
  project.predictedLoss = planned.predictedLoss;
  project.correctedLoss = planned.correctedLoss;
  if (statistics_) project.baseLoss = statistics_->loss.baseLoss;
  if (cost_ != viewedCost({}) || project.view.contains("cost"))
    project.view["cost"] = {{"device", cost_.device}, {"context", cost_.context}, {"batch", cost_.batch}};
  return project;
}

void Document::setNotes(std::string notes) {
  if (notes == project_.notes) return;
  project_.notes = std::move(notes);
  countChange();
  Q_EMIT notesChanged();
}

Result<void> checkModel(const ModelRecord& model, const std::string& hash, const CompressionPlan& plan) {
  if (model.hash != hash) return tl::unexpected(mismatch("The weights", model.path, hash, model.hash));
  if (const auto problems = validate(plan, model.shape); !problems.empty())
    return fail(ErrorCode::corruptFile, "The project's plan does not fit its model: " + problems.front(),
                "Make the plan anew.");
  return {};
}

Result<void> Document::setModel(const ModelRecord& model) {
  KVISTA_CHECK(checkModel(model, project_.modelHash, planned_.plan));
  model_ = model;
  afterSpectra();
  Q_EMIT modelChanged();
  return {};
}

Result<void> Document::moveModel(const ModelRecord& model) {
  KVISTA_CHECK(setModel(model));
  if (project_.model == model.path) return {};
  project_.model = model.path;
  countChange();
  Q_EMIT projectChanged();
  return {};
}

Result<void> Document::setStatistics(const StatisticsRecord& statistics) {
  if (statistics.modelHash != project_.modelHash)
    return tl::unexpected(
        mismatch("The weights of the calibration", statistics.path, project_.modelHash, statistics.modelHash));
  const bool moved = project_.statistics != statistics.path || project_.tokensHash != statistics.tokensHash;
  if (project_.tokensHash != statistics.tokensHash) predictions_.clear();
  project_.statistics = statistics.path;
  project_.tokensHash = statistics.tokensHash;
  if (!statistics_ || *statistics_ != statistics) {
    statistics_ = statistics;
    spectra_.forget();
    errors_.clear();
    similarities_.clear();
    table_.reset();
    tableOf_.reset();
    if (model_) assume(std::move(planned_.plan), planned_.waterline, std::move(planned_.note));
    Q_EMIT planChanged();
    Q_EMIT spectraChanged();
    Q_EMIT errorsChanged();
  }
  if (moved) countChange();
  Q_EMIT statisticsChanged();
  return {};
}

void Document::setCatalogue(Catalogue catalogue) {
  catalogue_ = std::move(catalogue);
  // The engine's machine is the one that decodes.
  std::vector<DeviceProfile> measured;
  std::ranges::copy_if(catalogue_.devices, std::back_inserter(measured), isMeasured);
  const bool usual = cost_ == viewedCost({});
  useMeasuredProfiles(std::move(measured));
  if (usual && !project_.view.contains("cost")) cost_ = viewedCost({});
  makeTable();
}

void Document::setCost(const CostSettings& cost) {
  if (cost == cost_) return;
  cost_ = cost;
  if (model_) assume(std::move(planned_.plan), planned_.waterline, std::move(planned_.note));
  countChange();
  Q_EMIT planChanged();
}

PlanningContext Document::planningContext() const {
  PlanningContext context;
  if (model_) context.shape = model_->shape;
  if (statistics_) context.loss = statistics_->loss;
  const auto device = findDeviceProfile(cost_.device);
  context.device = device ? **device : deviceProfiles().front();
  context.context = cost_.context;
  context.batch = cost_.batch;
  return context;
}

const Matrix* Document::similarity(const std::string& measure, int layer, Side side) const {
  const auto found = similarities_.find({measure, layer, side});
  return found == similarities_.end() ? nullptr : &found->second;
}
void Document::addSimilarity(const std::string& measure, SimilarityRecord record) {
  similarities_[{measure, record.layer, record.side}] = std::move(record.matrix);
  Q_EMIT similarityChanged(record.layer, record.side);
}

const PlanErrorsRecord* Document::errors(const std::string& planFingerprint) const {
  const auto found = errors_.find(planFingerprint);
  return found == errors_.end() ? nullptr : &found->second;
}
void Document::addErrors(const std::string& planFingerprint, PlanErrorsRecord record) {
  errors_[planFingerprint] = std::move(record);
  Q_EMIT errorsChanged();
}

void Document::addResult(const EvaluationRecord& result) {
  project_.results.push_back({result.text, result.tokensHash, result.planFingerprint, result.perplexityBefore,
                              result.perplexityAfter, result.predictions});
  countChange();
  Q_EMIT resultsChanged();
}
void Document::setRefined(std::optional<RefinedFactors> refined) {
  if (refined == project_.refined) return;
  for (const auto& factors : {project_.refined, refined}) {
    if (!factors) continue;
    std::erase_if(project_.results,
                  [&](const MeasuredResult& each) { return each.planFingerprint == factors->planFingerprint; });
    errors_.erase(factors->planFingerprint);
  }
  project_.refined = std::move(refined);
  countChange();
  Q_EMIT resultsChanged();
  Q_EMIT errorsChanged();
}
const MeasuredResult* Document::result(const std::string& planFingerprint) const {
  const auto& all = project_.results;
  const auto found = std::find_if(all.rbegin(), all.rend(),
                                  [&](const MeasuredResult& each) { return each.planFingerprint == planFingerprint; });
  return found == all.rend() ? nullptr : &*found;
}

const std::string& Document::planFingerprint() const {
  if (fingerprintSerial_ != serial_) {
    fingerprint_ = fingerprint(planned_.plan);
    fingerprintSerial_ = serial_;
  }
  return fingerprint_;
}

void Document::keepPlan(const std::string& name) {
  const auto same = std::ranges::find(triedFingerprints_, planFingerprint());
  if (same != triedFingerprints_.end()) {
    project_.tried.erase(project_.tried.begin() + (same - triedFingerprints_.begin()));
    triedFingerprints_.erase(same);
  }
  triedFingerprints_.push_back(planFingerprint());
  project_.tried.push_back(
      {name, planned_.plan, planned_.requestedBytes, planned_.predictedLoss, planned_.correctedLoss});
  countChange();
  Q_EMIT resultsChanged();
}
void Document::dropPlan(std::size_t index) {
  if (index >= project_.tried.size()) return;
  project_.tried.erase(project_.tried.begin() + static_cast<std::ptrdiff_t>(index));
  triedFingerprints_.erase(triedFingerprints_.begin() + static_cast<std::ptrdiff_t>(index));
  countChange();
  Q_EMIT resultsChanged();
}

void Document::setSelection(Selection selection) {
  if (selection == selection_) return;
  selection_ = std::move(selection);
  Q_EMIT selectionChanged();
}

void Document::countChange() {
  ++changes_;
  tellModified();
}

void Document::tellModified() {
  if (isModified() == wasModified_) return;
  wasModified_ = !wasModified_;
  Q_EMIT modifiedChanged(wasModified_);
}

}  // namespace kvista
