// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/studio/document.h"
#include "app/studio/job_list.h"
#include "app/studio/lab.h"
#include "app/studio/other_model.h"
#include "app/studio/recent_files.h"
#include "app/studio/window/window_layouts.h"
#include "app/studio/workflow.h"
#include "views/lab_view.h"
#include "views/plain_table.h"
#include "views/text_measures.h"

class QMainWindow;
class QPainter;
class QRectF;

namespace kvista {

class ProblemBar;
class QualityPresenter;
class TryView;
class View;
class WorkLine;
class WorkPresenter;

/// Every view in its dock, each with the presenter that connects it to the document.
class Panels final : public QObject {
  Q_OBJECT

 public:
  Panels(Document& document, Workflow& workflow, OtherModel& other, Lab& lab, JobList& jobs, RecentFiles& recent,
         QMainWindow* window);
  [[nodiscard]] const Docks& docks() const { return docks_; }
  /// What stands in the middle while there is nothing to work on yet.
  [[nodiscard]] QWidget* guide() const { return guide_; }
  [[nodiscard]] WorkLine* workLine() const { return workLine_; }
  [[nodiscard]] ProblemBar* problemBar() const { return problemBar_; }
  /// `path`: the file or place, may be empty. `title`: what was tried, may be empty.
  void addProblem(const QString& path, const Error& error, const QString& title = {});
  /// It is mended already, and stands in nobody's way.
  void addWarning(const Error& error);
  void setEngineProblem(const std::optional<Error>& error);
  void clearProblems();
  [[nodiscard]] nlohmann::json problems() const;
  /// Where painted things that can be taken hold of are on the screen: heads, the zone for a new group, the water's
  /// handle.
  [[nodiscard]] nlohmann::json places() const;
  void showProgress();
  /// Brings a panel to the front.
  void show(const QString& name);
  void showLab(LabView::Page page);
  void showTexts(TextMeasures::Page page);
  /// Of the panel Try, in a line; empty: none.
  [[nodiscard]] QString policyToTry() const;
  [[nodiscard]] int plansOnFront() const;
  /// Names and explanations have come from the engine.
  void showCatalogue();
  /// Draws a dock's content for paper; false for one that has no figure.
  using Figure = std::function<void(QPainter&, const QRectF&)>;
  [[nodiscard]] Figure figure(const QString& dock) const { return figures_.value(dock); }
  [[nodiscard]] QStringList figureNames() const { return figures_.keys(); }
  /// What a dock shows in cells, for a file.
  using Table = std::function<PlainTable()>;
  [[nodiscard]] Table table(const QString& dock) const { return tables_.value(dock); }
  [[nodiscard]] QStringList tableNames() const { return tables_.keys(); }

 Q_SIGNALS:
  void message(const QString& text);
  void openRequested(const QString& path);
  void recentRequested(const QString& path);
  void locateRequested(const QString& path);
  void helpRequested(const QString& page);
  void actionRequested(const QString& id);
  /// A part of what a panel shows is to become a file.
  void tableRequested(const kvista::PlainTable& table);

 private:
  [[nodiscard]] QDockWidget* behindWhich(const QString& name) const;
  template <class ViewType>
  ViewType* add(const char* name, const QString& title);
  void addHeads();
  void addPlan();
  void addComparison();
  void addLab();
  void addWork();
  void addNotes();
  Document& document_;
  Workflow& workflow_;
  OtherModel& other_;
  Lab& lab_;
  JobList& jobs_;
  RecentFiles& recent_;
  QMainWindow* window_;
  Docks docks_;
  QMap<QString, Figure> figures_;
  QMap<QString, Table> tables_;
  QWidget* guide_ = nullptr;
  WorkLine* workLine_ = nullptr;
  ProblemBar* problemBar_ = nullptr;
  WorkPresenter* work_ = nullptr;
  QualityPresenter* quality_ = nullptr;
  LabView* labView_ = nullptr;
  TryView* try_ = nullptr;
};

}  // namespace kvista
