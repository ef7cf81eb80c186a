// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QMainWindow>
#include <QPointer>
#include <memory>
#include <optional>

#include "app/studio/action_registry.h"
#include "app/studio/desktop_look.h"
#include "app/studio/document.h"
#include "app/studio/engine_client.h"
#include "app/studio/job_list.h"
#include "app/studio/lab.h"
#include "app/studio/other_model.h"
#include "app/studio/recent_files.h"
#include "app/studio/recovery.h"
#include "app/studio/store.h"
#include "app/studio/window/project_files.h"
#include "app/studio/window/window_layouts.h"
#include "app/studio/workflow.h"
#include "views/lab_view.h"
#include "views/text_measures.h"

class QDialog;
class QLabel;
class QStackedWidget;

namespace kvista {

class ExportDialog;
class FigureStrip;
class HelpWindow;
class LabDialog;
class Panels;
class TextDialog;
class TopBar;
class ViewStates;
struct PlainTable;

/// The window: puts document, engine and views together and holds what is done with them.
class MainWindow final : public QMainWindow {
  Q_OBJECT

 public:
  /// Without an engine, the one that the settings name; without one there, the one of this installation.
  explicit MainWindow(const std::optional<EngineCommand>& engine = {});
  ~MainWindow() override;
  /// A model or a project, by content.
  void open(const QString& path);
  void openDemo();
  /// For a program that drives the window: what it shows, in numbers.
  [[nodiscard]] nlohmann::json facts() const;
  [[nodiscard]] Document& document() { return document_; }
  [[nodiscard]] ActionRegistry& actions() { return actions_; }

 protected:
  bool event(QEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  void closeEvent(QCloseEvent* event) override;
  void dragEnterEvent(QDragEnterEvent* event) override;
  void dropEvent(QDropEvent* event) override;

 private:
  void addActions();
  void addFileActions();
  void addPlanActions();
  void addViewActions();
  /// Once the engine has named them.
  void addMeasures();
  QAction* add(const char* id, const QString& category, const QString& text, const QKeySequence& shortcut,
               std::function<void()> run, std::function<bool()> enabled = {}, const QString& tip = {});
  void fillMenu();
  void connectParts();
  void showState();
  void showFigures();
  /// `about`: the file or place, may be empty. `title`: what was tried, may be empty.
  void showProblem(const QString& about, const Error& error, const QString& title = {});
  void showEngine();
  [[nodiscard]] QString engineInWords() const;
  /// What has become of the engine, where it is not as it should be.
  void tellOfEngine(EngineClient::State state);
  void chooseLayout(const QString& name);
  void showLayout(const QString& name);
  void keepLayout();
  void startDockArea();
  void resetLayout();
  /// To the next part of the window (1) or the one before (-1): the bar, the panels, the guide.
  void goToPanel(int step);
  void calibrate();
  void makePlan();
  void measure();
  void compareMethods();
  void askQuestions();
  void measureAgreement();
  void measureRanks();
  void compareKeyVariants();
  void testRetrieval();
  void trainPredictor();
  void showLab(LabView::Page page);
  void showTexts(TextMeasures::Page page);
  void openLab(LabDialog* dialog, const char* kept, LabView::Page page, std::function<void()> begin);
  void refine();
  void askElsewhere(QDialog* dialog);
  void forecastIn(TextDialog* dialog, const QString& method);
  void keepPlan();
  void compareWithOther();
  void compareNoMore();
  void connectOther();
  void exportPlan();
  void writeReport();
  void saveFigure();
  void saveTable();
  void saveTable(const QString& title, const QString& name, const PlainTable& table);
  /// Of these panels, the one that has the focus, or else one in sight; empty: none is.
  [[nodiscard]] QString panelInUse(const QStringList& names) const;
  void showPalette();
  void showShortcuts();
  void showHelp(const QString& page);
  void chooseEngine();
  [[nodiscard]] EngineCommand engineOfSettings();
  [[nodiscard]] bool hasPlan() const;
  /// Not while a hand drags something of it.
  [[nodiscard]] bool canChangePlan() const { return hasPlan() && !document_.isInGesture(); }

  Store settings_;
  Store session_;
  ActionRegistry actions_;
  Document document_;
  EngineClient engine_;
  JobList jobs_;
  Workflow workflow_;
  OtherModel other_;
  Lab lab_;
  RecentFiles recent_;
  Recovery recovery_;
  ProjectFiles files_;
  QWidget* dockFrame_;  // A margin around the docks, which a main window cannot have itself.
  QMainWindow* dockArea_ = nullptr;
  Panels* panels_;
  ViewStates* viewStates_;
  QMenu* menu_;
  QMenu* measures_ = nullptr;
  TopBar* bar_ = nullptr;
  FigureStrip* strip_;
  QLabel* engineStatus_;
  QLabel* message_;
  QLabel* provenance_;
  DesktopLook desktop_;
  QPointer<HelpWindow> help_;
  QPointer<ExportDialog> exportDialog_;
  QString layout_;
  bool small_ = false;     // The window is; its layouts have other arrangements.
  bool arranged_ = false;  // The docks stand as `layout_` wants them.
  bool leaving_ = false;
};

}  // namespace kvista
