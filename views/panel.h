// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QWidget>

#include "views/view.h"

class QLabel;

namespace kvista {

/// The upper part of a view's frame: title and remark at the left, the view's controls at the right. A dock is dragged
/// by it.
class PanelTitle final : public QWidget {
  Q_OBJECT

 public:
  explicit PanelTitle(View* view, QWidget* parent = nullptr);
  /// A dock gives its title what this says, whatever height was fixed.
  [[nodiscard]] QSize sizeHint() const override;
  [[nodiscard]] QSize minimumSizeHint() const override;

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  View* view_;
  QLabel* title_;
  QLabel* remark_;
};

/// The lower part, with the view in it. It may be smaller than the view needs, which can then be scrolled.
class PanelBody final : public QWidget {
  Q_OBJECT

 public:
  explicit PanelBody(View* view, QWidget* parent = nullptr);
  [[nodiscard]] QSize sizeHint() const override;
  [[nodiscard]] QSize minimumSizeHint() const override;

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  View* view_;
};

/// Both parts together, for a view that stands alone.
class Panel final : public QWidget {
  Q_OBJECT

 public:
  explicit Panel(View* view, QWidget* parent = nullptr);
};

}  // namespace kvista
