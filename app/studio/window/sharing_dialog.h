// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDialog>
#include <functional>
#include <optional>
#include <vector>

#include "app/studio/workflow.h"

class QComboBox;
class QDoubleSpinBox;
class QLabel;
class QPushButton;
class QSpinBox;
class QTableView;

namespace kvista {

/// Who asks the engine for a map of layers, or for the cosine of one; `context` is who wants the answer.
using AskSharing =
    std::function<void(const SharingQuestion&, QObject* context, std::function<void(Result<SharingRecord>)>)>;

class LabModel;

/// A map that says whose cache each layer reads: searched by the engine, changed layer by layer, kept in a file of
/// `kvista sharing`. A search shows how unlike the caches are that it went by.
class SharingDialog final : public QDialog {
  Q_OBJECT

 public:
  /// `map`: as CompressionPlan::sharedFrom; empty: every layer has its own. `ask` empty: there is no calibration, whose
  /// text it takes.
  SharingDialog(int layers, const std::vector<int>& map, AskSharing ask, QWidget* parent);
  /// Empty where every layer has its own cache.
  [[nodiscard]] std::vector<int> map() const;
  /// Of the map as it stands, where it is known.
  [[nodiscard]] std::optional<double> cosine() const { return cosine_; }

 private:
  void take(const std::vector<int>& map);
  /// Offers each layer what the others leave: itself, and earlier layers that have a cache of their own.
  void offer();
  void change(int layer);
  void search();
  void measure();
  void load();
  void save();
  void failed(const Error& error);
  void say(const QString& text, bool isProblem = false);
  void showCosine();
  void showDistances(const Matrix& distances);

  const AskSharing ask_;
  std::vector<int> map_;
  std::optional<double> cosine_;
  std::vector<QComboBox*> boxes_;
  QSpinBox* count_;
  QDoubleSpinBox* least_;
  QPushButton* search_;
  LabModel* distances_;
  QTableView* distanceTable_;
  QLabel* said_;
};

/// How many layers read another's cache, in words.
QString sharingInWords(const std::vector<int>& map, const std::optional<double>& cosine);

}  // namespace kvista
