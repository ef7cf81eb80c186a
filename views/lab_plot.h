// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <cstdint>
#include <vector>

#include "views/lab_chart.h"

namespace kvista {

/// How many of a number of texts are still the same, by tokens: it falls where one of them parts.
struct LabCurve {
  std::int64_t tokens = 0;  ///< That were written.
  /// Of each text, the tokens before the first that differs; `tokens` where none does.
  std::vector<std::int64_t> same;
  bool operator==(const LabCurve&) const = default;
  /// Of the texts, those whose first n tokens are the same.
  [[nodiscard]] std::int64_t after(std::int64_t n) const;
};

/// The curve of a LabCurve, both axes in halvings.
class LabPlot final : public LabChart {
  Q_OBJECT

 public:
  explicit LabPlot(QWidget* parent);
  /// At least one text and one token.
  void setCurve(LabCurve curve);
  /// "After 8 of 64 tokens 3 of 4 texts are still the same."
  [[nodiscard]] QString describe(std::int64_t token) const;
  /// Where what is so after a token is drawn; at the bottom where no text is the same any more.
  [[nodiscard]] QPointF placeOf(std::int64_t token) const;
  [[nodiscard]] QSize sizeHint() const override { return {320, 180}; }

 private:
  void fill() override;
  [[nodiscard]] QString tipAt(const QPoint& place) const override;
  /// Of `token`, in parts of the texts; what is none lies at the bottom.
  [[nodiscard]] double heightOf(std::int64_t token) const;

  LabCurve curve_;
  LogScale tokens_{0, 1}, share_{-1, 0};
};

}  // namespace kvista
