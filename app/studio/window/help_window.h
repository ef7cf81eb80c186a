// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDialog>
#include <QString>

class QListWidget;
class QTextBrowser;

namespace kvista {

/// The manual, resources/help/*.md, in a window of its own.
class HelpWindow final : public QDialog {
  Q_OBJECT

 public:
  explicit HelpWindow(QWidget* parent);
  /// Shows "plan" or, with a heading, "plan#targets".
  void showPage(const QString& page);

 private:
  void showMarkdown(const QString& name);
  QListWidget* pages_;
  QTextBrowser* text_;
};

}  // namespace kvista
