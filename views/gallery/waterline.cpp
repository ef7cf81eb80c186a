// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include <QString>
#include <memory>

#include "views/gallery/gallery.h"
#include "views/gallery/made_up_model.h"
#include "views/number_text.h"
#include "views/waterline_view.h"

namespace kvista {
namespace {

/// A waterline that answers to the hand as in the window.
View* makeWaterline(int layers, int directions, Storage storage) {
  const auto model = std::make_shared<MadeUpModel>(layers, directions, storage);
  auto* view = new WaterlineView;
  const auto follow = [view, model](double level) {
    model->setLevel(level);
    view->setWater(level, model->spectra());
    view->setHandleText(WaterlineView::tr("%1 times smaller").arg(decimalText(model->timesSmaller(), 1)));
  };
  view->setRecord(
      {model->spectra(), model->levelFor(8), storage == Storage::coded, WaterlineView::tr("nats per token"), 3});
  follow(model->levelFor(8));
  QObject::connect(view, &WaterlineView::levelDragged, view, follow);
  QObject::connect(view, &WaterlineView::dragCancelled, view, [view, follow] { follow(view->record().level); });
  QObject::connect(view, &WaterlineView::layerActivated, view, &WaterlineView::setCurrentLayer);
  return view;
}

}  // namespace

Exhibit waterlineExhibit() {
  return {"waterline", [] { return makeWaterline(8, 1024, Storage::coded); }};
}
Exhibit waterlineLargeExhibit() {
  return {"waterline-large", [] { return makeWaterline(32, 8192, Storage::coded); }};
}
Exhibit waterlineRanksExhibit() {
  return {"waterline-ranks", [] { return makeWaterline(8, 1024, Storage::lowRank16); }};
}
Exhibit waterlineEmptyExhibit() {
  return {"waterline-empty", []() -> View* { return new WaterlineView; }};
}

}  // namespace kvista
