// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <QWidget>
#include <utility>
#include <vector>

class QButtonGroup;
class QComboBox;
class QToolButton;

namespace kvista {

/// One of a few choices, all in sight: "index | group | cluster". One stop of the Tab key; arrows, Home and End choose.
/// Where it is given less room than that takes, a box with a list stands in its place.
class SegmentedControl final : public QWidget {
  Q_OBJECT

 public:
  /// `segments`: (id, text) from left to right; the first is current. `name` is what assistive technology calls the
  /// whole.
  explicit SegmentedControl(std::vector<std::pair<QString, QString>> segments, const QString& name = {},
                            QWidget* parent = nullptr);

  /// Shows this choice without `chosen`. An unknown id leaves no segment current.
  void setCurrent(const QString& id);
  /// Empty where nothing is current.
  [[nodiscard]] QString current() const;
  /// The button of a segment, for its tooltip; null for an unknown id.
  [[nodiscard]] QToolButton* segment(const QString& id) const;

  [[nodiscard]] QSize sizeHint() const override;
  [[nodiscard]] QSize minimumSizeHint() const override;

 Q_SIGNALS:
  /// The person chose another segment.
  void chosen(const QString& id);

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;

 private:
  void choose(int index);
  void makeBox();
  std::vector<QString> ids_;
  QButtonGroup* buttons_;
  QComboBox* box_ = nullptr;  ///< Made when there is too little room for the first time.
  int current_ = -1;
};

}  // namespace kvista
