// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/generated_pane.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QLocale>
#include <QPlainTextEdit>
#include <QScrollBar>
#include <QVBoxLayout>

#include "views/elided_label.h"
#include "views/number_text.h"
#include "views/theme.h"

namespace kvista {

GeneratedPane::GeneratedPane(const QString& id, const QString& name, QWidget* parent)
    : QWidget(parent),
      title_(new QLabel(this)),
      facts_(new ElidedLabel(this)),
      remark_(new QLabel(this)),
      text_(new QPlainTextEdit(this)) {
  title_->setFont(textFont(TextRole::strong));
  facts_->setObjectName(id + QStringLiteral("Facts"));
  remark_->setObjectName(id + QStringLiteral("Remark"));
  remark_->setFont(textFont(TextRole::strong));
  text_->setReadOnly(true);
  text_->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
  text_->setTabChangesFocus(true);
  text_->setPlaceholderText(tr("What it writes appears here."));
  auto* line = new QHBoxLayout;
  line->setSpacing(8);
  line->addWidget(title_, 1);
  line->addWidget(remark_);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(6);
  column->addLayout(line);
  column->addWidget(facts_);
  column->addWidget(text_, 1);
  setName(name);
}

void GeneratedPane::setName(const QString& name, const QString& explanation) {
  title_->setText(name);
  title_->setToolTip(explanation);
  text_->setAccessibleName(tr("Text of %1").arg(name));
}

void GeneratedPane::clear() {
  text_->clear();
  facts_->clear();
  remark_->clear();
  tokens_ = cacheBytes_ = 0;
  answerBegins_ = 0;
}

void GeneratedPane::beginTurn(const QString& said) {
  QTextCursor end(text_->document());
  end.movePosition(QTextCursor::End);
  QTextCharFormat quiet;
  quiet.setForeground(colours().soft);
  if (!text_->document()->isEmpty()) end.insertText(QStringLiteral("\n\n"), {});
  end.insertText(tr("You: %1").arg(said), quiet);
  end.insertText(QStringLiteral("\n\n"), QTextCharFormat());
  answerBegins_ = end.position();
  text_->verticalScrollBar()->setValue(text_->verticalScrollBar()->maximum());
}

QString GeneratedPane::answer() const { return text_->toPlainText().mid(answerBegins_); }

QString GeneratedPane::text() const { return text_->toPlainText(); }

void GeneratedPane::append(const QString& text, std::int64_t tokens, std::int64_t cacheBytes) {
  QScrollBar* bar = text_->verticalScrollBar();
  const bool follows = bar->value() == bar->maximum();
  // A cursor of its own: what the person has selected stays selected.
  QTextCursor end(text_->document());
  end.movePosition(QTextCursor::End);
  end.insertText(text);
  if (follows) bar->setValue(bar->maximum());
  tokens_ = tokens;
  cacheBytes_ = cacheBytes;
  facts_->setText(tr("%1 tokens · %2 cache")
                      .arg(countText(tokens), QLocale().formattedDataSize(cacheBytes, 1, QLocale::DataSizeSIFormat)));
}

}  // namespace kvista
