// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "views/groups_record.h"
#include "views/view.h"

class QLabel;
class QMenu;
class QPainter;
class QRectF;
class QScrollArea;
class QToolButton;

namespace kvista {

class GroupsCanvas;
class SegmentedControl;

/// The groups of one layer as boxes of head chips. Heads are dragged, or cut and pasted, between boxes; it says what
/// shall be done and shows what it is given. Group numbers in signals are those of the plan (GroupRecord::index).
class GroupsView final : public View {
  Q_OBJECT

 public:
  explicit GroupsView(QWidget* parent = nullptr);
  [[nodiscard]] QWidget* controls() override { return controls_; }

  void setRecord(const GroupsRecord& record);
  /// The selection that is shared with other views; heads of other layers are left out. No signal.
  void setSelection(const std::vector<Slot>& slots);
  [[nodiscard]] std::vector<Slot> selection() const;
  void paintFigure(QPainter& painter, const QRectF& area);
  /// Heads in the hand go back to where they were.
  void cancelDrag();
  /// Everything that can be done to the groups, for the title bar, the right button and the window's menu. The caller
  /// deletes it.
  [[nodiscard]] QMenu* makeMenu(QWidget* parent);

 Q_SIGNALS:
  /// To the plan's group, or to a new one (-1).
  void moveRequested(const std::vector<kvista::Slot>& slots, int groupIndexOrMinusOne);
  void splitRequested(int group, const std::vector<kvista::Slot>& out);
  void mergeRequested(const std::vector<int>& groups);
  void lockToggled(int group, bool locked);
  void autoGroupRequested(const QString& grouping, int groupSize);
  void jointRequested(bool joint);
  void applyToLayersRequested(const std::vector<int>& layers);
  void selectionChanged(const std::vector<kvista::Slot>& slots);
  /// While true nothing may be undone.
  void dragActive(bool active);
  void message(const QString& text);

 protected:
  void contextMenuEvent(QContextMenuEvent* event) override;

 private:
  [[nodiscard]] const GroupsRecord& record() const;
  [[nodiscard]] bool isJoint() const;
  void chooseMode(const QString& mode);
  void showMode();
  void showEmptyState();
  void addGroupings(QMenu* menu);
  void addEdits(QMenu* menu);
  void askForLayers();

  GroupsCanvas* canvas_;
  QLabel* empty_;
  QScrollArea* scroll_;
  QWidget* controls_;
  SegmentedControl* mode_;
  QToolButton* more_;
  QString grouping_;  ///< What "auto" asks for.
};

}  // namespace kvista
