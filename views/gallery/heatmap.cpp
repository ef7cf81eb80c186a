// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include <limits>
#include <utility>
#include <vector>

#include "views/gallery/gallery.h"
#include "views/gallery/head_records.h"
#include "views/heatmap_view.h"

namespace kvista {
namespace {

HeatmapView* viewOf(const HeatmapRecord& record) {
  auto* view = new HeatmapView;
  view->setRecord(record);
  std::vector<MeasureChoice> measures;
  for (const char* name : {"linear CKA", "centred CKA", "CKA without sinks"})
    measures.push_back(
        {QString::fromLatin1(name), QStringLiteral("Formula: |C_ij|² / (|C_ii| |C_jj|)\nUnit: none, 0 to 1")});
  view->setMeasures(std::move(measures));
  return view;
}

}  // namespace

Exhibit heatmapExhibit() {
  return {"heatmap", [] {
            HeatmapView* view = viewOf(madeUpHeatmap(16, 4, 3));
            view->canvas()->setSelection({{5}, {11}});
            view->setSelectionFacts({{"together, rank 96", "−0.0021 nats"}, {"energy kept", "99.1 %"}});
            return static_cast<View*>(view);
          }};
}

Exhibit heatmapClusterExhibit() {
  return {"heatmap-cluster", [] {
            HeatmapView* view = viewOf(madeUpHeatmap(32, 4, 7));
            view->setOrder(HeatmapOrder::cluster);
            view->setSelection({3, 9, 12});
            return static_cast<View*>(view);
          }};
}

Exhibit heatmapLargeExhibit() {
  return {"heatmap-large", [] {
            HeatmapView* view = viewOf(madeUpHeatmap(1024, 8, 0));
            view->setOrder(HeatmapOrder::cluster);
            return static_cast<View*>(view);
          }};
}

Exhibit heatmapGqaExhibit() {
  return {"heatmap-gqa", [] { return static_cast<View*>(viewOf(madeUpHeatmap(3, 2, 11))); }};
}

Exhibit heatmapUnknownExhibit() {
  return {"heatmap-unknown", [] {
            HeatmapRecord record = madeUpHeatmap(16, 4, 3);
            for (const int head : {2, 9})
              for (int other = 0; other < 16; ++other)
                record.matrix.values[static_cast<std::size_t>(16 * head + other)] =
                    record.matrix.values[static_cast<std::size_t>(16 * other + head)] =
                        std::numeric_limits<float>::quiet_NaN();
            return static_cast<View*>(viewOf(record));
          }};
}

Exhibit heatmapEmptyExhibit() {
  return {"heatmap-empty", [] { return static_cast<View*>(viewOf({})); }};
}

}  // namespace kvista
