// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QLabel>

namespace kvista {

/// Quiet text in one line that takes the room there is and ends in "…" where that is too little; its tooltip, unless it
/// has one of its own, then says it all.
class ElidedLabel final : public QLabel {
  Q_OBJECT

 public:
  explicit ElidedLabel(QWidget* parent = nullptr);
  [[nodiscard]] QSize minimumSizeHint() const override;  ///< Of its ellipsis.

 protected:
  bool event(QEvent* event) override;
  void paintEvent(QPaintEvent* event) override;
};

}  // namespace kvista
