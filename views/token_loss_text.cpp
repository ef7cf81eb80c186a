// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/token_loss_text.h"

#include <QMouseEvent>
#include <QTextBlock>
#include <QTextCursor>
#include <QToolTip>
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "views/number_text.h"
#include "views/theme.h"

namespace kvista {
namespace {

constexpr double kLeastRange = 0.05;  ///< Nats: below it differences are noise and stay pale.
constexpr double kStrongest = 0.38;   ///< Of the colour in the ground, so that the text keeps 4.5:1.
constexpr int kShades = 20;           ///< Of either colour.

QString signedNats(double difference) {
  return (difference < 0 ? QStringLiteral("−") : QStringLiteral("+")) + decimalText(std::abs(difference), 3);
}

double mean(const std::vector<float>& values, const std::vector<float>& others) {
  double sum = 0;
  std::size_t count = 0;
  for (std::size_t i = 0; i < values.size(); ++i)
    if (std::isfinite(values[i]) && std::isfinite(others[i])) {
      sum += values[i];
      ++count;
    }
  return count == 0 ? std::numeric_limits<double>::quiet_NaN() : sum / static_cast<double>(count);
}

}  // namespace

TokenLossText::TokenLossText(QWidget* parent) : QTextEdit(parent) {
  setReadOnly(true);
  setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
  setTabChangesFocus(true);
  setUndoRedoEnabled(false);
  // One that comes and goes would lay out everything twice.
  setVerticalScrollBarPolicy(Qt::ScrollBarAlwaysOn);
  setAccessibleName(tr("Loss by token"));
  viewport()->setMouseTracking(true);
  connect(&Theme::instance(), &Theme::changed, this, &TokenLossText::rebuild);
  connect(this, &QTextEdit::cursorPositionChanged, this,
          [this] { Q_EMIT pieceFocused(pieceAtPosition(textCursor().position())); });
}

double TokenLossText::meanBefore() const { return mean(before_, after_); }
double TokenLossText::meanAfter() const { return mean(after_, before_); }

std::size_t TokenLossText::counted() const {
  std::size_t count = 0;
  for (std::size_t i = 0; i < before_.size(); ++i)
    count += std::isfinite(before_[i]) && std::isfinite(after_[i]) ? 1 : 0;
  return count;
}

void TokenLossText::setLosses(const std::vector<QString>& pieces, const std::vector<float>& before,
                              const std::vector<float>& after) {
  if (pieces.size() != before.size() || pieces.size() != after.size()) return;
  pieces_ = pieces;
  before_ = before;
  after_ = after;
  std::vector<double> sizes;
  for (std::size_t i = 0; i < before.size(); ++i)
    if (const double size = std::abs(after[i] - before[i]); std::isfinite(size)) sizes.push_back(size);
  range_ = kLeastRange;
  if (!sizes.empty()) {
    const auto at = sizes.begin() + static_cast<std::ptrdiff_t>(0.95 * static_cast<double>(sizes.size() - 1));
    std::nth_element(sizes.begin(), at, sizes.end());
    range_ = std::max(*at, kLeastRange);
  }
  rebuild();
}

void TokenLossText::rebuild() {
  starts_.clear();
  // A few shades are told apart as well as thousands, and formats are looked up for every piece.
  std::array<QTextCharFormat, 2 * kShades + 1> formats;
  for (int shade = -kShades; shade <= kShades; ++shade) {
    QTextCharFormat& format = formats[static_cast<std::size_t>(shade + kShades)];
    format.setForeground(colours().text);
    if (shade == 0) continue;
    const double strength = std::abs(shade) / static_cast<double>(kShades);
    const QColor& colour = shade > 0 ? colours().warning : colours().accent;
    QColor ground = colour;
    ground.setAlphaF(static_cast<float>(kStrongest * strength));
    format.setBackground(ground);
    // Only where there is something to tell: a wave under every word would tell nothing.
    if (strength <= 0.2) continue;
    format.setUnderlineStyle(shade > 0 ? QTextCharFormat::WaveUnderline : QTextCharFormat::DotLine);
    format.setUnderlineColor(colour);
  }
  QTextCursor cursor(document());
  cursor.beginEditBlock();
  cursor.select(QTextCursor::Document);
  cursor.removeSelectedText();
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    starts_.push_back(cursor.position());
    const double difference = static_cast<double>(after_[i]) - before_[i];
    const int shade = std::isfinite(difference)
                          ? static_cast<int>(std::lround(kShades * std::clamp(difference / range_, -1.0, 1.0)))
                          : 0;
    cursor.insertText(pieces_[i], formats[static_cast<std::size_t>(shade + kShades)]);
  }
  cursor.endEditBlock();
  moveCursor(QTextCursor::Start);
}

int TokenLossText::pieceAtPosition(int position) const {
  if (starts_.empty() || position >= document()->characterCount() - 1) return -1;
  return static_cast<int>(std::upper_bound(starts_.begin(), starts_.end(), position) - starts_.begin()) - 1;
}

int TokenLossText::pieceAt(const QPoint& point) const {
  QTextCursor cursor = cursorForPosition(point);
  // The cursor stands between characters: the one under the point may be the one before.
  if (cursorRect(cursor).center().x() > point.x() && !cursor.atBlockStart())
    cursor.movePosition(QTextCursor::PreviousCharacter);
  const QRect line = cursorRect(cursor);
  if (point.y() < line.top() || point.y() > line.bottom()) return -1;
  return pieceAtPosition(cursor.position());
}

QString TokenLossText::describe(int piece) const {
  if (piece < 0 || piece >= static_cast<int>(pieces_.size())) return {};
  const auto at = static_cast<std::size_t>(piece);
  const QString text = QString(pieces_[at]).replace(QLatin1Char('\n'), QStringLiteral("⏎"));
  if (!std::isfinite(before_[at]) || !std::isfinite(after_[at]))
    return tr("“%1”: the first token is not predicted").arg(text);
  return tr("“%1”: original %2, plan %3, %4 nats")
      .arg(text, decimalText(before_[at], 3), decimalText(after_[at], 3),
           signedNats(static_cast<double>(after_[at]) - before_[at]));
}

bool TokenLossText::viewportEvent(QEvent* event) {
  if (event->type() == QEvent::MouseMove)
    Q_EMIT pieceFocused(pieceAt(static_cast<QMouseEvent*>(event)->position().toPoint()));
  if (event->type() == QEvent::ToolTip) {
    const auto* help = static_cast<QHelpEvent*>(event);
    QToolTip::showText(help->globalPos(), describe(pieceAt(help->pos())), viewport());
    return true;
  }
  return QTextEdit::viewportEvent(event);
}

}  // namespace kvista
