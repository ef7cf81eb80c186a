// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>
#include <QPointer>
#include <QWidget>

namespace kvista {

/// A line around the widget that has the keyboard, in every window of the program: from the moment the keyboard moves
/// the focus until the mouse is pressed, so that whoever works with the mouse does not see it.
class FocusRing final : public QObject {
  Q_OBJECT

 public:
  /// For the whole application, as long as it lives.
  explicit FocusRing(QObject* parent);
  ~FocusRing() override;

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void follow();
  void hide();
  QPointer<QWidget> of_;
  QPointer<QWidget> line_;
  bool wanted_ = false;
};

}  // namespace kvista
