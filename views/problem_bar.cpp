// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/problem_bar.h"

#include <QClipboard>
#include <QGuiApplication>
#include <QHBoxLayout>
#include <QLabel>
#include <QPainter>
#include <QPushButton>
#include <QVBoxLayout>
#include <algorithm>

#include "views/icon.h"
#include "views/theme.h"
#include "views/words.h"

namespace kvista {

ProblemBar::ProblemBar(QWidget* parent)
    : QFrame(parent),
      mark_(new QLabel(this)),
      title_(new QLabel(this)),
      sentence_(new QLabel(this)),
      hint_(new QLabel(this)),
      path_(softLabel({}, this)),
      again_(new QPushButton(this)),
      copy_(new QPushButton(tr("Copy report"), this)),
      dismiss_(new QPushButton(tr("Dismiss"), this)) {
  title_->setFont(textFont(TextRole::strong));
  auto* words = new QVBoxLayout;
  words->setSpacing(2);
  for (QLabel* label : {title_, sentence_, hint_, path_}) {
    label->setTextFormat(Qt::PlainText);
    label->setWordWrap(true);
    label->setTextInteractionFlags(Qt::TextSelectableByMouse);
    words->addWidget(label);
  }
  title_->setObjectName(QStringLiteral("problemTitle"));
  sentence_->setObjectName(QStringLiteral("problemSentence"));
  hint_->setObjectName(QStringLiteral("problemHint"));
  path_->setObjectName(QStringLiteral("problemPath"));
  again_->setObjectName(QStringLiteral("continueJob"));
  copy_->setObjectName(QStringLiteral("copyReport"));
  dismiss_->setObjectName(QStringLiteral("dismissProblem"));
  for (QPushButton* button : {copy_, dismiss_}) button->setProperty("quiet", true);
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(16, 10, 10, 10);
  row->setSpacing(10);
  row->addWidget(mark_, 0, Qt::AlignTop);
  row->addLayout(words, 1);
  for (QPushButton* button : {again_, copy_, dismiss_}) row->addWidget(button, 0, Qt::AlignTop);
  markPrimary(again_);
  connect(again_, &QPushButton::clicked, this, [this] { Q_EMIT againRequested(QString(shown_.id)); });
  connect(dismiss_, &QPushButton::clicked, this, [this] { Q_EMIT dismissed(QString(shown_.id)); });
  connect(copy_, &QPushButton::clicked, this, [this] { QGuiApplication::clipboard()->setText(shown_.report); });
  const auto colour = [this] {
    mark_->setPixmap(icon(QStringLiteral("dialog-error"), colours().warning).pixmap(16, 16));
    update();
  };
  connect(&Theme::instance(), &Theme::changed, this, colour);
  colour();
  setRecord({});
}

void ProblemBar::setRecord(const std::vector<ProblemRecord>& problems) {
  const auto newest = std::find_if(problems.rbegin(), problems.rend(), [](const ProblemRecord& problem) {
    return problem.severity == ProblemRecord::Severity::error;
  });
  setVisible(newest != problems.rend());
  if (newest == problems.rend()) return;
  shown_ = *newest;
  for (const auto& [label, text] : {std::pair(title_, shown_.title), std::pair(sentence_, shown_.sentence),
                                    std::pair(hint_, shown_.hint), std::pair(path_, shown_.path)}) {
    label->setText(text);
    label->setVisible(!text.isEmpty());
  }
  again_->setText(shown_.again);
  again_->setVisible(!shown_.again.isEmpty());
  setAccessibleName(tr("Problem: %1").arg(shown_.sentence));
}

void ProblemBar::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(colours().warning);
  painter.setBrush(colours().panel);
  painter.drawRoundedRect(QRectF(rect()).adjusted(.5, .5, -.5, -.5), 6, 6);
}

}  // namespace kvista
