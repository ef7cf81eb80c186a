// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>
#include <QUndoStack>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <tuple>

#include "app/studio/plan_spectra.h"
#include "app/studio/plan_step.h"
#include "core/base/error.h"
#include "core/io/project.h"
#include "core/plan/budget.h"
#include "core/plan/plan.h"
#include "core/plan/waterline_table.h"
#include "core/protocol/records.h"

namespace kvista {

/// What an edit does about the target.
enum class Budget {
  keep,       ///< The widths are as given.
  spendAnew,  ///< Groups that are not locked get their widths from the allocator, for the plan's target.
};

/// Refuses (invalidArgument) a model with another hash than a project's, or (corruptFile) one that its plan does not
/// fit.
Result<void> checkModel(const ModelRecord& model, const std::string& hash, const CompressionPlan& plan);

/// The open project: a model, its statistics, the plan under edit and everything that is known about it. Knows no
/// widget and no process: spectra that it lacks are named by `staleLayers` and come through `addSpectra`.
///
/// Every change of the plan is an undo step. Numbers follow in the same call: `planned()` is of the new plan when
/// `planChanged` is emitted. Shares of a large budget are computed in the background;
/// `isAllocating` says so, and the result becomes part of the step that asked for it.
class Document final : public QObject {
  Q_OBJECT

 public:
  explicit Document(QObject* parent = nullptr);
  ~Document() override;

  // The project.
  /// A model's first plan keeps everything as it is; no file yet.
  void startFrom(const ModelRecord& model);
  /// Takes over what was read from `file` (empty: never saved). The model is not open yet: see setModel.
  void takeProject(Project project, const std::filesystem::path& file);
  /// The same for edits that were never saved: counts as modified.
  void takeRecovered(Project project, const std::filesystem::path& file);
  /// Reads it in the background. On failure the document is as it was.
  void open(const std::filesystem::path& file, std::function<void(Result<void>)> done);
  /// Writes it in the background; an interrupted save leaves the old file whole. The state that was saved counts as
  /// unmodified even if edits came in between.
  void save(const std::filesystem::path& file, std::function<void(Result<void>)> done);
  void close();
  [[nodiscard]] bool isOpen() const { return open_; }
  [[nodiscard]] const std::filesystem::path& file() const { return file_; }
  /// Everything that is saved, as it is now.
  [[nodiscard]] Project project() const;
  [[nodiscard]] bool isModified() const { return !stack_.isClean() || changes_ != savedChanges_; }
  [[nodiscard]] const std::string& notes() const { return project_.notes; }
  void setNotes(std::string notes);
  /// What of the window the project's report needs too, such as the measure shown; does not count as a change.
  [[nodiscard]] const nlohmann::json& viewState() const { return project_.view; }
  void setViewState(nlohmann::json state) { project_.view = std::move(state); }

  // The model and what was calibrated on it.
  [[nodiscard]] const std::filesystem::path& modelPath() const { return project_.model; }
  [[nodiscard]] const std::string& modelHash() const { return project_.modelHash; }
  [[nodiscard]] const std::filesystem::path& statisticsPath() const { return project_.statistics; }
  [[nodiscard]] const std::string& tokensHash() const { return project_.tokensHash; }
  /// Refuses (invalidArgument) a model with another hash than the project's, or one that the plan does not fit.
  Result<void> setModel(const ModelRecord& model);
  /// The same model at another place: counts as a change.
  Result<void> moveModel(const ModelRecord& model);
  [[nodiscard]] bool hasModel() const { return model_.has_value(); }
  [[nodiscard]] const ModelRecord& model() const { return *model_; }
  /// Refuses statistics of another model. Spectra of other statistics are forgotten.
  Result<void> setStatistics(const StatisticsRecord& statistics);
  [[nodiscard]] const std::optional<StatisticsRecord>& statistics() const { return statistics_; }
  /// Where widths of methods come from; without it the standard ones of the storage are used.
  void setCatalogue(Catalogue catalogue);
  [[nodiscard]] const Catalogue& catalogue() const { return catalogue_; }
  void setCost(const CostSettings& cost);
  [[nodiscard]] const CostSettings& cost() const { return cost_; }
  [[nodiscard]] PlanningContext planningContext() const;

