// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/plan_dialog.h"

#include <QCheckBox>
#include <QComboBox>
#include <QDialogButtonBox>
#include <QFormLayout>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>

#include "app/studio/window/memory_row.h"
#include "app/studio/window/window_size.h"
#include "views/target_editor.h"
#include "views/theme.h"
#include "views/words.h"

namespace kvista {
namespace {

constexpr int kSummary = Qt::UserRole, kCanBeCompensated = Qt::UserRole + 1;

}  // namespace

PlanDialog::PlanDialog(const std::vector<MethodChoice>& methods, const CompressionPlan& plan, QWidget* parent)
    : QDialog(parent),
      method_(new QComboBox(this)),
      compensate_(new QCheckBox(tr("Compensate what the layers before lose, if that helps"), this)),
      typed_(new QLineEdit(this)),
      summary_(softLabel({}, this)),
      reason_(softLabel({}, this)),
      memory_(new MemoryRow(QStringLiteral("makePlan"), this)),
      given_(plan.target),
      target_(plan.target) {
  setObjectName(QStringLiteral("planDialog"));
  setWindowTitle(tr("Plan anew"));
  method_->setObjectName(QStringLiteral("method"));
  for (const MethodChoice& method : methods) {
    QString summary = QString::fromStdString(method.choice.summary);
    if (!method.choice.source.empty()) summary += QStringLiteral(" (%1)").arg(QString::fromStdString(method.choice.source));
    method_->addItem(QString::fromStdString(method.choice.name), summary);
    method_->setItemData(method_->count() - 1, method.canBeCompensated, kCanBeCompensated);
  }
  method_->setCurrentText(QString::fromStdString(plan.method));
  compensate_->setObjectName(QStringLiteral("compensate"));
  compensate_->setChecked(plan.compensated);
  compensate_->setToolTip(tr("Takes the calibration text through the model twice, and compares on text that was held out."));
  typed_->setObjectName(QStringLiteral("target"));
  typed_->setText(targetText(given_));
  reason_->setObjectName(QStringLiteral("reason"));
  auto* why = softLabel(tr("Groups and bits are chosen anew for every layer, as one step that can be undone."), this);
  for (QLabel* label : {why, summary_, reason_}) label->setWordWrap(true);
  // What they say changes, the dialog's size does not.
  for (QLabel* label : {summary_, reason_}) {
    label->setMinimumHeight(2 * label->fontMetrics().lineSpacing());
    label->setAlignment(Qt::AlignTop | Qt::AlignLeft);
  }
  auto* form = new QFormLayout(this);
  form->setContentsMargins(20, 20, 20, 16);
  form->setVerticalSpacing(10);
  form->addRow(why);
  form->addRow(tr("Method"), method_);
  form->addRow(QString(), summary_);
  form->addRow(QString(), compensate_);
  form->addRow(tr("Target"), typed_);
  form->addRow(QString(), reason_);
  form->addRow(tr("Memory"), memory_);
  auto* buttons = new QDialogButtonBox(QDialogButtonBox::Cancel, this);
  start_ = buttons->addButton(tr("Plan"), QDialogButtonBox::AcceptRole);
  start_->setObjectName(QStringLiteral("startButton"));
  markPrimary(start_);
  start_->setDefault(true);
  form->addRow(buttons);
  connect(buttons, &QDialogButtonBox::accepted, this, &QDialog::accept);
  connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
  connect(method_, &QComboBox::currentIndexChanged, this, &PlanDialog::check);
  connect(typed_, &QLineEdit::textChanged, this, &PlanDialog::check);
  resizeToScreen(*this, {560, sizeHint().height()});
  check();
}

QString PlanDialog::method() const { return method_->currentText(); }

bool PlanDialog::compensate() const { return compensate_->isEnabled() && compensate_->isChecked(); }

void PlanDialog::check() {
  summary_->setText(method_->currentData(kSummary).toString());
  compensate_->setEnabled(method_->currentData(kCanBeCompensated).toBool());
  // What was given says more than its text does.
  const Result<Target> typed = typed_->text() == targetText(given_) ? Result<Target>(given_) : targetFromText(typed_->text());
  if (typed) target_ = *typed;
  reason_->setText(typed ? tr("8 is eight times smaller; or 12.5 %, 2048 B, 2 % loss.")
                         : QString::fromStdString(typed.error().message + " " + typed.error().hint));
  reason_->setForegroundRole(typed ? QPalette::PlaceholderText : QPalette::WindowText);
  start_->setEnabled(typed && memory_->fits() && method_->count() > 0);
}

void PlanDialog::showMemory(const Result<std::vector<MemoryForecast>>& forecast) {
  memory_->setForecast(forecast);
  check();
}

}  // namespace kvista
