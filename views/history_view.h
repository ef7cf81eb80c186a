// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "views/view.h"

class QLabel;
class QUndoStack;
class QUndoView;

namespace kvista {

/// Everything that was done, by name; a click or the arrows go back and forth in it.
class HistoryView final : public View {
  Q_OBJECT

 public:
  explicit HistoryView(QWidget* parent = nullptr);
  ~HistoryView() override;
  /// Not owned; may be null.
  void setStack(QUndoStack* stack);

 private:
  void showCount();
  QUndoStack* stack_ = nullptr;
  QUndoView* list_;
  QLabel* empty_;
};

}  // namespace kvista
