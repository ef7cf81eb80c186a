// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/navigator_view.h"

#include <QLabel>
#include <QLocale>
#include <QPainter>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

#include "views/matrix_image.h"
#include "views/navigator_strip.h"
#include "views/theme.h"

namespace kvista {
namespace {

/// "K" and "V" above their columns wherever these stand; they stay while the pictures scroll.
class ColumnNames final : public QWidget {
 public:
  explicit ColumnNames(NavigatorStrip* strip) : strip_(strip) {
    setFixedHeight(24);
    connect(strip, &NavigatorStrip::columnsMoved, this, qOverload<>(&QWidget::update));
    connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
  }

 protected:
  void paintEvent(QPaintEvent*) override {
    QPainter painter(this);
    painter.setFont(textFont(TextRole::axis));
    painter.setPen(colours().soft);
    for (const Side side : {Side::key, Side::value}) {
      const QRect column = strip_->column(side);
      const int middle = mapFromGlobal(strip_->viewport()->mapToGlobal(column.center())).x();
      painter.drawText(QRectF(middle - 16, 0, 33, height()), Qt::AlignCenter, side == Side::key ? tr("K") : tr("V"));
    }
  }

 private:
  NavigatorStrip* strip_;
};

}  // namespace

const Matrix& NavigatorRecord::matrix(int layer, Side side) const {
  static const Matrix none;
  const std::vector<Matrix>& all = side == Side::key ? keys : values;
  return layer >= 0 && static_cast<std::size_t>(layer) < all.size() ? all[static_cast<std::size_t>(layer)] : none;
}

NavigatorView::NavigatorView(QWidget* parent)
    : View(parent), strip_(new NavigatorStrip(this)), footer_(new QLabel(this)) {
  setTitle(tr("Layers"));
  footer_->setWordWrap(true);
  footer_->setForegroundRole(QPalette::PlaceholderText);
  footer_->setContentsMargins(12, 12, 12, 12);
  footer_->hide();
  auto* line = new QFrame(this);
  line->setFrameShape(QFrame::HLine);
  line->setFixedHeight(1);
  line->setForegroundRole(QPalette::Mid);
  line->setFrameShadow(QFrame::Plain);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(0);
  column->addWidget(new ColumnNames(strip_));
  column->addWidget(strip_, 1);
  column->addWidget(line);
  column->addWidget(footer_);
  setKeyboardPart(strip_);
  connect(strip_, &NavigatorStrip::activated, this, &NavigatorView::activated);
}

void NavigatorView::setRecord(NavigatorRecord record) { strip_->setRecord(std::move(record)); }
void NavigatorView::setMatrix(int layer, Side side, Matrix matrix) {
  strip_->setMatrix(layer, side, std::move(matrix));
}
void NavigatorView::setCurrent(int layer, Side side) { strip_->setCurrent(layer, side); }
int NavigatorView::currentLayer() const { return strip_->currentLayer(); }
Side NavigatorView::currentSide() const { return strip_->currentSide(); }
void NavigatorView::setSharedRange(std::optional<Range> range) { strip_->setSharedRange(range); }
void NavigatorView::setColours(ColourMap map, bool inverted) { strip_->setColours(map, inverted); }

Range NavigatorView::fittedRange() const { return strip_->fittedRange(); }

void NavigatorView::setFooter(const QString& text) {
  footer_->setText(text);
  footer_->setVisible(!text.isEmpty());
}

void NavigatorView::paintFigure(QPainter& painter, const QRectF& rect) {
  const Theme::Wearing light(Theme::light());
  const NavigatorRecord& record = strip_->record();
  const int layers = record.layers();
  if (layers == 0) return;
  constexpr double kName = 24, kGap = 8, kHead = 24;
  const double width = rect.width() - RangeBar::kWidth - 24, height = rect.height() - kHead;
  // As many columns of layers as make the pictures largest.
  int columns = 1;
  double side = 0;
  for (int count = 1; count <= layers; ++count) {
    const int rows = (layers + count - 1) / count;
    const double fits = std::min((width / count - kName - 3 * kGap) / 2, height / rows - kGap);
    if (fits <= side) continue;
    side = fits;
    columns = count;
  }
  side = std::floor(side);
  if (side < 1) return;
  const int rows = (layers + columns - 1) / columns;
  painter.save();
  const double step = kName + 2 * side + 3 * kGap;
  for (int layer = 0; layer < layers; ++layer) {
    const double left = rect.left() + layer / rows * step, top = rect.top() + kHead + layer % rows * (side + kGap);
    painter.setPen(colours().soft);
    painter.setFont(textFont(TextRole::axis));
    painter.drawText(QRectF(left, top, kName - 4, side), Qt::AlignRight | Qt::AlignVCenter, QLocale().toString(layer));
    for (const Side which : {Side::key, Side::value}) {
      const QRectF target(left + kName + (which == Side::key ? 0 : side + kGap), top, side, side);
      if (layer % rows == 0)
        painter.drawText(QRectF(target.left(), rect.top(), side, kHead - 4), Qt::AlignCenter,
                         which == Side::key ? tr("K") : tr("V"));
      const Matrix& matrix = record.matrix(layer, which);
      MatrixImage(matrix, {}, strip_->scale().range(), strip_->scale().table())
          .paint(painter, target, QRectF(0, 0, matrix.columns, matrix.rows), colours().panel, colours().faint);
    }
  }
  const double bar = std::min(240.0, rows * (side + kGap) - kGap);
  paintRangeBar(painter, QRectF(rect.left() + columns * step + 16, rect.top() + kHead, RangeBar::kWidth, bar),
                strip_->scale().record());
  painter.restore();
}

}  // namespace kvista
