// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/panels.h"

#include <QDockWidget>
#include <QMainWindow>

#include "app/studio/window/analysis_presenter.h"
#include "app/studio/window/budget_presenter.h"
#include "app/studio/window/comparison_presenter.h"
#include "app/studio/window/experiment_presenter.h"
#include "app/studio/window/groups_presenter.h"
#include "app/studio/window/heads_presenter.h"
#include "app/studio/window/lab_presenter.h"
#include "app/studio/window/panel_dock.h"
#include "app/studio/window/policy_lines.h"
#include "app/studio/window/quality_presenter.h"
#include "app/studio/window/refine_presenter.h"
#include "app/studio/window/try_presenter.h"
#include "app/studio/window/waterline_presenter.h"
#include "app/studio/window/work_presenter.h"
#include "views/budget_view.h"
#include "views/comparison_view.h"
#include "views/error_view.h"
#include "views/experiment_view.h"
#include "views/groups_canvas.h"
#include "views/groups_view.h"
#include "views/guide_view.h"
#include "views/heatmap_view.h"
#include "views/history_view.h"
#include "views/jobs_view.h"
#include "views/navigator_view.h"
#include "views/notes_view.h"
#include "views/plan_comparison_view.h"
#include "views/problem_bar.h"
#include "views/problems_view.h"
#include "views/provenance_view.h"
#include "views/quality_cost_view.h"
#include "views/refine_view.h"
#include "views/spectra_view.h"
#include "views/theme.h"
#include "views/try_view.h"
#include "views/waterline_view.h"
#include "views/work_line.h"

