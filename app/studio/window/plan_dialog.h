// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDialog>

#include "app/studio/window/sharing_dialog.h"
#include "core/base/error.h"
#include "core/plan/plan.h"
#include "core/protocol/records.h"

class QCheckBox;
class QComboBox;
class QDoubleSpinBox;
class QFormLayout;
class QLabel;
class QLineEdit;
class QPushButton;
class QSpinBox;

namespace kvista {

class MemoryRow;

/// Asks by which method, with which of its parts changed, and for what target a plan shall be made anew.
class PlanDialog final : public QDialog {
  Q_OBJECT

 public:
  /// Begins with the method and the target of `plan`, and with the parts in which it differs from its method.
  PlanDialog(const Catalogue& catalogue, const CompressionPlan& plan, QWidget* parent);
  /// What is asked for: of the method's own parts nothing is said, and nothing that the method cannot do.
  [[nodiscard]] PlanWish wish() const;
  /// What planning would take; where that does not fit it cannot be started.
  void showMemory(const Result<std::vector<MemoryForecast>>& forecast);
  /// Asks for a method with parts changed alone, to be compared with others: not for its target.
  void askForVariant();
  /// Who finds out which layers can share a cache; without it maps are made by hand or come from files.
  void setSharing(AskSharing ask) { askSharing_ = std::move(ask); }

 private:
  QComboBox* choice(const QString& name, const QString& label, const std::vector<Choice>& choices);
  QCheckBox* box(const QString& name, const QString& text, const QString& tip, bool checked);
  void beginWith(const CompressionPlan& plan);
  void check();
  QSpinBox* rankBox(const char* name, const QString& accessible, const QString& prefix, int most, const QString& tip);
  /// Lets the method have an option, or says why it cannot.
  void allow(QWidget* option, const QString& reason);
  void checkOptions(const MethodChoice& own);
  [[nodiscard]] bool hasEps() const;
  /// Why no group can have as many directions as is asked for; empty: one can.
  [[nodiscard]] QString rankProblem() const;
  /// Whether more layers than one are asked for in a chain.
  [[nodiscard]] bool chains() const;
  void changeSharing();
  void showSharing();
  [[nodiscard]] const MethodChoice* method() const;
  /// Of the method, where it is not changed.
  [[nodiscard]] std::string grouping() const;
  [[nodiscard]] Metric metric() const;

  const std::vector<MethodChoice> methods_;
  QFormLayout* form_;
  QComboBox *method_, *metric_, *grouping_, *measure_, *allocator_;
  QDoubleSpinBox *damping_, *eps_;
  QSpinBox *groupSize_, *chain_, *rankStep_, *minimumRank_, *maximumRank_;
  QCheckBox *sinkFree_, *centred_, *compensate_, *unwhitened_, *uncalibrated_, *trellis_, *tokenNumbers_;
  QLineEdit* typed_;
  QLabel *why_, *summary_, *reason_, *sharing_;
  QPushButton* changeSharing_;
  MemoryRow* memory_;
  QPushButton* start_;
  AskSharing askSharing_;
  bool isVariant_ = false;
  const int layers_;
  const std::vector<int> givenMap_;
  std::vector<int> sharedFrom_;
  std::optional<double> cosine_;
  const Target given_;
  Target target_;
};

}  // namespace kvista
