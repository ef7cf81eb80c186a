// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <utility>
#include <vector>

#include "views/budget_record.h"
#include "views/plain_table.h"
#include "views/view.h"

class QComboBox;
class QLabel;
class QSortFilterProxyModel;
class QTableView;

namespace kvista {

class BudgetDelegate;
class BudgetFooter;
class BudgetModel;
class BudgetProxy;
class SegmentedControl;
class TargetEditor;

/// The budget group by group, with the controls that share it out. Says what was asked for; whoever listens gives the
/// next record.
class BudgetView final : public View {
  Q_OBJECT

 public:
  explicit BudgetView(QWidget* parent = nullptr);
  void setRecord(BudgetRecord record);
  [[nodiscard]] const BudgetRecord& record() const { return record_; }
  [[nodiscard]] QWidget* controls() override { return controls_; }
  [[nodiscard]] QTableView* table() const { return table_; }
  [[nodiscard]] BudgetModel* model() const { return model_; }
  /// Selects the rows of these groups, as a selection elsewhere asks for it, without saying so.
  void selectGroups(const std::vector<int>& groups);
  /// In the order on screen.
  [[nodiscard]] std::vector<int> selectedGroups() const;

  /// The selected rows in the order on screen, or all, with a line of headers, for a spreadsheet: C locale, tabs.
  [[nodiscard]] QString selectedAsTsv() const;
  /// All rows in the order on screen.
  [[nodiscard]] PlainTable plainTable() const;
  /// Ranks from a spreadsheet: one number for all selected rows, or a column (of several columns, the one headed
  /// "Rank") for the rows from the first selected one on.
  void pasteRanks(const QString& text);
  /// What is wrong with the last thing typed or pasted; empty when nothing is.
  [[nodiscard]] QString reason() const;
  [[nodiscard]] QJsonObject viewState() const override;
  bool setViewState(const QJsonObject& state) override;

  [[nodiscard]] QSize sizeHint() const override { return {900, 320}; }
  void paintFigure(QPainter& painter, const QRectF& area) const;

 Q_SIGNALS:
  /// One edit: every (group, rank) that it changes.
  void ranksEdited(const std::vector<std::pair<int, int>>& ranks);
  void locksEdited(const std::vector<std::pair<int, bool>>& locks);
  void groupsSelected(const std::vector<int>& groups);
  void allocatorChosen(const QString& name);
  void storageChosen(kvista::Storage storage);
  void targetEntered(const kvista::Target& target);
  void costModelChosen(const QString& device, qint64 context);

 protected:
  void paintEvent(QPaintEvent* event) override;
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void makeControls();
  void showControls();
  [[nodiscard]] std::vector<int> selectedRows() const;  // Of the model, in the order on screen.
  void changeRanks(const std::vector<int>& rows, const RankChange& change);
  /// Of (row, change); says where a group has fewer directions than asked for.
  void changeRanks(const std::vector<std::pair<int, RankChange>>& changes);
  void fitColumns();
  void toggleLocks(std::vector<int> rows);
  void setReason(const QString& reason);
  bool keyPressed(QKeyEvent* event);
  [[nodiscard]] const QSortFilterProxyModel& proxy() const;

  BudgetRecord record_;
  BudgetModel* model_;
  BudgetProxy* proxy_;
  QTableView* table_;
  BudgetDelegate* delegate_;
  BudgetFooter* footer_;
  QWidget* controls_;
  QComboBox* allocator_;
  QComboBox* device_;
  QComboBox* context_;
  SegmentedControl* storage_;
  TargetEditor* target_;
  bool selecting_ = false, fitting_ = false;
  int bitsWidth_;  // Also while they are hidden.
};

}  // namespace kvista
