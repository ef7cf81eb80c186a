// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <QLineEdit>
#include <QTest>
#include <QTreeWidget>

namespace kvista::test {

/// The `nth` method, policy or heading of this name in the list of an experiment.
inline QTreeWidgetItem* itemOf(const QWidget& in, const char* name, int nth = 0) {
  return in.findChild<QTreeWidget*>("experimentSystems")
      ->findItems(QLatin1String(name), Qt::MatchExactly | Qt::MatchRecursive)
      .at(nth);
}
inline QLineEdit& line(const QWidget& in, const char* name) { return *in.findChild<QLineEdit*>(QLatin1String(name)); }

/// By the keyboard, as a person does; what a system is stands in the second column.
inline void press(const QWidget& in, QTreeWidgetItem* item) {
  auto* list = in.findChild<QTreeWidget*>("experimentSystems");
  list->setFocus();
  list->setCurrentItem(item, item->childCount() > 0 ? 0 : 1);
  QTest::keyClick(list, Qt::Key_Space);
}

}  // namespace kvista::test
