// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// Nothing is said by colour alone: what a view shows in one state and in another differs when all ink has one colour
// and all ground another, and what is left is looked at without hues.
#include <gtest/gtest.h>

#include <QApplication>
#include <QCheckBox>
#include <QListView>
#include <QMenu>
#include <QStandardItemModel>
#include <QStringListModel>
#include <QTabBar>
#include <QTableView>
#include <QToolButton>
#include <QUndoCommand>
#include <QUndoStack>
#include <cmath>
#include <functional>
#include <memory>

#include "tests/unit/views/heatmap_cases.h"
#include "views/budget_view.h"
#include "views/error_view.h"
#include "views/figure_strip.h"
#include "views/gallery/made_up_model.h"
#include "views/groups_view.h"
#include "views/guide_view.h"
#include "views/heatmap_view.h"
#include "views/history_view.h"
#include "views/jobs_view.h"
#include "views/navigator_view.h"
#include "views/plan_comparison_view.h"
#include "views/problems_view.h"
#include "views/quality_cost_view.h"
#include "views/refine_view.h"
#include "views/segmented_control.h"
#include "views/theme.h"
#include "views/token_loss_text.h"
#include "views/try_view.h"
#include "views/waterline_view.h"

namespace kvista {
namespace {

using Made = std::unique_ptr<QWidget>;

/// Two states of one widget, by name.
struct Case {
  const char* name;
  std::function<Made(bool)> make;  ///< Without the state and with it.
  QSize size = {760, 320};
  /// What of it is looked at.
  std::function<QRect(const QWidget&)> where = [](const QWidget& widget) { return widget.rect(); };
};

template <class Widget, class Change>
std::function<Made(bool)> of(Change change) {
  return [change](bool state) {
    auto widget = std::make_unique<Widget>();
    change(*widget, state);
    return widget;
  };
}

/// A view of `record`, and of what `change(record, state)` makes of it.
template <class View, class Record, class Change>
Case changed(const char* name, Record record, QSize size, Change change) {
  return {name, of<View>([record, change](View& view, bool state) {
            Record own = record;
            change(own, state);
            view.setRecord(own);
          }),
          size};
}

FigureStripRecord figures() {
  const MadeUpModel model(8, 1024, Storage::coded);
  FigureStripRecord record =
      figuresOf(planAt(model.table(), model.level(), model.plan(), model.context()), model.context());
  record.target = Target{Target::Kind::share, 0.125};
  record.requestedBytes = record.bytesPerToken;
  return record;
}

template <class Change>
Case figuresCase(const char* name, Change change) {
  return changed<FigureStrip>(name, figures(), {1200, 64}, change);
}

BudgetRecord budget() {
  MadeUpModel model(4, 1024, Storage::coded);
  model.setLevel(model.levelFor(8));
  BudgetRecord record =
      budgetRecordOf(assess(model.plan(), model.units(), model.context()), model.units(), model.context());
  record.requestedBytes = record.achievedBytes;
  return record;
}

template <class Change>
Case budgetCase(const char* name, Change change) {
  return changed<BudgetView>(name, budget(), {860, 320}, change);
}

GroupsRecord groups(bool keys = true) {
  GroupsRecord record;
  record.layer = 3;
  record.shape = {"llama", 8, 4, 4, 32, 32, 128, 32000, 1'000'000};
  record.grouping = QStringLiteral("manual");
  for (int index : {0, 1}) {
    GroupRecord group;
    group.index = index;
    for (int head : {2 * index, 2 * index + 1}) group.slots.push_back({3, keys ? Side::key : Side::value, head});
    group.widths.assign(64, 4);
    group.bytes = 32;
    group.loss = 0.001;
    record.groups.push_back(std::move(group));
  }
  return record;
}

template <class Change>
Case groupsCase(const char* name, Change change) {
  return changed<GroupsView>(name, groups(), {480, 240}, change);
}

/// Of four heads, the difference of two measures: one pair has grown, or fallen by as much.
HeatmapRecord measures(float change) {
  HeatmapRecord record = test::fourHeads();
  record.matrix.values[1] += change;
  record.matrix.values[4] += change;
  return record;
}

PlanComparisonRecord plans() {
  PlanComparisonRecord record;
  record.plans = {{"f1", "joint"}, {"", "this plan"}};
  record.a.plan = record.plans[0];
  record.b.plan = record.plans[1];
  record.a.bytes = record.b.bytes = 2048;
  record.a.perplexity = record.b.perplexity = {37.63, 37.57, true, "austen"};
  record.a.bits = record.b.bits = {3, 4, std::vector<float>(12, 4)};
  record.a.loss = record.b.loss = {3, 2, std::vector<float>(6, 0.001F)};
  return record;
}

template <class Change>
Case plansCase(const char* name, Change change) {
  return changed<PlanComparisonView>(name, plans(), {900, 520}, change);
}

Case jobCase(const char* name, JobRecord::State one, JobRecord::State other) {
  return {name, of<JobsView>([one, other](JobsView& view, bool state) {
            JobRecord job;
            job.id = QStringLiteral("1");
            job.name = QStringLiteral("Calibrate demo");
            job.state = state ? other : one;
            job.elapsedSeconds = 12;
            job.share = 0.42;
            view.setRecord({job});
          })};
}

Case problemCase(const char* name, ProblemRecord::Severity one, ProblemRecord::Severity other) {
  return {
      name, of<ProblemsView>([one, other](ProblemsView& view, bool state) {
        view.setRecord({{QStringLiteral("a"), state ? other : one, QStringLiteral("The file is cut off."), {}, {}}});
      })};
}

Case guideCase(const char* name, GuideRecord::Progress one, GuideRecord::Progress other) {
  return {name,
          of<GuideView>([one, other](GuideView& view, bool state) {
            GuideRecord record;
            record.steps[0] = state ? other : one;
            view.setRecord(record);
          }),
          {860, 520}};
}

QualityCostRecord tried() {
  QualityCostRecord record;
  record.points = {{"a", "", 0.0625, 1.2, 0.0107, true, false}, {"b", "", 0.125, 0.9, 0.0016, true, false}};
  return record;
}

std::vector<Case> cases() {
  using State = JobRecord::State;
  using Severity = ProblemRecord::Severity;
  using Progress = GuideRecord::Progress;
  const float unknown = NAN;
  std::vector<Case> all = {
      figuresCase("FiguresStale", [](auto& record, bool state) { record.stale = state; }),
      figuresCase("FiguresMeasured", [](auto& record, bool state) { record.perplexityIsEstimate = !state; }),
      figuresCase("FiguresOverBudget",
                  [](auto& record, bool state) { record.requestedBytes = *record.bytesPerToken - (state ? 24 : 0); }),
      budgetCase("BudgetStaleRow", [](auto& record, bool state) { record.rows[1].stale = state; }),
      budgetCase("BudgetLockedRow", [](auto& record, bool state) { record.rows[1].locked = state; }),
      budgetCase("BudgetOver", [](auto& record, bool state) { record.requestedBytes -= state ? 24 : 0; }),
      budgetCase("BudgetMeasured",
                 [](auto& record, bool state) {
                   if (state) record.measuredLoss = record.predictedLoss;
                 }),
      {"BudgetSelectedRow",
       of<BudgetView>([](BudgetView& view, bool state) {
         view.setRecord(budget());
         if (state) view.selectGroups({1});
       }),
       {860, 320}},
      groupsCase("GroupsStale", [](auto& record, bool state) { record.groups[1].stale = state; }),
      groupsCase("GroupsLocked", [](auto& record, bool state) { record.groups[1].locked = state; }),
      groupsCase("GroupsKeysOrValues", [](auto& record, bool state) { record = groups(!state); }),
      {"GroupsSelectedHead", of<GroupsView>([](GroupsView& view, bool state) {
         view.setRecord(groups());
         if (state) view.setSelection({{3, Side::key, 1}});
       })},
      {"HeatmapUnknown",
       of<HeatmapView>([=](HeatmapView& view, bool state) { view.setRecord(measures(state ? unknown : 0)); })},
      {"HeatmapSelection", of<HeatmapView>([](HeatmapView& view, bool state) {
         view.setRecord(measures(0));
         if (state) view.setSelection({1, 2});
       })},
      {"HeadsMoreOrLessAlike", of<HeatmapView>([](HeatmapView& view, bool state) {
         HeatmapRecord record = test::fourHeads();
         record.difference = true;
         for (float& value : record.matrix.values) value = state ? -0.3F : 0.3F;
         view.setRecord(record);
       })},
      plansCase("PlanSelectedLayer", [](auto& record, bool state) { record.layer = state ? 1 : -1; }),
      plansCase("PlanMeasured", [](auto& record, bool state) { record.b.perplexity->measured = state; }),
      plansCase("PlanWorseOrBetter", [](auto& record, bool state) { record.b.perplexity->value += state ? 1 : -1; }),
      {"NavigatorCurrent",
       of<NavigatorView>([](NavigatorView& view, bool state) {
         view.setRecord({{2, test::fourHeads().matrix}, {2, test::fourHeads().matrix}, QStringLiteral("linear CKA")});
         view.setCurrent(state ? 1 : 0, Side::value);
       }),
       {200, 320}},
      {"NavigatorUnknown",
       of<NavigatorView>([](NavigatorView& view, bool state) {
         view.setRecord({{2, test::fourHeads().matrix}, {2, test::fourHeads().matrix}, QStringLiteral("linear CKA")});
         if (state) view.setMatrix(1, Side::key, {});
       }),
       {200, 320}},
      {"PlanTriedMeasured", of<QualityCostView>([](QualityCostView& view, bool state) {
         QualityCostRecord record = tried();
         record.points[0].measured = state;
         view.setRecord(record);
       })},
      {"PlanTriedCurrent", of<QualityCostView>([](QualityCostView& view, bool state) {
         QualityCostRecord record = tried();
         record.points[0].current = state;
         view.setRecord(record);
       })},
      {"PlanTriedOnTheFront", of<QualityCostView>([](QualityCostView& view, bool state) {
         QualityCostRecord record = tried();
         record.points.push_back({"c", "", 0.125, 0.9, state ? 0.0012 : 0.0020, true, false});
         view.setRecord(record);
       })},
      {"ErrorUnknown", of<ErrorView>([=](ErrorView& view, bool state) {
         view.setRecord({{{"keys", "K", {2, 2, {0.01F, 0.02F, 0.03F, state ? unknown : 0.0F}}}}, {}});
       })},
      {"ErrorCurrentPlan", of<ErrorView>([](ErrorView& view, bool state) {
         view.setRecord({{}, {{"a", "", 0.01, 0.012, false}, {"b", "", 0.02, 0.03, state}}});
       })},
      {"WaterlineCurrentLayer", of<WaterlineView>([](WaterlineView& view, bool state) {
         const MadeUpModel model(8, 1024, Storage::coded);
         view.setRecord({model.spectra(), model.levelFor(8), true, {}, state ? 3 : 2});
       })},
      jobCase("JobRunningOrDone", State::running, State::done),
      jobCase("JobDoneOrFailed", State::done, State::failed),
      jobCase("JobDoneOrCancelled", State::done, State::cancelled),
      problemCase("ProblemErrorOrWarning", Severity::error, Severity::warning),
      problemCase("ProblemWarningOrNote", Severity::warning, Severity::note),
      {"ProblemSelected", of<ProblemsView>([](ProblemsView& view, bool state) {
         view.setRecord({{QStringLiteral("a"), Severity::note, QStringLiteral("One."), {}, {}},
                         {QStringLiteral("b"), Severity::note, QStringLiteral("Two."), {}, {}}});
         auto* list = view.findChild<QListView*>();
         list->setCurrentIndex(list->model()->index(state ? 1 : 0, 0));
       })},
      {"HistoryPresent", of<HistoryView>([](HistoryView& view, bool state) {
         auto* stack = new QUndoStack(&view);
         for (const char* name : {"One", "Two", "Three"}) stack->push(new QUndoCommand(QString::fromLatin1(name)));
         stack->setIndex(state ? 1 : 2);
         view.setStack(stack);
       })},
      {"HistorySaved", of<HistoryView>([](HistoryView& view, bool state) {
         auto* stack = new QUndoStack(&view);
         for (const char* name : {"One", "Two", "Three"}) stack->push(new QUndoCommand(QString::fromLatin1(name)));
         if (state) stack->setClean();
         view.setStack(stack);
       })},
      {"TokenLossesUpOrDown", of<TokenLossText>([](TokenLossText& text, bool state) {
         text.setLosses({"the", " same", " again"}, {2, state ? 1.0F : 4.0F, 2}, {2, state ? 4.0F : 1.0F, 2});
       })},
      {"EvaluationOfThisPlan",
       of<TryView>(
           [](TryView& view, bool state) {
             view.setEvaluations(
                 {{QStringLiteral("a.txt"), state ? QString() : QStringLiteral("coded"), 8, 65'504, 37.57, 37.63}});
           }),
       {900, 640}},
      {"RetrievalLossOrNone",
       of<TryView>(
           [](TryView& view, bool state) {
             const RetrievalTable original{{256}, {50}, 4, {1, 1, {0.1F}}, {1, 1, {1.0F}}};
             RetrievalTable plan = original;
             if (state) plan.loss.values[0] = 2;
             view.setRetrieval(original, plan);
             view.findChild<SegmentedControl*>()->segment(QStringLiteral("retrieval"))->click();
           }),
       {900, 640}},
      guideCase("GuideStepDone", Progress::current, Progress::done),
      guideCase("GuideStepLater", Progress::current, Progress::later),
      {"RecentFileMissing",
       of<GuideView>(
           [](GuideView& view, bool state) {
             GuideRecord record;
             record.recent = {{QStringLiteral("/models/a"), QStringLiteral("a"), {}, {}, state}};
             view.setRecord(record);
           }),
       {860, 520}},
      {"RefineBest", of<RefineView>([](RefineView& view, bool state) {
         RefineCurve curve;
         for (int step = 1; step <= 3; ++step) curve.steps.push_back({step, 0.1 / step, 0.12 / step});
         if (state) curve.best = 2;
         view.setRecord(std::move(curve));
       })},
      // Controls.
      {"SegmentChosen", of<QWidget>([](QWidget& widget, bool state) {
         auto* control = new SegmentedControl(
             {{QStringLiteral("a"), QStringLiteral("one")}, {QStringLiteral("b"), QStringLiteral("two")}}, {}, &widget);
         control->setCurrent(state ? QStringLiteral("b") : QStringLiteral("a"));
         control->adjustSize();
       })},
      {"BoxChecked", of<QCheckBox>([](QCheckBox& box, bool state) { box.setChecked(state); })},
      {"TabChosen", of<QTabBar>([](QTabBar& tabs, bool state) {
         tabs.addTab(QStringLiteral("one"));
         tabs.addTab(QStringLiteral("two"));
         tabs.setCurrentIndex(state ? 1 : 0);
       })},
      {"RowOfAListChosen", of<QListView>([](QListView& list, bool state) {
         list.setModel(new QStringListModel({QStringLiteral("one"), QStringLiteral("two")}, &list));
         list.setCurrentIndex(list.model()->index(state ? 1 : 0, 0));
       })},
      {"CellOfATableChosen", of<QTableView>([](QTableView& table, bool state) {
         auto* model = new QStandardItemModel(2, 2, &table);
         table.setModel(model);
         table.setCurrentIndex(model->index(1, state ? 1 : 0));
       })},
      {"LineOfAMenuChosen", of<QMenu>([](QMenu& menu, bool state) {
         QAction* one = menu.addAction(QStringLiteral("one"));
         QAction* two = menu.addAction(QStringLiteral("two"));
         menu.setActiveAction(state ? two : one);
       })},
  };
  for (const auto& [name, quantity] : {std::pair("PlanBitsMoreOrFewer", PlanComparisonView::Quantity::bits),
                                       std::pair("PlanLossMoreOrLess", PlanComparisonView::Quantity::loss)})
    all.push_back({name,
                   of<PlanComparisonView>([quantity = quantity](PlanComparisonView& view, bool state) {
                     PlanComparisonRecord record = plans();
                     ComparedPlan& less = state ? record.a : record.b;
                     less.bits.values[1] = 2;
                     less.loss.values[1] = 0.0002F;
                     view.setRecord(record);
                     view.setQuantity(quantity);
                   }),
                   {900, 520},
                   [](const QWidget& view) {
                     const auto* tables = view.findChild<HeatTables*>();
                     const QRect cell = tables->cellRect(HeatTables::difference, {0, 1}).toRect();
                     return QRect(tables->mapTo(&view, cell.topLeft()), cell.size());
                   }});
  return all;
}

/// All ink black, all ground white, lines between. Bands of bits and colours of values keep their lightness.
const Palette& oneInk() {
  static const Palette look = [] {
    Palette result = Theme::light();
    for (QColor* ink : {&result.text, &result.soft, &result.faint, &result.accent, &result.warning, &result.keyText,
                        &result.valueText})
      *ink = Qt::black;
    for (QColor* ground : {&result.window, &result.panel, &result.onAccent, &result.accentGround, &result.keyGround,
                           &result.valueGround})
      *ground = Qt::white;
    result.hairline = QColor(QStringLiteral("#d0d0d0"));
    return result;
  }();
  return look;
}

QPalette inkOfQt() {
  QPalette result(Qt::white, Qt::white);
  for (const auto role : {QPalette::WindowText, QPalette::Text, QPalette::ButtonText, QPalette::ToolTipText,
                          QPalette::PlaceholderText, QPalette::Link, QPalette::HighlightedText})
    result.setColor(role, Qt::black);
  for (const auto role : {QPalette::Light, QPalette::Midlight, QPalette::Mid, QPalette::Dark})
    result.setColor(role, oneInk().hairline);
  result.setColor(QPalette::Highlight, Qt::white);
  return result;
}

class ColourAlone : public ::testing::TestWithParam<Case> {
 protected:
  ColourAlone() { QApplication::setPalette(inkOfQt()); }
  ~ColourAlone() override { Theme::instance().setMode(Theme::instance().mode()); }

  QImage picture(bool state) const {
    const Made widget = GetParam().make(state);
    widget->setAttribute(Qt::WA_DontShowOnScreen);
    widget->resize(GetParam().size);
    widget->show();
    QApplication::processEvents();
    QImage image(widget->size(), QImage::Format_RGB32);
    image.fill(Qt::white);
    widget->render(&image);
    return image.copy(GetParam().where(*widget)).convertToFormat(QImage::Format_Grayscale8);
  }

 private:
  const Theme::Wearing wearing_{oneInk()};
};
INSTANTIATE_TEST_SUITE_P(States, ColourAlone, ::testing::ValuesIn(cases()),
                         [](const auto& instance) { return std::string(instance.param.name); });

/// Pixels that are clearly lighter or darker: the two colours of differences are not.
int clearlyDifferent(const QImage& one, const QImage& other) {
  int count = 0;
  for (int y = 0; y < one.height(); ++y)
    for (int x = 0; x < one.width(); ++x) count += std::abs(qGray(one.pixel(x, y)) - qGray(other.pixel(x, y))) >= 64;
  return count;
}

TEST_P(ColourAlone, SaysNothing) {
  const QImage without = picture(false), with = picture(true);
  ASSERT_EQ(without.size(), with.size());
  EXPECT_GE(clearlyDifferent(without, with), 8);
  EXPECT_EQ(clearlyDifferent(without, picture(false)), 0) << "of one state there is one picture";
}

}  // namespace
}  // namespace kvista
