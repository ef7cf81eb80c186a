// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/experiment_view.h"
#include "views/gallery/gallery.h"

namespace kvista {
namespace {

View* makeExperiment() {
  auto* view = new ExperimentView;
  ExperimentTable table{QStringLiteral("Equal bytes · novels"), 37.57, {QStringLiteral("1/4 of the bytes"), QStringLiteral("1/8 of the bytes"), QStringLiteral("1/16 of the bytes")},
                        {QStringLiteral("coded-joint"), QStringLiteral("coded-head"), QStringLiteral("KIVI"), QStringLiteral("ReCalKV")}, {}};
  const auto cell = [](double perplexity, double share, bool isBest = false) { return ExperimentCell{perplexity, share, perplexity / 37.57 - 1, {}, {}, isBest}; };
  table.cells = {{cell(37.58, .25, true), cell(37.60, .125, true), cell(37.9, .0625, true)},
                 {cell(37.92, .25), cell(39.83, .125), cell(56.3, .0625)},
                 {cell(38.4, .25), cell(47.1, .16), ExperimentCell{0, 0, 0, QStringLiteral("Less than 2 bits a number cannot be stored.")}},
                 {cell(39.6, .3), std::nullopt, std::nullopt}};
  view->setRecord({{table}, QStringLiteral("9 of 12, ReCalKV at 0.125: decompose"), true, false, {}});
  return view;
}

}  // namespace

Exhibit experimentExhibit() { return {"experiment", makeExperiment}; }

}  // namespace kvista
