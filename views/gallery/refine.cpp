// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include <cmath>
#include <random>

#include "views/gallery/gallery.h"
#include "views/refine_view.h"

namespace kvista {
namespace {

/// 300 steps that fall as trainings do, looked at every 25 of them.
View* makeRefining(int steps) {
  auto* view = new RefineView;
  std::mt19937 random(7);
  std::normal_distribution<double> noise(0, 0.09);
  RefineCurve record;
  for (int step = 1; step <= steps; ++step) {
    const double loss = 0.021 + 0.13 / std::pow(1 + step / 9.0, 0.9);
    RefineStep each{step, loss * std::exp(noise(random)), {}};
    if (step % 25 == 1 || step == 300) each.heldOut = 1.04 * loss;
    record.steps.push_back(each);
  }
  record.running = steps < 300;
  if (record.running) {
    record.status = QStringLiteral("Step %1 of 300 · 18 s left").arg(steps);
  } else {
    record.status = QStringLiteral("300 steps in 41 s · divergence 0.156 → 0.0281 nats a token");
    record.best = 300;
    record.perplexities = {{QStringLiteral("text refined on"), QStringLiteral("novels.txt"), 17.41, 21.02, 17.77},
                           {QStringLiteral("other text"), QStringLiteral("wikitext.txt"), 18.32, 24.24, 18.97}};
  }
  view->setRecord(std::move(record));
  return view;
}

}  // namespace

Exhibit refineExhibit() {
  return {"refine", [] { return makeRefining(300); }};
}
Exhibit refineRunningExhibit() {
  return {"refine-running", [] { return makeRefining(140); }};
}
Exhibit noRefineExhibit() {
  return {"no-refine", []() -> View* { return new RefineView; }};
}

}  // namespace kvista
