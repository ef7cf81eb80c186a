// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/job_row.h"

#include <QFontDatabase>
#include <QHBoxLayout>
#include <QLabel>
#include <QLocale>
#include <QPainter>
#include <QPlainTextEdit>
#include <QProgressBar>
#include <QPushButton>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

#include "views/elided_label.h"
#include "views/icon.h"
#include "views/theme.h"
#include "views/words.h"

namespace kvista {
namespace {

constexpr int kSteps = 1000;

QPushButton* button(const QString& text, bool quiet, QWidget* parent) {
  auto* result = new QPushButton(text, parent);
  if (quiet) result->setProperty("quiet", true);
  return result;
}

}  // namespace

QString progressText(const JobRecord& job, double sinceRecord) {
  QStringList times;
  if (job.share) times << JobRow::tr("%1 %").arg(QLocale().toString(std::floor(100 * *job.share), 'f', 0));
  times << durationText(job.elapsedSeconds + sinceRecord);
  if (job.remainingSeconds)
    times << JobRow::tr("%1 left").arg(durationText(std::max(*job.remainingSeconds - sinceRecord, 0.0)));
  return times.join(QStringLiteral(" · "));
}

void showShare(QProgressBar& bar, const JobRecord& job) {
  bar.setRange(0, job.share ? kSteps : 0);
  if (job.share) bar.setValue(static_cast<int>(std::lround(kSteps * std::clamp(*job.share, 0.0, 1.0))));
  bar.setAccessibleName(JobRow::tr("Share done of %1").arg(job.name));
}

JobRow::JobRow(const JobRecord& job, QWidget* parent)
    : QFrame(parent),
      mark_(new QLabel(this)),
      name_(new ElidedLabel(this)),
      state_(softLabel({}, this)),
      took_(softLabel({}, this)),
      stage_(new ElidedLabel),
      times_(softLabel({}, nullptr)),
      memory_(softLabel({}, this)),
      sentence_(new QLabel),
      hint_(softLabel({}, nullptr)),
      bar_(new QProgressBar(this)),
      cancel_(button(tr("Cancel"), false, this)),
      again_(button(tr("Continue"), false, nullptr)),
      details_(button(tr("Details"), true, nullptr)),
      copy_(button(tr("Copy report"), true, nullptr)),
      dismiss_(button(tr("Dismiss"), true, nullptr)),
      report_(new QPlainTextEdit),
      progress_(new QWidget(this)),
      failure_(new QWidget(this)) {
  name_->setFont(textFont(TextRole::strong));
  name_->setForegroundRole(QPalette::WindowText);
  name_->setSizePolicy(QSizePolicy::Preferred, QSizePolicy::Preferred);  // As wide as it is, where there is room.
  memory_->setWordWrap(true);
  bar_->setTextVisible(false);
  for (QLabel* label : {sentence_, hint_}) {
    label->setWordWrap(true);
    label->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    label->setFocusPolicy(Qt::NoFocus);
  }
  report_->setReadOnly(true);
  report_->setFont(QFontDatabase::systemFont(QFontDatabase::FixedFont));
  report_->setMaximumHeight(120);
  report_->setAccessibleName(tr("Details"));
  report_->hide();
  details_->setCheckable(true);

  auto* line = new QHBoxLayout;
  line->setSpacing(8);
  line->addWidget(mark_);
  line->addWidget(name_);
  line->addWidget(state_);
  line->addStretch(1);
  line->addWidget(took_);
  line->addWidget(cancel_);
  auto* second = new QHBoxLayout(progress_);
  second->setContentsMargins(0, 0, 0, 0);
  second->setSpacing(8);
  second->addWidget(stage_, 1);
  second->addWidget(times_);
  auto* buttons = new QHBoxLayout;
  buttons->setSpacing(4);
  buttons->addWidget(again_);
  buttons->addWidget(details_);
  buttons->addWidget(copy_);
  buttons->addWidget(dismiss_);
  buttons->addStretch();
  auto* below = new QVBoxLayout(failure_);
  below->setContentsMargins(0, 0, 0, 0);
  below->setSpacing(4);
  below->addWidget(sentence_);
  below->addWidget(hint_);
  below->addWidget(report_);
  below->addLayout(buttons);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(16, 8, 12, 8);
  column->setSpacing(6);
  column->addLayout(line);
  column->addWidget(progress_);
  column->addWidget(bar_);
  column->addWidget(memory_);
  column->addWidget(failure_);

  connect(cancel_, &QPushButton::clicked, this, [this] {
    cancel_->setEnabled(false);
    cancel_->setText(tr("Cancelling…"));
    Q_EMIT cancelClicked();
  });
  connect(details_, &QPushButton::toggled, report_, &QWidget::setVisible);
  connect(copy_, &QPushButton::clicked, this, &JobRow::copyClicked);
  connect(dismiss_, &QPushButton::clicked, this, &JobRow::dismissClicked);
  connect(again_, &QPushButton::clicked, this, &JobRow::againClicked);
  connect(&Theme::instance(), &Theme::changed, this, [this] { setRecord(JobRecord(job_)); });
  setRecord(job);
}

void JobRow::setRecord(const JobRecord& job) {
  job_ = job;
  const bool running = job.state == JobRecord::State::running, failed = job.state == JobRecord::State::failed;
  name_->setText(job.name);
  name_->setToolTip(job.name);
  setAccessibleName(job.name);
  received_.start();
  showTimes(0);
  took_->setText(running ? QString() : durationText(job.elapsedSeconds));
  stage_->setText(job.stage);
  stage_->setToolTip(job.stage);
  memory_->setText(job.memory);
  memory_->setVisible(running && !job.memory.isEmpty());
  progress_->setVisible(running);
  state_->setText(running                                    ? QString()
                  : failed                                   ? tr("Failed")
                  : job.state == JobRecord::State::cancelled ? tr("Cancelled")
                                                             : tr("Done"));
  mark_->setVisible(failed);
  if (failed) mark_->setPixmap(icon(QStringLiteral("dialog-error"), colours().warning).pixmap(16, 16));
  bar_->setVisible(running);
  if (running) showShare(*bar_, job);
  cancel_->setVisible(running);
  failure_->setVisible(failed);
  sentence_->setText(job.sentence);
  hint_->setText(job.hint);
  hint_->setVisible(!job.hint.isEmpty());
  report_->setPlainText(job.details);
  details_->setVisible(!job.details.isEmpty());
  again_->setVisible(job.canContinue);
}

void JobRow::showTimes(double sinceRecord) {
  if (job_.state == JobRecord::State::running) times_->setText(progressText(job_, sinceRecord));
}

void JobRow::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.setPen(colours().hairline);
  painter.drawLine(12, height() - 1, width() - 12, height() - 1);
}

}  // namespace kvista
