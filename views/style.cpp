// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
//
// How large controls are; style_paint.cpp draws them.
#include "views/style.h"

#include <QAbstractScrollArea>
#include <QComboBox>
#include <QDialog>
#include <QHeaderView>
#include <QPlainTextEdit>
#include <QScrollBar>
#include <QStyleFactory>
#include <QStyleOption>
#include <QTabBar>
#include <QTableView>
#include <QTextEdit>
#include <algorithm>

#include "views/style_parts.h"
#include "views/theme.h"

namespace kvista {
namespace {

constexpr int kControl = 28, kText = 18, kPadding = 10, kSegmentPadding = 11, kArrow = 22, kCellPadding = 6, kRow = 26;
// What QLineEdit leaves beside its text by itself: so far its padding is less than that of other fields.
constexpr int kEditMargin = 2;
constexpr int kScrollBar = 10, kLeastHandle = 28, kProgress = 6, kIndicator = 16;
constexpr int kHeaderPadding = 8, kHeaderHeight = 11, kSortMark = 14;

/// How much wider a text is in the weight that the control may have.
int wider(const QFontMetrics& usual, const QFont& font, const QString& text) {
  QFont strong = font;
  strong.setWeight(QFont::DemiBold);
  return std::max(0, QFontMetrics(strong).horizontalAdvance(text) - usual.horizontalAdvance(text));
}

/// All boxes have, but for numbers that are typed.
bool hasArrows(const QStyleOption& option) {
  const auto* box = qstyleoption_cast<const QStyleOptionSpinBox*>(&option);
  return !box || box->buttonSymbols != QAbstractSpinBox::NoButtons;
}

int headerPadding(const QWidget* header) {
  const QVariant given =
      header && header->parentWidget() ? header->parentWidget()->property("headerPadding") : QVariant();
  return given.isValid() ? given.toInt() : kHeaderPadding;
}

QRect scrollBarPart(const QStyleOptionSlider& bar, QStyle::SubControl part) {
  const bool lies = bar.orientation == Qt::Horizontal;
  const int length = lies ? bar.rect.width() : bar.rect.height(), range = bar.maximum - bar.minimum;
  const int handle =
      range <= 0 ? length
                 : std::clamp(static_cast<int>(static_cast<qint64>(length) * bar.pageStep / (range + bar.pageStep)),
                              std::min(kLeastHandle, length), length);
  const int at =
      QStyle::sliderPositionFromValue(bar.minimum, bar.maximum, bar.sliderPosition, length - handle, bar.upsideDown);
  const auto along = [&](int from, int size) {
    return QStyle::visualRect(bar.direction, bar.rect,
                              lies ? QRect(bar.rect.left() + from, bar.rect.top(), size, bar.rect.height())
                                   : QRect(bar.rect.left(), bar.rect.top() + from, bar.rect.width(), size));
  };
  switch (part) {
    case QStyle::SC_ScrollBarSlider:
      return along(at, handle);
    case QStyle::SC_ScrollBarSubPage:
      return along(0, at);
    case QStyle::SC_ScrollBarAddPage:
      return along(at + handle, length - at - handle);
    case QStyle::SC_ScrollBarGroove:
      return bar.rect;
    default:
      return {};  // No arrows at the ends.
  }
}

}  // namespace

Style::Style() : QProxyStyle(QStyleFactory::create(QStringLiteral("Fusion"))) {}

void Style::polish(QWidget* widget) {
  QProxyStyle::polish(widget);
  if (qobject_cast<QTabBar*>(widget) || qobject_cast<QComboBox*>(widget)) widget->setAttribute(Qt::WA_Hover);
  // What is behind a scroll bar is seen through it.
  if (qobject_cast<QScrollBar*>(widget)) widget->setAttribute(Qt::WA_OpaquePaintEvent, false);
}

QSize Style::sizeFromContents(ContentsType type, const QStyleOption* option, const QSize& contents,
                              const QWidget* widget) const {
  switch (type) {
    case CT_PushButton: {
      const auto* button = qstyleoption_cast<const QStyleOptionButton*>(option);
      if (!button) break;
      // Rounded up: a text that is a part of a pixel too wide would be cut.
      QSize size(std::max(contents.width(), button->fontMetrics.horizontalAdvance(button->text) + 1),
                 std::max(contents.height(), kText));
      if (is(widget, "primary")) size.rwidth() += wider(button->fontMetrics, widget->font(), button->text);
      return is(widget, "link") ? size + QSize(0, 4) : size + QSize(2 * kPadding + 2, kControl - kText);
    }
    case CT_ToolButton: {
      const auto* button = qstyleoption_cast<const QStyleOptionToolButton*>(option);
      if (!button || button->text.isEmpty() || button->toolButtonStyle == Qt::ToolButtonIconOnly) break;
      QSize size(contents.width(), std::max(contents.height(), kText) + kControl - kText);
      if (!is(widget, "segment")) return size + QSize(2 * kPadding + 2, 0);
      size.rwidth() += wider(button->fontMetrics, button->font, button->text) + 2 * kSegmentPadding;
      return size + QSize(is(widget, "first") ? 2 : 1, 0);
    }
    case CT_ComboBox:
    case CT_SpinBox:
      // A few pixels more than the text was measured to have: at broken scales it is drawn a little wider.
      return {contents.width() + kPadding + (hasArrows(*option) ? kArrow : kPadding) + 6, kControl};
    case CT_LineEdit: {
      const auto* frame = qstyleoption_cast<const QStyleOptionFrame*>(option);
      if (!frame || frame->lineWidth == 0) return contents;
      return {contents.width() + 2 * kPadding + 2, kControl};
    }
    case CT_ItemViewItem: {
      const QSize size = QProxyStyle::sizeFromContents(type, option, contents, widget);
      return qobject_cast<const QTableView*>(widget) ? size : size.expandedTo({0, kRow});
    }
    case CT_ProgressBar:
      return {contents.width(), kProgress};
    case CT_TabBarTab:
      return contents;
    case CT_HeaderSection: {
      const auto* header = qstyleoption_cast<const QStyleOptionHeader*>(option);
      if (!header) break;
      const QSize text = header->fontMetrics.size(0, header->text);
      const int padding = headerPadding(widget),
                mark = header->sortIndicator == QStyleOptionHeader::None ? 0 : kSortMark;
      return {text.width() + 2 * padding + mark, text.height() + std::min(kHeaderHeight, 2 * padding + 1)};
    }
    case CT_MenuItem: {
      const auto* item = qstyleoption_cast<const QStyleOptionMenuItem*>(option);
      if (!item) break;
      if (item->menuItemType == QStyleOptionMenuItem::Separator) return {contents.width(), 9};
      const QSize size = QProxyStyle::sizeFromContents(type, option, contents, widget);
      return {size.width() + 16, std::max(item->fontMetrics.height(), 16) + 10};
    }
    default:
      break;
  }
  return QProxyStyle::sizeFromContents(type, option, contents, widget);
}

QRect Style::subControlRect(ComplexControl control, const QStyleOptionComplex* option, SubControl part,
                            const QWidget* widget) const {
  const QRect& rect = option->rect;
  if (const auto* bar = qstyleoption_cast<const QStyleOptionSlider*>(option); bar && control == CC_ScrollBar)
    return scrollBarPart(*bar, part);
  if (control == CC_ComboBox && part == SC_ComboBoxEditField)
    return visualRect(option->direction, rect, rect.adjusted(kPadding + 1, 1, -kArrow - 1, -1));
  if (control == CC_ComboBox && part == SC_ComboBoxArrow)
    return visualRect(option->direction, rect, QRect(rect.right() - kArrow, rect.top(), kArrow, rect.height()));
  if (control == CC_SpinBox) {
    const int middle = rect.top() + rect.height() / 2;
    const QRect arrows(rect.right() - kArrow, rect.top() + 1, kArrow, rect.height() - 2);
    const int right = hasArrows(*option) ? kArrow : kPadding;
    QRect result;
    if (part == SC_SpinBoxEditField) result = rect.adjusted(kPadding - kEditMargin + 1, 1, -right - 1, -1);
    if (part == SC_SpinBoxUp) result = QRect(arrows.topLeft(), QPoint(arrows.right(), middle - 1));
    if (part == SC_SpinBoxDown) result = QRect(QPoint(arrows.left(), middle), arrows.bottomRight());
    if (part == SC_SpinBoxFrame) result = rect;
    return visualRect(option->direction, rect, result);
  }
  return QProxyStyle::subControlRect(control, option, part, widget);
}

QRect Style::subElementRect(SubElement element, const QStyleOption* option, const QWidget* widget) const {
  if (element == SE_LineEditContents) {
    const auto* frame = qstyleoption_cast<const QStyleOptionFrame*>(option);
    if (!frame || frame->lineWidth == 0) return option->rect;
    const int padding = (is(widget, "cell") ? kCellPadding : kPadding - kEditMargin) + 1;
    return option->rect.adjusted(padding, 1, -padding, -1);
  }
  if (element == SE_ProgressBarGroove || element == SE_ProgressBarContents)
    return {option->rect.left(), option->rect.center().y() - kProgress / 2 + 1, option->rect.width(), kProgress};
  if (element == SE_HeaderLabel) {
    const auto* header = qstyleoption_cast<const QStyleOptionHeader*>(option);
    const int padding = headerPadding(widget);
    const int mark = header && header->sortIndicator != QStyleOptionHeader::None ? kSortMark : 0;
    return visualRect(option->direction, option->rect, option->rect.adjusted(padding, 0, -padding - mark, -1));
  }
  return QProxyStyle::subElementRect(element, option, widget);
}

int Style::pixelMetric(PixelMetric metric, const QStyleOption* option, const QWidget* widget) const {
  switch (metric) {
    case PM_DefaultFrameWidth:
      if (qobject_cast<const QTextEdit*>(widget) || qobject_cast<const QPlainTextEdit*>(widget)) return 5;
      return qobject_cast<const QAbstractScrollArea*>(widget) ? 0 : 1;
    case PM_SpinBoxFrameWidth:
    case PM_ComboBoxFrameWidth:
    case PM_MenuPanelWidth:
      return 1;
    case PM_MenuHMargin:
    case PM_MenuVMargin:
      return 4;
    case PM_MenuButtonIndicator:
      return 0;
    case PM_ScrollBarExtent:
      return kScrollBar;
    case PM_ScrollBarSliderMin:
      return kLeastHandle;
    case PM_ScrollView_ScrollBarSpacing:
      return 0;
    case PM_IndicatorWidth:
    case PM_IndicatorHeight:
    case PM_ExclusiveIndicatorWidth:
    case PM_ExclusiveIndicatorHeight:
      return kIndicator;
    case PM_CheckBoxLabelSpacing:
    case PM_RadioButtonLabelSpacing:
      return 8;
    case PM_LayoutHorizontalSpacing:  // Between a form's labels and its fields.
      return qobject_cast<const QDialog*>(widget) ? 12 : QProxyStyle::pixelMetric(metric, option, widget);
    case PM_FocusFrameHMargin:  // Of texts in lists and tables, less one.
      return qobject_cast<const QTableView*>(widget) ? 3 : 7;
    case PM_TabBarTabHSpace:
      return 24;
    case PM_TabBarTabVSpace:
      return 14;
    case PM_TabBarTabOverlap:
    case PM_TabBarTabShiftHorizontal:
    case PM_TabBarTabShiftVertical:
      return 0;
    case PM_DockWidgetSeparatorExtent:
      return 8;
    case PM_ToolTipLabelFrameWidth:
      return 7;
    default:
      return QProxyStyle::pixelMetric(metric, option, widget);
  }
}

int Style::styleHint(StyleHint hint, const QStyleOption* option, const QWidget* widget,
                     QStyleHintReturn* answer) const {
  switch (hint) {
    case SH_DialogButtonBox_ButtonsHaveIcons:
    case SH_ComboBox_Popup:  // A list below the box, not a menu over it.
    case SH_EtchDisabledText:
    case SH_DitherDisabledText:
      return 0;
    default:
      return QProxyStyle::styleHint(hint, option, widget, answer);
  }
}

}  // namespace kvista
