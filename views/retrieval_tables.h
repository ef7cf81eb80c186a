// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QWidget>

#include "views/retrieval_model.h"

class QLabel;
class QPushButton;
class QTableView;

namespace kvista {

/// Original and plan beside each other: does what was planted far back come out?
class RetrievalTables final : public QWidget {
  Q_OBJECT

 public:
  explicit RetrievalTables(QWidget* parent);
  void setTables(const RetrievalTable& original, const RetrievalTable& plan);
  void setAvailable(bool available);

 Q_SIGNALS:
  void testRequested();

 private:
  QTableView* makeTable(const QString& name, RetrievalModel* model);
  QPushButton* test_;
  RetrievalModel *original_, *plan_;
  QWidget* tables_;
  QLabel *empty_, *facts_, *other_;
};

}  // namespace kvista
