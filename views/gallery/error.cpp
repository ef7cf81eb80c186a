// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include <cmath>
#include <random>

#include "views/error_view.h"
#include "views/gallery/gallery.h"

namespace kvista {
namespace {

View* makeError() {
  auto* view = new ErrorView;
  std::mt19937 random(4);
  std::uniform_real_distribution<float> uniform(0.6F, 1.6F);
  ErrorRecord record;
  const std::tuple<const char*, const char*, int, float> kinds[] = {{"keys", "K", 8, 0.05F},
                                                                    {"values", "V", 8, 0.08F},
                                                                    {"logits", "Q", 32, 0.03F},
                                                                    {"attention output", "Q", 32, 0.02F}};
  for (const auto& [label, heads, count, size] : kinds) {
    ErrorMatrix matrix{QString::fromLatin1(label), QString::fromLatin1(heads), {32, count, {}}};
    for (int layer = 0; layer < 32; ++layer)
      for (int head = 0; head < count; ++head)
        matrix.errors.values.push_back(size * uniform(random) *
                                       (1.0F - 0.6F * std::abs(static_cast<float>(layer) - 12.0F) / 32.0F));
    matrix.errors.values[5] = NAN;
    record.matrices.push_back(std::move(matrix));
  }
  for (int i = 0; i < 9; ++i) {
    const double predicted = 0.0008 * std::pow(2.0, i);
    record.plans.push_back({QString::number(i), i == 4 ? QStringLiteral("joint, 1/8") : QString(), predicted,
                            predicted * (0.95 + 0.02 * i * i / 2), i == 4});
  }
  view->setRecord(std::move(record));
  return view;
}

}  // namespace

Exhibit errorExhibit() { return {"error", makeError}; }

}  // namespace kvista
