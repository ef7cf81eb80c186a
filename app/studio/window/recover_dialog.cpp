// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/recover_dialog.h"

#include <QDialogButtonBox>
#include <QFileInfo>
#include <QHeaderView>
#include <QLabel>
#include <QListWidget>
#include <QLocale>
#include <QPushButton>
#include <QTreeWidget>
#include <QVBoxLayout>

#include "app/studio/plan_differences.h"
#include "views/theme.h"

namespace kvista {
namespace {

QString nameOf(const RecoveredProject& project) {
  return project.file.empty() ? QFileInfo(QString::fromStdString(project.project.model.string())).fileName()
                              : QString::fromStdString(project.file.string());
}

QString summaryOf(const RecoveredProject& project) {
  const QString when = QLocale().toString(project.changed, QLocale::ShortFormat);
  const int edits = static_cast<int>(project.edits.size());
  return edits > 0 ? RecoverDialog::tr("%Ln edit(s) since the last save, the newest at %1.", nullptr, edits).arg(when)
                   : RecoverDialog::tr("Calibration, measurements or notes of %1 were not saved.").arg(when);
}

}  // namespace

RecoverDialog::RecoverDialog(std::vector<RecoveredProject> found, QWidget* parent)
    : QDialog(parent),
      found_(std::move(found)),
      list_(new QListWidget),
      heading_(new QLabel),
      summary_(new QLabel),
      differences_(new QPushButton(tr("Show differences"))),
      table_(new QTreeWidget) {
  setObjectName(QStringLiteral("recoverDialog"));
  setWindowTitle(tr("Recover"));
  setAttribute(Qt::WA_DeleteOnClose);
  for (QLabel* label : {heading_, summary_}) label->setWordWrap(true);
  heading_->setObjectName(QStringLiteral("recoverHeading"));
  summary_->setObjectName(QStringLiteral("recoverSummary"));
  list_->setObjectName(QStringLiteral("abandonedProjects"));
  list_->setAccessibleName(tr("Projects that were not saved"));
  list_->setMaximumHeight(120);
  differences_->setObjectName(QStringLiteral("showDifferences"));
  differences_->setCheckable(true);
  differences_->setProperty("link", true);
  differences_->setAutoDefault(false);  // Return is the blue button's, wherever the keyboard is.
  table_->setObjectName(QStringLiteral("differences"));
  table_->setAccessibleName(tr("Differences"));
  table_->setHeaderLabels({tr("What"), tr("As saved"), tr("With the edits")});
  table_->setRootIsDecorated(false);
  table_->setUniformRowHeights(true);
  table_->header()->setSectionResizeMode(QHeaderView::ResizeToContents);
  table_->setMinimumSize(560, 200);
  frameList(*table_);
  frameList(*list_);
  table_->hide();
  auto* buttons = new QDialogButtonBox;
  auto* recover = buttons->addButton(tr("Recover"), QDialogButtonBox::AcceptRole);
  auto* discardButton = buttons->addButton(tr("Discard"), QDialogButtonBox::DestructiveRole);
  buttons->addButton(tr("Later"), QDialogButtonBox::RejectRole);
  recover->setObjectName(QStringLiteral("recover"));
  discardButton->setObjectName(QStringLiteral("discard"));
  recover->setDefault(true);
  recover->setFocus();
  markPrimary(recover);
  auto* column = new QVBoxLayout(this);
  column->addWidget(heading_);
  column->addWidget(list_);
  column->addWidget(summary_);
  column->addWidget(differences_, 0, Qt::AlignLeft);
  column->addWidget(table_, 1);
  column->addWidget(buttons);
  connect(list_, &QListWidget::currentRowChanged, this, &RecoverDialog::showChosen);
  connect(differences_, &QPushButton::toggled, this, &RecoverDialog::showDifferences);
  connect(discardButton, &QPushButton::clicked, this, &RecoverDialog::discard);
  connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
  connect(buttons, &QDialogButtonBox::accepted, this, [this] {
    const RecoveredProject project = found_[chosen()];
    accept();
    Q_EMIT recoverRequested(project);
  });
  fillList();
}

std::size_t RecoverDialog::chosen() const { return static_cast<std::size_t>(std::max(0, list_->currentRow())); }

void RecoverDialog::fillList() {
  const QSignalBlocker quiet(list_);
  list_->clear();
  for (const RecoveredProject& project : found_)
    list_->addItem(tr("%1 · %2").arg(nameOf(project), QLocale().toString(project.changed, QLocale::ShortFormat)));
  list_->setCurrentRow(0);
  list_->setVisible(found_.size() > 1);
  showChosen();
}

void RecoverDialog::showChosen() {
  const RecoveredProject& project = found_[chosen()];
  heading_->setText(found_.size() == 1
                        ? tr("KVista ended without saving %1.").arg(nameOf(project))
                        : tr("KVista ended without saving %Ln project(s).", nullptr, static_cast<int>(found_.size())));
  summary_->setText(summaryOf(project));
  showDifferences();
}

void RecoverDialog::showDifferences() {
  table_->clear();
  table_->setVisible(differences_->isChecked());
  if (!differences_->isChecked()) return adjustSize();
  const RecoveredProject& project = found_[chosen()];
  QList<QTreeWidgetItem*> rows;
  if (!project.before) {
    rows << new QTreeWidgetItem({tr("How it was before is not known; the edits:"), {}, {}});
    for (const QString& edit : project.edits) rows << new QTreeWidgetItem({edit, {}, {}});
  } else {
    for (const PlanDifference& each : differencesOf(*project.before, project.project.plan))
      rows << new QTreeWidgetItem({each.what, each.before, each.after});
    if (rows.isEmpty()) rows << new QTreeWidgetItem({tr("The plan is as it was saved."), {}, {}});
  }
  table_->addTopLevelItems(rows);
  adjustSize();
}

void RecoverDialog::discard() {
  const auto at = found_.begin() + static_cast<std::ptrdiff_t>(chosen());
  const RecoveredProject project = *at;
  found_.erase(at);
  Q_EMIT discardRequested(project);
  if (found_.empty()) return reject();
  fillList();
}

}  // namespace kvista
