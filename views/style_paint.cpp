// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
//
// How controls are drawn; style.cpp says how large they are.
#include <QAbstractItemView>
#include <QAbstractScrollArea>
#include <QHeaderView>
#include <QPainter>
#include <QPainterPath>
#include <QPlainTextEdit>
#include <QPointer>
#include <QStyleOption>
#include <QTextEdit>
#include <QTimer>
#include <chrono>

#include "views/style.h"
#include "views/style_parts.h"
#include "views/theme.h"

namespace kvista {
namespace {

constexpr double kRadius = 6;

struct Face {
  QColor ground, text, border;
  bool strong = false, underlined = false;
};

Face faceOfButton(const QStyleOption& option, const QWidget* button) {
  const Palette& look = colours();
  const bool enabled = option.state & QStyle::State_Enabled, focus = option.state & QStyle::State_HasFocus;
  const bool hover = enabled && (option.state & QStyle::State_MouseOver), pressed = option.state & QStyle::State_Sunken;
  if (is(button, "primary"))
    return {enabled ? look.accent : look.hairline, enabled ? look.onAccent : look.soft,
            enabled ? (hover || focus ? look.text : look.accent) : look.hairline, true};
  if (is(button, "link"))
    return {Qt::transparent, enabled ? look.accent : look.faint, Qt::transparent, false, enabled && (hover || focus)};
  if (is(button, "segment")) {
    const bool on = option.state & QStyle::State_On;
    return {on ? look.accentGround : look.panel,
            !enabled         ? look.faint
            : on             ? look.accent
            : focus || hover ? look.text
                             : look.soft,
            look.hairline, on, focus};
  }
  const bool bare = is(button, "quiet") && !pressed;
  return {bare      ? QColor(Qt::transparent)
          : pressed ? look.window
                    : look.panel,
          enabled ? look.text : look.faint,
          focus                 ? look.accent
          : hover               ? (bare ? look.hairline : look.soft)
          : is(button, "quiet") ? QColor(Qt::transparent)
                                : look.hairline};
}

/// A line, a box or a number that can be changed.
Face faceOfField(const QStyleOption& option, const QWidget* field) {
  const Palette& look = colours();
  const bool enabled = option.state & QStyle::State_Enabled;
  return {look.panel, enabled ? look.text : look.faint,
          is(field, "refused")                                  ? look.warning
          : option.state & QStyle::State_HasFocus               ? look.accent
          : enabled && (option.state & QStyle::State_MouseOver) ? look.soft
                                                                : look.hairline};
}

void paintFace(QPainter& painter, const QRect& rect, const Face& face) {
  painter.save();
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(face.border.alpha() ? QPen(face.border) : QPen(Qt::NoPen));
  painter.setBrush(face.ground);
  painter.drawRoundedRect(QRectF(rect).adjusted(.5, .5, -.5, -.5), kRadius, kRadius);
  painter.restore();
}

/// Only the first has a left border, and only the ends are round.
void paintSegment(QPainter& painter, const QRect& rect, const Face& face, bool first, bool last) {
  painter.save();
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setClipRect(rect);
  painter.setPen(face.border);
  painter.setBrush(face.ground);
  painter.drawRoundedRect(QRectF(rect).adjusted(first ? .5 : -kRadius - .5, .5, last ? -.5 : kRadius, -.5), kRadius,
                          kRadius);
  if (!last) painter.drawLine(QPointF(rect.right() + .5, rect.top()), QPointF(rect.right() + .5, rect.bottom() + 1));
  painter.restore();
}

void paintLines(QPainter& painter, const QRectF& area, const QPolygonF& in12, const QColor& colour,
                double width = 1.5) {
  painter.save();
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(QPen(colour, width, Qt::SolidLine, Qt::RoundCap, Qt::RoundJoin));
  painter.translate(area.center() - QPointF(6, 6));
  painter.drawPolyline(in12);
  painter.restore();
}

const QPolygonF kDown{QList<QPointF>{{3, 4.5}, {6, 7.5}, {9, 4.5}}}, kUp{QList<QPointF>{{3, 7.5}, {6, 4.5}, {9, 7.5}}},
    kLeft{QList<QPointF>{{7.5, 3}, {4.5, 6}, {7.5, 9}}}, kRight{QList<QPointF>{{4.5, 3}, {7.5, 6}, {4.5, 9}}},
    kCheck{QList<QPointF>{{2.5, 6.5}, {5, 9}, {9.5, 3.5}}};

void paintText(QPainter& painter, const QStyle& style, const QRect& rect, int flags, const QString& text,
               const Face& face, const QFont& usual) {
  painter.save();
  QFont font = usual;
  if (face.strong) font.setWeight(QFont::DemiBold);
  font.setUnderline(face.underlined);
  painter.setFont(font);
  painter.setPen(face.text);
  if (!style.styleHint(QStyle::SH_UnderlineShortcut)) flags |= Qt::TextHideMnemonic;
  painter.drawText(rect, flags | Qt::TextShowMnemonic | Qt::TextSingleLine, text);
  painter.restore();
}

void paintCheckBox(QPainter& painter, const QStyleOption& option) {
  const Palette& look = colours();
  const bool enabled = option.state & QStyle::State_Enabled;
  const bool on = option.state & (QStyle::State_On | QStyle::State_NoChange);
  const bool near = option.state & (QStyle::State_MouseOver | QStyle::State_HasFocus);
  const QColor full = enabled ? look.accent : look.faint;
  painter.save();
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(on ? full : !enabled ? look.hairline : near ? look.accent : look.soft);
  painter.setBrush(on ? full : look.panel);
  painter.drawRoundedRect(QRectF(option.rect).adjusted(.5, .5, -.5, -.5), 4, 4);
  painter.restore();
  if (option.state & QStyle::State_On) paintLines(painter, option.rect, kCheck, look.onAccent, 1.8);
  if (option.state & QStyle::State_NoChange)
    paintLines(painter, option.rect, QPolygonF{QList<QPointF>{{3, 6}, {9, 6}}}, look.onAccent, 1.8);
}

void paintProgress(QPainter& painter, const QStyleOptionProgressBar& bar, const QWidget* widget) {
  painter.save();
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(Qt::NoPen);
  painter.setBrush(colours().accent);
  QRectF done = bar.rect;
  const int range = bar.maximum - bar.minimum;
  if (range > 0) {
    done.setWidth(bar.rect.width() * static_cast<double>(bar.progress - bar.minimum) / range);
  } else {
    // Nobody knows how far it is: a third of the bar goes to and fro.
    using namespace std::chrono;
    const double seconds = duration<double>(steady_clock::now().time_since_epoch()).count();
    const double at = std::abs(1 - std::fmod(seconds, 2.0));
    done = QRectF(bar.rect.left() + at * bar.rect.width() * 2 / 3, bar.rect.top(), bar.rect.width() / 3.0,
                  bar.rect.height());
    if (widget)
      QTimer::singleShot(40, widget, [widget = QPointer<QWidget>(const_cast<QWidget*>(widget))] { widget->update(); });
  }
  if (done.width() > 0) painter.drawRoundedRect(done, 3, 3);
  painter.restore();
}

/// Rows that are chosen are pale, with the text that they have otherwise.
template <class Option>
Option withQuietSelection(const Option& option) {
  Option quiet(option);
  quiet.palette.setColor(QPalette::Highlight, colours().accentGround);
  quiet.palette.setColor(QPalette::HighlightedText, colours().text);
  return quiet;
}

}  // namespace

void Style::drawPrimitive(PrimitiveElement element, const QStyleOption* option, QPainter* painter,
                          const QWidget* widget) const {
  const Palette& look = colours();
  const QRect& rect = option->rect;
  switch (element) {
    case PE_PanelButtonCommand:
    case PE_PanelButtonTool:
    case PE_FrameDefaultButton:
    case PE_FrameTabBarBase:
    case PE_FrameStatusBarItem:
    case PE_FrameMenu:
    case PE_PanelScrollAreaCorner:
      return;  // The control has drawn it, or there is none.
    case PE_FrameFocusRect:
      // The focus ring and the borders say it.
      return;
    case PE_PanelLineEdit: {
      const auto* frame = qstyleoption_cast<const QStyleOptionFrame*>(option);
      if (frame && frame->lineWidth > 0) paintFace(*painter, rect, faceOfField(*option, widget));
      return;
    }
    case PE_Frame:
      if (qobject_cast<const QTextEdit*>(widget) || qobject_cast<const QPlainTextEdit*>(widget))
        paintFace(*painter, rect, faceOfField(*option, widget));
      else if (!qobject_cast<const QAbstractScrollArea*>(
                   widget))  // Lists and tables stand in the frame of their panel.
        paintFace(*painter, rect, {look.panel, look.text, look.hairline});
      return;
    case PE_IndicatorCheckBox:
      return paintCheckBox(*painter, *option);
    case PE_IndicatorArrowDown:
    case PE_IndicatorSpinDown:
      return paintLines(*painter, rect, kDown, look.soft);
    case PE_IndicatorArrowUp:
    case PE_IndicatorSpinUp:
      return paintLines(*painter, rect, kUp, look.soft);
    case PE_IndicatorArrowLeft:
      return paintLines(*painter, rect, kLeft, look.soft);
    case PE_IndicatorArrowRight:
      return paintLines(*painter, rect, kRight, look.soft);
    case PE_PanelMenu:
    case PE_PanelTipLabel:
      painter->save();
      painter->setPen(look.hairline);
      painter->setBrush(look.panel);
      painter->drawRect(rect.adjusted(0, 0, -1, -1));
      painter->restore();
      return;
    case PE_PanelStatusBar:
      painter->fillRect(rect, look.panel);
      painter->fillRect(QRect(rect.left(), rect.top(), rect.width(), 1), look.hairline);
      return;
    case PE_IndicatorDockWidgetResizeHandle:
      if (option->state & State_MouseOver) painter->fillRect(rect, look.hairline);
      return;
    case PE_PanelItemViewItem:
    case PE_PanelItemViewRow:
      if (const auto* item = qstyleoption_cast<const QStyleOptionViewItem*>(option)) {
        const QStyleOptionViewItem quiet = withQuietSelection(*item);
        QProxyStyle::drawPrimitive(element, &quiet, painter, widget);
        const auto position = item->viewItemPosition;  // Tables do not say it.
        const auto* view = qobject_cast<const QAbstractItemView*>(widget);
        const bool isCell = view && view->selectionBehavior() == QAbstractItemView::SelectItems;
        const bool first = position == QStyleOptionViewItem::Beginning || position == QStyleOptionViewItem::OnlyOne ||
                           (position == QStyleOptionViewItem::Invalid && (isCell || item->index.column() == 0));
        if (element == PE_PanelItemViewItem && first && (item->state & State_Selected)) paintChosenMark(*painter, rect);
        return;
      }
      break;
    default:
      break;
  }
  QProxyStyle::drawPrimitive(element, option, painter, widget);
}

void Style::drawControl(ControlElement element, const QStyleOption* option, QPainter* painter,
                        const QWidget* widget) const {
  const Palette& look = colours();
  const QRect& rect = option->rect;
  switch (element) {
    case CE_ShapedFrame: {
      const auto* frame = qstyleoption_cast<const QStyleOptionFrame*>(option);
      if (!frame || frame->frameShape != QFrame::Box) break;
      return paintFace(*painter, rect, {look.panel, look.text, look.hairline});
    }
    case CE_PushButton:
      // The text may take all of it: its size has the air round the text already.
      drawControl(CE_PushButtonBevel, option, painter, widget);
      return drawControl(CE_PushButtonLabel, option, painter, widget);
    case CE_PushButtonBevel:
      return paintFace(*painter, rect, faceOfButton(*option, widget));
    case CE_PushButtonLabel: {
      const auto* button = qstyleoption_cast<const QStyleOptionButton*>(option);
      if (!button) break;
      const Face face = faceOfButton(*option, widget);
      if (button->icon.isNull()) {
        const auto side = is(widget, "link") ? Qt::AlignLeft : Qt::AlignHCenter;
        const int room = rect.width() - (is(widget, "link") ? 0 : 12);
        const QString text =
            button->fontMetrics.horizontalAdvance(button->text) <= rect.width()
                ? button->text
                : button->fontMetrics.elidedText(button->text, Qt::ElideRight, room, Qt::TextShowMnemonic);
        return paintText(*painter, *this, rect, side | Qt::AlignVCenter, text, face, painter->font());
      }
      QStyleOptionButton plain(*button);
      plain.features &= ~QStyleOptionButton::HasMenu;
      plain.palette.setColor(QPalette::ButtonText, face.text);
      return QProxyStyle::drawControl(element, &plain, painter, widget);
    }
    case CE_ComboBoxLabel: {
      const auto* box = qstyleoption_cast<const QStyleOptionComboBox*>(option);
      if (!box || box->editable) break;
      QRect text = subControlRect(CC_ComboBox, box, SC_ComboBoxEditField, widget);
      if (!box->currentIcon.isNull()) {
        const QRect icon(QPoint(text.left(), rect.center().y() - box->iconSize.height() / 2), box->iconSize);
        box->currentIcon.paint(painter, icon);
        text.setLeft(icon.right() + 7);
      }
      return paintText(*painter, *this, text, Qt::AlignLeft | Qt::AlignVCenter,
                       box->fontMetrics.elidedText(box->currentText, Qt::ElideRight, text.width()),
                       faceOfField(*option, widget), painter->font());
    }
    case CE_TabBarTabShape:
      if (option->state & State_Selected)
        painter->fillRect(QRect(rect.left(), rect.bottom() - 1, rect.width(), 2), look.accent);
      return;
    case CE_TabBarTabLabel: {
      const auto* tab = qstyleoption_cast<const QStyleOptionTab*>(option);
      if (!tab) break;
      const bool near = option->state & (State_Selected | State_MouseOver);
      const QColor colour = option->state & State_HasFocus ? look.accent : near ? look.text : look.soft;
      return paintText(*painter, *this, rect, Qt::AlignCenter, tab->text, {{}, colour, {}}, painter->font());
    }
    case CE_Header: {
      const auto* header = qstyleoption_cast<const QStyleOptionHeader*>(option);
      if (!header) break;
      drawControl(CE_HeaderSection, option, painter, widget);
      QStyleOptionHeader label(*header);
      label.rect = subElementRect(SE_HeaderLabel, option, widget);
      drawControl(CE_HeaderLabel, &label, painter, widget);
      if (header->sortIndicator == QStyleOptionHeader::None) return;
      label.rect = QRect(label.rect.right(), rect.top(), rect.right() - label.rect.right(), rect.height());
      return drawPrimitive(
          header->sortIndicator == QStyleOptionHeader::SortUp ? PE_IndicatorArrowUp : PE_IndicatorArrowDown, &label,
          painter, widget);
    }
    case CE_HeaderSection:
    case CE_HeaderEmptyArea:
      painter->fillRect(rect, look.panel);
      // Below the last row no line ends anything.
      if (const auto* header = qobject_cast<const QHeaderView*>(widget); element == CE_HeaderEmptyArea && header)
        if (header->orientation() == Qt::Vertical) return;
      painter->fillRect(QRect(rect.left(), rect.bottom(), rect.width(), 1), look.hairline);
      return;
    case CE_HeaderLabel: {
      const auto* header = qstyleoption_cast<const QStyleOptionHeader*>(option);
      if (!header) break;
      const bool several = header->text.contains(QLatin1Char('\n'));
      painter->save();
      painter->setPen(look.soft);
      painter->drawText(
          rect, static_cast<int>(header->textAlignment),
          several ? header->text : header->fontMetrics.elidedText(header->text, Qt::ElideRight, rect.width()));
      painter->restore();
      return;
    }
    case CE_MenuItem: {
      const auto* item = qstyleoption_cast<const QStyleOptionMenuItem*>(option);
      if (!item) break;
      if (item->menuItemType == QStyleOptionMenuItem::Separator) {
        painter->fillRect(QRect(rect.left() + 6, rect.center().y(), rect.width() - 12, 1), look.hairline);
        return;
      }
      QStyleOptionMenuItem plain(*item);
      if ((option->state & State_Selected) && (option->state & State_Enabled)) {
        painter->save();
        painter->setRenderHint(QPainter::Antialiasing);
        painter->setPen(Qt::NoPen);
        painter->setBrush(look.accentGround);
        painter->drawRoundedRect(rect, 4, 4);
        painter->restore();
        paintChosenMark(*painter, rect);
      }
      plain.state &= ~State_Selected;
      return QProxyStyle::drawControl(element, &plain, painter, widget);
    }
    case CE_ProgressBarGroove:
      painter->save();
      painter->setRenderHint(QPainter::Antialiasing);
      painter->setPen(Qt::NoPen);
      painter->setBrush(look.hairline);
      painter->drawRoundedRect(rect, 3, 3);
      painter->restore();
      return;
    case CE_ProgressBarContents:
      if (const auto* bar = qstyleoption_cast<const QStyleOptionProgressBar*>(option))
        paintProgress(*painter, *bar, widget);
      return;
    case CE_ProgressBarLabel:
    case CE_Splitter:
      return;
    case CE_ItemViewItem:
      if (const auto* item = qstyleoption_cast<const QStyleOptionViewItem*>(option)) {
        const QStyleOptionViewItem quiet = withQuietSelection(*item);
        return QProxyStyle::drawControl(element, &quiet, painter, widget);
      }
      break;
    default:
      break;
  }
  QProxyStyle::drawControl(element, option, painter, widget);
}

void Style::drawComplexControl(ComplexControl control, const QStyleOptionComplex* option, QPainter* painter,
                               const QWidget* widget) const {
  const Palette& look = colours();
  const auto part = [&](SubControl which) { return subControlRect(control, option, which, widget); };
  switch (control) {
    case CC_ToolButton: {
      const auto* button = qstyleoption_cast<const QStyleOptionToolButton*>(option);
      if (!button) break;
      const Face face = faceOfButton(*option, widget);
      if (is(widget, "segment"))
        paintSegment(*painter, option->rect, face, is(widget, "first"), is(widget, "last"));
      else
        paintFace(*painter, option->rect, face);
      if (button->icon.isNull() && button->arrowType == Qt::NoArrow)
        return paintText(*painter, *this, option->rect, Qt::AlignCenter, button->text, face, button->font);
      QStyleOptionToolButton label(*button);
      label.palette.setColor(QPalette::ButtonText, face.text);
      return drawControl(CE_ToolButtonLabel, &label, painter, widget);
    }
    case CC_ComboBox:
      paintFace(*painter, option->rect, faceOfField(*option, widget));
      return paintLines(*painter, part(SC_ComboBoxArrow), kDown,
                        option->state & State_Enabled ? look.soft : look.faint);
    case CC_SpinBox: {
      const auto* box = qstyleoption_cast<const QStyleOptionSpinBox*>(option);
      if (!box) break;
      if (box->frame) paintFace(*painter, option->rect, faceOfField(*option, widget));
      if (box->buttonSymbols == QAbstractSpinBox::NoButtons) return;
      const auto arrow = [&](SubControl which, QAbstractSpinBox::StepEnabledFlag step, const QPolygonF& shape) {
        const bool hover = (option->activeSubControls & which) && (option->state & State_MouseOver);
        paintLines(*painter, QRectF(part(which)).translated(0, which == SC_SpinBoxUp ? 2 : -2), shape,
                   !(option->state & State_Enabled) || !(box->stepEnabled & step) ? look.hairline
                   : hover                                                        ? look.text
                                                                                  : look.soft);
      };
      arrow(SC_SpinBoxUp, QAbstractSpinBox::StepUpEnabled, kUp);
      arrow(SC_SpinBoxDown, QAbstractSpinBox::StepDownEnabled, kDown);
      return;
    }
    case CC_ScrollBar: {
      const auto* bar = qstyleoption_cast<const QStyleOptionSlider*>(option);
      if (!bar || bar->maximum <= bar->minimum) return;
      const bool hover =
          (option->activeSubControls & SC_ScrollBarSlider) && (option->state & (State_MouseOver | State_Sunken));
      painter->save();
      painter->setRenderHint(QPainter::Antialiasing);
      painter->setPen(Qt::NoPen);
      painter->setBrush(hover ? look.faint : look.hairline);
      painter->drawRoundedRect(QRectF(part(SC_ScrollBarSlider)).adjusted(2, 2, -2, -2), 3, 3);
      painter->restore();
      return;
    }
    default:
      break;
  }
  QProxyStyle::drawComplexControl(control, option, painter, widget);
}

}  // namespace kvista
