// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QTextEdit>
#include <vector>

namespace kvista {

/// A text token by token: the ground says how much more (warning's colour) or less (accent's) a token costs the
/// compressed model, the underline says the sign without colour: a wave for more, dots for less.
class TokenLossText final : public QTextEdit {
  Q_OBJECT

 public:
  explicit TokenLossText(QWidget* parent = nullptr);
  /// One loss a piece and model, nats; NaN where there is none. All three of one size.
  void setLosses(const std::vector<QString>& pieces, const std::vector<float>& before, const std::vector<float>& after);
  /// The difference that has the strongest colour, nats: the 95th percentile of sizes, at least 0.05.
  [[nodiscard]] double range() const { return range_; }
  [[nodiscard]] double meanBefore() const;
  [[nodiscard]] double meanAfter() const;
  /// Tokens with both losses.
  [[nodiscard]] std::size_t counted() const;
  /// Index of the piece at a point of the viewport, or -1.
  [[nodiscard]] int pieceAt(const QPoint& point) const;
  /// "' the': original 2.131, plan 2.148, +0.017 nats".
  [[nodiscard]] QString describe(int piece) const;

 Q_SIGNALS:
  /// The piece under the pointer or the cursor; -1: none.
  void pieceFocused(int piece);

 protected:
  bool viewportEvent(QEvent* event) override;

 private:
  void rebuild();
  [[nodiscard]] int pieceAtPosition(int position) const;
  std::vector<QString> pieces_;
  std::vector<int> starts_;  ///< Of each piece in the document.
  std::vector<float> before_, after_;
  double range_ = 0.05;
};

}  // namespace kvista
