// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/figure_strip.h"

#include <QHBoxLayout>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QPainterPath>
#include <algorithm>
#include <cmath>
#include <functional>

#include "views/number_text.h"
#include "views/target_editor.h"
#include "views/theme.h"
#include "views/words.h"

namespace kvista {
namespace {

constexpr int kHeight = 64, kMargin = 16, kCaptionY = 10, kCaptionHeight = 16, kValueY = 27, kValueHeight = 30;
constexpr int kTargetFigure = 1;
constexpr double kOneTimes = 1.05;  ///< Below it "1.0 times" would be said.
/// By the length of what they say.
constexpr int kStretch[] = {21, 19, 23, 25, 14};

QString unknown() { return QStringLiteral("–"); }

QString tipOf(int figure) {
  switch (figure) {
    case 0:
      return FigureStrip::tr(
          "<b>Cache per token</b><br>Bytes that one token adds to the cache over all layers, padding and scales "
          "counted.<br>Uncompressed: 2 bytes for every number of every key and value head.<br>Source: the plan's "
          "widths.");
    case 1:
      return FigureStrip::tr(
          "<b>Times smaller</b><br>Bytes of the uncompressed cache / bytes of the plan.<br>Click, or press F2, to type "
          "a target: 8 (times smaller), 12.5 %, 2048 B, 2 % loss.");
    case 2:
      return FigureStrip::tr(
          "<b>Perplexity</b><br>exp(mean loss, nats a token).<br>~ predicted: exp(base + ½ Σ λ D), where λ are the "
          "eigenvalues in the Fisher metric and D is what each direction's bits leave of it, corrected through "
          "measured plans. Of plans in another metric the engine weighs the whole plan's errors so when it makes them; "
          "edited by hand they have no prediction.<br>Source: the calibration; without ~: measured.");
    case 3:
      return FigureStrip::tr(
          "<b>Decoding</b><br>Time of one step's attention over the uncompressed cache / over the plan's, at this "
          "context on this device: the longer of reading and arithmetic in every layer.<br>rebuild: arithmetic's share "
          "of the plan's time.<br>Source: a roofline with measured bandwidth and arithmetic.");
    default:
      return FigureStrip::tr(
          "<b>Plans tried</b><br>Plans measured or predicted in this project; on the front are those that no other "
          "beats in both bytes and perplexity.");
  }
}

QString contextText(std::int64_t tokens) {
  return tokens % 1024 == 0 ? FigureStrip::tr("%1 K").arg(tokens / 1024) : countText(tokens);
}

void paintWarningSign(QPainter& painter, const QRectF& area) {
  QPainterPath sign;
  sign.moveTo(area.center().x(), area.top());
  sign.lineTo(area.right(), area.bottom());
  sign.lineTo(area.left(), area.bottom());
  sign.closeSubpath();
  painter.setRenderHint(QPainter::Antialiasing);
  painter.fillPath(sign, colours().warning);
  painter.setPen(QPen(colours().panel, 1.5));
  const double x = area.center().x();
  painter.drawLine(QPointF(x, area.top() + 4), QPointF(x, area.bottom() - 4));
  painter.drawPoint(QPointF(x, area.bottom() - 1.8));
}

}  // namespace

FigureStripRecord figuresOf(const PlannedPlan& planned, const PlanningContext& context) {
  FigureStripRecord record;
  record.bytesPerToken = planned.achievedBytes;
  record.fullBytesPerToken = context.shape.cacheBytesPerToken();
  if (planned.plan.target.kind != Target::Kind::maxLoss) record.requestedBytes = planned.requestedBytes;
  record.target = planned.plan.target;
  record.perplexity = predictedPerplexity(context.loss, planned.loss());
  if (context.loss.baseLoss > 0) record.originalPerplexity = std::exp(context.loss.baseLoss);
  if (planned.cost.secondsPerToken > 0) {
    record.timesFaster = planned.cost.fullSecondsPerToken / planned.cost.secondsPerToken;
    record.arithmeticShare = std::min(1.0, planned.cost.arithmeticSecondsPerToken / planned.cost.secondsPerToken);
  }
  record.device = QString::fromStdString(context.device.name).toUpper();
  record.context = context.context;
  record.note = QString::fromStdString(planned.note);
  return record;
}

/// One of the five: caption above, the number large, a remark beside it.
class FigureStrip::Figure final : public QWidget {
 public:
  Figure(FigureStrip* strip, int index) : QWidget(strip), index_(index) {
    setFixedHeight(kHeight);
    setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Fixed);
    if (index == kTargetFigure) {
      setFocusPolicy(Qt::StrongFocus);
      setCursor(Qt::PointingHandCursor);
    }
  }
  void setText(Text text) {
    text_ = std::move(text);
    setAccessibleName(text_.caption);
    setAccessibleDescription(text_.whole());
    setToolTip(text_.whole().toHtmlEscaped() + QStringLiteral("<br>") + tipOf(index_));
    update();
  }
  void setReason(const QString& reason) {
    reason_ = reason;
    update();
  }
  std::function<void()> activate;

