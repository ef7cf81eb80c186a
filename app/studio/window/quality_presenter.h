// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>

#include "app/studio/document.h"
#include "app/studio/workflow.h"

namespace kvista {

class QualityCostView;

/// Shows every plan tried by what it costs and loses, and what the present groups would lose at other levels of the
/// water.
class QualityPresenter final : public QObject {
  Q_OBJECT

 public:
  QualityPresenter(Document& document, Workflow& workflow, QualityCostView& view);
  /// How many of the plans tried no other one beats.
  [[nodiscard]] int plansOnFront() const { return plansOnFront_; }
  /// "coded, 8.0 times smaller"
  [[nodiscard]] static QString usualName(const CompressionPlan& plan, const ModelShape& shape);

 Q_SIGNALS:
  void failed(const kvista::Error& error);

 private:
  void show();
  Document& document_;
  QualityCostView& view_;
  int plansOnFront_ = 0;
};

}  // namespace kvista
