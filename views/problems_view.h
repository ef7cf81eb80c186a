// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QAbstractListModel>
#include <vector>

#include "views/view.h"

class QLabel;
class QListView;

namespace kvista {

struct ProblemRecord {
  enum class Severity { error, warning, note };
  QString id;  ///< What a jump goes to; the window knows.
  Severity severity = Severity::error;
  QString sentence, hint, path;
  QString title = {};   ///< What was tried, "Calibrate on book.txt"; may be empty.
  QString report = {};  ///< Everything that is known about it, to be sent to somebody.
  QString again = {};   ///< What a button that tries once more says, "Continue"; empty: there is none.
  /// What it is about, in a line: the path, or else what was tried.
  [[nodiscard]] const QString& subject() const { return path.isEmpty() ? title : path; }
  bool operator==(const ProblemRecord&) const = default;
};

/// Problems, the gravest first, each once: what says the same of the same path is one problem.
class ProblemsModel final : public QAbstractListModel {
  Q_OBJECT

 public:
  using QAbstractListModel::QAbstractListModel;
  void setProblems(const std::vector<ProblemRecord>& problems);
  [[nodiscard]] const ProblemRecord& at(int row) const { return problems_[static_cast<std::size_t>(row)]; }
  [[nodiscard]] int rowCount(const QModelIndex& parent = {}) const override;
  [[nodiscard]] QVariant data(const QModelIndex& index, int role) const override;
  static QString word(ProblemRecord::Severity severity);

 private:
  std::vector<ProblemRecord> problems_;
};

class ProblemsView final : public View {
  Q_OBJECT

 public:
  explicit ProblemsView(QWidget* parent = nullptr);
  void setRecord(const std::vector<ProblemRecord>& problems);

 Q_SIGNALS:
  void jumpRequested(const QString& id);

 private:
  void copy() const;
  ProblemsModel* model_;
  QListView* list_;
  QLabel* empty_;
};

}  // namespace kvista
