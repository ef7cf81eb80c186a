// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDialog>
#include <vector>

#include "app/studio/recovery.h"

class QLabel;
class QListWidget;
class QPushButton;
class QTreeWidget;

namespace kvista {

/// Offers what windows that ended badly left behind: one project or several, each with what was done to it. Recover
/// takes one, Discard forgets one and goes on with the others; what is neither is offered again the next time.
class RecoverDialog final : public QDialog {
  Q_OBJECT

 public:
  /// `found` has at least one.
  RecoverDialog(std::vector<RecoveredProject> found, QWidget* parent);

 Q_SIGNALS:
  void recoverRequested(const kvista::RecoveredProject& project);
  void discardRequested(const kvista::RecoveredProject& project);

 private:
  [[nodiscard]] std::size_t chosen() const;
  void fillList();
  void showChosen();
  void showDifferences();
  void discard();

  std::vector<RecoveredProject> found_;
  QListWidget* list_;
  QLabel* heading_;
  QLabel* summary_;
  QPushButton* differences_;
  QTreeWidget* table_;
};

}  // namespace kvista
