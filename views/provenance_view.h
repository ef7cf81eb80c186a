// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <utility>
#include <vector>

#include "views/plain_table.h"
#include "views/view.h"

class QLabel;
class QPushButton;
class QStandardItemModel;
class QTreeView;

namespace kvista {

struct ProvenanceSection {
  QString title;                                   ///< "Model"
  std::vector<std::pair<QString, QString>> facts;  ///< "Hash", "4f2a91c0…"
  bool operator==(const ProvenanceSection&) const = default;
};

/// Where everything shown comes from: hashes, data, seed, versions, device. Copied as tab-separated lines.
class ProvenanceView final : public View {
  Q_OBJECT

 public:
  explicit ProvenanceView(QWidget* parent = nullptr);
  [[nodiscard]] QWidget* controls() override;
  void setRecord(const std::vector<ProvenanceSection>& sections);
  /// Everything, a line a fact.
  [[nodiscard]] QString text() const;
  [[nodiscard]] PlainTable plainTable() const;

 private:
  void fill();
  void copySelection() const;
  std::vector<ProvenanceSection> sections_;
  QStandardItemModel* facts_;
  QTreeView* tree_;
  QLabel* empty_;
  QPushButton* copy_;
};

}  // namespace kvista
