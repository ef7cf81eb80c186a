// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/window_layouts.h"

#include <QCryptographicHash>
#include <QDockWidget>
#include <algorithm>
#include <span>

namespace kvista {
namespace {

/// One dock of a layout: beside another, below it, or behind it as a tab. Sizes are parts of the window.
struct Place {
  enum class Where { first, rightOf, below, behind };
  const char* dock;
  Where where;
  const char* of;  // Of the docks placed before; nothing for the first.
  double width, height;
};

using enum Place::Where;

constexpr Place kAnalyse[] = {{"layers", first, "", .14, 1},
                              {"heads", rightOf, "layers", .52, .6},
                              {"errors", rightOf, "heads", .34, .6},
                              {"spectra", below, "heads", .52, .4},
                              {"provenance", below, "errors", .34, .4},
                              {"notes", behind, "provenance", .34, .4}};
constexpr Place kEdit[] = {{"layers", first, "", .135, 1},
                           {"heads", rightOf, "layers", .54, .6},
                           {"groups", rightOf, "heads", .325, .6},
                           {"waterline", below, "heads", .54, .4},
                           {"budget", behind, "waterline", .54, .4},
                           {"quality", below, "groups", .325, .4},
                           {"refining", behind, "quality", .325, .4},
                           {"history", behind, "quality", .325, .4},
                           {"jobs", behind, "quality", .325, .4}};
constexpr Place kCompare[] = {{"layers", first, "", .135, 1},
                              {"plans", rightOf, "layers", .865, .58},
                              {"budget", below, "plans", .5, .42},
                              {"quality", rightOf, "budget", .365, .42},
                              {"comparison", behind, "plans", .865, .58},
                              {"experiment", behind, "plans", .865, .58}};
constexpr Place kTry[] = {{"try", first, "", .74, 1},
                          {"quality", rightOf, "try", .26, .55},
                          {"jobs", below, "quality", .26, .45},
                          {"lab", behind, "try", .74, 1}};

// On a small screen few panels are large enough to be read; the others stand behind them.
constexpr Place kSmallAnalyse[] = {{"layers", first, "", .2, 1},
                                   {"heads", rightOf, "layers", .8, .52},
                                   {"spectra", below, "heads", .8, .48},
                                   {"errors", behind, "heads", .8, .52},
                                   {"provenance", behind, "spectra", .8, .48},
                                   {"notes", behind, "spectra", .8, .48}};
constexpr Place kSmallCompare[] = {{"layers", first, "", .2, 1},           {"plans", rightOf, "layers", .8, 1},
                                   {"comparison", behind, "plans", .8, 1}, {"experiment", behind, "plans", .8, 1},
                                   {"budget", behind, "plans", .8, 1},     {"quality", behind, "plans", .8, 1}};
constexpr Place kSmallTry[] = {{"try", first, "", 1, 1},
                               {"lab", behind, "try", 1, 1},
                               {"quality", behind, "try", 1, 1},
                               {"jobs", behind, "try", 1, 1}};

struct Layout {
  const char* name;
  std::span<const Place> usual, small;
};
constexpr Layout kLayouts[] = {{"analyse", kAnalyse, kSmallAnalyse},
                               {"edit", kEdit, kEdit},
                               {"compare", kCompare, kSmallCompare},
                               {"try", kTry, kSmallTry}};

void put(QMainWindow& window, const Docks& docks, const Place& place) {
  QDockWidget* dock = docks.value(QLatin1String(place.dock));
  QDockWidget* other = docks.value(QLatin1String(place.of));
  dock->setFloating(false);
  switch (place.where) {
    case first:
      window.addDockWidget(Qt::LeftDockWidgetArea, dock, Qt::Horizontal);
      break;
    case rightOf:
      window.splitDockWidget(other, dock, Qt::Horizontal);
      break;
    case below:
      window.splitDockWidget(other, dock, Qt::Vertical);
      break;
    case behind:
      window.tabifyDockWidget(other, dock);
      break;
  }
  dock->show();
}

}  // namespace

QStringList layoutNames() {
  QStringList names;
  for (const Layout& layout : kLayouts) names << QLatin1String(layout.name);
  return names;
}

bool isSmall(const QSize& window) { return window.width() < 1000 || window.height() < 620; }

void arrange(QMainWindow& window, const Docks& docks, const QString& name, bool small) {
  const auto layout =
      std::ranges::find_if(kLayouts, [&](const Layout& each) { return name == QLatin1String(each.name); });
  if (layout == std::end(kLayouts)) return;
  const std::span<const Place> places = small ? layout->small : layout->usual;
  QList<QDockWidget*> placed;
  QList<int> widths, heights;
  for (const Place& place : places) {
    if (!docks.contains(QLatin1String(place.dock))) continue;
    put(window, docks, place);
    placed << docks.value(QLatin1String(place.dock));
    widths << static_cast<int>(place.width * window.width());
    heights << static_cast<int>(place.height * window.height());
  }
  for (const Place& place : places)
    if (place.where == behind && docks.contains(QLatin1String(place.dock)))
      docks.value(QLatin1String(place.of))->raise();
  window.resizeDocks(placed, widths, Qt::Horizontal);
  window.resizeDocks(placed, heights, Qt::Vertical);
}

QByteArray sealed(const QByteArray& arrangement) {
  return QCryptographicHash::hash(arrangement, QCryptographicHash::Sha256) + arrangement;
}

QByteArray unsealed(const QByteArray& kept) {
  const QByteArray arrangement = kept.mid(QCryptographicHash::hashLength(QCryptographicHash::Sha256));
  return sealed(arrangement) == kept ? arrangement : QByteArray();
}

}  // namespace kvista
