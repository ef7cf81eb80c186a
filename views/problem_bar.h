// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QFrame>
#include <vector>

#include "views/problems_view.h"

class QPushButton;

namespace kvista {

/// The newest failure, across the window where nobody can miss it: the sentence, what to do, the path; it stays until
/// it is dismissed, and then shows the one before it.
class ProblemBar final : public QFrame {
  Q_OBJECT

 public:
  explicit ProblemBar(QWidget* parent = nullptr);
  /// In the order they came. Warnings and notes do not stand in the way; they are for the list.
  void setRecord(const std::vector<ProblemRecord>& problems);

 Q_SIGNALS:
  void dismissed(const QString& id);
  void againRequested(const QString& id);

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  ProblemRecord shown_;
  QLabel *mark_, *title_, *sentence_, *hint_, *path_;
  QPushButton *again_, *copy_, *dismiss_;
};

}  // namespace kvista
