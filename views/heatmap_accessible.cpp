// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/heatmap_accessible.h"

#include <QAccessible>
#include <QAccessibleWidget>
#include <QHash>
#include <algorithm>

#include "views/heatmap_canvas.h"

namespace kvista {
namespace {

class AccessibleHeatmap;

/// One cell; made when it is asked for.
class AccessibleHeatmapCell final : public QAccessibleInterface, public QAccessibleTableCellInterface {
 public:
  AccessibleHeatmapCell(HeatmapCanvas* canvas, int row, int column) : canvas_(canvas), row_(row), column_(column) {}

  bool isValid() const override { return canvas_ && row_ < heads() && column_ < heads(); }
  QObject* object() const override { return nullptr; }
  QWindow* window() const override { return parent() ? parent()->window() : nullptr; }
  QAccessibleInterface* parent() const override { return QAccessible::queryAccessibleInterface(canvas_); }
  QAccessibleInterface* child(int) const override { return nullptr; }
  QAccessibleInterface* childAt(int, int) const override { return nullptr; }
  int childCount() const override { return 0; }
  int indexOfChild(const QAccessibleInterface*) const override { return -1; }
  QAccessible::Role role() const override { return QAccessible::Cell; }
  void setText(QAccessible::Text, const QString&) override {}
  QString text(QAccessible::Text kind) const override {
    if (!isValid()) return {};
    if (kind == QAccessible::Value) return valueText(canvas_->record().matrix.at(pair().row, pair().column));
    return kind == QAccessible::Name ? canvas_->describe(pair()) : QString();
  }
  QRect rect() const override {
    if (!isValid()) return {};
    const QRect cell = canvas_->cellRect(pair()).toAlignedRect();
    return {canvas_->mapToGlobal(cell.topLeft()), cell.size()};
  }
  QAccessible::State state() const override {
    QAccessible::State state;
    state.selectable = state.focusable = state.readOnly = true;
    state.selected = isSelected();
    state.focused = canvas_ && canvas_->hasFocus() && canvas_->cursor() == pair();
    state.invalid = !isValid();
    return state;
  }
  void* interface_cast(QAccessible::InterfaceType type) override {
    return type == QAccessible::TableCellInterface ? static_cast<QAccessibleTableCellInterface*>(this) : nullptr;
  }

  bool isSelected() const override {
    if (!isValid()) return false;
    const auto has = [](const std::vector<int>& heads, int head) {
      return std::find(heads.begin(), heads.end(), head) != heads.end();
    };
    return has(canvas_->selection().rows, pair().row) && has(canvas_->selection().columns, pair().column);
  }
  QList<QAccessibleInterface*> columnHeaderCells() const override { return {}; }
  QList<QAccessibleInterface*> rowHeaderCells() const override { return {}; }
  int columnIndex() const override { return column_; }
  int rowIndex() const override { return row_; }
  int columnExtent() const override { return 1; }
  int rowExtent() const override { return 1; }
  QAccessibleInterface* table() const override { return parent(); }

 private:
  int heads() const { return static_cast<int>(canvas_->arrangement().headAt.size()); }
  HeadPair pair() const {
    const auto& headAt = canvas_->arrangement().headAt;
    return {headAt[static_cast<std::size_t>(row_)], headAt[static_cast<std::size_t>(column_)]};
  }
  QPointer<HeatmapCanvas> canvas_;
  int row_, column_;
};

class AccessibleHeatmap final : public QAccessibleWidget, public QAccessibleTableInterface {
 public:
  explicit AccessibleHeatmap(HeatmapCanvas* canvas) : QAccessibleWidget(canvas, QAccessible::Table) {}
  ~AccessibleHeatmap() override { forgetCells(); }

