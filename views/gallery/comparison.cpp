// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/comparison_view.h"
#include "views/gallery/gallery.h"
#include "views/gallery/head_records.h"

namespace kvista {

Exhibit comparisonExhibit() {
  return {"comparison", [] {
            ComparisonRecord record;
            record.left = record.right = madeUpHeatmap(16, 4, 3);
            record.title = QStringLiteral("Layer 3 · keys");
            record.left.title = QStringLiteral("before RoPE");
            record.right.title = QStringLiteral("after RoPE");
            std::mt19937 random(3);
            std::normal_distribution<float> noise(-0.01F, 0.015F);
            for (int i = 0; i < 16; ++i)
              for (int j = 0; j < i; ++j) {
                float& value = record.right.matrix.values[static_cast<std::size_t>(16 * i + j)];
                value = std::min(1.0F, value + noise(random));
                record.right.matrix.values[static_cast<std::size_t>(16 * j + i)] = value;
              }
            auto* view = new ComparisonView;
            view->setRecord(record);
            view->setSelection({5, 11});
            return static_cast<View*>(view);
          }};
}

}  // namespace kvista
