// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/path_dialog.h"

#include <QLabel>
#include <QLineEdit>
#include <QLocale>
#include <QPushButton>
#include <QVBoxLayout>

#include "app/studio/window/start_buttons.h"
#include "app/studio/window/window_size.h"
#include "app/studio/workflow.h"
#include "views/theme.h"
#include "views/words.h"

namespace kvista {

PathDialog::PathDialog(const QString& title, const QString& host, QWidget* parent)
    : QDialog(parent), typed_(new QLineEdit(this)), said_(new QLabel(this)) {
  setObjectName(QStringLiteral("pathDialog"));
  setWindowTitle(title);
  typed_->setObjectName(QStringLiteral("path"));
  typed_->setPlaceholderText(tr("/models/llama, or ~/llama"));
  typed_->setAccessibleName(tr("Path on %1").arg(host));
  said_->setObjectName(QStringLiteral("pathSentence"));
  said_->setWordWrap(true);
  said_->setTextFormat(Qt::PlainText);
  said_->setMinimumHeight(2 * said_->fontMetrics().lineSpacing());
  said_->setAlignment(Qt::AlignTop | Qt::AlignLeft);
  const auto [buttons, start] = startButtons(*this, tr("Choose"));
  choose_ = start;
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(20, 20, 20, 16);
  column->setSpacing(10);
  column->addWidget(new QLabel(tr("Path on %1, where the engine runs").arg(host), this));
  column->addWidget(typed_);
  column->addWidget(said_);
  column->addWidget(buttons);
  connect(typed_, &QLineEdit::textChanged, this, &PathDialog::look);
  resizeToScreen(*this, {560, sizeHint().height()});
  look();
}

void PathDialog::look() {
  choose_->setEnabled(false);
  said_->clear();
  if (const QString typed = typed_->text().trimmed(); !typed.isEmpty()) Q_EMIT lookWanted(typed);
}

void PathDialog::show(const Result<PathRecord>& record) {
  const std::string problem = !record ? record.error().message : record->problem;
  choose_->setEnabled(problem.empty());
  said_->setForegroundRole(problem.empty() ? QPalette::PlaceholderText : QPalette::WindowText);
  if (!problem.empty())
    return said_->setText(QString::fromStdString(problem + " " + (record ? record->hint : record.error().hint)));
  path_ = QString::fromStdString(record->path);
  said_->setText(record->kind == PathRecord::Kind::folder
                     ? tr("%1: a folder").arg(path_)
                     : tr("%1: a file of %2")
                           .arg(path_, QLocale().formattedDataSize(record->bytes, 1, QLocale::DataSizeSIFormat)));
}

void choosePath(QWidget* parent, Workflow& workflow, const QString& title, std::function<void(const QString&)> chosen) {
  auto* dialog = new PathDialog(title, workflow.host().value_or(QString()), parent->window());
  dialog->setAttribute(Qt::WA_DeleteOnClose);
  QObject::connect(dialog, &PathDialog::lookWanted, &workflow, [dialog, &workflow](const QString& typed) {
    workflow.examinePath(typed, dialog, [dialog](const Result<PathRecord>& record) { dialog->show(record); });
  });
  QObject::connect(dialog, &QDialog::accepted, &workflow,
                   [dialog, chosen = std::move(chosen)] { chosen(dialog->path()); });
  dialog->open();
}

}  // namespace kvista
