// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/jobs_view.h"

#include <QGraphicsOpacityEffect>
#include <QLabel>
#include <QPropertyAnimation>
#include <QScrollArea>
#include <QTimerEvent>
#include <QVBoxLayout>
#include <algorithm>

#include "views/job_row.h"
#include "views/theme.h"
#include "views/words.h"

namespace kvista {
namespace {

constexpr int kFadeMilliseconds = 600, kSecond = 1000;

bool isFinished(const JobRecord& job) {
  return job.state == JobRecord::State::done || job.state == JobRecord::State::cancelled;
}

}  // namespace

JobsView::JobsView(QWidget* parent) : View(parent), present_(new QVBoxLayout), earlier_(new QVBoxLayout) {
  setTitle(tr("Jobs"));
  auto* scroll = new QScrollArea(this);
  auto* inside = new QWidget;
  earlierTitle_ = softLabel(tr("Earlier"), inside);
  earlierTitle_->setFont(textFont(TextRole::title));
  earlierTitle_->setContentsMargins(16, 16, 0, 4);
  empty_ = emptyState(tr("No jobs.\nCalibrating, measuring and exporting are shown here while they run."), inside);
  auto* column = new QVBoxLayout(inside);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(0);
  for (QVBoxLayout* part : {present_, earlier_}) {
    part->setContentsMargins(0, 0, 0, 0);
    part->setSpacing(0);
  }
  column->addLayout(present_);
  column->addWidget(earlierTitle_);
  column->addLayout(earlier_);
  column->addWidget(empty_, 1);
  column->addStretch();
  scroll->setWidget(inside);
  scroll->setWidgetResizable(true);
  scroll->setFrameShape(QFrame::NoFrame);
  scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  scroll->viewport()->setAutoFillBackground(false);
  inside->setAutoFillBackground(false);
  auto* all = new QVBoxLayout(this);
  all->setContentsMargins(0, 0, 0, 0);
  all->addWidget(scroll);
  showEmptyState();
}

void JobsView::setRecord(const std::vector<JobRecord>& jobs) {
  for (auto row = rows_.begin(); row != rows_.end();) {
    const bool gone =
        std::none_of(jobs.begin(), jobs.end(), [&](const JobRecord& job) { return job.id == row->first; });
    if (gone) {
      row->second->hide();
      row->second->setParent(nullptr);
      row->second->deleteLater();  // Not at once: one of its own buttons may be what took it away.
      row = rows_.erase(row);
    } else {
      ++row;
    }
  }
  for (const JobRecord& job : jobs) {
    JobRow*& row = rows_[job.id];
    if (!row) {
      row = new JobRow(job, this);
      row->isEarlier = isFinished(job);
      (row->isEarlier ? earlier_ : present_)->insertWidget(0, row);
      row->show();
      connect(row, &JobRow::cancelClicked, this, [this, id = job.id] { Q_EMIT cancelRequested(id); });
      connect(row, &JobRow::copyClicked, this, [this, id = job.id] { Q_EMIT copyRequested(id); });
      connect(row, &JobRow::dismissClicked, this, [this, id = job.id] { Q_EMIT dismissed(id); });
      connect(row, &JobRow::againClicked, this, [this, id = job.id] { Q_EMIT againRequested(id); });
    } else if (row->record() != job) {
      const bool finishes = isFinished(job) && !isFinished(row->record());
      row->setRecord(job);
      if (finishes) settle(row);
    }
  }
  const bool running = std::any_of(jobs.begin(), jobs.end(),
                                   [](const JobRecord& job) { return job.state == JobRecord::State::running; });
  if (running && !clock_.isActive()) clock_.start(kSecond, this);
  if (!running) clock_.stop();
  showEmptyState();
}

void JobsView::timerEvent(QTimerEvent* event) {
  if (event->timerId() != clock_.timerId()) return View::timerEvent(event);
  for (const auto& [id, row] : rows_) row->showTimes(row->age());
}

/// Fades the row out where it is and puts it among the earlier ones.
void JobsView::settle(JobRow* row) {
  auto* opacity = new QGraphicsOpacityEffect(row);
  row->setGraphicsEffect(opacity);
  auto* fade = new QPropertyAnimation(opacity, "opacity", row);
  fade->setDuration(kFadeMilliseconds);
  fade->setStartValue(1.0);
  fade->setEndValue(0.0);
  connect(fade, &QPropertyAnimation::finished, this, [this, row] {
    row->setGraphicsEffect(nullptr);
    row->isEarlier = true;
    present_->removeWidget(row);
    earlier_->insertWidget(0, row);
    showEmptyState();
  });
  fade->start(QAbstractAnimation::DeleteWhenStopped);
}

void JobsView::showEmptyState() {
  empty_->setVisible(rows_.empty());
  earlierTitle_->setVisible(
      std::any_of(rows_.begin(), rows_.end(), [](const auto& row) { return row.second->isEarlier; }));
}

}  // namespace kvista
