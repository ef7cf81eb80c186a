// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QFrame>

#include "views/view.h"

class QLabel;

namespace kvista {

/// A view in its frame: title and remark at the left, the view's controls at the right, hairlines, rounded corners.
class Panel final : public QFrame {
  Q_OBJECT

 public:
  explicit Panel(View* view, QWidget* parent = nullptr);
  [[nodiscard]] View* view() const { return view_; }
  /// The bar with the title: what a dock is dragged by.
  [[nodiscard]] QWidget* titleBar() const { return titleBar_; }

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  void showTitle();
  View* view_;
  QWidget* titleBar_;
  QLabel* title_;
  QLabel* remark_;
};

}  // namespace kvista
