// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/comparison_presenter.h"

#include <QEvent>
#include <QFileInfo>
#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "app/studio/spectrum_cache.h"
#include "core/plan/edit.h"
#include "core/plan/plan_comparison.h"
#include "core/plan/spectrum.h"
#include "views/comparison_view.h"
#include "views/plan_comparison_view.h"

namespace kvista {
namespace {

const QString kBothSides = QStringLiteral("sides"), kLayer = QStringLiteral("layer:"),
              kMeasure = QStringLiteral("measure:"), kOther = QStringLiteral("other:");
/// The other model's layer of the same number, whichever is selected.
const QString kSameLayer = kOther + QStringLiteral("same");
/// Its plan, among fingerprints.
const QString kOtherPlan = QStringLiteral("other");

QString sideTitle(int layer, Side side) {
  return side == Side::key ? ComparisonPresenter::tr("Layer %1 · keys").arg(layer)
                           : ComparisonPresenter::tr("Layer %1 · values").arg(layer);
}

ComparedPlan sized(const PlanChoice& choice, const CompressionPlan& plan, const ModelShape& shape) {
  ComparedPlan result;
  result.plan = choice;
  result.bytes = bytesPerToken(plan);
  result.timesSmaller = result.bytes > 0 ? 1 / share(plan, shape) : std::numeric_limits<double>::infinity();
  result.kept = keptFraction(plan, shape);
  result.bits = bitsPerNumber(plan, shape);
  return result;
}

ComparedPerplexity perplexityOf(const MeasuredResult& measured) {
  return {measured.perplexityAfter, measured.perplexityBefore, true,
          QString::fromStdString(measured.tokensHash.empty() ? measured.text : measured.tokensHash)};
}

}  // namespace

ComparisonPresenter::ComparisonPresenter(Document& document, Workflow& workflow, OtherModel& other,
                                         PlanComparisonView& plans, ComparisonView& matrices)
    : document_(document), workflow_(workflow), other_(other), plans_(plans), matrices_(matrices), choice_(kBothSides) {
  for (const auto signal :
       {&Document::planChanged, &Document::resultsChanged, &Document::spectraChanged, &Document::projectChanged,
        &Document::modelChanged, &Document::statisticsChanged, &Document::selectionChanged})
    connect(&document_, signal, this, &ComparisonPresenter::showPlans);
  for (const auto signal :
       {&Document::planChanged, &Document::projectChanged, &Document::modelChanged, &Document::statisticsChanged})
    connect(&document_, signal, this, &ComparisonPresenter::showMatrices);
  connect(&document_, &Document::similarityChanged, this, &ComparisonPresenter::showMatrices);
  connect(&other_, &OtherModel::opened, this, [this] { choice_ = kSameLayer; });
  connect(&other_, &OtherModel::changed, this, [this] {
    showPlans();
    showMatrices();
  });
  connect(&document_, &Document::selectionChanged, this, [this] {
    showMatrices();
    showSelection();
  });
  connect(&plans_, &PlanComparisonView::plansChosen, this, [this](const QString& a, const QString& b) {
    a_ = a;
    b_ = b;
    showPlans();
  });
  connect(&plans_, &PlanComparisonView::layerActivated, this, [this](int layer) {
    document_.setSelection({layer, document_.selection().side, {}});
  });
  connect(&plans_, &PlanComparisonView::hovered, this, &ComparisonPresenter::message);
  connect(&matrices_, &ComparisonView::cellHovered, this, &ComparisonPresenter::message);
  connect(&matrices_, &ComparisonView::copied, this,
          [this](int cells) { Q_EMIT message(tr("Copied %Ln cell(s) as a table", nullptr, cells)); });
  connect(&matrices_, &ComparisonView::choiceMade, this, [this](const QString& id) {
    choice_ = id;
    showMatrices();
  });
  connect(&matrices_, &ComparisonView::selectionChanged, this, [this](const std::vector<int>& heads) {
    Selection selection = document_.selection();
    selection.slots.clear();
    for (const int head : heads) selection.slots.push_back({selection.layer, selection.side, head});
    document_.setSelection(selection);
  });
  plans_.installEventFilter(this);
  matrices_.installEventFilter(this);
}

bool ComparisonPresenter::eventFilter(QObject* watched, QEvent* event) {
  if (event->type() == QEvent::Show) {
    if (watched == &plans_) showPlans();
    if (watched == &matrices_) {
      showMatrices();
      showSelection();
    }
  }
  return QObject::eventFilter(watched, event);
}

/// Second-order losses of a plan's groups from the spectra that the plan under edit has; NaN where it has no such
/// group.
std::vector<double> ComparisonPresenter::losses(const CompressionPlan& plan) const {
  const LossModel loss = document_.planningContext().loss;
  if (!measuresLoss(plan) || !loss.gradients || plan.storage == Storage::plainQuantised) return {};
  const PlanSpectra& spectra = document_.spectra();
  if (&plan == &document_.plan()) return spectra.losses();
  const CompressionPlan& present = document_.plan();
  std::unordered_map<std::string, std::size_t> groups;
  for (std::size_t i = 0; i < present.groups.size(); ++i)
    if (spectra.isKnown(i)) groups.emplace(spectrumKey(present, present.groups[i]), i);
  std::vector<double> result;
  for (const Group& group : plan.groups) {
    const auto found = groups.find(spectrumKey(plan, group));
    result.push_back(found == groups.end() ? std::numeric_limits<double>::quiet_NaN()
                                           : predictedLoss(spectra.units()[found->second].spectrum, group.widths));
  }
  return std::ranges::all_of(result, [](double each) { return std::isnan(each); }) ? std::vector<double>{} : result;
}

ComparedPlan ComparisonPresenter::compared(const QString& id) const {
  if (id == kOtherPlan && isOthersPlanOffered()) return comparedOther();
  const TriedPlan* kept = nullptr;
  for (std::size_t i = 0; i < document_.tried().size() && !id.isEmpty(); ++i)
    if (document_.triedFingerprints()[i] == id.toStdString()) kept = &document_.tried()[i];
  const CompressionPlan& plan = kept ? kept->plan : document_.plan();
  const ModelShape& shape = document_.model().shape;
  const PlanChoice choice = {kept ? id : QString(), kept ? QString::fromStdString(kept->name) : tr("this plan")};
  ComparedPlan result = sized(choice, plan, shape);
  result.loss = lossByLayer(plan, shape, losses(plan));
  if (const MeasuredResult* measured = document_.result(kept ? id.toStdString() : document_.planFingerprint())) {
    result.perplexity = perplexityOf(*measured);
  } else {
    const LossModel loss = document_.planningContext().loss;
    const auto rise = kept ? kept->loss() : document_.planned().loss();
    if (const auto predicted = predictedPerplexity(loss, rise))
      result.perplexity = {*predicted, std::exp(loss.baseLoss), false, {}};
  }
  return result;
}

/// Plans are compared layer by layer and head by head.
bool ComparisonPresenter::isOthersPlanOffered() const {
  const ComparedModel* other = other_.model();
  const ModelShape& shape = document_.model().shape;
  return other && other->project && other->model.shape.layers == shape.layers &&
         other->model.shape.kvHeads == shape.kvHeads;
}

/// With the predictions that the project was saved with; its losses by layer would need its spectra.
ComparedPlan ComparisonPresenter::comparedOther() const {
  const ComparedModel& other = *other_.model();
  const Project& project = *other.project;
  ComparedPlan result = sized({kOtherPlan, other.name}, project.plan, other.model.shape);
  const LossModel& loss = other.statistics.loss;
  const auto rise = project.correctedLoss ? project.correctedLoss : project.predictedLoss;
  if (other.measured) {
    result.perplexity = perplexityOf(*other.measured);
  } else if (const auto predicted = predictedPerplexity(loss, rise)) {
    // Predictions are of the text of the calibration.
    const bool isSameText = document_.statistics() && other.statistics.tokensHash == document_.statistics()->tokensHash;
    result.perplexity = {*predicted, std::exp(loss.baseLoss), false,
                         isSameText ? QString() : QString::fromStdString(other.statistics.tokensHash)};
  }
  return result;
}

void ComparisonPresenter::showPlans() {
  if (!plans_.isVisibleTo(plans_.window())) return;
  PlanComparisonRecord record;
  if (document_.hasModel()) {
    for (std::size_t i = 0; i < document_.tried().size(); ++i)
      record.plans.push_back({QString::fromStdString(document_.triedFingerprints()[i]),
                              QString::fromStdString(document_.tried()[i].name)});
    if (isOthersPlanOffered()) record.plans.push_back({kOtherPlan, other_.model()->name});
    record.plans.push_back({{}, tr("this plan")});
    const auto idOf = [&](const std::optional<QString>& wanted, const PlanChoice& usual) {
      return wanted && std::ranges::find(record.plans, *wanted, &PlanChoice::id) != record.plans.end() ? *wanted
                                                                                                       : usual.id;
    };
    if (record.plans.size() > 1) {
      record.a = compared(idOf(a_, record.plans.front()));
      record.b = compared(idOf(b_, record.plans.back()));
    }
    record.layer = document_.selection().layer;
  }
  if (record != plans_.record()) plans_.setRecord(std::move(record));
}

HeatmapRecord ComparisonPresenter::heatmap(const std::string& measure, int layer, Side side) const {
  HeatmapRecord record;
  if (const Matrix* matrix = document_.similarity(measure, layer, side)) record.matrix = *matrix;
  record.layer = layer;
  record.side = side;
  record.title = sideTitle(layer, side);
  record.groups = headGroups(document_.plan(), layer, side);
  record.measure = QString::fromStdString(measure);
  return record;
}

std::vector<std::pair<QString, QString>> ComparisonPresenter::choices() const {
  std::vector<std::pair<QString, QString>> all = {{kBothSides, tr("keys with values")}};
  const auto& [layer, side, slots] = document_.selection();
  for (int other = 0; other < document_.model().shape.layers; ++other)
    if (other != layer) all.emplace_back(kLayer + QString::number(other), tr("with layer %1").arg(other));
  // Measures that the engine has been asked for already.
  for (const Choice& measure : document_.catalogue().measures)
    if (measure.name != workflow_.measureShown() && document_.similarity(measure.name, layer, side))
      all.emplace_back(kMeasure + QString::fromStdString(measure.name),
                       tr("with %1").arg(QString::fromStdString(measure.name)));
  for (int of = 0; other_.similarity(workflow_.measureShown(), of, side); ++of) {
    const QString& name = other_.model()->name;
    if (of == layer) all.emplace_back(kSameLayer, tr("%1 · same layer").arg(name));
    all.emplace_back(kOther + QString::number(of), tr("%1 · layer %2").arg(name).arg(of));
  }
  return all;
}

/// `record` has the selected layer at its left; `layer` is the other model's.
void ComparisonPresenter::compareWithOther(ComparisonRecord& record, int layer) const {
  const Side side = record.left.side;
  const bool isModel = document_.file().empty();
  const QFileInfo file(QString::fromStdString((isModel ? document_.modelPath() : document_.file()).string()));
  const QString mine = isModel ? file.fileName() : file.completeBaseName(), others = other_.model()->name;
  const auto title = [](const QString& name, int of) { return tr("%1 · layer %2").arg(name).arg(of); };
  record.right.matrix = *other_.similarity(workflow_.measureShown(), layer, side);
  record.right.title = title(others, layer);
  record.right.measure = record.left.measure;
  record.right.layer = layer;
  record.right.side = side;
  if (const auto& project = other_.model()->project) record.right.groups = headGroups(project->plan, layer, side);
  record.left.title = title(mine, record.left.layer);
  record.title = tr("%1 and %2 · %3").arg(mine, others, side == Side::key ? tr("keys") : tr("values"));
}

void ComparisonPresenter::showMatrices() {
  if (!matrices_.isVisibleTo(matrices_.window())) return;
  ComparisonRecord record;
  const auto& [layer, side, slots] = document_.selection();
  const std::string& measure = workflow_.measureShown();
  other_.want(measure);
  if (document_.hasModel() && document_.similarity(measure, layer, side)) {
    const auto offered = choices();
    // The layer that was compared with may be the selected one now.
    const bool isOffered = std::ranges::any_of(offered, [this](const auto& each) { return each.first == choice_; });
    const QString choice = isOffered ? choice_ : kBothSides;
    record.left = heatmap(measure, layer, side);
    if (choice == kBothSides) {
      record.left = heatmap(measure, layer, Side::key);
      record.right = heatmap(measure, layer, Side::value);
      for (HeatmapRecord* each : {&record.left, &record.right})
        for (int head = 0; head < each->heads(); ++head) each->names.push_back(tr("H%1").arg(head));
      record.title = tr("Layer %1 · keys and values").arg(layer);
    } else if (choice.startsWith(kLayer)) {
      const int other = choice.mid(kLayer.size()).toInt();
      record.right = heatmap(measure, other, side);
      record.title =
          tr("Layers %1 and %2 · %3").arg(layer).arg(other).arg(side == Side::key ? tr("keys") : tr("values"));
    } else if (choice.startsWith(kOther)) {
      compareWithOther(record, choice == kSameLayer ? layer : choice.mid(kOther.size()).toInt());
    } else {
      record.right = heatmap(choice.mid(kMeasure.size()).toStdString(), layer, side);
      record.title = record.left.title;
      record.left.title = record.left.measure;
      record.right.title = record.right.measure;
      record.left.measure = tr("similarity");
    }
    matrices_.setChoices(offered, choice);
  } else {
    matrices_.setChoices({}, {});
    record.title = tr("Heads compared");
  }
  if (record != matrices_.record()) matrices_.setRecord(record);
}

void ComparisonPresenter::showSelection() {
  const Selection& selection = document_.selection();
  std::vector<int> heads;
  for (const Slot& slot : selection.slots)
    if (slot.layer == selection.layer && slot.side == selection.side) heads.push_back(slot.head);
  matrices_.setSelection(heads);
}

}  // namespace kvista
