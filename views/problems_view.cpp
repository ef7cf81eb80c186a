// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/problems_view.h"

#include <QApplication>
#include <QClipboard>
#include <QLabel>
#include <QListView>
#include <QPainter>
#include <QShortcut>
#include <QStackedLayout>
#include <QStyledItemDelegate>
#include <algorithm>
#include <set>
#include <tuple>

#include "views/icon.h"
#include "views/theme.h"
#include "views/words.h"

namespace kvista {
namespace {

constexpr int kMargin = 12, kWord = 96, kLine = 20, kIcon = 16;

/// Icon and word of the severity at the left, the sentence at the right of them, hint and path below it.
class ProblemDelegate final : public QStyledItemDelegate {
 public:
  using QStyledItemDelegate::QStyledItemDelegate;

  void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override {
    const auto& problem = static_cast<const ProblemsModel*>(index.model())->at(index.row());
    painter->save();
    const QRect row = option.rect;
    if (option.state & QStyle::State_Selected) {
      painter->fillRect(row, colours().accentGround);
      paintChosenMark(*painter, row);
    }
    const bool grave = problem.severity != ProblemRecord::Severity::note;
    const QString names[] = {QStringLiteral("dialog-error"), QStringLiteral("dialog-warning"),
                             QStringLiteral("dialog-information")};
    const QColor colour = grave ? colours().warning : colours().soft;
    icon(names[static_cast<std::size_t>(problem.severity)], colour)
        .paint(painter, row.left() + kMargin, row.top() + kMargin, kIcon, kIcon);
    painter->setFont(textFont(TextRole::strong));
    // The warning's colour has not the contrast on the ground of a selection.
    painter->setPen(option.state & QStyle::State_Selected ? colours().text : colour);
    painter->drawText(QRect(row.left() + kMargin + kIcon + 6, row.top() + 10, kWord, kLine),
                      Qt::AlignLeft | Qt::AlignVCenter, ProblemsModel::word(problem.severity));
    painter->setFont(textFont(TextRole::body));
    painter->setPen(colours().text);
    const QRect text = textRect(row);
    const int height = sentenceHeight(problem, row.width());
    painter->drawText(QRect(text.left(), row.top() + 10, text.width(), height), Qt::TextWordWrap | Qt::AlignVCenter,
                      problem.sentence);
    painter->setPen(colours().soft);
    int y = row.top() + 10 + height;
    for (const auto& [words, mode] :
         {std::pair(problem.hint, Qt::ElideRight), std::pair(problem.subject(), Qt::ElideMiddle)}) {
      if (words.isEmpty()) continue;
      painter->drawText(QRect(text.left(), y, text.width(), kLine), Qt::AlignLeft | Qt::AlignVCenter,
                        painter->fontMetrics().elidedText(words, mode, text.width()));
      y += kLine;
    }
    painter->setPen(colours().hairline);
    painter->drawLine(row.left() + kMargin, row.bottom(), row.right() - kMargin, row.bottom());
    painter->restore();
  }

  [[nodiscard]] QSize sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const override {
    const auto& problem = static_cast<const ProblemsModel*>(index.model())->at(index.row());
    const int width = static_cast<const QAbstractItemView*>(option.widget)->viewport()->width();
    return {200, 20 + sentenceHeight(problem, width) + (problem.hint.isEmpty() ? 0 : kLine) +
                     (problem.subject().isEmpty() ? 0 : kLine)};
  }

