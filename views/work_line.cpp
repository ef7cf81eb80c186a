// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/work_line.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QProgressBar>
#include <QPushButton>
#include <algorithm>

#include "views/icon.h"
#include "views/theme.h"
#include "views/words.h"

namespace kvista {
namespace {

constexpr int kBarWidth = 140, kNarrowestBar = 40, kLongestName = 260;

/// Gives way where a line is narrow, since the words beside it say the same.
class ShareBar final : public QProgressBar {
 public:
  explicit ShareBar(QWidget* parent) : QProgressBar(parent) {
    setSizePolicy(QSizePolicy::Preferred, QSizePolicy::Fixed);
  }
  [[nodiscard]] QSize sizeHint() const override { return {kBarWidth, QProgressBar::sizeHint().height()}; }
  [[nodiscard]] QSize minimumSizeHint() const override {
    return {kNarrowestBar, QProgressBar::minimumSizeHint().height()};
  }
};

}  // namespace

WorkLine::WorkLine(QWidget* parent)
    : QWidget(parent),
      name_(new QPushButton(this)),
      bar_(new ShareBar(this)),
      progress_(softLabel({}, this)),
      cancel_(new QPushButton(this)),
      problems_(new QPushButton(this)) {
  name_->setProperty("quiet", true);
  name_->setToolTip(tr("Show all jobs"));
  name_->setObjectName(QStringLiteral("runningJob"));
  bar_->setTextVisible(false);
  bar_->setMaximumWidth(kBarWidth);
  bar_->setObjectName(QStringLiteral("runningShare"));
  progress_->setObjectName(QStringLiteral("runningProgress"));
  cancel_->setObjectName(QStringLiteral("cancelJob"));
  problems_->setProperty("quiet", true);
  problems_->setToolTip(tr("Show what is wrong"));
  problems_->setObjectName(QStringLiteral("problemCount"));
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(0, 2, 0, 2);
  row->setSpacing(8);
  for (QWidget* widget : std::initializer_list<QWidget*>{name_, bar_, progress_, cancel_, problems_})
    row->addWidget(widget);
  connect(name_, &QPushButton::clicked, this, &WorkLine::jobsWanted);
  connect(problems_, &QPushButton::clicked, this, &WorkLine::problemsWanted);
  connect(cancel_, &QPushButton::clicked, this, [this] {
    cancelled_ = shown_;
    cancel_->setEnabled(false);
    cancel_->setText(tr("Cancelling…"));
    Q_EMIT cancelRequested(shown_);
  });
  const auto colour = [this] { problems_->setIcon(icon(QStringLiteral("dialog-warning"), colours().warning)); };
  connect(&Theme::instance(), &Theme::changed, this, colour);
  colour();
  setJobs({});
  setProblems(0);
}

void WorkLine::setJobs(const std::vector<JobRecord>& jobs) {
  const auto isRunning = [](const JobRecord& job) { return job.state == JobRecord::State::running; };
  const auto newest = std::find_if(jobs.rbegin(), jobs.rend(), isRunning);
  const bool runs = newest != jobs.rend();
  for (QWidget* widget : std::initializer_list<QWidget*>{name_, bar_, progress_, cancel_}) widget->setVisible(runs);
  shown_ = runs ? newest->id : QString();
  if (!runs) return;
  const auto others = static_cast<int>(std::count_if(jobs.begin(), jobs.end(), isRunning)) - 1;
  const QString name = fontMetrics().elidedText(newest->name, Qt::ElideMiddle, kLongestName);
  name_->setText(others > 0 ? tr("%1 and %Ln more", nullptr, others).arg(name) : name);
  name_->setAccessibleName(tr("%1, show all jobs").arg(newest->name));
  showShare(*bar_, *newest);
  progress_->setText(progressText(*newest));
  progress_->setToolTip(QStringList{newest->stage, newest->memory}.join(QLatin1Char('\n')).trimmed());
  cancel_->setEnabled(shown_ != cancelled_);
  cancel_->setText(shown_ == cancelled_ ? tr("Cancelling…") : tr("Cancel"));
  cancel_->setAccessibleName(tr("Cancel %1").arg(newest->name));
}

void WorkLine::setProblems(int count) {
  problems_->setVisible(count > 0);
  problems_->setText(count == 1 ? tr("1 problem") : tr("%L1 problems").arg(count));
}

}  // namespace kvista
