// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// Times of single frames of the views. Without a display: QT_QPA_PLATFORM=offscreen.
#include <benchmark/benchmark.h>

#include <QApplication>

#include "views/theme.h"

int main(int argc, char** argv) {
  QApplication application(argc, argv);
  kvista::Theme::instance().install();
  kvista::Theme::instance().setMode(kvista::Theme::Mode::light);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
