// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/guide_view.h"

#include <QDragEnterEvent>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QMimeData>
#include <QPainter>
#include <QPushButton>
#include <QScrollArea>
#include <QVBoxLayout>

#include "views/local_files.h"
#include "views/theme.h"
#include "views/words.h"

namespace kvista {
namespace {

constexpr int kWidth = 760, kGap = 24, kStepWidth = 140;

/// A dashed frame with words in it; solid and in the accent's colour while something hovers over it.
class DropZone final : public QLabel {
 public:
  using QLabel::QLabel;
  void setHovered(bool hovered) {
    hovered_ = hovered;
    update();
  }

 protected:
  void paintEvent(QPaintEvent* event) override {
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(hovered_ ? QPen(colours().accent, 2) : QPen(colours().hairline, 1, Qt::DashLine));
    painter.drawRoundedRect(QRectF(rect()).adjusted(1, 1, -1, -1), 6, 6);
    painter.end();
    QLabel::paintEvent(event);
  }

 private:
  bool hovered_ = false;
};

/// The number of a step in a circle: filled with the accent where one is now, a check mark where it is done.
class StepNumber final : public QLabel {
 public:
  StepNumber(int number, QWidget* parent) : QLabel(parent), number_(number) { setFixedSize(24, 24); }
  void setProgress(GuideRecord::Progress progress) {
    progress_ = progress;
    update();
  }

 protected:
  void paintEvent(QPaintEvent*) override {
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    const bool current = progress_ == GuideRecord::Progress::current, done = progress_ == GuideRecord::Progress::done;
    painter.setPen(current ? QPen(Qt::NoPen) : QPen(done ? colours().accent : colours().faint, 1.25));
    painter.setBrush(current ? QBrush(colours().accent) : QBrush(Qt::NoBrush));
    painter.drawEllipse(QRectF(rect()).adjusted(1, 1, -1, -1));
    if (done) {
      painter.setPen(QPen(colours().accent, 2, Qt::SolidLine, Qt::RoundCap, Qt::RoundJoin));
      painter.drawPolyline(QPolygonF({{7.5, 12.5}, {10.5, 15.5}, {16.5, 8.5}}));
      return;
    }
    painter.setFont(textFont(TextRole::strong));
    painter.setPen(current ? colours().onAccent : colours().soft);
    painter.drawText(rect(), Qt::AlignCenter, QString::number(number_));
  }

