// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/gallery/gallery.h"
#include "views/quality_cost_view.h"

namespace kvista {
namespace {

View* makeQualityCost() {
  auto* view = new QualityCostView;
  QualityCostRecord record;
  record.points = {{"a", "joint, 1/22", 0.045, 1.3, 0.028, false, false},
                   {"b", "", 0.0625, 1.2, 0.0107, true, false},
                   {"c", "", 0.094, 1.05, 0.0035, false, false},
                   {"d", "joint, 1/8", 0.125, 0.9, 0.0016, true, true},
                   {"e", "", 0.1875, 0.82, 0.0009, false, false},
                   {"f", "", 0.15, 0.6, 0.0061, true, false},
                   {"g", "", 0.25, 0.7, 0.02, false, false}};
  record.others = {{"ReCalKV", {{0.195, 0.2336}, {0.29, 0.0942}, {0.5, 0.0248}}},
                   {"separate", {{0.0625, 0.0344}, {0.125, 0.0056}, {0.25, 0.0011}}}};
  record.timeOf = QStringLiteral("h200, built-in figures");
  view->setRecord(std::move(record));
  return view;
}

}  // namespace

Exhibit qualityCostExhibit() { return {"quality-cost", makeQualityCost}; }

}  // namespace kvista
