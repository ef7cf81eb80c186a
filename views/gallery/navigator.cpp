// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/gallery/gallery.h"
#include "views/gallery/head_records.h"
#include "views/navigator_view.h"

namespace kvista {
namespace {

View* navigator(int layers, int heads, int known) {
  NavigatorRecord record;
  record.measure = QStringLiteral("linear CKA");
  record.keys.resize(static_cast<std::size_t>(layers));
  record.values.resize(record.keys.size());
  for (int layer = 0; layer < known; ++layer) {
    record.keys[static_cast<std::size_t>(layer)] = madeUpHeatmap(heads, 4, layer, Side::key).matrix;
    record.values[static_cast<std::size_t>(layer)] = madeUpHeatmap(heads, 4, layer, Side::value).matrix;
  }
  auto* view = new NavigatorView;
  view->setRecord(std::move(record));
  view->setCurrent(3, Side::key);
  view->setFooter(QStringLiteral("Similarity: linear CKA, sink-free, before RoPE\n196,608 calibration tokens"));
  return view;
}

}  // namespace

Exhibit navigatorExhibit() {
  return {"navigator", [] { return navigator(8, 16, 8); }};
}
Exhibit navigatorLargeExhibit() {
  return {"navigator-large", [] { return navigator(80, 8, 61); }};
}

}  // namespace kvista
