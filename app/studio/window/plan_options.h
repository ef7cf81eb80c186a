// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>

#include "core/plan/plan.h"
#include "core/protocol/records.h"

class QCheckBox;
class QComboBox;
class QDoubleSpinBox;
class QFormLayout;
class QSpinBox;
class QWidget;

namespace kvista {

class SharingRow;

/// Rows of a form in which the parts of a method are changed. What the method cannot have is greyed out and says why.
class PlanOptions final : public QObject {
  Q_OBJECT

 public:
  /// Adds its rows to `form`. Begins with the parts in which `plan` differs from `method`, if that is the plan's. A
  /// method has to live as long; null: there is none.
  PlanOptions(const Catalogue& catalogue, const CompressionPlan& plan, const MethodChoice* method, QFormLayout& form);
  void setMethod(const MethodChoice* method);
  /// Of the method's own parts nothing is said, and nothing that the method cannot do.
  void addTo(PlanWish& wish) const;
  /// Why no plan can be as is asked for; empty: one can.
  [[nodiscard]] QString problem() const;
  [[nodiscard]] SharingRow* sharing() const { return sharing_; }

 Q_SIGNALS:
  void changed();

 private:
  void addParts(const Catalogue& catalogue, QFormLayout& form);
  void addRanks(QFormLayout& form);
  void addBoxes(QFormLayout& form);
  QCheckBox* box(const char* name, const QString& text, const QString& tip, QFormLayout& form);
  void beginWith(const CompressionPlan& plan, int layers);
  void check();
  void nameOwnParts();
  void allowParts();

  const MethodChoice* method_;
  QComboBox *metric_, *grouping_, *measure_, *allocator_;
  QDoubleSpinBox *damping_, *eps_;
  QSpinBox *groupSize_, *rankStep_, *minimumRank_, *maximumRank_, *chain_;
  SharingRow* sharing_;
  QCheckBox *trellis_, *tokenNumbers_, *sinkFree_, *centred_, *compensate_, *unwhitened_, *uncalibrated_;
};

}  // namespace kvista
