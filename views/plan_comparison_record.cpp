// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/plan_comparison_record.h"

#include <QCoreApplication>
#include <QPainter>
#include <cmath>

#include "views/number_text.h"
#include "views/theme.h"

namespace kvista {
namespace {

using Verdict = PlanFigure::Verdict;

constexpr double kRow = 25, kName = 124, kNumber = 92, kDifference = 116;

QString words(const char* text) { return QCoreApplication::translate("kvista::PlanComparison", text); }

QString estimate(const QString& text, bool isEstimate) { return isEstimate ? QStringLiteral("~ ") + text : text; }

/// "+2.67", "−0.03"; what rounds to nothing is said to be the same.
QString signedText(double difference, int decimals) {
  if (std::abs(difference) < 0.5 * std::pow(10.0, -decimals)) return words("same");
  return (difference > 0 ? QStringLiteral("+") : QString()) + decimalText(difference, decimals);
}

Verdict judged(double difference, int decimals, bool lessIsBetter) {
  if (std::abs(difference) < 0.5 * std::pow(10.0, -decimals)) return Verdict::none;
  return (difference < 0) == lessIsBetter ? Verdict::better : Verdict::worse;
}

/// Differences of percentages are percentage points.
QString pointsText(double part, int decimals) {
  const QString number = signedText(100 * part, decimals);
  return number == words("same") ? number : words("%1 points").arg(number);
}

PlanFigure perplexityFigure(const std::optional<ComparedPerplexity>& a, const std::optional<ComparedPerplexity>& b) {
  const auto text = [](const std::optional<ComparedPerplexity>& of) {
    return of ? estimate(decimalText(of->value, 2), !of->measured) : words("not known");
  };
  PlanFigure figure{words("Perplexity"), text(a), text(b), {}, Verdict::none};
  if (!a || !b) return figure;
  if (a->basis != b->basis) {
    figure.difference = words("of other texts");
    return figure;
  }
  figure.difference = estimate(signedText(b->value - a->value, 2), !a->measured || !b->measured);
  figure.verdict = judged(b->value - a->value, 2, true);
  return figure;
}

PlanFigure riseFigure(const std::optional<ComparedPerplexity>& a, const std::optional<ComparedPerplexity>& b) {
  const auto rise = [](const std::optional<ComparedPerplexity>& of) -> std::optional<double> {
    return of && of->original > 0 ? std::optional(of->value / of->original - 1) : std::nullopt;
  };
  const auto text = [&](const std::optional<ComparedPerplexity>& of) {
    return rise(of) ? estimate(changeText(*rise(of)), !of->measured) : words("not known");
  };
  PlanFigure figure{words("Over the original"), text(a), text(b), {}, Verdict::none};
  if (!rise(a) || !rise(b)) return figure;
  const double difference = *rise(b) - *rise(a);
  figure.difference = estimate(pointsText(difference, 2), !a->measured || !b->measured);
  figure.verdict = judged(100 * difference, 2, true);
  return figure;
}

}  // namespace

std::vector<PlanFigure> planFigures(const PlanComparisonRecord& record) {
  const ComparedPlan &a = record.a, &b = record.b;
  const auto bytes = static_cast<double>(b.bytes - a.bytes);
  const double times = b.timesSmaller - a.timesSmaller;
  QString bytesDifference = signedText(bytes, 0);
  if (b.bytes != a.bytes) bytesDifference = words("%1 B").arg(bytesDifference);
  return {
      {words("Cache per token"), bytesText(a.bytes), bytesText(b.bytes), bytesDifference, judged(bytes, 0, true)},
      {words("Times smaller"), decimalText(a.timesSmaller, 2), decimalText(b.timesSmaller, 2), signedText(times, 2),
       judged(times, 2, false)},
      {words("Numbers kept"), percentText(a.kept), percentText(b.kept), pointsText(b.kept - a.kept, 1), Verdict::none},
      perplexityFigure(a.perplexity, b.perplexity),
      riseFigure(a.perplexity, b.perplexity)};
}

void paintPlanFigures(QPainter& painter, const QRectF& area, const PlanComparisonRecord& record) {
  const Palette& look = colours();
  painter.save();
  double y = area.top();
  const auto cell = [&](double left, double width, Qt::Alignment alignment, const QColor& colour, const QString& text) {
    painter.setPen(colour);
    painter.drawText(QRectF(area.left() + left, y, width, kRow), alignment | Qt::AlignVCenter, text);
  };
  const double a = kName, b = a + kNumber, difference = b + kNumber, verdict = difference + kDifference + 8;
  painter.setFont(textFont(TextRole::body));
  cell(a, kNumber, Qt::AlignRight, look.soft, words("A"));
  cell(b, kNumber, Qt::AlignRight, look.soft, words("B"));
  cell(difference, kDifference, Qt::AlignRight, look.soft, words("B − A"));
  y += kRow;
  for (const PlanFigure& figure : planFigures(record)) {
    painter.setPen(look.hairline);
    painter.drawLine(QPointF(area.left(), y), QPointF(std::min(area.right(), area.left() + kPlanFiguresWidth), y));
    painter.setFont(textFont(TextRole::body));
    cell(0, kName, Qt::AlignLeft, look.soft, figure.name);
    cell(a, kNumber, Qt::AlignRight, look.text, figure.a);
    cell(b, kNumber, Qt::AlignRight, look.text, figure.b);
    const bool worse = figure.verdict == Verdict::worse;
    cell(verdict, 64, Qt::AlignLeft, worse ? look.warning : look.soft,
         worse                               ? words("worse")
         : figure.verdict == Verdict::better ? words("better")
                                             : QString());
    painter.setFont(textFont(figure.verdict == Verdict::none ? TextRole::body : TextRole::strong));
    cell(difference, kDifference, Qt::AlignRight, worse ? look.warning : look.text, figure.difference);
    y += kRow;
  }
  painter.restore();
}

}  // namespace kvista