 protected:
  void paintEvent(QPaintEvent*) override {
    QPainter painter(this);
    const Palette& look = colours();
    const QRect inside = rect().adjusted(kMargin, 0, -8, 0);
    if (index_ > 0) painter.fillRect(QRect(0, 0, 1, height()), look.hairline);
    QFont small = textFont(TextRole::body);
    small.setPixelSize(12);
    painter.setFont(small);
    painter.setPen(reason_.isEmpty() ? look.soft : look.warning);
    painter.drawText(
        QRect(inside.x(), kCaptionY, inside.width(), kCaptionHeight), Qt::AlignVCenter,
        QFontMetrics(small).elidedText(reason_.isEmpty() ? text_.caption : reason_, Qt::ElideRight, inside.width()));

    const QFont large = textFont(TextRole::figure);
    const QFontMetrics largeMetrics(large);
    const int length = std::min(largeMetrics.horizontalAdvance(text_.value), inside.width());
    const QRect value(inside.x(), kValueY, length + 2, kValueHeight);
    if (text_.stale) {
      painter.setRenderHint(QPainter::Antialiasing);
      painter.fillRect(value.adjusted(-4, 2, 4, -2), QBrush(look.faint, Qt::BDiagPattern));
    }
    painter.setFont(large);
    painter.setPen(text_.warning.isEmpty() ? look.text : look.warning);
    painter.drawText(value, Qt::AlignVCenter, largeMetrics.elidedText(text_.value, Qt::ElideRight, length + 2));

    int x = value.right() + 10;
    painter.setFont(small);
    if (!text_.warning.isEmpty() && inside.right() - x > 16) {
      paintWarningSign(painter, QRectF(x, kValueY + 10, 13, 12));
      x += 18;
    }
    const QString remark = text_.warning.isEmpty() ? text_.remark : text_.warning;
    painter.setPen(text_.warning.isEmpty() ? look.soft : look.warning);
    // On the baseline of the large number.
    const int baseline = kValueY + (kValueHeight - largeMetrics.height()) / 2 + largeMetrics.ascent();
    painter.drawText(x, baseline, wholeWords(remark, QFontMetrics(small), inside.right() - x));
  }
  void mouseReleaseEvent(QMouseEvent* event) override {
    if (activate && event->button() == Qt::LeftButton && rect().contains(event->pos())) activate();
  }
  void keyPressEvent(QKeyEvent* event) override {
    const int key = event->key();
    if (activate && (key == Qt::Key_Return || key == Qt::Key_Enter || key == Qt::Key_Space || key == Qt::Key_F2))
      activate();
    else
      QWidget::keyPressEvent(event);
  }
  void focusInEvent(QFocusEvent*) override { update(); }
  void focusOutEvent(QFocusEvent*) override { update(); }

 private:
  int index_;
  Text text_;
  QString reason_;
};

QString FigureStrip::Text::whole() const {
  QStringList parts{value};
  if (!warning.isEmpty()) parts << warning;
  if (!remark.isEmpty()) parts << remark;
  return parts.join(QStringLiteral(", "));
}

FigureStrip::FigureStrip(QWidget* parent) : QWidget(parent) {
  setFixedHeight(kHeight);
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(0, 0, 0, 0);
  row->setSpacing(0);
  for (int i = 0; i < kFigures; ++i) {
    figures_[static_cast<std::size_t>(i)] = new Figure(this, i);
    row->addWidget(figures_[static_cast<std::size_t>(i)], kStretch[i]);
  }
  Figure* target = figures_[kTargetFigure];
  target->activate = [this] { editTarget(); };
  editor_ = new TargetEditor(target);
  editor_->hide();
  const auto close = [this, target] {
    const bool focused = editor_->hasFocus();
    editor_->hide();
    target->setReason({});
    if (focused) target->setFocus();
  };
  connect(editor_, &TargetEditor::left, this, close);
  connect(editor_, &TargetEditor::targetEntered, this, [this, close](const Target& entered) {
    close();
    Q_EMIT targetEntered(entered);
  });
  connect(editor_, &TargetEditor::reasonChanged, this, [target](const QString& reason) { target->setReason(reason); });
  connect(&Theme::instance(), &Theme::changed, this, [this] {
    for (Figure* figure : figures_) figure->update();
  });
  setRecord({});
}

