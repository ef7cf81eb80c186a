// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/figure_strip.h"

#include <QVBoxLayout>

#include "views/gallery/gallery.h"
#include "views/gallery/made_up_model.h"

namespace kvista {
namespace {

/// The strip in each of its states, one below the other.
class Strips final : public View {
 public:
  Strips() {
    setTitle(QStringLiteral("Figures"),
             QStringLiteral("estimated, measured, over budget, stale, nothing yet, editing"));
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    const MadeUpModel model(8, 1024, Storage::coded);
    FigureStripRecord record =
        figuresOf(planAt(model.table(), model.level(), model.plan(), model.context()), model.context());
    record.target = Target{Target::Kind::share, 0.125};
    record.requestedBytes = record.fullBytesPerToken.value() / 8;
    record.plansTried = 7;
    record.plansOnFront = 3;
    FigureStripRecord measured = record;
    measured.perplexityIsEstimate = false;
    FigureStripRecord over = record;
    over.bytesPerToken = *over.requestedBytes + 24;
    over.timesFaster = 0.8;
    FigureStripRecord stale = record;
    stale.stale = true;
    for (const FigureStripRecord& each : {record, measured, over, stale, FigureStripRecord()}) {
      auto* strip = new FigureStrip;
      strip->setRecord(each);
      column->addWidget(strip);
    }
    auto* edited = new FigureStrip;
    edited->setRecord(record);
    edited->resize(1200, 64);
    edited->editTarget();
    column->addWidget(edited);
    column->addStretch();
  }
};

}  // namespace

Exhibit figureStripExhibit() {
  return {"figures", []() -> View* { return new Strips; }};
}

}  // namespace kvista