  void* interface_cast(QAccessible::InterfaceType type) override {
    return type == QAccessible::TableInterface ? static_cast<QAccessibleTableInterface*>(this)
                                               : QAccessibleWidget::interface_cast(type);
  }
  int childCount() const override { return heads() * heads(); }
  QAccessibleInterface* child(int index) const override {
    if (index < 0 || index >= childCount()) return nullptr;
    const auto known = cells_.constFind(index);
    if (known != cells_.constEnd()) return QAccessible::accessibleInterface(*known);
    auto* cell = new AccessibleHeatmapCell(canvas(), index / heads(), index % heads());
    cells_.insert(index, QAccessible::registerAccessibleInterface(cell));
    return cell;
  }
  int indexOfChild(const QAccessibleInterface* child) const override {
    if (!child || child->role() != QAccessible::Cell || child->parent() != this) return -1;
    const auto* cell = static_cast<const AccessibleHeatmapCell*>(child);
    return cell->rowIndex() * heads() + cell->columnIndex();
  }
  QAccessibleInterface* childAt(int x, int y) const override {
    const auto pair = canvas()->pairAt(canvas()->mapFromGlobal(QPoint(x, y)));
    return pair ? cellAt(place(pair->row), place(pair->column)) : nullptr;
  }
  QAccessibleInterface* focusChild() const override {
    const auto pair = canvas()->cursor();
    return pair ? cellAt(place(pair->row), place(pair->column)) : nullptr;
  }

  QAccessibleInterface* caption() const override { return nullptr; }
  QAccessibleInterface* summary() const override { return nullptr; }
  QAccessibleInterface* cellAt(int row, int column) const override {
    return row < 0 || column < 0 || row >= heads() || column >= heads() ? nullptr : child(row * heads() + column);
  }
  QList<QAccessibleInterface*> selectedCells() const override {
    QList<QAccessibleInterface*> cells;
    for (const int row : selectedRows())
      for (const int column : selectedColumns()) cells << cellAt(row, column);
    return cells;
  }
  int selectedCellCount() const override { return selectedRowCount() * selectedColumnCount(); }
  QString columnDescription(int column) const override { return nameAt(column); }
  QString rowDescription(int row) const override { return nameAt(row); }
  int selectedColumnCount() const override { return static_cast<int>(canvas()->selection().columns.size()); }
  int selectedRowCount() const override { return static_cast<int>(canvas()->selection().rows.size()); }
  int columnCount() const override { return heads(); }
  int rowCount() const override { return heads(); }
  QList<int> selectedColumns() const override { return places(canvas()->selection().columns); }
  QList<int> selectedRows() const override { return places(canvas()->selection().rows); }
  bool isColumnSelected(int column) const override { return selectedColumns().contains(column); }
  bool isRowSelected(int row) const override { return selectedRows().contains(row); }
  // Selecting is left to the keyboard, whose cursor assistive technology follows.
  bool selectRow(int) override { return false; }
  bool selectColumn(int) override { return false; }
  bool unselectRow(int) override { return false; }
  bool unselectColumn(int) override { return false; }
  void modelChange(QAccessibleTableModelChangeEvent*) override { forgetCells(); }

 private:
  HeatmapCanvas* canvas() const { return static_cast<HeatmapCanvas*>(object()); }
  int heads() const { return static_cast<int>(canvas()->arrangement().headAt.size()); }
  int place(int head) const { return canvas()->arrangement().placeOf[static_cast<std::size_t>(head)]; }
  QString nameAt(int place) const {
    if (place < 0 || place >= heads()) return {};
    return canvas()->record().name(canvas()->arrangement().headAt[static_cast<std::size_t>(place)]);
  }
  QList<int> places(const std::vector<int>& heads) const {
    QList<int> result;
    for (const int head : heads) result << place(head);
    std::sort(result.begin(), result.end());
    return result;
  }
  void forgetCells() {
    for (const QAccessible::Id id : std::as_const(cells_)) QAccessible::deleteAccessibleInterface(id);
    cells_.clear();
  }
  mutable QHash<int, QAccessible::Id> cells_;
};

QAccessibleInterface* make(const QString&, QObject* object) {
  auto* canvas = qobject_cast<HeatmapCanvas*>(object);
  return canvas ? new AccessibleHeatmap(canvas) : nullptr;
}

}  // namespace

void installHeatmapAccessibility() { QAccessible::installFactory(make); }  // Qt keeps one of each.

}  // namespace kvista
