// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/plan_dialog.h"

#include <QComboBox>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <utility>
#include <vector>

#include "app/studio/window/help_window.h"
#include "app/studio/window/memory_row.h"
#include "app/studio/window/plan_options.h"
#include "app/studio/window/sharing_row.h"
#include "app/studio/window/start_buttons.h"
#include "app/studio/window/tab_order.h"
#include "app/studio/window/window_size.h"
#include "views/target_editor.h"
#include "views/words.h"

namespace kvista {
namespace {

constexpr int kSummary = Qt::UserRole;

/// Where the manual speaks of a method: published systems have sections of their own, the others stand in the table of
/// methods. A child of the dialog, which else would not let it be read.
void showMethodHelp(QDialog& dialog, const QString& method) {
  auto* help = new HelpWindow(&dialog);
  help->setAttribute(Qt::WA_DeleteOnClose);
  help->showFirst({QStringLiteral("systems"), QStringLiteral("plan")}, method);
  help->show();
}

}  // namespace

PlanDialog::PlanDialog(const Catalogue& catalogue, const CompressionPlan& plan, QWidget* parent)
    : QDialog(parent),
      methods_(catalogue.methods),
      form_(scrolledForm(*this)),
      method_(new QComboBox(this)),
      typed_(new QLineEdit(this)),
      why_(softLabel(tr("Groups and bits are chosen anew for every layer, as one step that can be undone."), this)),
      summary_(softLabel({}, this)),
      reason_(softLabel({}, this)),
      memory_(new MemoryRow(QStringLiteral("makePlan"), this)),
      given_(plan.target),
      target_(plan.target) {
  setObjectName(QStringLiteral("planDialog"));
  setWindowTitle(tr("Plan anew"));
  for (QLabel* label : {why_, summary_, reason_}) label->setWordWrap(true);
  for (QLabel* label : {summary_, reason_}) label->setAlignment(Qt::AlignTop | Qt::AlignLeft);
  form_->addRow(why_);
  addMethod();
  method_->setCurrentText(QString::fromStdString(plan.method));
  addTarget();
  options_ = new PlanOptions(catalogue, plan, method(), *form_);
  form_->addRow(tr("Memory"), memory_);
  const auto [buttons, start] = startButtons(*this, tr("Plan"));
  start_ = start;
  connect(method_, &QComboBox::currentIndexChanged, options_, [this] { options_->setMethod(method()); });
  connect(options_, &PlanOptions::changed, this, &PlanDialog::check);
  connect(typed_, &QLineEdit::textChanged, this, &PlanDialog::check);
  method_->setFocus();
  finishScrolledForm(*this, *form_, *buttons, 600);
  tabAsSeen(*layout());
  check();
}

void PlanDialog::addMethod() {
  method_->setObjectName(QStringLiteral("method"));
  for (const MethodChoice& method : methods_) {
    QString summary = QString::fromStdString(method.choice.summary);
    if (!method.choice.source.empty())
      summary += QStringLiteral(" (%1)").arg(QString::fromStdString(method.choice.source));
    method_->addItem(QString::fromStdString(method.choice.name), summary);
  }
  auto* about = new QPushButton(tr("About it…"), this);
  about->setObjectName(QStringLiteral("methodHelp"));
  about->setToolTip(tr("What the manual says of this method."));
  about->setAutoDefault(false);
  connect(about, &QPushButton::clicked, this, [this] { showMethodHelp(*this, method_->currentText()); });
  auto* row = new QHBoxLayout;
  row->setSpacing(8);
  row->addWidget(method_, 1);
  row->addWidget(about);
  form_->addRow(tr("Method"), row);
  qobject_cast<QLabel*>(form_->labelForField(row))->setBuddy(method_);
  // What it says changes, the dialog's size does not.
  summary_->setMinimumHeight(3 * summary_->fontMetrics().lineSpacing());
  form_->addRow(QString(), summary_);
}

void PlanDialog::addTarget() {
  typed_->setObjectName(QStringLiteral("target"));
  typed_->setText(targetText(given_));
  reason_->setObjectName(QStringLiteral("reason"));
  form_->addRow(tr("Target"), typed_);
  form_->addRow(QString(), reason_);
}

void PlanDialog::askForVariant() {
  isVariant_ = true;
  setWindowTitle(tr("Variant of a method"));
  for (QWidget* ofTheRun : {static_cast<QWidget*>(why_), static_cast<QWidget*>(typed_), static_cast<QWidget*>(memory_)})
    form_->setRowVisible(ofTheRun, false);
  start_->setText(tr("Add"));
  check();
}

void PlanDialog::setSharing(AskSharing ask) { options_->sharing()->setAsking(std::move(ask)); }

const MethodChoice* PlanDialog::method() const {
  const int index = method_->currentIndex();
  return index < 0 ? nullptr : &methods_[static_cast<std::size_t>(index)];
}

PlanWish PlanDialog::wish() const {
  PlanWish wish;
  wish.method = method_->currentText().toStdString();
  wish.target = target_;
  options_->addTo(wish);
  return wish;
}

void PlanDialog::check() {
  summary_->setText(method_->currentData(kSummary).toString());
  const bool hasEps = wish().eps.has_value();
  typed_->setEnabled(!hasEps);
  typed_->setToolTip(hasEps ? tr("eps decides how small the cache becomes.") : QString());
  // What was given says more than its text does, and what eps makes of the size needs none.
  const Result<Target> typed =
      hasEps || typed_->text() == targetText(given_) ? Result<Target>(given_) : targetFromText(typed_->text());
  if (typed) target_ = *typed;
  const QString problem = options_->problem();
  reason_->setText(!problem.isEmpty() ? problem
                   : isVariant_       ? tr("Compared at the sizes of the experiment.")
                   : typed            ? tr("8 is eight times smaller; or 12.5 %, 2048 B, 2 % loss.")
                                      : QString::fromStdString(typed.error().message + " " + typed.error().hint));
  reason_->setForegroundRole(typed && problem.isEmpty() ? QPalette::PlaceholderText : QPalette::WindowText);
  start_->setEnabled(typed && problem.isEmpty() && memory_->fits() && method() != nullptr);
}

void PlanDialog::showMemory(const Result<std::vector<MemoryForecast>>& forecast) {
  memory_->setForecast(forecast);
  check();
}

}  // namespace kvista
