// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/notes_view.h"

#include <QPlainTextEdit>
#include <QSignalBlocker>
#include <QVBoxLayout>

namespace kvista {

NotesView::NotesView(QWidget* parent) : View(parent), field_(new QPlainTextEdit(this)) {
  setTitle(tr("Notes"), tr("saved with the project"));
  field_->setObjectName(QStringLiteral("notesText"));
  field_->setAccessibleName(tr("Notes about this project"));
  field_->setPlaceholderText(tr("Why this text, this target, this grouping"));
  field_->setTabChangesFocus(true);
  setFocusProxy(field_);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(12, 8, 12, 12);
  column->addWidget(field_);
  connect(field_, &QPlainTextEdit::textChanged, this, [this] { Q_EMIT edited(text()); });
}

void NotesView::setText(const QString& text) {
  if (text == this->text()) return;
  const QSignalBlocker quiet(field_);
  field_->setPlainText(text);
}

QString NotesView::text() const { return field_->toPlainText(); }

}  // namespace kvista
