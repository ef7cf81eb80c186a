// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "views/segmented_control.h"

#include <gtest/gtest.h>

#include <QApplication>
#include <QComboBox>
#include <QSignalSpy>
#include <QTest>
#include <QToolButton>

namespace kvista {
namespace {

class SegmentedControlTest : public ::testing::Test {
 protected:
  SegmentedControlTest() {
    host.show();
    QApplication::setActiveWindow(&host);
    control.resize(control.sizeHint());
    control.segment("index")->setFocus();
  }
  void press(Qt::Key key) { QTest::keyClick(control.window()->focusWidget(), key); }

  QWidget host;
  SegmentedControl control{{{"index", "Index"}, {"group", "Group"}, {"mean", "Mean"}}, "Order", &host};
  QSignalSpy chosen{&control, &SegmentedControl::chosen};
};

TEST_F(SegmentedControlTest, AClickChoosesOnce) {
  EXPECT_EQ(control.current(), "index");
  QTest::mouseClick(control.segment("mean"), Qt::LeftButton);
  QTest::mouseClick(control.segment("mean"), Qt::LeftButton);
  EXPECT_EQ(control.current(), "mean");
  ASSERT_EQ(chosen.size(), 1);
  EXPECT_EQ(chosen.front().front().toString(), "mean");
}

TEST_F(SegmentedControlTest, ArrowsChooseAndStopAtTheEnds) {
  press(Qt::Key_Right);
  EXPECT_EQ(control.current(), "group");
  EXPECT_EQ(control.window()->focusWidget(), control.segment("group"));
  press(Qt::Key_End);
  press(Qt::Key_Right);
  EXPECT_EQ(control.current(), "mean");
  press(Qt::Key_Home);
  press(Qt::Key_Left);
  EXPECT_EQ(control.current(), "index");
  EXPECT_EQ(chosen.size(), 3);
}

TEST_F(SegmentedControlTest, ArrowsPassOverWhatIsDisabled) {
  control.segment("group")->setEnabled(false);
  press(Qt::Key_Right);
  EXPECT_EQ(control.current(), "mean");
  press(Qt::Key_Left);
  EXPECT_EQ(control.current(), "index");
}

TEST_F(SegmentedControlTest, WithTooLittleRoomABoxStandsInItsPlace) {
  EXPECT_LT(control.minimumSizeHint().width(), control.sizeHint().width());
  control.segment("group")->setEnabled(false);
  control.resize(control.sizeHint().width() - 1, control.height());
  auto* box = control.findChild<QComboBox*>();
  ASSERT_TRUE(box && box->isVisible() && !control.segment("index")->isVisible());
  EXPECT_TRUE(box->hasFocus()) << "the keyboard stays";
  EXPECT_EQ(box->currentText(), "Index");
  EXPECT_LE(box->minimumSizeHint().width(), control.minimumSizeHint().width());
  press(Qt::Key_Down);
  EXPECT_EQ(control.current(), "mean") << "what is disabled is passed over";
  EXPECT_EQ(chosen.size(), 1);
  control.resize(control.sizeHint());
  EXPECT_TRUE(!box->isVisible() && control.segment("mean")->isVisible() && control.segment("mean")->isChecked());
  control.setCurrent("index");
  EXPECT_EQ(box->currentText(), "Index");
}

TEST_F(SegmentedControlTest, SettingItFromOutsideSaysNothing) {
  control.setCurrent("group");
  EXPECT_TRUE(control.segment("group")->isChecked());
  control.setCurrent("custom");
  EXPECT_EQ(control.current(), "");
  for (const char* id : {"index", "group", "mean"}) EXPECT_FALSE(control.segment(id)->isChecked());
  EXPECT_TRUE(chosen.empty());
}

TEST_F(SegmentedControlTest, SegmentsNameThemselves) {
  EXPECT_EQ(control.segment("group")->accessibleName(), "Order: Group");
}

}  // namespace
}  // namespace kvista
