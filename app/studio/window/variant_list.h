// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QWidget>
#include <functional>
#include <vector>

#include "core/protocol/records.h"

class QListWidget;
class QPushButton;

namespace kvista {

/// Methods of which some parts are changed, a line each: added by whoever asks for one, removed with Delete.
class VariantList final : public QWidget {
  Q_OBJECT

 public:
  explicit VariantList(const Catalogue& catalogue, QWidget* parent = nullptr);
  [[nodiscard]] const std::vector<PlanWish>& variants() const { return variants_; }
  void setVariants(std::vector<PlanWish> variants);
  /// Without it none can be added.
  using Asking = std::function<void(std::function<void(const PlanWish&)> chosen)>;
  void setAsking(Asking asking);

 Q_SIGNALS:
  void changed();

 private:
  void remove();
  const Catalogue& catalogue_;
  QListWidget* list_;
  QPushButton *add_, *remove_;
  std::vector<PlanWish> variants_;
  Asking asking_;
};

}  // namespace kvista