  // The plan.
  [[nodiscard]] const CompressionPlan& plan() const { return planned_.plan; }
  [[nodiscard]] const PlannedPlan& planned() const { return planned_; }
  /// Whether the predictions are of an earlier plan because spectra or shares are still to come.
  [[nodiscard]] bool isPredictionStale() const { return (storesLatents() && !spectra_.isComplete()) || isAllocating(); }
  /// Whether the spectra are of the loss, in nats a token, and say what each group loses. A plan in another metric may
  /// be predicted all the same, as a whole, by the engine that made it.
  [[nodiscard]] bool isPredictedByDirections() const { return planned_.predictedLoss && measuresLoss(planned_.plan); }
  [[nodiscard]] bool isAllocating() const;
  /// Whether anything of the plan is still being computed here, the waterline's table included.
  [[nodiscard]] bool isWorking() const { return isAllocating() || makingTable_; }
  /// One step under the name `text` (empty: described by what changed). Steps with the same `mergeId` >= 0 that follow
  /// each other become one. Refuses a plan that does not fit the model; an edit that changes nothing leaves no step.
  Result<void> edit(const CompressionPlan& plan, const QString& text = {}, Budget budget = Budget::keep,
                    int mergeId = -1);
  /// The same for a plan of the engine's makePlan, with the spectra it was made from.
  Result<void> adopt(const PlannedPlan& planned, std::vector<BudgetUnit> units, const QString& text);
  /// Shares the budget out anew for another target.
  Result<void> setTarget(const Target& target);

  // A drag: the plan follows, and one step is left at its end.
  void beginGesture(const QString& text);
  void updateGesture(CompressionPlan plan);
  /// For whoever has the numbers already, such as planAt of the waterline's table.
  void updateGesture(PlannedPlan planned);
  void commitGesture();
  void cancelGesture();
  [[nodiscard]] bool isInGesture() const { return gesture_.has_value(); }

  // Undo. Disabled during a gesture.
  [[nodiscard]] const QUndoStack& undoStack() const { return stack_; }
  /// For a history dock, which must be disabled during a gesture.
  [[nodiscard]] QUndoStack* history() { return &stack_; }
  [[nodiscard]] bool canUndo() const { return !gesture_ && stack_.canUndo(); }
  [[nodiscard]] bool canRedo() const { return !gesture_ && stack_.canRedo(); }
  void undo();
  void redo();

  // Spectra.
  [[nodiscard]] const PlanSpectra& spectra() const { return spectra_; }
  /// Layers with groups whose spectra are not known; empty without a model or where the plan has none.
  [[nodiscard]] std::vector<int> staleLayers() const;
  /// Spectra of groups of `plan`, one a group in its order, empty for groups that were not asked for. They need not be
  /// of the plan under edit any more.
  void addSpectra(const CompressionPlan& plan, std::vector<BudgetUnit> units);
  /// Of the plan's spectra and locks; null while it is being made or spectra are missing.
  [[nodiscard]] std::shared_ptr<const WaterlineTable> waterlineTable() const { return table_; }

  // What the engine said.
  [[nodiscard]] const Matrix* similarity(const std::string& measure, int layer, Side side) const;
  void addSimilarity(const std::string& measure, SimilarityRecord record);
  [[nodiscard]] const PlanErrorsRecord* errors(const std::string& planFingerprint) const;
  void addErrors(const std::string& planFingerprint, PlanErrorsRecord record);
  void addResult(const EvaluationRecord& result);
  [[nodiscard]] const std::vector<MeasuredResult>& results() const { return project_.results; }
  /// The newest measurement of a plan; null where there is none.
  [[nodiscard]] const MeasuredResult* result(const std::string& planFingerprint) const;
  /// Keeps the plan as it is now under a name; one with the same content takes its place.
  void keepPlan(const std::string& name);
  void dropPlan(std::size_t index);
  /// The plan kept that has this fingerprint becomes the plan under edit, as one step; nothing where there is none.
  Result<void> bringBack(const std::string& fingerprint);
  [[nodiscard]] const std::vector<TriedPlan>& tried() const { return project_.tried; }
  /// Of the plans kept, in their order; of the plan under edit. Kept, because a large plan's takes a millisecond or
  /// two.
  [[nodiscard]] const std::vector<std::string>& triedFingerprints() const { return triedFingerprints_; }
  [[nodiscard]] const std::string& planFingerprint() const;
  /// Factors that were trained for the plan as it is now; empty where there are none.
  [[nodiscard]] std::filesystem::path refinedFactors() const { return project_.factorsFor(planFingerprint()); }
  /// Factors that were trained for this plan or for one before it.
  [[nodiscard]] const std::optional<RefinedFactors>& refined() const { return project_.refined; }
  /// Takes trained factors in place of earlier ones; absent: the plan's own again. What was measured with other factors
  /// is forgotten. No step: like a measurement, it is of a plan whether or not that is the one under edit.
  void setRefined(std::optional<RefinedFactors> refined);