void FigureStrip::setRecord(FigureStripRecord record) {
  record_ = std::move(record);
  for (int i = 0; i < kFigures; ++i) figures_[static_cast<std::size_t>(i)]->setText(text(i));
}

void FigureStrip::editTarget() {
  if (record_.target) editor_->setTarget(*record_.target);
  placeEditor();
  editor_->show();
  editor_->setFocus();
  editor_->selectAll();
}

void FigureStrip::placeEditor() {
  editor_->setGeometry(kMargin - 4, kValueY, std::min(200, editor_->parentWidget()->width() - kMargin - 8),
                       kValueHeight);
}

void FigureStrip::resizeEvent(QResizeEvent* event) {
  QWidget::resizeEvent(event);
  layout()->activate();
  placeEditor();
}

FigureStrip::Text FigureStrip::text(int figure) const {
  const FigureStripRecord& r = record_;
  Text result;
  const bool sized = r.bytesPerToken && r.fullBytesPerToken && *r.bytesPerToken > 0;
  const bool over = r.bytesPerToken && r.requestedBytes && *r.bytesPerToken > *r.requestedBytes;
  switch (figure) {
    case 0:
      result.caption = tr("Cache per token");
      result.value = r.bytesPerToken ? bytesText(*r.bytesPerToken) : unknown();
      if (r.fullBytesPerToken) result.remark = tr("of %1").arg(bytesText(*r.fullBytesPerToken));
      if (over) result.warning = tr("%1 over budget").arg(bytesText(*r.bytesPerToken - *r.requestedBytes));
      result.stale = r.stale && r.bytesPerToken;
      break;
    case 1: {
      result.caption = tr("Smaller");
      result.value =
          sized ? tr("%1 times")
                      .arg(decimalText(
                          static_cast<double>(*r.fullBytesPerToken) / static_cast<double>(*r.bytesPerToken), 1))
                : unknown();
      if (r.target) {
        const bool times = r.target->kind == Target::Kind::share && r.target->value > 0;
        result.remark = tr("target %1").arg(times ? decimalText(1 / r.target->value, 1) : targetText(*r.target));
      }
      result.stale = r.stale && sized;
      break;
    }
    case 2:
      result.caption = tr("Perplexity");
      result.value = r.perplexity
                         ? (r.perplexityIsEstimate ? QStringLiteral("~ ") : QString()) + decimalText(*r.perplexity, 2)
                         : unknown();
      if (r.perplexity && r.originalPerplexity && *r.originalPerplexity > 0)
        result.remark =
            tr("%1 · original %2")
                .arg(changeText(*r.perplexity / *r.originalPerplexity - 1), decimalText(*r.originalPerplexity, 2));
      else if (r.originalPerplexity)
        result.remark = tr("original %1").arg(decimalText(*r.originalPerplexity, 2));
      result.stale = r.stale && r.perplexity;
      break;
    case 3:
      result.caption = r.device.isEmpty() ? tr("Decode") : tr("Decode at %1, %2").arg(contextText(r.context), r.device);
      result.value = !r.timesFaster                                             ? unknown()
                     : std::max(*r.timesFaster, 1 / *r.timesFaster) < kOneTimes ? tr("as fast")
                     : *r.timesFaster >= 1 ? tr("%1 times faster").arg(decimalText(*r.timesFaster, 1))
                                           : tr("%1 times slower").arg(decimalText(1 / *r.timesFaster, 1));
      if (r.arithmeticShare) result.remark = tr("rebuild %1").arg(percentText(*r.arithmeticShare, 0));
      result.stale = r.stale && r.timesFaster;
      break;
    default:
      result.caption = tr("Plans tried");
      result.value = countText(r.plansTried);
      if (r.plansTried > 0) result.remark = tr("%n on the front", nullptr, r.plansOnFront);
      break;
  }
  return result;
}

}  // namespace kvista
