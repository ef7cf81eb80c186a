// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/gallery/gallery.h"
#include "views/gallery/made_up_model.h"
#include "views/spectra_view.h"

namespace kvista {
namespace {

View* makeSpectra(int count) {
  auto* view = new SpectraView;
  const MadeUpModel model(32, 8192, Storage::coded);
  SpectraRecord record;
  record.what = QStringLiteral("four layers");
  for (int i = 0; i < count; ++i) {
    const auto layer = static_cast<std::size_t>(i * 31 / std::max(count - 1, 1));
    SpectrumCurve curve;
    curve.label = QStringLiteral("layer %1").arg(layer);
    curve.eigenvalues = model.spectra()[layer].eigenvalues;
    curve.rank = model.plan().groups[layer].rank();
    for (float& value : curve.eigenvalues) value *= 1.0F + 0.8F * static_cast<float>(i);
    record.curves.push_back(std::move(curve));
  }
  view->setRecord(std::move(record));
  return view;
}

}  // namespace

Exhibit spectraExhibit() {
  return {"spectra", [] { return makeSpectra(4); }};
}
Exhibit spectraEmptyExhibit() {
  return {"spectra-empty", [] { return makeSpectra(0); }};
}

}  // namespace kvista
