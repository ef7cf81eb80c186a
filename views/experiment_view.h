// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <QStringList>
#include <optional>
#include <vector>

#include "views/plain_table.h"
#include "views/view.h"

class QComboBox;
class QLabel;
class QPushButton;
class QSplitter;
class QTableView;

namespace kvista {

class ExperimentModel;
class QualityCostView;
struct QualityCostRecord;

/// What one system came to at one value.
struct ExperimentCell {
  double perplexity = 0;
  double share = 0;  ///< Of the 16-bit cache's bytes.
  double rise = 0;   ///< Relative, of perplexity.
  QString problem;   ///< Why there are no figures; empty: there are.
  QString note;      ///< What kept the plan from the request.
  bool isBest = false;
  bool isAbove = false;                  ///< It took more than its column says, so that it cannot be the best.
  std::optional<double> riseError = {};  ///< Standard error of the rise; absent where it is not known.
};
/// A sweep on one text: a line a system, a column a value.
struct ExperimentTable {
  QString title;        ///< "Equal bytes · novels"
  double original = 0;  ///< Perplexity of the model as it is.
  QStringList values;   ///< "1/8 of the bytes"
  QStringList systems;
  std::vector<std::vector<std::optional<ExperimentCell>>> cells;  ///< Absent: not measured yet.
};
/// A line a system, by rising share. Of more than 8 those with a point that no other beats stand out, and come first
/// for the room that names have; the others are quiet.
QualityCostRecord experimentPlot(const ExperimentTable& table);

struct ExperimentRecord {
  std::vector<ExperimentTable> tables;
  QString status;  ///< How far it is, or what came of it, in words.
  bool running = false;
  bool hasReport = false;  ///< There is a page of it.
  QString unavailable;     ///< Why there is nothing to compare on; empty: there is.
};

/// Methods side by side on a model: a table and what each costs and loses, sweep by sweep and text by text.
class ExperimentView final : public View {
  Q_OBJECT

 public:
  explicit ExperimentView(QWidget* parent = nullptr);
  void setRecord(ExperimentRecord record);
  [[nodiscard]] QWidget* controls() override;
  /// The table that is shown, for a file.
  [[nodiscard]] PlainTable plainTable() const;
  void paintFigure(QPainter& painter, const QRectF& area) const;
  [[nodiscard]] QSize sizeHint() const override { return {560, 420}; }
  [[nodiscard]] QSize minimumSizeHint() const override { return {240, 200}; }

 Q_SIGNALS:
  void experimentRequested();
  /// No more is to be measured; what there is stays.
  void stopRequested();
  void reportRequested();

 protected:
  void resizeEvent(QResizeEvent* event) override;

 private:
  void showTable();

  ExperimentRecord record_;
  ExperimentModel* model_;
  QComboBox* which_;
  QTableView* table_;
  QualityCostView* plot_;
  QSplitter* content_;
  QLabel *status_, *empty_;
  QPushButton *start_, *stop_, *report_;
};

}  // namespace kvista
