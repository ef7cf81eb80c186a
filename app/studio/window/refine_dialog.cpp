// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/refine_dialog.h"

#include <QCheckBox>
#include <QComboBox>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLocale>
#include <QPushButton>
#include <QSpinBox>
#include <QVBoxLayout>
#include <algorithm>

#include "app/studio/window/file_list.h"
#include "app/studio/window/memory_row.h"
#include "app/studio/window/start_buttons.h"
#include "app/studio/window/window_size.h"
#include "views/theme.h"
#include "views/words.h"

namespace kvista {
namespace {

constexpr int kUsualWindow = 2048, kMostWindows = 1'000'000, kMostSteps = 1'000'000, kMostMinutes = 10'000,
              kUsualMinutes = 5;

QSpinBox* number(const char* name, int least, int most, int value, QWidget* parent) {
  auto* box = new QSpinBox(parent);
  box->setObjectName(QLatin1String(name));
  box->setRange(least, most);
  box->setValue(value);
  box->setGroupSeparatorShown(true);
  box->setMinimumWidth(130);
  return box;
}

QStringList pathsOf(const TextSelection& text) {
  QStringList paths;
  for (const std::string& path : text.paths) paths << QString::fromStdString(path);
  return paths;
}

TextSelection selectionOf(const FileList& files) {
  TextSelection selection;
  for (const QString& path : files.paths()) selection.paths.push_back(path.toStdString());
  return selection;
}

}  // namespace

RefineDialog::RefineDialog(const ModelRecord& model, const QString& device, const TextSelection& text,
                           const TextSelection& other, QWidget* parent)
    : QDialog(parent),
      files_(new FileList(this)),
      others_(new FileList(this)),
      forecast_(softLabel({}, this)),
      memory_(new MemoryRow(QStringLiteral("refine"), this)) {
  setObjectName(QStringLiteral("refineDialog"));
  setWindowTitle(tr("Refine the plan"));
  const auto context = static_cast<int>(
      std::min<std::int64_t>(model.maximumPositions > 0 ? model.maximumPositions : kUsualWindow, 1 << 20));
  usualWindow_ = std::min(context, kUsualWindow);
  window_ = number("window", 0, std::max(context, 2), static_cast<int>(text.window), this);
  window_->setSpecialValueText(tr("%1 (usual)").arg(QLocale().toString(usualWindow_)));
  windows_ = number("windows", 0, kMostWindows, 0, this);
  windows_->setSpecialValueText(tr("all"));
  length_ = number("length", 1, kMostSteps, RefineWish{}.steps, this);
  perStep_ = number("windowsPerStep", 1, 4096, RefineWish{}.windowsPerStep, this);
  unit_ = new QComboBox(this);
  unit_->setObjectName(QStringLiteral("lengthUnit"));
  unit_->addItems({tr("steps"), tr("minutes")});
  nested_ = new QCheckBox(tr("for smaller ranks too: each step computes with some of the directions"), this);
  files_->setPaths(pathsOf(text));
  others_->setPaths(pathsOf(other));

  auto* why = softLabel(tr("The plan's factors are trained so that the compressed model writes as the original does; "
                           "its bytes stay. Take text like the one the model will meet."),
                        this);
  why->setWordWrap(true);
  auto* form = new QFormLayout(this);
  form->setContentsMargins(20, 16, 20, 12);
  form->setVerticalSpacing(8);
  form->addRow(why);
  // Side by side: a small screen has no room for one above the other.
  const auto named = [this](const QString& name, QWidget* field) {
    auto* column = new QVBoxLayout;
    column->setSpacing(4);
    auto* label = new QLabel(name, this);
    label->setBuddy(field);
    column->addWidget(label);
    column->addWidget(field);
    return column;
  };
  auto* texts = new QHBoxLayout;
  texts->setSpacing(16);
  texts->addLayout(named(tr("Text to train on"), files_));
  texts->addLayout(named(tr("Other text to measure on"), others_));
  form->addRow(texts);
  const auto pair = [this](QWidget* first, QWidget* second, const QString& name) {
    auto* row = new QHBoxLayout;
    row->setSpacing(8);
    row->addWidget(first);
    row->addStretch(1);
    auto* label = new QLabel(name, this);
    label->setBuddy(second);
    row->addWidget(label);
    row->addWidget(second);
    return row;
  };
  form->addRow(tr("Tokens a window"), pair(window_, windows_, tr("Windows")));
  auto* length = pair(length_, perStep_, tr("Windows a step"));
  length->insertWidget(1, unit_);
  form->addRow(tr("Train for"), length);
  form->addRow(QString(), nested_);
  form->addRow(QString(), forecast_);
  auto* computes = new QLabel(device, this);
  computes->setObjectName(QStringLiteral("device"));
  form->addRow(tr("Device"), computes);
  form->addRow(tr("Memory"), memory_);
  const auto [buttons, start] = startButtons(*this, tr("Refine"));
  start_ = start;
  form->addRow(buttons);
  connect(unit_, &QComboBox::currentIndexChanged, this, [this](int unit) {
    length_->setMaximum(unit == 0 ? kMostSteps : kMostMinutes);
    length_->setValue(unit == 0 ? RefineWish{}.steps : kUsualMinutes);
  });
  for (FileList* list : {files_, others_}) connect(list, &FileList::changed, this, &RefineDialog::check);
  for (QSpinBox* box : {window_, windows_, perStep_}) connect(box, &QSpinBox::valueChanged, this, &RefineDialog::check);
  for (QSpinBox* box : {window_, perStep_}) connect(box, &QSpinBox::valueChanged, this, &RefineDialog::memoryWanted);
  resizeToScreen(*this, {680, sizeHint().height()});
  check();
}

void RefineDialog::check() {
  const bool there = !files_->paths().isEmpty();
  start_->setEnabled(there && memory_->fits());
  const int window = window_->value() > 0 ? window_->value() : usualWindow_;
  QString text = !there ? tr("Add a text file to begin.")
                        : tr("Each step looks at %L1 tokens. ").arg(qint64{window} * perStep_->value());
  if (there)
    text += others_->paths().isEmpty() ? tr("Windows held out of the text decide what is kept, and are measured on.")
                                       : tr("Windows held out of the text decide what is kept.");
  forecast_->setText(text);
}

void RefineDialog::showMemory(const Result<std::vector<MemoryForecast>>& forecast) {
  memory_->setForecast(forecast);
  check();
}

RefineWish RefineDialog::wish() const {
  RefineWish wish;
  wish.text = selectionOf(*files_);
  wish.text.window = window_->value();
  wish.text.windows = windows_->value();
  if (!others_->paths().isEmpty()) {
    wish.other = selectionOf(*others_);
    wish.other->window = window_->value();
  }
  if (unit_->currentIndex() == 0)
    wish.steps = length_->value();
  else
    wish.minutes = length_->value();
  wish.windowsPerStep = perStep_->value();
  wish.nested = nested_->isChecked();
  return wish;
}

}  // namespace kvista
