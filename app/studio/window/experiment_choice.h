// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QJsonObject>
#include <QWidget>
#include <nlohmann/json_fwd.hpp>

#include "app/studio/chosen_experiment.h"
#include "app/studio/window/policy_list.h"
#include "app/studio/window/variant_list.h"

class QCheckBox;
class QComboBox;
class QDoubleSpinBox;
class QLineEdit;
class QSpinBox;
class QTreeWidget;
class QTreeWidgetItem;

namespace kvista {

/// Methods and policies to tick and type, and the sizes at which they are compared.
class ExperimentChoice final : public QWidget {
  Q_OBJECT

 public:
  /// Begins with the published methods that store 16-bit numbers, and ours, at two kept fractions. `window`: tokens of
  /// one, of which policies act after half.
  ExperimentChoice(const Catalogue& catalogue, std::int64_t window, QWidget* parent = nullptr);
  /// Sizes that cannot be read are left out; problem() says so.
  [[nodiscard]] ChosenExperiment chosen() const;
  /// What keeps this from being an experiment, in a sentence; empty: nothing.
  [[nodiscard]] QString problem() const;
  /// As a file has it.
  [[nodiscard]] nlohmann::json experiment() const;
  /// What was ticked and typed, for the next time.
  [[nodiscard]] QJsonObject state() const;
  /// What does not fit is left as it is.
  void setState(const QJsonObject& state);
  /// Reads typed policies.
  void setChecking(PolicyList::Checking checking) { lines_->setChecking(std::move(checking)); }
  /// Asks for variants of methods.
  void setAskingForVariants(VariantList::Asking asking) { variants_->setAsking(std::move(asking)); }

 Q_SIGNALS:
  void changed();

 private:
  QTreeWidgetItem* section(const QString& title);
  void addTo(QTreeWidgetItem* section, const Choice& choice, bool isPolicy, bool isTicked);
  void fill();
  /// Names that are ticked, in the catalogue's order.
  [[nodiscard]] std::vector<std::string> ticked(bool policies) const;
  void setTicked(const QStringList& methods, const QStringList& policies);
  void check();

  const Catalogue catalogue_;
  QTreeWidget* list_;
  PolicyList* lines_;
  VariantList* variants_;
  QCheckBox* refines_;
  QLineEdit *kept_, *shares_;
  QSpinBox* interval_;
  QComboBox* base_;
  QDoubleSpinBox* baseShare_;
};

}  // namespace kvista
