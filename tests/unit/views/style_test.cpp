// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "views/style.h"

#include <gtest/gtest.h>

#include <QApplication>
#include <QComboBox>
#include <QHeaderView>
#include <QLineEdit>
#include <QPushButton>
#include <QSpinBox>
#include <QToolButton>
#include <QTreeWidget>
#include <QVBoxLayout>

#include "views/segmented_control.h"
#include "views/theme.h"

namespace kvista {
namespace {

class StyleTest : public ::testing::Test {
 protected:
  void SetUp() override { Theme::instance().setMode(Theme::Mode::light); }
  void TearDown() override { Theme::instance().setMode(Theme::Mode::light); }
  static QColor pixel(QWidget& widget, const QPoint& place) { return widget.grab().toImage().pixelColor(place); }
};

struct Counter final : QObject {
  int styled = 0;
  bool eventFilter(QObject* watched, QEvent* event) override {
    if (watched->isWidgetType() && event->type() == QEvent::StyleChange) ++styled;
    return false;
  }
};

TEST_F(StyleTest, AnotherLookIsARepaint) {
  QWidget window;
  auto* column = new QVBoxLayout(&window);
  auto* button = new QPushButton(QStringLiteral("Export…"));
  markPrimary(button);
  for (QWidget* widget : std::initializer_list<QWidget*>{button, new QLineEdit, new QComboBox, new QSpinBox})
    column->addWidget(widget);
  window.show();
  QCoreApplication::processEvents();
  const QPoint inside(4, button->height() / 2);
  EXPECT_EQ(pixel(*button, inside), Theme::light().accent);
  Counter counter;
  qApp->installEventFilter(&counter);
  Theme::instance().setMode(Theme::Mode::dark);
  QCoreApplication::processEvents();
  qApp->removeEventFilter(&counter);
  EXPECT_EQ(pixel(*button, inside), Theme::dark().accent);
  EXPECT_EQ(pixel(window, {1, 1}), Theme::dark().window);
  EXPECT_EQ(counter.styled, 0) << "widgets are not polished again";
}

TEST_F(StyleTest, TextsFitInTheWeightTheyAreDrawnIn) {
  QFont strong = QApplication::font();
  strong.setWeight(QFont::DemiBold);
  const QFontMetrics metrics(strong);
  QPushButton primary(QStringLiteral("Calibrate on every text"));
  markPrimary(&primary);
  EXPECT_GE(primary.sizeHint().width(), metrics.horizontalAdvance(primary.text()) + 20);
  SegmentedControl control(
      {{QStringLiteral("a"), QStringLiteral("Comparison")}, {QStringLiteral("b"), QStringLiteral("mean")}}, {});
  const int before = control.sizeHint().width();
  for (const char* id : {"a", "b"}) {
    const QToolButton* segment = control.segment(QLatin1String(id));
    EXPECT_GE(segment->sizeHint().width(), metrics.horizontalAdvance(segment->text()) + 16);
    control.setCurrent(QLatin1String(id));
    EXPECT_EQ(control.sizeHint().width(), before) << "what is chosen moves nothing";
  }
  QPushButton link(QStringLiteral("Show their spectra"));
  link.setProperty("link", true);
  EXPECT_GE(link.sizeHint().width(), link.fontMetrics().horizontalAdvance(link.text()));
  // In the room that it asks for, nothing of it is cut: it is drawn as in more room.
  link.resize(link.sizeHint());
  const QImage exact = link.grab().toImage();
  link.resize(link.width() + 60, link.height());
  EXPECT_EQ(exact, link.grab().toImage().copy(exact.rect()));
  for (QWidget* each : std::initializer_list<QWidget*>{new QLineEdit, new QComboBox, new QSpinBox,
                                                       new QPushButton(QStringLiteral("x"))}) {
    EXPECT_EQ(each->sizeHint().height(), 28) << each->metaObject()->className();
    delete each;
  }
}

/// The first column of pixels that has something else than the ground, from `left` on.
int inkFrom(const QImage& picture, int left) {
  for (int x = left; x < picture.width(); ++x)
    for (int y = 4; y < picture.height() - 4; ++y)
      if (picture.pixelColor(x, y) != Theme::light().panel) return x;
  return -1;
}

TEST_F(StyleTest, HeadersStandAboveTheirCells) {
  QTreeWidget tree;
  tree.setRootIsDecorated(false);
  tree.setIndentation(0);
  tree.setColumnCount(2);
  tree.setHeaderLabels({QStringLiteral("H"), QStringLiteral("H")});
  tree.addTopLevelItem(new QTreeWidgetItem({QStringLiteral("H"), QStringLiteral("H")}));
  tree.header()->resizeSection(0, 60);
  tree.resize(140, 80);
  tree.show();
  QCoreApplication::processEvents();
  const QImage heads = tree.header()->grab().toImage();
  const QImage cells = tree.viewport()->grab(QRect(0, 0, 140, 26)).toImage();
  for (const int left : {0, 61}) EXPECT_EQ(inkFrom(heads, left), inkFrom(cells, left)) << left;
}

TEST_F(StyleTest, ALineThatIsRefusedIsMarkedUntilItIsNot) {
  QLineEdit line;
  line.resize(120, 28);
  const QPoint border(60, 0);
  EXPECT_EQ(pixel(line, border), Theme::light().hairline);
  line.setProperty("refused", true);
  EXPECT_EQ(pixel(line, border), Theme::light().warning);
  line.setProperty("refused", false);
  EXPECT_EQ(pixel(line, border), Theme::light().hairline);
}

TEST_F(StyleTest, ABoxWithoutArrowsGivesTheirRoomToItsNumber) {
  QSpinBox with, without;
  without.setButtonSymbols(QAbstractSpinBox::NoButtons);
  EXPECT_LT(without.sizeHint().width(), with.sizeHint().width());
  EXPECT_GE(without.sizeHint().width(), without.fontMetrics().horizontalAdvance(QStringLiteral("99")) + 20);
}

}  // namespace
}  // namespace kvista
