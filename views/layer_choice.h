// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDialog>
#include <vector>

class QListWidget;
class QPushButton;

namespace kvista {

/// Asks to which other layers something of one layer shall be applied.
class LayerChoice final : public QDialog {
  Q_OBJECT

 public:
  LayerChoice(const QString& what, int layers, int except, QWidget* parent = nullptr);
  [[nodiscard]] std::vector<int> chosen() const;

 private:
  void checkAll(Qt::CheckState state);
  QListWidget* list_;
  QPushButton* accept_;
};

}  // namespace kvista
