// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "views/lab_plot.h"
#include "views/lab_scatter.h"
#include "views/lab_table.h"
#include "views/plain_table.h"
#include "views/view.h"

class QComboBox;
class QLabel;
class QPushButton;
class QSplitter;
class QTableView;

namespace kvista {

class SegmentedControl;

/// A list below the figures.
struct LabDetails {
  QString id, title;  ///< The id is kept with the panel.
  LabTable table;
  bool operator==(const LabDetails&) const = default;
};
/// What one measure of the lab has found.
struct LabFindings {
  LabTable summary;  ///< Without rows where nothing is known.
  std::vector<LabDetails> details;
  std::optional<LabCurve> curve = {};    ///< Between the two.
  std::optional<LabPoints> points = {};  ///< Likewise.
  bool operator==(const LabFindings&) const = default;
};
struct LabWork {
  bool running = false;
  QString status;       ///< How far it is, or what came of it.
  QString unavailable;  ///< Why it cannot be begun; empty: it can.
  bool operator==(const LabWork&) const = default;
};

/// The evaluation lab: answers to questions, agreement of what is written, ranks of caches, variants of
/// key directions, and trained predictors. Each is a page with its
/// figures and, below them, what they were made of.
class LabView final : public View {
  Q_OBJECT

 public:
  enum class Page { questions, agreement, ranks, variants, predictors };
  static constexpr std::array kPages = {Page::questions, Page::agreement, Page::ranks, Page::variants,
                                        Page::predictors};

  explicit LabView(QWidget* parent = nullptr);
  void setFindings(Page page, LabFindings findings);
  void setWork(Page page, LabWork work);
  void showPage(Page page);
  [[nodiscard]] Page page() const { return page_; }
  [[nodiscard]] QWidget* controls() override;
  /// Of the table that has the focus; else the lower one, if it shows anything.
  [[nodiscard]] PlainTable plainTable() const;
  [[nodiscard]] QJsonObject viewState() const override;
  bool setViewState(const QJsonObject& state) override;
  [[nodiscard]] QSize sizeHint() const override { return {560, 420}; }
  [[nodiscard]] QSize minimumSizeHint() const override { return {240, 200}; }

 Q_SIGNALS:
  void startRequested(kvista::LabView::Page page);
  void stopRequested(kvista::LabView::Page page);
  /// "evaluation#Tasks"
  void helpRequested(const QString& page);

 private:
  struct Part {
    LabFindings findings;
    LabWork work;
    QString details;  ///< Id of the list that is shown; empty: the first.
  };
  [[nodiscard]] Part& part() { return parts_[static_cast<std::size_t>(page_)]; }
  [[nodiscard]] const Part& part() const { return parts_[static_cast<std::size_t>(page_)]; }
  QTableView* makeTable(const char* name, LabModel* model);
  void showFindings();
  void showDetails();
  void showWork();

  std::array<Part, kPages.size()> parts_;
  Page page_ = Page::questions;
  SegmentedControl* which_;
  LabModel *summary_, *details_;
  QTableView *summaryTable_, *detailsTable_;
  LabPlot* plot_;
  LabScatter* scatter_;
  QComboBox* list_;
  QSplitter* content_;
  QWidget* below_;
  QLabel *empty_, *status_;
  QPushButton *help_, *stop_, *start_;
  bool splitByHand_ = false;
};

}  // namespace kvista
