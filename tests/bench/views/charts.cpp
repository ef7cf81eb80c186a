// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// Frames of the charts: eight spectra of 8,192 directions whose ranks follow a drag, and 200 plans under the mouse.
#include <QCoreApplication>
#include <QMouseEvent>
#include <QWindow>
#include <cmath>

#include "frames.h"
#include "views/quality_cost_view.h"
#include "views/spectra_view.h"

namespace kvista {
namespace {

void open(QWidget& view) {
  view.resize(1200, 500);
  view.show();
  QCoreApplication::processEvents();
  if (!view.windowHandle()->isExposed()) qFatal("The window is not exposed: frames would cost nothing");
}

SpectraRecord spectra(int step) {
  SpectraRecord record;
  for (int c = 0; c < 8; ++c) {
    SpectrumCurve curve{QStringLiteral("K group %1").arg(c), {}, 1 + (step * 20 + c * 700) % 8000};
    for (int i = 0; i < 8192; ++i)
      curve.eigenvalues.push_back(static_cast<float>((1 + c) * std::exp(-i / 600.0) / (1 + 0.01 * i)));
    record.curves.push_back(std::move(curve));
  }
  return record;
}

void dragRanks(benchmark::State& state) {
  SpectraView view;
  view.setRecord(spectra(0));
  open(view);
  std::vector<SpectraRecord> steps;
  for (int i = 0; i < 50; ++i) steps.push_back(spectra(i));
  bench::measureFrames(state, [&](int i) {
    view.setRecord(steps[static_cast<std::size_t>(i) % steps.size()]);
    view.repaint();
  });
}
BENCHMARK(dragRanks)->Iterations(300)->Unit(benchmark::kMillisecond);

void hoverPlans(benchmark::State& state) {
  QualityCostView view;
  QualityCostRecord record;
  for (int i = 0; i < 200; ++i)
    record.points.push_back({QString::number(i), QStringLiteral("plan %1").arg(i), std::pow(2.0, -5.0 * i / 200),
                             std::nullopt, 0.002 * std::pow(1.02, i) * (1 + i * 7 % 5), i % 2 == 0, i == 100});
  view.setRecord(std::move(record));
  open(view);
  bench::measureFrames(state, [&](int i) {
    const QPointF place = *view.placeOf(i % 200);
    QMouseEvent move(QEvent::MouseMove, place, view.mapToGlobal(place), Qt::NoButton, Qt::NoButton, Qt::NoModifier);
    QCoreApplication::sendEvent(&view, &move);
    view.repaint();
  });
}
BENCHMARK(hoverPlans)->Iterations(300)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace kvista
