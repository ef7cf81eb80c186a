// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/help_window.h"

#include <QDir>
#include <QFile>
#include <QHBoxLayout>
#include <QListWidget>
#include <QRegularExpression>
#include <QTextBrowser>

namespace kvista {
namespace {

const QString kFolder = QStringLiteral(":/help/");

/// The page without the comments that carry its licence, which Markdown would show.
QString readPage(const QString& name) {
  QFile file(kFolder + name + QStringLiteral(".md"));
  if (!file.open(QIODevice::ReadOnly)) return {};
  static const QRegularExpression comment(QStringLiteral("<!--.*?-->\\s*"),
                                          QRegularExpression::DotMatchesEverythingOption);
  return QString::fromUtf8(file.readAll()).remove(comment);
}

QString headingOf(const QString& page) {
  for (const QString& line : page.split(QLatin1Char('\n')))
    if (line.startsWith(QStringLiteral("# "))) return line.mid(2).trimmed();
  return {};
}

}  // namespace

HelpWindow::HelpWindow(QWidget* parent)
    : QDialog(parent), pages_(new QListWidget(this)), text_(new QTextBrowser(this)) {
  setObjectName(QStringLiteral("help"));
  setWindowTitle(tr("KVista help"));
  resize(860, 620);
  pages_->setFixedWidth(190);
  pages_->setAccessibleName(tr("Pages"));
  text_->setOpenLinks(false);
  text_->setAccessibleName(tr("Page"));
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(8, 8, 8, 8);
  row->addWidget(pages_);
  row->addWidget(text_, 1);
  for (const QString& file : QDir(kFolder).entryList({QStringLiteral("*.md")}, QDir::Files, QDir::Name)) {
    const QString name = file.chopped(3);
    auto* item = new QListWidgetItem(headingOf(readPage(name)));
    item->setData(Qt::UserRole, name);
    pages_->insertItem(name == QStringLiteral("overview") ? 0 : pages_->count(), item);
  }
  connect(pages_, &QListWidget::currentItemChanged, this, [this](QListWidgetItem* item) {
    if (item) text_->setMarkdown(readPage(item->data(Qt::UserRole).toString()));
  });
  connect(text_, &QTextBrowser::anchorClicked, this, [this](const QUrl& url) {
    if (url.scheme().isEmpty())
      showPage(url.path().remove(QStringLiteral(".md")) +
               (url.hasFragment() ? QLatin1Char('#') + url.fragment() : QString()));
  });
  pages_->setCurrentRow(0);
}

void HelpWindow::showPage(const QString& page) {
  const QString name = page.section(QLatin1Char('#'), 0, 0), heading = page.section(QLatin1Char('#'), 1);
  for (int i = 0; i < pages_->count(); ++i)
    if (pages_->item(i)->data(Qt::UserRole).toString() == name) pages_->setCurrentRow(i);
  if (!heading.isEmpty()) {
    text_->moveCursor(QTextCursor::Start);
    text_->find(heading);
  }
}

}  // namespace kvista