 private:
  static QRect textRect(const QRect& row) { return row.adjusted(kMargin + kIcon + 6 + kWord, 0, -kMargin, 0); }
  static int sentenceHeight(const ProblemRecord& problem, int rowWidth) {
    const int width = std::max(textRect(QRect(0, 0, rowWidth, 100)).width(), 40);
    return std::max(kLine, QFontMetrics(textFont(TextRole::body))
                               .boundingRect(QRect(0, 0, width, 10000), Qt::TextWordWrap, problem.sentence)
                               .height());
  }
};

}  // namespace

QString ProblemsModel::word(ProblemRecord::Severity severity) {
  switch (severity) {
    case ProblemRecord::Severity::error:
      return tr("Error");
    case ProblemRecord::Severity::warning:
      return tr("Warning");
    case ProblemRecord::Severity::note:
      return tr("Note");
  }
  return {};
}

void ProblemsModel::setProblems(const std::vector<ProblemRecord>& problems) {
  std::vector<ProblemRecord> once;
  std::set<std::tuple<int, QString, QString>> seen;
  for (const ProblemRecord& problem : problems)
    if (seen.emplace(static_cast<int>(problem.severity), problem.sentence, problem.subject()).second)
      once.push_back(problem);
  std::stable_sort(once.begin(), once.end(), [](const auto& a, const auto& b) { return a.severity < b.severity; });
  if (once == problems_) return;
  beginResetModel();
  problems_ = std::move(once);
  endResetModel();
}

int ProblemsModel::rowCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(problems_.size());
}

QVariant ProblemsModel::data(const QModelIndex& index, int role) const {
  if (!checkIndex(index, CheckIndexOption::IndexIsValid)) return {};
  const ProblemRecord& problem = at(index.row());
  QStringList parts = {tr("%1: %2").arg(word(problem.severity), problem.sentence)};
  for (const QString& part : {problem.hint, problem.subject()})
    if (!part.isEmpty()) parts << part;
  if (role == Qt::DisplayRole || role == Qt::AccessibleTextRole) return parts.join(QLatin1Char(' '));
  if (role == Qt::ToolTipRole) return parts.join(QLatin1Char('\n'));
  return {};
}

ProblemsView::ProblemsView(QWidget* parent)
    : View(parent),
      model_(new ProblemsModel(this)),
      list_(new QListView(this)),
      empty_(emptyState(tr("No problems."), this)) {
  setTitle(tr("Problems"));
  list_->setModel(model_);
  list_->setItemDelegate(new ProblemDelegate(list_));
  list_->setResizeMode(QListView::Adjust);
  list_->setVerticalScrollMode(QAbstractItemView::ScrollPerPixel);
  list_->setAccessibleName(tr("Problems"));
  auto* stack = new QStackedLayout(this);
  stack->addWidget(empty_);
  stack->addWidget(list_);
  // Enter, Return or a double click, whatever the desktop calls activation.
  const auto jump = [this](const QModelIndex& index) {
    if (index.isValid()) Q_EMIT jumpRequested(model_->at(index.row()).id);
  };
  connect(list_, &QListView::doubleClicked, this, jump);
  for (const Qt::Key key : {Qt::Key_Return, Qt::Key_Enter}) {
    auto* enter = new QShortcut(key, list_, nullptr, nullptr, Qt::WidgetShortcut);
    connect(enter, &QShortcut::activated, this, [this, jump] { jump(list_->currentIndex()); });
  }
  auto* copy = new QShortcut(QKeySequence::Copy, list_, nullptr, nullptr, Qt::WidgetShortcut);
  connect(copy, &QShortcut::activated, this, &ProblemsView::copy);
  connect(&Theme::instance(), &Theme::changed, list_->viewport(), qOverload<>(&QWidget::update));
}

void ProblemsView::setRecord(const std::vector<ProblemRecord>& problems) {
  model_->setProblems(problems);
  const int count = model_->rowCount();
  setTitle(tr("Problems"), count == 0 ? QString() : QString::number(count));
  static_cast<QStackedLayout*>(layout())->setCurrentWidget(count == 0 ? static_cast<QWidget*>(empty_) : list_);
  if (count > 0 && !list_->currentIndex().isValid()) list_->setCurrentIndex(model_->index(0));
}

void ProblemsView::copy() const {
  if (list_->currentIndex().isValid())
    QApplication::clipboard()->setText(model_->data(list_->currentIndex(), Qt::DisplayRole).toString());
}

}  // namespace kvista