namespace kvista {

template <class ViewType>
ViewType* Panels::add(const char* name, const QString& title) {
  auto* view = new ViewType;
  const QString id = QLatin1String(name);
  auto* dock = new PanelDock(id, title, view, window_);
  dock->hide();
  docks_.insert(id, dock);
  if constexpr (requires(QPainter & painter, const QRectF& area) { view->paintFigure(painter, area); })
    figures_.insert(id, [view](QPainter& painter, const QRectF& area) { view->paintFigure(painter, area); });
  if constexpr (requires { view->plainTable(); }) tables_.insert(id, [view] { return view->plainTable(); });
  return view;
}

Panels::Panels(Document& document, Workflow& workflow, OtherModel& other, Lab& lab, JobList& jobs, RecentFiles& recent,
               QMainWindow* window)
    : QObject(window),
      document_(document),
      workflow_(workflow),
      other_(other),
      lab_(lab),
      jobs_(jobs),
      recent_(recent),
      window_(window) {
  addHeads();
  addPlan();
  addComparison();
  addLab();
  addWork();
  addNotes();
}

void Panels::addHeads() {
  auto* navigator = add<NavigatorView>("layers", tr("Layers"));
  auto* heatmap = add<HeatmapView>("heads", tr("Heads"));
  auto* groups = add<GroupsView>("groups", tr("Groups"));
  auto* spectra = add<SpectraView>("spectra", tr("Spectra"));
  auto* errors = add<ErrorView>("errors", tr("Errors"));
  auto* headsPresenter = new HeadsPresenter(document_, workflow_, *heatmap, *navigator);
  auto* groupsPresenter = new GroupsPresenter(document_, workflow_, *groups);
  auto* analysisPresenter = new AnalysisPresenter(document_, workflow_, *spectra, *errors);
  headsPresenter->setParent(this);
  analysisPresenter->setParent(this);
  groupsPresenter->setParent(this);
  connect(headsPresenter, &HeadsPresenter::message, this, &Panels::message);
  connect(headsPresenter, &HeadsPresenter::actionRequested, this, &Panels::actionRequested);
  connect(headsPresenter, &HeadsPresenter::tableRequested, this, &Panels::tableRequested);
  connect(analysisPresenter, &AnalysisPresenter::message, this, &Panels::message);
  connect(analysisPresenter, &AnalysisPresenter::failed, this, [this](const Error& error) { addProblem({}, error); });
  connect(headsPresenter, &HeadsPresenter::showSpectraRequested, this, [this] { show(QStringLiteral("spectra")); });
  connect(groupsPresenter, &GroupsPresenter::message, this, &Panels::message);
  connect(headsPresenter, &HeadsPresenter::makeGroupRequested, groupsPresenter, &GroupsPresenter::makeGroup);
  connect(headsPresenter, &HeadsPresenter::explainRequested, this,
          [this] { Q_EMIT helpRequested(QStringLiteral("measures")); });
}

void Panels::addPlan() {
  auto* waterline = add<WaterlineView>("waterline", tr("Waterline"));
  auto* budget = add<BudgetView>("budget", tr("Budget"));
  auto* quality = add<QualityCostView>("quality", tr("Quality and bytes"));
  auto* tryView = add<TryView>("try", tr("Try"));
  try_ = tryView;
  auto* waterlinePresenter = new WaterlinePresenter(document_, *waterline);
  auto* budgetPresenter = new BudgetPresenter(document_, workflow_, *budget);
  auto* tryPresenter = new TryPresenter(document_, workflow_, lab_, *tryView);
  connect(tryPresenter, &TryPresenter::actionRequested, this, &Panels::actionRequested);
  auto* refining = add<RefineView>("refining", tr("Refining"));
  auto* refinePresenter = new RefinePresenter(document_, workflow_, jobs_, *refining);
  connect(refining, &RefineView::refineRequested, this,
          [this] { Q_EMIT actionRequested(QStringLiteral("plan.refine")); });
  quality_ = new QualityPresenter(document_, workflow_, *quality);
  for (QObject* presenter :
       std::initializer_list<QObject*>{waterlinePresenter, budgetPresenter, tryPresenter, refinePresenter, quality_})
    presenter->setParent(this);
  connect(waterlinePresenter, &WaterlinePresenter::message, this, &Panels::message);
  connect(quality_, &QualityPresenter::failed, this, [this](const Error& error) { addProblem({}, error); });
  connect(budgetPresenter, &BudgetPresenter::failed, this, [this](const Error& error) { addProblem({}, error); });
}

void Panels::addComparison() {
  auto* plans = add<PlanComparisonView>("plans", tr("Plans"));
  auto* matrices = add<ComparisonView>("comparison", tr("Heads compared"));
  auto* presenter = new ComparisonPresenter(document_, workflow_, other_, *plans, *matrices);
  presenter->setParent(this);
  connect(presenter, &ComparisonPresenter::message, this, &Panels::message);
  auto* experiment = add<ExperimentView>("experiment", tr("Experiment"));
  auto* experimentPresenter = new ExperimentPresenter(document_, workflow_, jobs_, *experiment);
  experimentPresenter->setParent(this);
  connect(experiment, &ExperimentView::experimentRequested, this,
          [this] { Q_EMIT actionRequested(QStringLiteral("plan.experiment")); });
}

void Panels::addLab() {
  labView_ = add<LabView>("lab", tr("Evaluation lab"));
  auto* presenter = new LabPresenter(document_, lab_, jobs_, *labView_);
  presenter->setParent(this);
  connect(presenter, &LabPresenter::actionRequested, this, &Panels::actionRequested);
  connect(labView_, &LabView::helpRequested, this, &Panels::helpRequested);
}

void Panels::addWork() {
  auto* jobs = add<JobsView>("jobs", tr("Jobs"));
  auto* problems = add<ProblemsView>("problems", tr("Problems"));
  auto* history = add<HistoryView>("history", tr("History"));
  auto* provenance = add<ProvenanceView>("provenance", tr("Provenance"));
  auto* guide = new GuideView;
  guide->setObjectName(QStringLiteral("guide"));
  guide_ = guide;
  history->setStack(document_.history());
  connect(&document_, &Document::gestureChanged, history, &QWidget::setDisabled);
  workLine_ = new WorkLine;
  problemBar_ = new ProblemBar;
  problemBar_->setObjectName(QStringLiteral("problemBar"));
  work_ = new WorkPresenter(document_, workflow_, jobs_, recent_,
                            {*guide, *workLine_, *problemBar_, *jobs, *problems, *provenance});
  work_->setParent(this);
  connect(work_, &WorkPresenter::actionRequested, this, &Panels::actionRequested);
  connect(work_, &WorkPresenter::openRequested, this, &Panels::openRequested);
  connect(work_, &WorkPresenter::recentRequested, this, &Panels::recentRequested);
  connect(work_, &WorkPresenter::locateRequested, this, &Panels::locateRequested);
  connect(work_, &WorkPresenter::panelRequested, this, &Panels::show);
}

void Panels::addNotes() {
  auto* notes = add<NotesView>("notes", tr("Notes"));
  const auto show = [this, notes] {
    notes->setText(QString::fromStdString(document_.notes()));
    notes->setEnabled(document_.isOpen());
  };
  connect(&document_, &Document::notesChanged, notes, show);
  connect(&document_, &Document::projectChanged, notes, show);
  connect(notes, &NotesView::edited, this, [this](const QString& text) { document_.setNotes(text.toStdString()); });
  show();
}

nlohmann::json Panels::places() const {
  nlohmann::json places = nlohmann::json::object();
  const auto add = [&places](const QWidget* widget, const std::string& name, const QRect& rect) {
    if (!widget->isVisible() || rect.isEmpty()) return;
    const QPoint corner = widget->mapToGlobal(rect.topLeft());
    places[name] = {corner.x(), corner.y(), rect.width(), rect.height()};
  };
  if (const auto* canvas = window_->findChild<GroupsCanvas*>()) {
    for (const GroupRecord& group : canvas->record().groups)
      for (const Slot& slot : group.slots) add(canvas, slotName(slot).toStdString(), canvas->chipRect(slot));
    add(canvas, "newGroup", canvas->layoutOfGroups().newGroup);
  }
  if (const auto* waterline = window_->findChild<WaterlineView*>())
    add(waterline, "waterlineHandle", waterline->handle().toAlignedRect());
  return places;
}

/// The dock that one without a place in the layout best stands behind; none: it gets a place of its own, below.
QDockWidget* Panels::behindWhich(const QString& name) const {
  const auto isPlaced = [](const QDockWidget* dock) {
    const auto* area = qobject_cast<const QMainWindow*>(dock->parentWidget());
    return area && area->dockWidgetArea(const_cast<QDockWidget*>(dock)) != Qt::NoDockWidgetArea && dock->isVisible() &&
           !dock->isFloating();
  };
  QDockWidget* quality = docks_.value(QStringLiteral("quality"));  // What changes what a plan is worth stands by it.
  if (name == QStringLiteral("refining")) return isPlaced(quality) ? quality : nullptr;
  // Tables and plots want the most room that there is.
  QDockWidget* largest = nullptr;
  if (name == QStringLiteral("experiment") || name == QStringLiteral("lab"))
    for (QDockWidget* dock : docks_)
      if (isPlaced(dock) && (!largest || dock->width() * dock->height() > largest->width() * largest->height()))
        largest = dock;
  return largest;
}

void Panels::show(const QString& name) {
  QDockWidget* dock = docks_.value(name);
  auto* area = qobject_cast<QMainWindow*>(dock->parentWidget());
  // One that the layout gives no place would lie over the others.
  if (area && area->dockWidgetArea(dock) == Qt::NoDockWidgetArea) {
    if (QDockWidget* other = behindWhich(name))
      area->tabifyDockWidget(other, dock);
    else
      area->addDockWidget(Qt::BottomDockWidgetArea, dock);
  }
  dock->show();
  dock->raise();
}

QString Panels::policyToTry() const { return try_->settings().policy; }

void Panels::showTexts(TextMeasures::Page page) {
  try_->showTexts(page);
  show(QStringLiteral("try"));
}

void Panels::showLab(LabView::Page page) {
  labView_->showPage(page);
  show(QStringLiteral("lab"));
}

void Panels::addProblem(const QString& path, const Error& error, const QString& title) {
  work_->addProblem(title, path, error);
}
void Panels::addWarning(const Error& error) { work_->addProblem({}, {}, error, ProblemRecord::Severity::warning); }
void Panels::setEngineProblem(const std::optional<Error>& error) { work_->setEngineProblem(error); }
void Panels::clearProblems() { work_->clearProblems(); }
void Panels::showProgress() { work_->showProgress(); }

int Panels::plansOnFront() const { return quality_->plansOnFront(); }

void Panels::showCatalogue() {
  try_->setPolicies(policyLines(document_.catalogue()));
  // Explanations stand in what is shown already.
  Q_EMIT document_.similarityChanged(document_.selection().layer, document_.selection().side);
}

nlohmann::json Panels::problems() const {
  nlohmann::json list = nlohmann::json::array();
  for (const ProblemRecord& problem : work_->problems())
    list.push_back({{"sentence", problem.sentence.toStdString()},
                    {"hint", problem.hint.toStdString()},
                    {"title", problem.title.toStdString()},
                    {"path", problem.path.toStdString()}});
  return list;
}

}  // namespace kvista
