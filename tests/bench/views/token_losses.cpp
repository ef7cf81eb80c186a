// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// What blocks the window when the losses of a whole context arrive, and when a piece of generated text does.
#include <QCoreApplication>
#include <cmath>

#include "frames.h"
#include "views/try_view.h"

namespace kvista {
namespace {

constexpr int kTokens = 4096;

void newTokenLosses(benchmark::State& state) {
  TryView view;
  view.resize(1400, 900);
  view.show();
  QCoreApplication::processEvents();
  std::vector<QString> pieces;
  std::vector<float> before, after;
  for (int i = 0; i < kTokens; ++i) {
    pieces.push_back(i % 40 == 39 ? QStringLiteral("\n") : QStringLiteral(" token%1").arg(i % 97));
    before.push_back(2.0F + std::sin(static_cast<float>(i)));
    after.push_back(before.back() + 0.2F * std::sin(static_cast<float>(i) * 3.1F));
  }
  bench::measureFrames(state, [&](int) {
    view.setTokenLosses(pieces, before, after);
    view.repaint();
  });
}
BENCHMARK(newTokenLosses)->Iterations(20)->Unit(benchmark::kMillisecond);

void streamedPieces(benchmark::State& state) {
  TryView view;
  view.resize(1400, 900);
  view.show();
  QCoreApplication::processEvents();
  bench::measureFrames(state, [&](int i) {
    view.appendPiece(i % 2 == 1, i % 60 == 0 ? QStringLiteral("\n") : QStringLiteral(" word"), i + 1, 1024 * (i + 1));
    view.repaint();
  });
}
BENCHMARK(streamedPieces)->Iterations(4000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace kvista
