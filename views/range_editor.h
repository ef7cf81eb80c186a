// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QFrame>

#include "views/range_bar.h"

class QCheckBox;
class QDoubleSpinBox;

namespace kvista {

class SegmentedControl;

/// A small window beside a colour bar: the range's ends as numbers, fits, colours. Each change is said at once.
class RangeEditor final : public QFrame {
  Q_OBJECT

 public:
  /// `shared`: whether other views have the same range; null where it cannot be shared.
  RangeEditor(const RangeBarRecord& record, std::optional<bool> shared, QWidget* parent);

 Q_SIGNALS:
  void rangeEdited(kvista::Range range);
  void fitRequested(double percentile);
  void fitVisibleRequested();
  void coloursChosen(kvista::ColourMap map, bool inverted);
  void sharedChosen(bool shared);

 private:
  void sayRange();
  void sayColours();
  bool aboutZero_;
  QDoubleSpinBox* low_;
  QDoubleSpinBox* high_;
  SegmentedControl* map_;
  QCheckBox* inverted_;
};

}  // namespace kvista
