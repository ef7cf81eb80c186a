// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/segmented_control.h"

#include <QButtonGroup>
#include <QComboBox>
#include <QHBoxLayout>
#include <QKeyEvent>
#include <QStandardItemModel>
#include <QToolButton>
#include <algorithm>

namespace kvista {
namespace {

constexpr int kHeight = 28;  ///< Leaves a title bar of 34 pixels its air.
constexpr int kBoxAir = 44;  ///< Of a box with a list beside its text.

}  // namespace

SegmentedControl::SegmentedControl(std::vector<std::pair<QString, QString>> segments, const QString& name,
                                   QWidget* parent)
    : QWidget(parent), buttons_(new QButtonGroup(this)) {
  setAccessibleName(name);
  setSizePolicy(QSizePolicy::Maximum, QSizePolicy::Fixed);
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(0, 0, 0, 0);
  row->setSpacing(0);
  for (std::size_t i = 0; i < segments.size(); ++i) {
    auto* button = new QToolButton(this);
    button->setText(segments[i].second);
    button->setAccessibleName(name.isEmpty() ? segments[i].second : tr("%1: %2").arg(name, segments[i].second));
    button->setCheckable(true);
    button->setFixedHeight(kHeight);
    button->setProperty("segment", true);
    button->setProperty("first", i == 0);
    button->setProperty("last", i + 1 == segments.size());
    button->installEventFilter(this);
    buttons_->addButton(button, static_cast<int>(i));
    row->addWidget(button);
    ids_.push_back(segments[i].first);
  }
  connect(buttons_, &QButtonGroup::idClicked, this, &SegmentedControl::choose);
  if (!ids_.empty()) setCurrent(ids_.front());
}

void SegmentedControl::setCurrent(const QString& id) {
  const auto found = std::find(ids_.begin(), ids_.end(), id);
  current_ = found == ids_.end() ? -1 : static_cast<int>(found - ids_.begin());
  buttons_->setExclusive(false);  // An exclusive group refuses to have nothing checked.
  for (int i = 0; i < static_cast<int>(ids_.size()); ++i) {
    buttons_->button(i)->setChecked(i == current_);
    // Tab enters at the current segment; arrows go on from there.
    buttons_->button(i)->setFocusPolicy(i == std::max(current_, 0) ? Qt::StrongFocus : Qt::ClickFocus);
  }
  buttons_->setExclusive(true);
  if (box_) box_->setCurrentIndex(current_);
}

QSize SegmentedControl::sizeHint() const {
  int width = 0;
  for (const QAbstractButton* button : buttons_->buttons()) width += button->sizeHint().width();
  return {width, kHeight};
}

QSize SegmentedControl::minimumSizeHint() const {
  int longest = 0;
  for (const QAbstractButton* button : buttons_->buttons())
    longest = std::max(longest, fontMetrics().horizontalAdvance(button->text()));
  return {std::min(sizeHint().width(), longest + kBoxAir), kHeight};
}

void SegmentedControl::makeBox() {
  box_ = new QComboBox(this);
  box_->setAccessibleName(accessibleName());
  for (const QAbstractButton* button : buttons_->buttons()) {
    box_->addItem(button->text());
    qobject_cast<QStandardItemModel*>(box_->model())->item(box_->count() - 1)->setEnabled(button->isEnabled());
    box_->setItemData(box_->count() - 1, button->toolTip(), Qt::ToolTipRole);
  }
  box_->setCurrentIndex(current_);
  box_->hide();
  box_->setSizePolicy(QSizePolicy::Fixed, QSizePolicy::Fixed);
  static_cast<QHBoxLayout*>(layout())->addWidget(box_, 0, Qt::AlignRight);
  connect(box_, &QComboBox::activated, this, &SegmentedControl::choose);
}

void SegmentedControl::resizeEvent(QResizeEvent*) {
  const bool isNarrow = width() < sizeHint().width();
  if (isNarrow && !box_) makeBox();
  if (!box_ || isNarrow == !box_->isHidden()) return;
  bool hadFocus = box_->hasFocus();
  for (QAbstractButton* button : buttons_->buttons()) {
    hadFocus = hadFocus || button->hasFocus();
    button->setVisible(!isNarrow);
  }
  box_->setVisible(isNarrow);
  if (!hadFocus) return;
  if (isNarrow)
    box_->setFocus();
  else if (current_ >= 0)
    buttons_->button(current_)->setFocus();
}

QString SegmentedControl::current() const {
  return current_ < 0 ? QString() : ids_[static_cast<std::size_t>(current_)];
}

QToolButton* SegmentedControl::segment(const QString& id) const {
  const auto found = std::find(ids_.begin(), ids_.end(), id);
  return found == ids_.end() ? nullptr
                             : qobject_cast<QToolButton*>(buttons_->button(static_cast<int>(found - ids_.begin())));
}

void SegmentedControl::choose(int index) {
  if (index == current_) return;
  setCurrent(ids_[static_cast<std::size_t>(index)]);
  Q_EMIT chosen(current());
}

bool SegmentedControl::eventFilter(QObject* watched, QEvent* event) {
  if (event->type() == QEvent::EnabledChange && box_) {
    const auto* button = qobject_cast<QAbstractButton*>(watched);
    auto* items = qobject_cast<QStandardItemModel*>(box_->model());
    items->item(buttons_->id(const_cast<QAbstractButton*>(button)))->setEnabled(button->isEnabled());
  }
  if (event->type() != QEvent::KeyPress) return QWidget::eventFilter(watched, event);
  const int last = static_cast<int>(ids_.size()) - 1;
  const int from = buttons_->id(qobject_cast<QAbstractButton*>(watched));
  int to = from;
  switch (static_cast<QKeyEvent*>(event)->key()) {
    case Qt::Key_Left:
    case Qt::Key_Up:
      to = from - 1;
      break;
    case Qt::Key_Right:
    case Qt::Key_Down:
      to = from + 1;
      break;
    case Qt::Key_Home:
      to = 0;
      break;
    case Qt::Key_End:
      to = last;
      break;
    default:
      return QWidget::eventFilter(watched, event);
  }
  // A segment that is disabled is passed over, in the direction of travel.
  const int step = to >= from ? 1 : -1;
  while (to >= 0 && to <= last && !buttons_->button(to)->isEnabled()) to += step;
  if (to >= 0 && to <= last) {
    choose(to);
    buttons_->button(to)->setFocus(Qt::TabFocusReason);
  }
  return true;
}

}  // namespace kvista
