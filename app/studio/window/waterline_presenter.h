// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>

#include "app/studio/document.h"
#include "core/plan/layer_spectra.h"

namespace kvista {

class WaterlineView;

/// Shows the spectra of the plan's groups and makes one edit of a drag of the water.
class WaterlinePresenter final : public QObject {
  Q_OBJECT

 public:
  WaterlinePresenter(Document& document, WaterlineView& view);

 Q_SIGNALS:
  void message(const QString& text);

 private:
  void showSpectra();
  void showWidths();
  [[nodiscard]] bool isOrdered() const;
  [[nodiscard]] double level() const;
  void beginDrag();
  void drag(double level);
  Document& document_;
  WaterlineView& view_;
  LayerOrder order_;
  std::vector<std::vector<Slot>> ordered_;  // Of which groups `order_` is.
  std::vector<LayerSpectra> shown_;
};

}  // namespace kvista