 private:
  int number_;
  GuideRecord::Progress progress_ = GuideRecord::Progress::later;
};

}  // namespace

GuideView::GuideView(QWidget* parent) : View(parent) {
  setTitle(tr("Start"));
  setAcceptDrops(true);
  auto* page = new QWidget;
  page->setMaximumWidth(kWidth);
  page->setAutoFillBackground(false);
  auto* heading = new QLabel(tr("Make the cache of a language model smaller"), page);
  heading->setFont(textFont(TextRole::figure));
  heading->setWordWrap(true);
  auto* summary = softLabel(tr("See which heads are alike and where the rank is needed, choose what to keep, and leave "
                               "with a model that runs."),
                            page);
  summary->setWordWrap(true);

  auto* openButton = new QPushButton(tr("Open a model…"), page);
  open_ = openButton;
  openButton->setToolTip(tr("A folder, a safetensors, PyTorch or GGUF file, an index or a project"));
  auto* demo = new QPushButton(tr("Open the demo model"), page);
  dropZone_ = new DropZone(tr("or drop a folder here"), page);
  static_cast<QLabel*>(dropZone_)->setAlignment(Qt::AlignCenter);
  dropZone_->setForegroundRole(QPalette::PlaceholderText);
  dropZone_->setMinimumHeight(40);
  auto* buttons = new QHBoxLayout;
  buttons->setSpacing(8);
  buttons->addWidget(openButton);
  buttons->addWidget(demo);
  buttons->addWidget(dropZone_, 1);

  auto* steps = new QGridLayout;
  steps->setSpacing(kGap);
  for (const Step step : {open, calibrate, plan, exportModel}) {
    steps->addWidget(makeStep(step), 0, step);
    steps->setColumnStretch(step, 1);
  }

  recentPart_ = new QWidget(page);
  auto* recentTitle = new QLabel(tr("Recent"), recentPart_);
  recentTitle->setFont(textFont(TextRole::title));
  auto* recentColumn = new QVBoxLayout(recentPart_);
  recentColumn->setContentsMargins(0, 0, 0, 0);
  recentColumn->setSpacing(4);
  recentColumn->addWidget(recentTitle);
  recent_ = new QVBoxLayout;
  recent_->setSpacing(0);
  recentColumn->addLayout(recent_);

  auto* column = new QVBoxLayout(page);
  column->setContentsMargins(32, 40, 32, 32);
  column->setSpacing(8);
  column->addWidget(heading);
  column->addWidget(summary);
  column->addSpacing(16);
  column->addLayout(buttons);
  column->addSpacing(kGap);
  column->addLayout(steps);
  column->addSpacing(kGap);
  column->addWidget(recentPart_);
  column->addStretch(1);  // Before the steps, which could be higher too: a tall window must not tear them apart.

  auto* centre = new QWidget;
  auto* across = new QHBoxLayout(centre);
  across->setContentsMargins(0, 0, 0, 0);
  across->addStretch(1);
  across->addWidget(page, 100);
  across->addStretch(1);
  auto* scroll = new QScrollArea(this);
  scroll->setWidget(centre);
  scroll->setWidgetResizable(true);
  scroll->setFrameShape(QFrame::NoFrame);
  scroll->viewport()->setAutoFillBackground(false);
  centre->setAutoFillBackground(false);
  auto* all = new QVBoxLayout(this);
  all->setContentsMargins(0, 0, 0, 0);
  all->addWidget(scroll);

  connect(openButton, &QPushButton::clicked, this, &GuideView::openRequested);
  connect(demo, &QPushButton::clicked, this, &GuideView::demoRequested);
  connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
  setFocusProxy(openButton);
  record_.recent.emplace_back();  // Unlike any record: the first is shown.
  setRecord({});
}

QWidget* GuideView::makeStep(Step step) {
  const QString titles[] = {tr("Open"), tr("Calibrate"), tr("Plan"), tr("Export")};
  const QString words[] = {tr("A checkpoint or a project."), tr("Statistics of keys and values on your text."),
                           tr("Groups and budgets, with the numbers following."),
                           tr("A checkpoint that runs, verified by reading back.")};
  auto* part = new QWidget;
  auto* number = new StepNumber(step + 1, part);
  auto* title = new QLabel(titles[step], part);
  title->setFont(textFont(TextRole::strong));
  QLabel* state = softLabel({}, part);
  QLabel* explanation = softLabel(words[step], part);
  explanation->setWordWrap(true);
  explanation->setAlignment(Qt::AlignTop | Qt::AlignLeft);
  explanation->setMinimumWidth(kStepWidth);  // A wrapped text is as high as at its narrowest.
  const QString verbs[] = {tr("Open…"), tr("Calibrate…"), tr("Edit the plan"), tr("Export…")};
  auto* button = new QPushButton(verbs[step], part);
  connect(button, &QPushButton::clicked, this, [this, step] { Q_EMIT stepRequested(step); });
  auto* line = new QHBoxLayout;
  line->setSpacing(8);
  line->addWidget(number);
  line->addWidget(title);
  line->addWidget(state, 1);
  auto* column = new QVBoxLayout(part);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(8);
  column->addLayout(line);
  column->addWidget(explanation);
  column->addStretch(1);
  column->addWidget(button, 0, Qt::AlignLeft);
  steps_[step] = {number, state, button};
  return part;
}

QWidget* GuideView::makeRecent(const GuideRecord::Recent& recent) {
  auto* row = new QWidget;
  QWidget* name = nullptr;
  if (recent.missing) {
    name = softLabel(recent.name, row);
  } else {
    auto* link = new QPushButton(recent.name, row);
    link->setProperty("link", true);
    connect(link, &QPushButton::clicked, this, [this, path = recent.path] { Q_EMIT recentChosen(path); });
    name = link;
  }
  name->setToolTip(recent.place());
  QLabel* path = softLabel({}, row);
  path->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
  path->setText(recent.place());
  path->setToolTip(recent.place());
  auto* line = new QHBoxLayout(row);
  line->setContentsMargins(0, 4, 0, 4);
  line->setSpacing(12);
  line->addWidget(name);
  line->addWidget(path, 1);
  line->addWidget(softLabel(recent.missing ? tr("missing") : recent.when, row));
  if (recent.missing) {
    auto* locate = new QPushButton(tr("Locate…"), row);
    locate->setAccessibleName(tr("Locate %1").arg(recent.name));
    connect(locate, &QPushButton::clicked, this, [this, path = recent.path] { Q_EMIT locateRequested(path); });
    line->addWidget(locate);
  }
  auto* remove = new QPushButton(tr("Remove"), row);
  remove->setProperty("quiet", true);
  remove->setAccessibleName(tr("Remove %1 from the list").arg(recent.name));
  line->addWidget(remove);
  connect(remove, &QPushButton::clicked, this, [this, path = recent.path] { Q_EMIT removeRequested(path); });
  return row;
}

void GuideView::setRecord(const GuideRecord& record) {
  if (record == record_) return;
  record_ = record;
  showSteps();
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    // The one thing to do next. To open is already the large button above.
    steps_[i].button->setProperty("primary", record.steps[i] == GuideRecord::Progress::current && i != open);
    steps_[i].button->updateGeometry();
    steps_[i].button->update();
  }
  while (QLayoutItem* item = recent_->takeAt(0)) {
    // Not at once: the record may come while a button of the row is still clicking.
    item->widget()->hide();
    item->widget()->deleteLater();
    delete item;
  }
  open_->setProperty("primary", record.steps[open] == GuideRecord::Progress::current);
  open_->updateGeometry();
  open_->update();
  for (const GuideRecord::Recent& recent : record.recent) recent_->addWidget(makeRecent(recent));
  recentPart_->setVisible(!record.recent.empty());
}

