// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/file_list.h"

#include <QDragEnterEvent>
#include <QFileDialog>
#include <QHBoxLayout>
#include <QListWidget>
#include <QMimeData>
#include <QPushButton>
#include <QShortcut>
#include <QVBoxLayout>

#include "views/local_files.h"
#include "views/theme.h"

namespace kvista {

FileList::FileList(QWidget* parent) : QWidget(parent), list_(new QListWidget(this)) {
  setKind(tr("Text to read"), tr("Text (*.txt *.jsonl *.md);;All files (*)"));
  setAcceptDrops(true);
  list_->setAccessibleName(tr("Text files"));
  list_->setSelectionMode(QAbstractItemView::ExtendedSelection);
  list_->setMinimumHeight(60);
  list_->setSizeAdjustPolicy(QAbstractScrollArea::AdjustToContents);
  list_->setTextElideMode(Qt::ElideMiddle);
  list_->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  frameList(*list_);
  auto* files = new QPushButton(tr("Add files…"), this);
  files->setObjectName(QStringLiteral("addTextFiles"));
  auto* folder = new QPushButton(tr("Add folder…"), this);
  folder->setObjectName(QStringLiteral("addTextFolder"));
  auto* remove = new QPushButton(tr("Remove"), this);
  auto* buttons = new QHBoxLayout;
  for (QPushButton* button : {files, folder, remove}) buttons->addWidget(button);
  buttons->addStretch(1);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->addWidget(list_);
  column->addLayout(buttons);
  connect(files, &QPushButton::clicked, this, [this] {
    if (asking_) return asking_([this](const QString& path) { add({path}); });
    add(QFileDialog::getOpenFileNames(this, caption_, {}, filter_));
  });
  connect(folder, &QPushButton::clicked, this, [this] {
    const QString path = QFileDialog::getExistingDirectory(this, tr("Folder of .txt and .jsonl files"));
    if (!path.isEmpty()) add({path});
  });
  const auto removeSelected = [this] {
    qDeleteAll(list_->selectedItems());
    Q_EMIT changed();
  };
  connect(remove, &QPushButton::clicked, this, removeSelected);
  connect(new QShortcut(QKeySequence::Delete, list_, nullptr, nullptr, Qt::WidgetShortcut), &QShortcut::activated, this,
          removeSelected);
}

void FileList::setAsking(Asking asking) {
  asking_ = std::move(asking);
  setAcceptDrops(false);
  findChild<QPushButton*>(QStringLiteral("addTextFiles"))->setText(tr("Add path…"));
  leaveFoldersOut();  // A path is either.
}

void FileList::leaveFoldersOut() { findChild<QPushButton*>(QStringLiteral("addTextFolder"))->hide(); }

void FileList::setKind(const QString& caption, const QString& filter) {
  caption_ = caption;
  filter_ = filter;
}

QStringList FileList::paths() const {
  QStringList result;
  for (int i = 0; i < list_->count(); ++i) result << list_->item(i)->text();
  return result;
}

void FileList::setPaths(const QStringList& paths) {
  list_->clear();
  add(paths);
}

void FileList::add(const QStringList& added) {
  for (const QString& path : added)
    if (!paths().contains(path)) {
      list_->addItem(path);
      list_->item(list_->count() - 1)->setToolTip(path);
    }
  Q_EMIT changed();
}

void FileList::dragEnterEvent(QDragEnterEvent* event) {
  if (event->mimeData()->hasUrls()) event->acceptProposedAction();
}

void FileList::dropEvent(QDropEvent* event) { add(localFiles(event->mimeData())); }

}  // namespace kvista
