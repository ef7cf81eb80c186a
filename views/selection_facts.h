// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <QWidget>
#include <vector>

class QPushButton;

namespace kvista {

/// What it is, how much, and by what formula, in what unit, from what source: the last is a tooltip, and may be empty.
struct Fact {
  QString what, value, explanation = {};
  bool operator==(const Fact&) const = default;
};
using Facts = std::vector<Fact>;

/// A heading, lines of facts, and what can be done with the selection, at the right of a heatmap.
class SelectionFacts final : public QWidget {
  Q_OBJECT

 public:
  explicit SelectionFacts(QWidget* parent = nullptr);
  void setFacts(const Facts& facts);
  [[nodiscard]] const Facts& facts() const { return facts_; }
  void setLinks(const QString& measure, const QString& explanation, bool hasSelection);
  [[nodiscard]] QPushButton* groupLink() const { return group_; }
  [[nodiscard]] QPushButton* spectraLink() const { return spectra_; }
  [[nodiscard]] QPushButton* explainLink() const { return explain_; }

 protected:
  void paintEvent(QPaintEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  bool event(QEvent* event) override;

 private:
  void placeLinks();
  Facts facts_;
  QPushButton* group_;
  QPushButton* spectra_;
  QPushButton* explain_;
};

}  // namespace kvista
