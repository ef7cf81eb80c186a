// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "views/view.h"

class QPlainTextEdit;

namespace kvista {

/// A person's own words about a project. Typing is undone within the field, by the field's own keys.
class NotesView final : public View {
  Q_OBJECT

 public:
  explicit NotesView(QWidget* parent = nullptr);
  /// Says nothing; the cursor and what can be undone stay where the text is the same.
  void setText(const QString& text);
  [[nodiscard]] QString text() const;
  [[nodiscard]] QSize sizeHint() const override { return {320, 160}; }

 Q_SIGNALS:
  void edited(const QString& text);

 private:
  QPlainTextEdit* field_;
};

}  // namespace kvista
