// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/heatmap_paint.h"

#include <QFontMetricsF>
#include <QPainter>
#include <algorithm>
#include <cmath>

#include "views/theme.h"

namespace kvista {
namespace {

constexpr double kTreeWidth = 48, kGap = 8, kLongestName = 96, kRowPitch = 14, kThinnest = 3;

/// "K12" is "12" at the top, where the side is said at the left already.
QString columnName(const HeatmapRecord& record, int head) {
  const QString name = record.name(head);
  if (name.size() < 2 || !name[0].isLetter()) return name;
  return std::all_of(name.begin() + 1, name.end(), [](QChar c) { return c.isDigit(); }) ? name.mid(1) : name;
}

/// The smallest of 1, 2, 4, 8, ... names to step over so that `needed` pixels lie between two.
int stepFor(double needed, double cellSize) {
  int step = 1;
  while (step * cellSize < needed && step < (1 << 20)) step *= 2;
  return step;
}

struct Places {
  int first, last;
};
Places placesIn(double from, double length, int heads) {
  return {std::max(0, static_cast<int>(std::floor(from))), std::min(heads, static_cast<int>(std::ceil(from + length)))};
}

void setNameStyle(QPainter& painter, const std::vector<bool>& strong, int head) {
  QFont font = textFont(TextRole::axis);
  const bool isStrong = !strong.empty() && strong[static_cast<std::size_t>(head)];
  if (isStrong) font.setWeight(QFont::DemiBold);
  painter.setFont(font);
  painter.setPen(isStrong ? colours().accent : colours().soft);
}

/// Places of the names to draw: those set off, and of the others each `step`th that comes none of them too near.
std::vector<int> placesToName(const HeatmapPicture& picture, Places places, const std::vector<bool>& strong, int step) {
  std::vector<int> named;
  const auto head = [&](int place) {
    return static_cast<std::size_t>(picture.arrangement->headAt[static_cast<std::size_t>(place)]);
  };
  if (!strong.empty()) {
    for (int place = places.first; place < places.last; ++place)
      if (strong[head(place)] && (named.empty() || place - named.back() >= step)) named.push_back(place);
  }
  const std::vector<int> strongOnes = named;
  for (int place = (places.first + step - 1) / step * step; place < places.last; place += step) {
    const auto next = std::lower_bound(strongOnes.begin(), strongOnes.end(), place);
    const bool isFree = (next == strongOnes.end() || *next - place >= step) &&
                        (next == strongOnes.begin() || place - *(next - 1) >= step);
    if (isFree) named.push_back(place);
  }
  return named;
}

void paintNames(QPainter& painter, const HeatmapPicture& picture) {
  const HeatmapRecord& record = *picture.record;
  const double size = picture.cellSize();
  const QFontMetricsF metrics(textFont(TextRole::axis));
  const auto headAt = [&](int place) { return picture.arrangement->headAt[static_cast<std::size_t>(place)]; };
  const auto rows = placesIn(picture.visible.top(), picture.visible.height(), record.heads());
  for (const int place : placesToName(picture, rows, picture.strongRows, stepFor(kRowPitch, size))) {
    const double middle = picture.y(place + 0.5);
    if (middle < picture.cells.top() || middle > picture.cells.bottom()) continue;
    setNameStyle(painter, picture.strongRows, headAt(place));
    const QRectF box(picture.cells.left() - picture.axes.namesWidth, middle - 8, picture.axes.namesWidth - kGap, 16);
    painter.drawText(box, Qt::AlignRight | Qt::AlignVCenter,
                     metrics.elidedText(record.name(headAt(place)), Qt::ElideMiddle, kLongestName));
  }
  const auto columns = placesIn(picture.visible.left(), picture.visible.width(), record.heads());
  double widest = 0;
  for (int place = columns.first; place < columns.last; place += std::max(1, (columns.last - columns.first) / 64))
    widest = std::max(widest, metrics.horizontalAdvance(columnName(record, headAt(place))));
  widest = std::min(widest, kLongestName);
  for (const int place : placesToName(picture, columns, picture.strongColumns, stepFor(widest + 5, size))) {
    const double middle = picture.x(place + 0.5);
    if (middle < picture.cells.left() || middle > picture.cells.right()) continue;
    setNameStyle(painter, picture.strongColumns, headAt(place));
    const QRectF box(middle - widest / 2 - kGap, picture.cells.top() - picture.axes.height, widest + 2 * kGap,
                     picture.axes.height - 4);
    painter.drawText(box, Qt::AlignHCenter | Qt::AlignVCenter,
                     metrics.elidedText(columnName(record, headAt(place)), Qt::ElideMiddle, widest + 1));
  }
}

void paintGroupBorders(QPainter& painter, const HeatmapPicture& picture) {
  const double size = picture.cellSize();
  painter.setClipRect(picture.cells.adjusted(-1, -1, 1, 1), Qt::IntersectClip);
  painter.setBrush(Qt::NoBrush);
  // White is the middle of the colours of differences.
  QPen pen(picture.record->difference ? Theme::light().text : QColor(Qt::white), 2);
  pen.setJoinStyle(Qt::MiterJoin);
  for (const Arrangement::Run& run : picture.arrangement->runs) {
    // One head of a group that lies scattered is no block.
    if (run.count < 2 && picture.record->groups[static_cast<std::size_t>(run.group)].size() > 1) continue;
    if (run.count * size < 4) continue;
    pen.setWidth(run.count * size < 24 ? 1 : 2);
    painter.setPen(pen);
    const QRectF block = picture.block(run.first, run.first, run.count, run.count);
    if (block.intersects(picture.cells)) painter.drawRect(block);
  }
}

/// Height (0 at the leaves, 1 at the root) grows as similarity falls from the most alike pair's to the least alike's.
void paintDendrogram(QPainter& painter, const HeatmapPicture& picture) {
  const Dendrogram& tree = picture.arrangement->tree;
  const auto leaves = static_cast<std::size_t>(tree.leaves);
  const double right = std::floor(picture.cells.left() - picture.axes.namesWidth) - 2;
  const double room = picture.axes.treeWidth - 2 * kGap;
  const double highest = tree.merges.front().similarity, lowest = tree.merges.back().similarity;
  const double scale = highest > lowest ? 1 / (highest - lowest) : 0;
  const auto heightAt = [&](double similarity) {
    return std::floor(right - kGap - room * std::clamp((highest - similarity) * scale, 0.0, 1.0)) + 0.5;
  };
  std::vector<QPointF> end(leaves + tree.merges.size());
  for (std::size_t head = 0; head < leaves; ++head)
    end[head] = {right, std::floor(picture.y(picture.arrangement->placeOf[head] + 0.5)) + 0.5};
  std::vector<QLineF> lines;
  lines.reserve(3 * tree.merges.size());
  for (std::size_t k = 0; k < tree.merges.size(); ++k) {
    const QPointF a = end[static_cast<std::size_t>(tree.merges[k].left)],
                  b = end[static_cast<std::size_t>(tree.merges[k].right)];
    const double x = heightAt(tree.merges[k].similarity);
    end[leaves + k] = {x, std::floor((a.y() + b.y()) / 2) + 0.5};
    if (std::abs(a.y() - b.y()) < kThinnest) continue;  // The tree's fine ends would run into one grey.
    if (std::max(a.y(), b.y()) < picture.cells.top() || std::min(a.y(), b.y()) > picture.cells.bottom()) continue;
    lines.emplace_back(a, QPointF(x, a.y()));
    lines.emplace_back(b, QPointF(x, b.y()));
    lines.emplace_back(QPointF(x, a.y()), QPointF(x, b.y()));
  }
  painter.setClipRect(
      QRectF(right - picture.axes.treeWidth, picture.cells.top(), picture.axes.treeWidth + 1, picture.cells.height()),
      Qt::IntersectClip);
  painter.setPen(QPen(colours().faint, 1));
  painter.drawLines(lines.data(), static_cast<int>(lines.size()));
}

}  // namespace

HeatmapAxes HeatmapAxes::of(const HeatmapRecord& record, const Arrangement& arrangement) {
  HeatmapAxes axes;
  const QFontMetricsF metrics(textFont(TextRole::axis));
  for (int head = 0; head < record.heads(); ++head)
    axes.namesWidth = std::max(axes.namesWidth, metrics.horizontalAdvance(record.name(head)));
  axes.namesWidth = std::ceil(std::min(axes.namesWidth, kLongestName)) + 2 * kGap;
  axes.treeWidth = arrangement.tree.merges.empty() ? 0 : kTreeWidth;
  return axes;
}

QRectF HeatmapPicture::block(int row, int column, int rows, int columns) const {
  const double left = std::round(x(column)), top = std::round(y(row));
  return {left, top, std::round(x(column + columns)) - left, std::round(y(row + rows)) - top};
}

double crispSide(double room, int heads) {
  if (heads < 1 || room < 1) return 0;
  const double cell = std::floor(room / heads);
  return cell >= 6 ? cell * heads : std::floor(room);
}

void paintHeatmap(QPainter& painter, const HeatmapPicture& picture) {
  if (!picture.record->canBeDrawn() || picture.cells.isEmpty()) return;
  painter.save();
  painter.setRenderHint(QPainter::Antialiasing, false);
  picture.image->paint(painter, picture.cells, picture.visible, colours().panel, colours().faint);
  if (picture.record->difference)
    picture.image->paintSigns(painter, picture.cells, picture.visible, picture.record->matrix,
                              picture.arrangement->headAt, picture.range.span() / 16);
  painter.save();
  paintGroupBorders(painter, picture);
  painter.restore();
  paintNames(painter, picture);
  if (picture.axes.treeWidth > 0) paintDendrogram(painter, picture);
  painter.restore();
}

}  // namespace kvista
