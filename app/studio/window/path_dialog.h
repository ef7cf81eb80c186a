// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDialog>
#include <functional>

#include "core/base/error.h"
#include "core/protocol/records.h"

class QLabel;
class QLineEdit;
class QPushButton;

namespace kvista {

class Workflow;

/// Asks for a path of the engine's machine, which no dialog of this one can look into: what is typed is looked at
/// there, and what is wrong with it stands below it.
class PathDialog final : public QDialog {
  Q_OBJECT

 public:
  PathDialog(const QString& title, const QString& host, QWidget* parent);
  /// As the engine's machine has it, once it was looked at.
  [[nodiscard]] const QString& path() const { return path_; }
  /// Of what was typed last.
  void show(const Result<PathRecord>& record);
  using QDialog::show;

 Q_SIGNALS:
  /// Something was typed; `show` is to be told what is there.
  void lookWanted(const QString& typed);

 private:
  void look();
  QLineEdit* typed_;
  QLabel* said_;
  QPushButton* choose_;
  QString path_;
};

/// Opens a PathDialog that the engine answers; `chosen` hears the path.
void choosePath(QWidget* parent, Workflow& workflow, const QString& title, std::function<void(const QString&)> chosen);

}  // namespace kvista
