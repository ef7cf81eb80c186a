// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// A frame of dragging the water through 32 layers of 8,192 eigenvalues, all linked numbers following: widths, bytes,
// prediction and cost worked out anew, the picture, the budget table and the strip of figures painted.
#include <QCoreApplication>
#include <QMouseEvent>
#include <QVBoxLayout>
#include <QWindow>
#include <cmath>

#include "core/plan/layer_spectra.h"
#include "core/plan/waterline_table.h"
#include "frames.h"
#include "views/budget_view.h"
#include "views/figure_strip.h"
#include "views/waterline_view.h"

namespace kvista {
namespace {

constexpr int kLayers = 32, kDirections = 8192, kFrames = 600;

struct Fixture {
  explicit Fixture(bool all) : linked(all) {
    context.shape = {"llama", kLayers, 32, 32, 128, 128, 4096, 32000, 0};
    context.loss.baseLoss = 2;
    context.loss.gradients = true;
    context.device = deviceProfiles().front();
    request.allowedWidths = standardWidths(Storage::coded);
    for (int layer = 0; layer < kLayers; ++layer) {
      BudgetUnit unit;
      unit.layer = layer;
      unit.maximumRank = kDirections;
      for (int i = 0; i < kDirections; ++i)
        unit.spectrum.eigenvalues.push_back(std::exp(-0.05 * layer - 1.5 * std::log1p(i) - 6.0 * i / kDirections));
      request.units.push_back(std::move(unit));
      Group group;
      for (const Side side : {Side::key, Side::value})
        for (int head = 0; head < 32; ++head) group.slots.push_back({layer, side, head});
      group.widths.assign(kDirections, 0);
      plan.groups.push_back(std::move(group));
    }
    table = WaterlineTable::make(request).value();
    order = LayerOrder(request.units, kLayers);
    spectra = order.spectra();
    auto* column = new QVBoxLayout(&window);
    for (QWidget* widget :
         {static_cast<QWidget*>(&strip), static_cast<QWidget*>(&waterline), static_cast<QWidget*>(&budget)})
      column->addWidget(widget, widget == &strip ? 0 : 1);
    if (!linked) {
      strip.hide();
      budget.hide();
    }
    const double level = table.levelForBytes(65536);
    waterline.setRecord({spectra, level, true, QStringLiteral("nats per token"), 3});
    follow(level);
    QObject::connect(&waterline, &WaterlineView::levelDragged, &waterline, [this](double each) { follow(each); });
    window.resize(2560, linked ? 1300 : 400);
    window.show();
    QCoreApplication::processEvents();  // Until a window is exposed it paints nothing.
    if (!window.windowHandle()->isExposed()) qFatal("The window is not exposed: frames would cost nothing");
  }
  ~Fixture() {
    for (QWidget* widget :
         {static_cast<QWidget*>(&strip), static_cast<QWidget*>(&waterline), static_cast<QWidget*>(&budget)})
      widget->setParent(nullptr);
  }
  void follow(double level) {
    PlannedPlan planned = planAt(table, level, plan, context);
    std::vector<std::vector<std::uint8_t>> widths;
    for (const Group& group : planned.plan.groups) widths.push_back(group.widths);
    order.fillWidths(widths, spectra);
    waterline.setWater(level, spectra);
    if (!linked) return;
    strip.setRecord(figuresOf(planned, context));
    budget.setRecord(budgetRecordOf(planned, request.units, context));
  }
  /// As the mouse does it.
  void dragTo(double y) {
    const QPointF place(600, y);
    QMouseEvent event(QEvent::MouseMove, place, waterline.mapToGlobal(place), Qt::NoButton, Qt::LeftButton,
                      Qt::NoModifier);
    QCoreApplication::sendEvent(&waterline, &event);
  }

  bool linked;
  PlanningContext context;
  AllocationRequest request;
  CompressionPlan plan;
  WaterlineTable table;
  LayerOrder order;
  std::vector<LayerSpectra> spectra;
  QWidget window;
  FigureStrip strip;
  WaterlineView waterline;
  BudgetView budget;
};

/// 0: the picture alone; 1: with table and strip.
void dragWater(benchmark::State& state) {
  Fixture fixture(state.range(0) != 0);
  const QPointF start(600, fixture.waterline.lineY());
  QMouseEvent press(QEvent::MouseButtonPress, start, fixture.waterline.mapToGlobal(start), Qt::LeftButton,
                    Qt::LeftButton, Qt::NoModifier);
  QCoreApplication::sendEvent(&fixture.waterline, &press);
  const double middle = fixture.waterline.height() / 2.0, reach = fixture.waterline.height() / 3.0;
  bench::measureFrames(state, [&](int i) {
    fixture.dragTo(middle + reach * std::sin(0.05 * i));
    QCoreApplication::sendPostedEvents();
    fixture.window.repaint();
  });
}
BENCHMARK(dragWater)->ArgName("linked")->Arg(0)->Arg(1)->Iterations(kFrames)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace kvista
