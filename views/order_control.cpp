// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/order_control.h"

#include <QToolButton>

namespace kvista {

SegmentedControl* makeOrderControl(bool withCustom) {
  const auto tr = [](const char* text) { return SegmentedControl::tr(text); };
  std::vector<std::tuple<HeatmapOrder, QString, QString>> orders = {
      {HeatmapOrder::index, tr("index"), tr("Heads as the model numbers them")},
      {HeatmapOrder::group, tr("group"), tr("Group after group; within each, alike heads side by side")},
      {HeatmapOrder::cluster, tr("cluster"), tr("Alike heads side by side: average linkage")},
      {HeatmapOrder::mean, tr("mean"), tr("Heads that are most like all others first")},
      {HeatmapOrder::custom, tr("own"),
       tr("As you have put them: Order as selected in the menu, or Alt with the arrow keys")}};
  if (!withCustom) orders.pop_back();
  std::vector<std::pair<QString, QString>> segments;
  for (const auto& [order, text, explanation] : orders) segments.emplace_back(orderId(order), text);
  auto* control = new SegmentedControl(segments, tr("Order of the heads"));
  for (const auto& [order, text, explanation] : orders) control->segment(orderId(order))->setToolTip(explanation);
  return control;
}

HeatmapOrder shownOrder(HeatmapOrder wanted, bool hasGroups, SegmentedControl* control) {
  const HeatmapOrder shown = wanted == HeatmapOrder::group && !hasGroups ? HeatmapOrder::index : wanted;
  if (control) {
    control->segment(orderId(HeatmapOrder::group))->setEnabled(hasGroups);
    control->setCurrent(orderId(shown));
  }
  return shown;
}

}  // namespace kvista