  // Selection.
  [[nodiscard]] const Selection& selection() const { return selection_; }
  void setSelection(Selection selection);

 Q_SIGNALS:
  void projectChanged();  ///< Another project, another file, another name.
  void modelChanged();
  void statisticsChanged();
  void planChanged();     ///< Or its numbers.
  void spectraChanged();  ///< Of some of the plan's groups.
  void tableChanged();
  void similarityChanged(int layer, kvista::Side side);
  void errorsChanged();
  void resultsChanged();  ///< Measurements, or plans kept.
  void selectionChanged();
  void notesChanged();
  void modifiedChanged(bool modified);
  void gestureChanged(bool inGesture);
  void allocationFailed(const kvista::Error& error);
  /// After an edit, an undo, a redo or the end of a gesture: what a recovery file must hold. `text` names it.
  void committed(const QString& text, kvista::StepKind kind);

 private:
  friend class PlanStepCommand;

  void clear();
  void take(Project project, std::vector<std::string> triedFingerprints, const std::filesystem::path& file);
  void become(const PlanStep& step, const QString& text, StepKind kind);
  [[nodiscard]] PlanStep stepOf(const PlannedPlan& planned) const;
  /// Numbers for `plan`, with the spectra that are known.
  void assume(CompressionPlan plan, double waterline, std::string note);
  [[nodiscard]] PlannedPlan assessed(CompressionPlan plan) const;
  /// Keeps what was predicted of a plan whose spectra are not of the loss.
  void rememberPrediction(const CompressionPlan& plan, const std::optional<double>& predicted,
                          const std::optional<double>& corrected);
  void afterSpectra();
  void becomeAsBefore();
  void push(const PlannedPlan& after, const QString& text, Budget budget, int mergeId);
  [[nodiscard]] PlanStepCommand* current() const;
  void allocateIfWanted();
  void allocated(const PlanStepCommand* command, Result<PlannedPlan> result);
  void makeTable();
  [[nodiscard]] std::vector<int> widths() const;
  [[nodiscard]] bool storesLatents() const { return planned_.plan.storage != Storage::plainQuantised; }
  void countChange();
  void tellModified();

  QUndoStack stack_;
  bool open_ = false;
  std::filesystem::path file_;
  Project project_;  // All but its plan and predictions, which are `planned_`'s.
  std::optional<ModelRecord> model_;
  std::optional<StatisticsRecord> statistics_;
  Catalogue catalogue_;
  CostSettings cost_;
  PlannedPlan planned_;
  PlanSnapshot snapshot_;  // Of the newest step: what the next one shares its groups with.
  PlanSpectra spectra_;
  std::shared_ptr<const WaterlineTable> table_;
  std::map<std::tuple<std::string, int, Side>, Matrix> similarities_;
  std::map<std::string, PlanErrorsRecord> errors_;
  Selection selection_;
  struct Gesture {
    QString text;
    PlannedPlan before;
    Selection selection;
  };
  std::optional<Gesture> gesture_;
  std::int64_t changes_ = 0, savedChanges_ = 0;  // Besides steps: results, notes, plans kept.
  bool wasModified_ = false;
  StepKind pushing_ = StepKind::redone;  // Other than `redone` only while a step is pushed, which does it.
  std::int64_t serial_ = 0;              // Of the plan: answers for an older one are dropped.
  mutable std::int64_t fingerprintSerial_ = -1;
  mutable std::string fingerprint_;
  std::vector<std::string> triedFingerprints_;
  struct Prediction {
    std::optional<double> loss, corrected;
  };
  std::map<std::string, Prediction> predictions_;  // By fingerprint: what rememberPrediction keeps.
  std::int64_t tableSerial_ = 0;
  bool makingTable_ = false;
  // What the table is, or is being, made of; its unlocked widths do not matter.
  std::optional<CompressionPlan> tableOf_;
  std::vector<int> tableWidths_;
  std::int64_t session_ = 0;  // Of the project: answers for an earlier one are dropped.
  const PlanStepCommand* allocating_ = nullptr;
};

}  // namespace kvista
