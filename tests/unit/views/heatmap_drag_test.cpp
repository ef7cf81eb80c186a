// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// An order of one's own: heads dragged by their names along the axes.
#include <gmock/gmock.h>

#include <QAction>
#include <QApplication>
#include <QContextMenuEvent>
#include <QMenu>
#include <QSignalSpy>
#include <QTest>

#include "heatmap_cases.h"
#include "views/heatmap_view.h"

namespace kvista {
namespace {

using ::testing::ElementsAre;

class HeatmapAxisDrag : public ::testing::Test {
 protected:
  HeatmapAxisDrag() {
    view.resize(800, 440);
    view.setOrder(HeatmapOrder::index);
    view.setRecord(test::fourHeads());
    view.show();
  }
  /// In the middle of a row's name.
  [[nodiscard]] QPoint name(int head) const {
    const QRectF cell = canvas->cellRect({head, head});
    return {static_cast<int>(canvas->cellsRect().left()) - 6, static_cast<int>(cell.center().y())};
  }
  [[nodiscard]] QPoint columnName(int head) const {
    const QRectF cell = canvas->cellRect({head, head});
    return {static_cast<int>(cell.center().x()), static_cast<int>(canvas->cellsRect().top()) - 6};
  }
  void hold(QPoint from, QPoint to) {
    QTest::mousePress(canvas, Qt::LeftButton, {}, from);
    QTest::mouseMove(canvas, (from + to) / 2);
    QTest::mouseMove(canvas, to);
  }
  void drag(QPoint from, QPoint to) {
    hold(from, to);
    QTest::mouseRelease(canvas, Qt::LeftButton, {}, to);
  }
  [[nodiscard]] const std::vector<int>& order() const { return canvas->arrangement().headAt; }

  HeatmapView view;
  HeatmapCanvas* canvas = view.canvas();
  QSignalSpy changed{&view, &HeatmapView::viewStateChanged};
};

TEST_F(HeatmapAxisDrag, ARowDraggedAlongTheAxisComesWhereTheLineIs) {
  ASSERT_THAT(order(), ElementsAre(0, 1, 2, 3));
  const QPoint below(name(2).x(), name(2).y() + static_cast<int>(canvas->cellRect({2, 2}).height() / 4));
  hold(name(0), below);
  EXPECT_EQ(canvas->gap(), 3);
  EXPECT_THAT(order(), ElementsAre(0, 1, 2, 3)) << "not before it is let go";
  QTest::mouseRelease(canvas, Qt::LeftButton, {}, below);
  EXPECT_THAT(order(), ElementsAre(1, 2, 0, 3));
  EXPECT_EQ(view.order(), HeatmapOrder::custom);
  EXPECT_EQ(changed.size(), 1) << "it is kept with the project";
  // Columns stand as rows do: by their names they are dragged alike.
  drag(columnName(3), columnName(1) - QPoint(static_cast<int>(canvas->cellRect({1, 1}).width()), 0));
  EXPECT_THAT(order(), ElementsAre(3, 1, 2, 0));
}

TEST_F(HeatmapAxisDrag, SelectedHeadsGoTogetherInTheirOrder) {
  canvas->setSelection({{0, 2}, {0, 2}});
  drag(name(2), QPoint(name(3).x(), static_cast<int>(canvas->cellsRect().bottom()) + 20));
  EXPECT_THAT(order(), ElementsAre(1, 3, 0, 2));
  EXPECT_EQ(view.selection(), (std::vector<int>{0, 2})) << "they stay selected";
}

TEST_F(HeatmapAxisDrag, EscapeAndAWayBackLeaveTheOrderAlone) {
  hold(name(0), name(2));
  QTest::keyClick(canvas, Qt::Key_Escape);
  EXPECT_FALSE(canvas->gap());
  QTest::mouseRelease(canvas, Qt::LeftButton, {}, name(2));
  drag(name(1), name(1) + QPoint(0, 12));
  EXPECT_THAT(order(), ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(view.order(), HeatmapOrder::index);
  EXPECT_TRUE(changed.isEmpty());
}

TEST_F(HeatmapAxisDrag, TheLastMoveIsTakenBackInTheMenu) {
  const auto item = [this] {
    QContextMenuEvent event(QContextMenuEvent::Keyboard, {});
    QApplication::sendEvent(&view, &event);
    for (QMenu* menu : view.findChildren<QMenu*>())
      for (QAction* action : menu->actions())
        if (action->text() == QStringLiteral("Order as before the last move")) return action;
    throw std::logic_error("no such item");
  };
  EXPECT_FALSE(item()->isEnabled());
  drag(name(0), QPoint(name(3).x(), static_cast<int>(canvas->cellsRect().bottom()) + 20));
  ASSERT_THAT(order(), ElementsAre(1, 2, 3, 0));
  for (QMenu* menu : view.findChildren<QMenu*>()) delete menu;
  item()->trigger();
  EXPECT_THAT(order(), ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(view.order(), HeatmapOrder::index);
}

TEST_F(HeatmapAxisDrag, AClickOnANameSelectsItsHead) {
  QTest::mouseClick(canvas, Qt::LeftButton, {}, name(2));
  EXPECT_EQ(view.selection(), std::vector<int>{2});
  EXPECT_THAT(order(), ElementsAre(0, 1, 2, 3));
}

}  // namespace
}  // namespace kvista
