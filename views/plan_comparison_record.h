// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/plan/matrix.h"

class QPainter;
class QRectF;

namespace kvista {

/// A plan that can be chosen.
struct PlanChoice {
  QString id;    ///< The fingerprint of a plan that was kept; empty: the plan under edit, whatever it is just now.
  QString name;  ///< "coded, 8.0 times smaller"
  bool operator==(const PlanChoice&) const = default;
};

struct ComparedPerplexity {
  double value = 0, original = 0;
  bool measured = false;  ///< Or predicted.
  QString basis;          ///< What text it is of: perplexities of different texts are not subtracted.
  bool operator==(const ComparedPerplexity&) const = default;
};

struct ComparedPlan {
  PlanChoice plan;
  std::int64_t bytes = 0;  ///< A token, over all layers.
  double timesSmaller = 1;
  double kept = 1;  ///< Latent numbers / numbers of the uncompressed cache.
  std::optional<ComparedPerplexity> perplexity;
  Matrix bits;  ///< A number, [layers, 2 heads]: keys, then values.
  Matrix loss;  ///< Predicted, nats a token, [layers, 2]: keys, then values; empty where none is.
  bool operator==(const ComparedPlan&) const = default;
};

struct PlanComparisonRecord {
  std::vector<PlanChoice> plans;
  ComparedPlan a, b;
  int layer = -1;  ///< The one selected.
  bool operator==(const PlanComparisonRecord&) const = default;
  /// Whether there are two plans, of one model.
  [[nodiscard]] bool canBeDrawn() const {
    return plans.size() > 1 && !a.bits.isEmpty() && a.bits.rows == b.bits.rows && a.bits.columns == b.bits.columns;
  }
};

/// One line of the figures: what, of A, of B, and B minus A in words.
struct PlanFigure {
  enum class Verdict { none, better, worse };
  QString name, a, b, difference;
  Verdict verdict = Verdict::none;  ///< Of B against A.
};
std::vector<PlanFigure> planFigures(const PlanComparisonRecord& record);

/// The figures as a table of kPlanFiguresWidth x kPlanFiguresHeight.
void paintPlanFigures(QPainter& painter, const QRectF& area, const PlanComparisonRecord& record);
inline constexpr int kPlanFiguresWidth = 480, kPlanFiguresHeight = 152;

}  // namespace kvista
