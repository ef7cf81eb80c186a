// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QStringList>
#include <QWidget>
#include <vector>

#include "views/evaluations_model.h"
#include "views/plain_table.h"
#include "views/retrieval_model.h"

class QLabel;
class QPushButton;
class QStackedWidget;
class QTableView;

namespace kvista {

class RetrievalTables;
class SegmentedControl;

/// What was measured on texts: perplexities, or whether what was planted far back comes out.
class TextMeasures final : public QWidget {
  Q_OBJECT

 public:
  enum class Page { perplexity, retrieval };
  explicit TextMeasures(QWidget* parent = nullptr);
  void showPage(Page page);
  void setEvaluations(const std::vector<EvaluationRow>& rows);
  void setRetrieval(const RetrievalTable& original, const RetrievalTable& plan);
  void setAvailable(bool available);
  /// Files are those of another machine, and asked for by a signal.
  void setFilesElsewhere(bool elsewhere) { elsewhere_ = elsewhere; }
  /// The perplexities.
  [[nodiscard]] PlainTable plainTable() const;

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;

 Q_SIGNALS:
  void measureRequested(const QStringList& paths);
  void filesWanted();
  void retrievalRequested();

 private:
  void askForFiles();
  void showPage();
  /// The text's name takes what the numbers leave, and is not squeezed away: their number of tokens, which the tip says
  /// too, goes first.
  void fitColumns();
  SegmentedControl* which_;
  QPushButton* measure_;
  QStackedWidget* pages_;
  EvaluationsModel* evaluations_;
  QTableView* table_;
  QLabel* empty_;
  RetrievalTables* retrieval_;
  Page page_ = Page::perplexity;
  bool elsewhere_ = false;
};

}  // namespace kvista
