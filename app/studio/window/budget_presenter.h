// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>

#include "app/studio/document.h"
#include "app/studio/workflow.h"

namespace kvista {

class BudgetView;

/// Shows the budget group by group and makes edits of what is typed into it.
class BudgetPresenter final : public QObject {
  Q_OBJECT

 public:
  BudgetPresenter(Document& document, Workflow& workflow, BudgetView& view);

 Q_SIGNALS:
  void failed(const kvista::Error& error);

 private:
  void show();
  void showSelection();
  void setRanks(const std::vector<std::pair<int, int>>& ranks);
  void setLocks(const std::vector<std::pair<int, bool>>& locks);
  void setStorage(Storage storage);
  void report(const Result<void>& done);
  Document& document_;
  Workflow& workflow_;
  BudgetView& view_;
};

}  // namespace kvista
