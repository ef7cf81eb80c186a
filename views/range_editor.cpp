// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/range_editor.h"

#include <QCheckBox>
#include <QDoubleSpinBox>
#include <QFormLayout>
#include <QPushButton>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

#include "views/segmented_control.h"

namespace kvista {
namespace {

QDoubleSpinBox* numberField(double value, const Range& extent, const QString& name) {
  auto* field = new QDoubleSpinBox;
  const double span = std::max(extent.span(), 1e-12);
  field->setDecimals(std::clamp(3 - static_cast<int>(std::floor(std::log10(span))), 0, 15));
  field->setRange(-1e12, 1e12);
  field->setSingleStep(span / 50);
  field->setValue(value);
  field->setButtonSymbols(QAbstractSpinBox::NoButtons);
  field->setKeyboardTracking(false);  // Half a number is no range.
  field->setAccessibleName(name);
  return field;
}

/// Differences have colours of their own.
SegmentedControl* mapControl(ColourMap current) {
  std::vector<std::pair<QString, QString>> segments;
  if (current == ColourMap::difference)
    segments.emplace_back(QString::number(static_cast<int>(current)), colourMapName(current));
  else
    for (const ColourMap map : colourMaps())
      segments.emplace_back(QString::number(static_cast<int>(map)), colourMapName(map));
  auto* control = new SegmentedControl(segments, RangeEditor::tr("Colours"));
  control->setCurrent(QString::number(static_cast<int>(current)));
  return control;
}

}  // namespace

RangeEditor::RangeEditor(const RangeBarRecord& record, std::optional<bool> shared, QWidget* parent)
    : QFrame(parent, Qt::Popup),
      aboutZero_(record.map == ColourMap::difference),
      low_(numberField(record.range.low, record.extent, tr("Lowest value"))),
      high_(numberField(record.range.high, record.extent, tr("Highest value"))),
      map_(mapControl(record.map)),
      inverted_(new QCheckBox(tr("Inverted"))) {
  setAttribute(Qt::WA_DeleteOnClose);
  setFrameShape(QFrame::StyledPanel);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(16, 16, 16, 16);
  column->setSpacing(8);
  auto* form = new QFormLayout;
  form->setHorizontalSpacing(16);
  form->setVerticalSpacing(8);
  form->addRow(tr("Up to"), high_);
  form->addRow(tr("From"), low_);
  low_->setEnabled(!aboutZero_);  // Follows the other end: zero stays in the middle.
  auto* fits = new SegmentedControl(
      {{QStringLiteral("0"), tr("All")}, {QStringLiteral("1"), tr("1–99 %")}, {QStringLiteral("5"), tr("5–95 %")}},
      tr("Fit"));
  fits->setCurrent(record.percentile < 0 ? QString() : QString::number(record.percentile));
  form->addRow(tr("Fit"), fits);
  column->addLayout(form);
  auto* visible = new QPushButton(tr("Fit to what can be seen"));
  visible->setProperty("link", true);
  visible->setCursor(Qt::PointingHandCursor);
  column->addWidget(visible);
  inverted_->setChecked(record.inverted);
  form->addRow(tr("Colours"), map_);
  form->addRow(QString(), inverted_);
  if (shared) {
    auto* same = new QCheckBox(tr("One range for all layers"));
    same->setToolTip(tr("The small pictures of all layers have the same range and colours as this one."));
    same->setChecked(*shared);
    form->addRow(QString(), same);
    connect(same, &QCheckBox::toggled, this, [this](bool on) {
      Q_EMIT sharedChosen(on);
      close();
    });
  }
  for (QDoubleSpinBox* field : {low_, high_})
    connect(field, &QDoubleSpinBox::valueChanged, this, &RangeEditor::sayRange);
  connect(fits, &SegmentedControl::chosen, this, [this](const QString& id) {
    Q_EMIT fitRequested(id.toDouble());
    close();
  });
  connect(visible, &QPushButton::clicked, this, [this] {
    Q_EMIT fitVisibleRequested();
    close();
  });
  connect(map_, &SegmentedControl::chosen, this, &RangeEditor::sayColours);
  connect(inverted_, &QCheckBox::toggled, this, &RangeEditor::sayColours);
  high_->setFocus();
  high_->selectAll();
}

void RangeEditor::sayRange() {
  Range range{low_->value(), high_->value()};
  if (aboutZero_) range = {-std::abs(range.high), std::abs(range.high)};
  if (range.low < range.high) Q_EMIT rangeEdited(range);
}

void RangeEditor::sayColours() {
  Q_EMIT coloursChosen(static_cast<ColourMap>(map_->current().toInt()), inverted_->isChecked());
}

}  // namespace kvista
