// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// Frames of a heatmap of 1024 x 1024 heads at 1400 x 900, with groups, dendrogram and a selection.
#include <QCoreApplication>
#include <QWindow>
#include <cmath>
#include <random>

#include "frames.h"
#include "views/heatmap_view.h"

namespace kvista {
namespace {

constexpr int kHeads = 1024, kFrames = 600;

HeatmapRecord largeRecord() {
  std::mt19937 random(5);
  std::uniform_real_distribution<float> uniform(0.3F, 0.9F);
  HeatmapRecord record;
  record.matrix = {kHeads, kHeads, std::vector<float>(static_cast<std::size_t>(kHeads) * kHeads)};
  for (float& value : record.matrix.values) value = uniform(random);
  for (int head = 0; head < kHeads; ++head) {
    record.names.push_back(QStringLiteral("K%1").arg(head));
    if (head % 8 == 0) record.groups.emplace_back();
    record.groups.back().push_back(head);
  }
  record.title = QStringLiteral("Layer 0 · keys");
  record.measure = QStringLiteral("linear CKA");
  return record;
}

struct Fixture {
  Fixture() {
    view.setOrder(HeatmapOrder::cluster);
    view.setRecord(largeRecord());
    view.setSelection({3, 4, 700});
    view.resize(1400, 900);
    view.show();
    QCoreApplication::processEvents();  // Until a window is exposed it paints nothing.
    if (!view.windowHandle()->isExposed()) qFatal("The window is not exposed: frames would cost nothing");
  }
  HeatmapView view;
  HeatmapCanvas& canvas = *view.canvas();
};

/// From all heads down to 16 and back, about a corner, so that the edges move too.
void zoom(benchmark::State& state) {
  Fixture fixture;
  bench::measureFrames(state, [&](int i) {
    fixture.canvas.zoom(i % 240 < 120 ? 1.036 : 1 / 1.036, fixture.canvas.cellsRect().center() + QPointF(100, -60));
    fixture.canvas.repaint();
  });
}
BENCHMARK(zoom)->Iterations(kFrames)->Unit(benchmark::kMillisecond);

/// Back and forth across the matrix with this many cells in sight.
void pan(benchmark::State& state) {
  Fixture fixture;
  const auto visible = static_cast<double>(state.range(0));
  bench::measureFrames(state, [&](int i) {
    const double at = (kHeads - visible) * (0.5 - 0.5 * std::cos(i * 0.03));
    fixture.canvas.setVisibleCells({at, at * 0.7, visible, visible});
    fixture.canvas.repaint();
  });
}
BENCHMARK(pan)->Arg(32)->Arg(256)->Arg(960)->Iterations(kFrames)->Unit(benchmark::kMillisecond);

/// An end of the colour bar is dragged: every cell gets another colour.
void dragRange(benchmark::State& state) {
  Fixture fixture;
  bench::measureFrames(state, [&](int i) {
    Q_EMIT fixture.view.rangeBar()->rangeEdited({0.3 + 0.2 * std::abs(std::sin(i * 0.05)), 0.9});
    fixture.canvas.repaint();
    fixture.view.rangeBar()->repaint();
  });
}
BENCHMARK(dragRange)->Iterations(kFrames)->Unit(benchmark::kMillisecond);

/// The pointer crosses the cells: a frame round the cell and the status text.
void hover(benchmark::State& state) {
  Fixture fixture;
  bench::measureFrames(state, [&](int i) {
    fixture.canvas.setHovered(HeadPair{(i * 7) % kHeads, (i * 3) % kHeads});
    benchmark::DoNotOptimize(fixture.canvas.describe(*fixture.canvas.hovered()));
    fixture.canvas.repaint();
  });
}
BENCHMARK(hover)->Iterations(kFrames)->Unit(benchmark::kMillisecond);

/// Another record of this size: linkage, ranges, histogram, colours and all.
void newRecord(benchmark::State& state) {
  Fixture fixture;
  HeatmapRecord record = largeRecord();
  bench::measureFrames(state, [&](int i) {
    record.layer = i;
    fixture.view.setRecord(record);
    fixture.view.repaint();
  });
}
BENCHMARK(newRecord)->Iterations(20)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace kvista
