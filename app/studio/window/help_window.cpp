// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/help_window.h"

#include <QDir>
#include <QFile>
#include <QHBoxLayout>
#include <QListWidget>
#include <QRegularExpression>
#include <QTextBlock>
#include <QTextBrowser>
#include <QTextCursor>
#include <QTextTable>

#include "app/studio/window/window_size.h"
#include "views/theme.h"

namespace kvista {
namespace {

constexpr int kBeside = 12;  // Room beside the headings.

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

/// Markdown brings tables with thick frames and no air; here they are hairlines, as everything else.
void setOut(QTextDocument& document) {
  document.setDocumentMargin(20);
  document.setIndentWidth(20);
  for (QTextFrame* frame : document.rootFrame()->childFrames())
    if (auto* table = qobject_cast<QTextTable*>(frame)) {
      QTextTableFormat format = table->format();
      format.setBorderCollapse(true);
      format.setBorder(1);
      format.setBorderBrush(colours().hairline);
      format.setBorderStyle(QTextFrameFormat::BorderStyle_Solid);
      format.setCellPadding(6);
      format.setTopMargin(8);
      format.setBottomMargin(12);
      table->setFormat(format);
    }
  for (QTextBlock block = document.begin(); block.isValid(); block = block.next()) {
    QTextCursor cursor(block);
    if (cursor.currentTable()) continue;
    QTextBlockFormat format = block.blockFormat();
    const bool heading = format.headingLevel() > 0;
    format.setTopMargin(heading && block.position() > 0 ? 16 : 0);
    format.setBottomMargin(block.textList() ? 4 : 8);
    format.setLineHeight(heading ? 100 : 120, QTextBlockFormat::ProportionalHeight);
    cursor.setBlockFormat(format);
  }
}

}  // namespace

HelpWindow::HelpWindow(QWidget* parent)
    : QDialog(parent), pages_(new QListWidget(this)), text_(new QTextBrowser(this)) {
  setObjectName(QStringLiteral("help"));
  setWindowTitle(tr("Help"));
  resizeToScreen(*this, {860, 620});
  frameList(*pages_);
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
    if (item) showMarkdown(item->data(Qt::UserRole).toString());
  });
  connect(&Theme::instance(), &Theme::changed, this, [this] { setOut(*text_->document()); });
  connect(text_, &QTextBrowser::anchorClicked, this, [this](const QUrl& url) {
    if (url.scheme().isEmpty())
      showPage(url.path().remove(QStringLiteral(".md")) +
               (url.hasFragment() ? QLatin1Char('#') + url.fragment() : QString()));
  });
  // Headings are read whole.
  pages_->setFixedWidth(pages_->sizeHintForColumn(0) + 2 * pages_->frameWidth() + kBeside);
  pages_->setCurrentRow(0);
}

void HelpWindow::showMarkdown(const QString& name) {
  text_->setMarkdown(readPage(name));
  setOut(*text_->document());
  text_->moveCursor(QTextCursor::Start);
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

void HelpWindow::showFirst(const QStringList& pages, const QString& word) {
  const QRegularExpression whole(QStringLiteral("(?<![\\w-])%1(?![\\w-])").arg(QRegularExpression::escape(word)));
  for (const QString& page : pages) {
    showPage(page);
    text_->moveCursor(QTextCursor::Start);
    if (text_->find(whole, QTextDocument::FindCaseSensitively)) return;
  }
}

}  // namespace kvista