void GuideView::setUnderWay(const QString& progress) {
  if (progress == underWay_) return;
  underWay_ = progress;
  showSteps();
}

void GuideView::showSteps() {
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const GuideRecord::Progress progress = record_.steps[i];
    const bool current = progress == GuideRecord::Progress::current, runs = current && !underWay_.isEmpty();
    static_cast<StepNumber*>(steps_[i].number)->setProgress(progress);
    steps_[i].state->setText(progress == GuideRecord::Progress::done ? tr("done")
                             : runs                                  ? underWay_
                             : current                               ? tr("now")
                                                                     : tr("later"));
    steps_[i].button->setEnabled(progress != GuideRecord::Progress::later && !runs);
  }
}

void GuideView::dragEnterEvent(QDragEnterEvent* event) {
  if (localFiles(event->mimeData()).isEmpty()) return;
  event->acceptProposedAction();
  static_cast<DropZone*>(dropZone_)->setHovered(true);
}

void GuideView::dragLeaveEvent(QDragLeaveEvent*) { static_cast<DropZone*>(dropZone_)->setHovered(false); }

void GuideView::dropEvent(QDropEvent* event) {
  static_cast<DropZone*>(dropZone_)->setHovered(false);
  const QStringList paths = localFiles(event->mimeData());
  if (paths.isEmpty()) return;
  event->acceptProposedAction();
  Q_EMIT dropped(paths);
}

}  // namespace kvista
