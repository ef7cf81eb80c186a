// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include <QActionGroup>
#include <QDockWidget>
#include <QFileDialog>
#include <QMenu>

#include "app/studio/window/command_palette.h"
#include "app/studio/window/main_window.h"
#include "app/studio/window/panel_dock.h"
#include "app/studio/window/panels.h"
#include "app/studio/window/path_dialog.h"
#include "app/studio/window/top_bar.h"
#include "core/plan/key_variants.h"
#include "views/figure_strip.h"
#include "views/theme.h"

namespace kvista {

QAction* MainWindow::add(const char* id, const QString& category, const QString& text, const QKeySequence& shortcut,
                         std::function<void()> run, std::function<bool()> enabled, const QString& tip) {
  QAction* action = actions_.add({.id = QLatin1String(id),
                                  .text = text,
                                  .category = category,
                                  .shortcut = shortcut,
                                  .enabled = std::move(enabled),
                                  .tip = tip},
                                 this, std::move(run));
  action->setObjectName(QLatin1String(id));
  addAction(action);  // So that its shortcut works wherever the focus is.
  return action;
}

void MainWindow::addActions() {
  addFileActions();
  addPlanActions();
  addViewActions();
}

void MainWindow::addFileActions() {
  const QString file = tr("File");
  const auto idle = [this] { return !document_.isInGesture(); };
  add(
      "file.open", file, tr("&Open file…"), QKeySequence::Open, [this] { files_.askForFile(); }, idle);
  add(
      "file.openFolder", file, tr("Open model &folder…"), tr("Ctrl+Shift+O"), [this] { files_.askForModelFolder(); },
      idle);
  add(
      "file.openDemo", file, tr("Open the &demo model"), {}, [this] { openDemo(); }, idle);
  add(
      "file.save", file, tr("&Save"), QKeySequence::Save, [this] { files_.save(); },
      [this] { return document_.isOpen(); });
  add(
      "file.saveAs", file, tr("Save &as…"), tr("Ctrl+Shift+S"), [this] { files_.saveAs(); },
      [this] { return document_.isOpen(); });
  add(
      "file.report", file, tr("Write a &report…"), {}, [this] { writeReport(); },
      [this] { return document_.hasModel(); }, tr("One HTML file with plan, pictures and numbers"));
  add(
      "file.figure", file, tr("Save this panel as a fi&gure…"), tr("Ctrl+Shift+F"), [this] { saveFigure(); },
      [this] { return document_.hasModel(); }, tr("The panel that has the focus, as PNG, SVG or PDF"));
  add(
      "file.table", file, tr("Export &table…"), tr("Ctrl+Shift+E"), [this] { saveTable(); },
      [this] { return document_.hasModel(); }, tr("The table of the panel that has the focus, as CSV or TSV"));
  add(
      "file.engine", file, tr("&Engine…"), {}, [this] { chooseEngine(); }, {},
      tr("Compute on this machine, or on another one through ssh"));
  add(
      "file.restartEngine", file, tr("Start the engine agai&n"), {}, [this] { engine_.start(engine_.command()); },
      [this] { return engine_.state() == EngineClient::State::failed; });
  add("file.quit", file, tr("&Quit"), QKeySequence::Quit, [this] { close(); });
}

void MainWindow::addPlanActions() {
  const QString edit = tr("Edit"), plan = tr("Plan");
  add(
      "edit.undo", edit, tr("&Undo"), QKeySequence::Undo, [this] { document_.undo(); },
      [this] { return document_.canUndo(); });
  add(
      "edit.redo", edit, tr("&Redo"), QKeySequence::Redo, [this] { document_.redo(); },
      [this] { return document_.canRedo(); });
  add(
      "plan.calibrate", plan, tr("&Calibrate…"), tr("Ctrl+K"), [this] { calibrate(); },
      [this] { return document_.hasModel() && !document_.isInGesture(); },
      tr("Run a text through the model once; everything else follows from it"));
  add(
      "plan.openStatistics", plan, tr("Open s&tatistics…"), {},
      [this] {
        if (workflow_.host())
          return choosePath(this, workflow_, tr("Statistics of this model"),
                            [this](const QString& path) { workflow_.openStatistics(path); });
        const QString path = QFileDialog::getOpenFileName(this, tr("Statistics of this model"), {},
                                                          tr("Statistics (*.kvstats);;All files (*)"));
        if (!path.isEmpty()) workflow_.openStatistics(path);
      },
      [this] { return document_.hasModel() && !document_.isInGesture(); });
  add(
      "plan.make", plan, tr("&Plan anew…"), tr("Ctrl+P"), [this] { makePlan(); }, [this] { return canChangePlan(); },
      tr("Groups and bits by another method, or for another target"));
  add(
      "plan.target", plan, tr("Set the tar&get…"), tr("Ctrl+T"), [this] { strip_->editTarget(); },
      [this] { return canChangePlan(); });
  add(
      "plan.keep", plan, tr("&Keep this plan for comparison"), tr("Ctrl+D"), [this] { keepPlan(); },
      [this] { return canChangePlan(); });
  add(
      "plan.compare", plan, tr("Compare with a&nother model or project…"), {}, [this] { compareWithOther(); },
      [this] { return canChangePlan(); }, tr("How alike its heads are, beside those of this one, and as differences"));
  add(
      "plan.compareNoMore", plan, tr("Compare with no other model"), {}, [this] { compareNoMore(); },
      [this] { return canChangePlan() && other_.model() != nullptr; });
  add(
      "plan.measure", plan, tr("&Measure…"), tr("Ctrl+M"), [this] { measure(); }, [this] { return canChangePlan(); },
      tr("Perplexity of the original and of the plan on a text"));
  add(
      "plan.experiment", plan, tr("Compare met&hods…"), {}, [this] { compareMethods(); },
      [this] { return document_.hasModel() && document_.statistics() && !document_.isInGesture(); },
      tr("Measure many methods at many sizes on this model: tables and plots of quality and bytes"));
  add(
      "plan.questions", plan, tr("Ask &questions…"), {}, [this] { askQuestions(); }, [this] { return canChangePlan(); },
      tr("How many questions of a file the original and the plan answer right"));
  add(
      "plan.agreement", plan, tr("Measure &agreement…"), {}, [this] { measureAgreement(); },
      [this] { return canChangePlan(); },
      tr("How far the plan says what the original says, token by token, and where their texts part"));
  add(
      "plan.ranks", plan, tr("Measure rank&s…"), {}, [this] { measureRanks(); },
      [this] { return document_.hasModel() && document_.statistics() && !document_.isInGesture(); },
      tr("How many directions the cache needs by layer and head, on several texts, and what truncation costs"));
  QAction* variants = add(
      "plan.variants", plan, tr("Compare key &variants"), {}, [this] { compareKeyVariants(); },
      [this] { return canChangePlan() && hasKeyVariants(document_.plan()); },
      tr("Errors of a plan's keys, values, attention scores and outputs with the directions of KQ-SVD, K-SVD and Eigen "
         "Attention"));
  variants->setProperty(kNeed, tr("of plans with keys after RoPE at 16 bits, as kqsvd makes"));
  add(
      "plan.retrieval", plan, tr("Test retr&ieval…"), {}, [this] { testRetrieval(); },
      [this] { return canChangePlan(); },
      tr("Whether what was planted far back in a text still comes out, by depth and length"));
  add(
      "plan.predictor", plan, tr("Train a pre&dictor…"), {}, [this] { trainPredictor(); },
      [this] { return document_.hasModel() && !document_.isInGesture(); },
      tr("What foretells which tokens of a cache will matter, for policies at run time"));
  add(
      "plan.refine", plan, tr("&Refine…"), tr("Ctrl+R"), [this] { refine(); },
      [this] { return canChangePlan() && document_.plan().storage != Storage::plainQuantised; },
      tr("Train the plan's factors, so that the same bytes lose less"));
  add(
      "plan.dropRefined", plan, tr("Leave the refined factors out"), {}, [this] { document_.setRefined({}); },
      [this] { return canChangePlan() && document_.refined().has_value(); },
      tr("Compute with the plan's own factors again"));
  add(
      "plan.export", plan, tr("&Export…"), tr("Ctrl+E"), [this] { exportPlan(); }, [this] { return canChangePlan(); },
      tr("Write a checkpoint with the smaller cache"));
}

void MainWindow::addViewActions() {
  const QString view = tr("View"), help = tr("Help");
  const std::pair<const char*, QString> layouts[] = {{"analyse", tr("Layout: Analyse")},
                                                     {"edit", tr("Layout: Edit")},
                                                     {"compare", tr("Layout: Compare")},
                                                     {"try", tr("Layout: Try")}};
  int number = 1;
  for (const auto& [id, text] : layouts) {
    const QString name = QLatin1String(id);
    add(
        qPrintable(QStringLiteral("view.layout.") + name), view, text,
        QKeySequence(QStringLiteral("Ctrl+%1").arg(number++)), [this, name] { chooseLayout(name); },
        [this] { return document_.hasModel(); });
  }
  add(
      "view.resetLayout", view, tr("Put the panels back"), {}, [this] { resetLayout(); },
      [this] { return document_.hasModel(); });
  for (auto at = panels_->docks().begin(); at != panels_->docks().end(); ++at) {
    auto* dock = qobject_cast<PanelDock*>(at.value());
    auto* action = new QAction(this);
    action->setCheckable(true);
    connect(dock->toggleViewAction(), &QAction::toggled, action, &QAction::setChecked);
    // One that stands behind another is wanted in front.
    connect(action, &QAction::triggered, dock, [this, dock, action, name = at.key()] {
      if (dock->isInFront())
        dock->close();
      else
        panels_->show(name);
      action->setChecked(!dock->isHidden());
    });
    actions_.add({.id = QStringLiteral("view.panel.") + at.key(),
                  .text = tr("Panel: %1").arg(dock->windowTitle()),
                  .category = view},
                 action);
  }
  const std::pair<const char*, std::pair<QString, Theme::Mode>> looks[] = {
      {"view.look.system", {tr("Look: as the desktop"), Theme::Mode::system}},
      {"view.look.light", {tr("Look: light"), Theme::Mode::light}},
      {"view.look.dark", {tr("Look: dark"), Theme::Mode::dark}}};
  for (const auto& [id, look] : looks)
    add(id, view, look.first, {}, [this, mode = look.second] {
      Theme::instance().setMode(mode);
      settings_.set(Key<int>{"look", 0}, static_cast<int>(mode));
    });
  add("view.palette", view, tr("Command palette…"), tr("Ctrl+Shift+P"), [this] { showPalette(); });
  add("view.nextPanel", view, tr("Next panel"), Qt::Key_F6, [this] { goToPanel(1); });
  add("view.previousPanel", view, tr("Previous panel"), Qt::SHIFT | Qt::Key_F6, [this] { goToPanel(-1); });
  add("view.menu", view, tr("Open the menu"), Qt::Key_F10, [this] { bar_->openMenu(); });
  add("help.manual", help, tr("&Manual"), QKeySequence::HelpContents, [this] { showHelp(QStringLiteral("overview")); });
  add("help.shortcuts", help, tr("&Shortcuts"), tr("Ctrl+?"), [this] { showShortcuts(); });
}

void MainWindow::addMeasures() {
  auto* group = measures_->findChild<QActionGroup*>();
  if (!group) group = new QActionGroup(measures_);  // One of them is shown.
  for (const Choice& measure : document_.catalogue().measures) {
    const std::string id = "view.measure." + measure.name;
    if (actions_.action(QString::fromStdString(id))) continue;  // The engine was started again.
    QAction* action = add(
        id.c_str(), tr("View"), QString::fromStdString(measure.name), {},
        [this, name = measure.name] {
          workflow_.showSimilarity(name);
          panels_->showCatalogue();
        },
        [this] { return document_.statistics().has_value(); }, QString::fromStdString(measure.summary));
    action->setCheckable(true);
    action->setChecked(measure.name == workflow_.measureShown());
    action->setActionGroup(group);
    measures_->addAction(action);
  }
}

void MainWindow::fillMenu() {
  QString category;
  QMenu* part = nullptr;
  for (const ActionRegistry::Entry& entry : actions_.entries()) {
    if (entry.specification.category != category) {
      category = entry.specification.category;
      part = menu_->addMenu(category);
      if (category == tr("File")) {
        QMenu* recent = part->addMenu(tr("Open re&cent"));
        connect(recent, &QMenu::aboutToShow, this, [this, recent] {
          recent->clear();
          for (const RecentFile& file : recent_.files()) {
            const QString place = file.host.isEmpty() ? file.path : file.host + QLatin1Char(':') + file.path;
            QAction* action = recent->addAction(place, this, [this, path = file.path] { files_.openRecent(path); });
            action->setEnabled(!file.missing);
          }
          if (recent->isEmpty()) recent->addAction(tr("Nothing yet"))->setEnabled(false);
        });
      }
    }
    part->addAction(entry.action);
    if (entry.specification.id == QStringLiteral("view.resetLayout")) measures_ = part->addMenu(tr("&Similarity"));
  }
}

}  // namespace kvista
