// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// Frames of the navigator with 80 layers of 64 heads.
#include <QCoreApplication>
#include <QScrollBar>
#include <QWindow>
#include <random>

#include "frames.h"
#include "views/navigator_strip.h"
#include "views/navigator_view.h"

namespace kvista {
namespace {

/// Down once, while the pictures are made, and up again, when they are there.
void scroll(benchmark::State& state) {
  std::mt19937 random(5);
  std::uniform_real_distribution<float> uniform(0.3F, 0.9F);
  NavigatorRecord record;
  for (int layer = 0; layer < 80; ++layer)
    for (std::vector<Matrix>* side : {&record.keys, &record.values}) {
      side->push_back({64, 64, std::vector<float>(64 * 64)});
      for (float& value : side->back().values) value = uniform(random);
    }
  NavigatorView view;
  view.setRecord(std::move(record));
  view.resize(200, 900);
  view.show();
  QCoreApplication::processEvents();
  if (!view.windowHandle()->isExposed()) qFatal("The window is not exposed: frames would cost nothing");
  QScrollBar* bar = view.strip()->verticalScrollBar();
  bench::measureFrames(state, [&](int i) {
    bar->setValue(bar->maximum() * (i < 300 ? i : 600 - i) / 300);
    view.repaint();
  });
}
BENCHMARK(scroll)->Iterations(600)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace kvista
