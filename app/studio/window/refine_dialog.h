// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDialog>

#include "app/studio/workflow.h"

class QCheckBox;
class QComboBox;
class QLabel;
class QPushButton;
class QSpinBox;

namespace kvista {

class FileList;
class MemoryRow;

/// Asks on what, and for how long, a plan's factors shall be trained.
class RefineDialog final : public QDialog {
  Q_OBJECT

 public:
  /// `device`: what computes, in words. `text`, `other`: what to begin with.
  RefineDialog(const ModelRecord& model, const QString& device, const TextSelection& text, const TextSelection& other,
               QWidget* parent);
  [[nodiscard]] RefineWish wish() const;
  /// What it would take, for wish(); what does not fit cannot be started.
  void showMemory(const Result<std::vector<MemoryForecast>>& forecast);

 Q_SIGNALS:
  /// Something that memory depends on has changed.
  void memoryWanted();

 private:
  void check();
  FileList *files_, *others_;
  QSpinBox *window_, *windows_, *length_, *perStep_;
  QComboBox* unit_;
  QCheckBox* nested_;
  QLabel* forecast_;
  MemoryRow* memory_;
  QPushButton* start_;
  int usualWindow_;
};

}  // namespace kvista
