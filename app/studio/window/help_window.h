// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDialog>
#include <QString>
#include <QStringList>

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
  /// The first of these pages that has `word` as a whole, there; the last one where none has.
  void showFirst(const QStringList& pages, const QString& word);

 private:
  void showMarkdown(const QString& name);
  QListWidget* pages_;
  QTextBrowser* text_;
};

}  // namespace kvista
