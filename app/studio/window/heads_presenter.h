// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>

#include "app/studio/document.h"
#include "app/studio/workflow.h"
#include "views/plain_table.h"

namespace kvista {

class HeatmapView;
class NavigatorView;

/// Shows how alike the heads of the selected layer and side are, and all layers in small.
class HeadsPresenter final : public QObject {
  Q_OBJECT

 public:
  HeadsPresenter(Document& document, Workflow& workflow, HeatmapView& heatmap, NavigatorView& navigator);

 Q_SIGNALS:
  void message(const QString& text);
  void makeGroupRequested(const std::vector<int>& heads);
  void showSpectraRequested();
  void explainRequested();
  /// "view.measure.cka", ...
  void actionRequested(const QString& id);
  void tableRequested(const kvista::PlainTable& table);

 private:
  void showLayer();
  void showAll();
  void showSelection();
  void shareRange(bool shared);
  void showMeasures();
  Document& document_;
  Workflow& workflow_;
  HeatmapView& heatmap_;
  NavigatorView& navigator_;
  bool isSharedRangeFitted_ = false;
};

}  // namespace kvista
