// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "views/elided_label.h"

#include <gtest/gtest.h>

#include <QApplication>
#include <QFontMetrics>
#include <QHelpEvent>
#include <QToolTip>

namespace kvista {
namespace {

QImage drawn(const QString& text, int width) {
  ElidedLabel label;
  label.setText(text);
  label.resize(width, 20);
  return label.grab().toImage();
}

TEST(ElidedLabel, EndsInAnEllipsisWhereTheRoomEnds) {
  const QString text = QStringLiteral("136 tokens · 167.9 kB cache");
  const QString shown = QFontMetrics(ElidedLabel().font()).elidedText(text, Qt::ElideRight, 90);
  ASSERT_TRUE(shown.endsWith(QChar(0x2026)));
  EXPECT_EQ(drawn(text, 90), drawn(shown, 90));
  EXPECT_NE(drawn(text, 400), drawn(shown, 400)) << "all of it where there is room";
}

TEST(ElidedLabel, SaysTheWholeInItsTooltipWhereItIsShortened) {
  ElidedLabel label;
  label.setText(QStringLiteral("136 tokens · 167.9 kB cache"));
  label.show();
  const auto asked = [&label](int width) {
    label.resize(width, 20);
    QToolTip::hideText();
    QHelpEvent help(QEvent::ToolTip, {4, 4}, label.mapToGlobal(QPoint(4, 4)));
    QApplication::sendEvent(&label, &help);
    return QToolTip::isVisible() ? QToolTip::text() : QString();
  };
  EXPECT_EQ(asked(90), label.text());
  label.setToolTip(QStringLiteral("of the prompt"));
  EXPECT_EQ(asked(90), QStringLiteral("of the prompt"));
}

}  // namespace
}  // namespace kvista
