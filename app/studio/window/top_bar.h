// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QWidget>

class QAction;
class QLabel;
class QMenu;
class QToolButton;

namespace kvista {

class SegmentedControl;

/// The bar over everything: the menu, what is open, the layouts, the last edit, and what is done with a plan.
class TopBar final : public QWidget {
  Q_OBJECT

 public:
  TopBar(QMenu* menu, QAction* undo, QAction* calibrate, QAction* measure, QAction* exportPlan,
         QWidget* parent = nullptr);
  void setDocument(const QString& name, bool modified);
  void setLayoutName(const QString& id);
  /// Layouts show a plan; there is nothing to choose without one.
  void setLayoutsEnabled(bool enabled);
  void openMenu();

 Q_SIGNALS:
  void layoutChosen(const QString& id);

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  void showDocument();
  QToolButton* brand_;
  QLabel* document_;
  SegmentedControl* layouts_;
  QString name_;
  bool modified_ = false;
};

}  // namespace kvista
