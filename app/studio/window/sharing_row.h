// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QWidget>
#include <optional>
#include <utility>
#include <vector>

#include "app/studio/window/sharing_dialog.h"

class QLabel;
class QPushButton;

namespace kvista {

/// Says how many layers read another's cache, and opens the dialog that changes which.
class SharingRow final : public QWidget {
  Q_OBJECT

 public:
  /// `given`: the plan's map, where changes begin if the method finds its own for the target.
  SharingRow(int layers, std::vector<int> given, QWidget* parent);
  /// Who finds out which layers can share a cache; without it maps are made by hand or come from files.
  void setAsking(AskSharing ask) { ask_ = std::move(ask); }
  void setMap(std::vector<int> map) { map_ = std::move(map); }
  /// As CompressionPlan::sharedFrom; empty where layers cannot share, or where nobody says which do.
  [[nodiscard]] std::vector<int> map() const;
  /// Lets layers share, or says why they cannot. `isFound`: the method finds a map where none is given.
  void allow(const QString& reason, bool isFound);

 Q_SIGNALS:
  void changed();

 private:
  void change();

  const int layers_;
  const std::vector<int> given_;
  std::vector<int> map_;
  std::optional<double> cosine_;
  bool isFound_ = false;
  AskSharing ask_;
  QLabel* words_;
  QPushButton* change_;
};

}  // namespace kvista
