// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/main_window.h"

#include <QApplication>
#include <QCloseEvent>
#include <QDockWidget>
#include <QFileInfo>
#include <QLabel>
#include <QMenu>
#include <QMimeData>
#include <QPointer>
#include <QStatusBar>
#include <QVBoxLayout>
#include <algorithm>

#include "app/studio/window/panel_steps.h"
#include "app/studio/window/panels.h"
#include "app/studio/window/top_bar.h"
#include "app/studio/window/view_states.h"
#include "views/figure_strip.h"
#include "views/focus_ring.h"
#include "views/problem_bar.h"
#include "views/theme.h"
#include "views/work_line.h"

namespace kvista {
namespace {

const Key<QByteArray> kGeometry{"geometry", {}};
const Key<QString> kLayout{"layout", QStringLiteral("edit")};

/// A small window has arrangements of its own.
Key<QByteArray> arrangementOf(const QString& layout, bool small, std::string& name) {
  name = "arrangement." + layout.toStdString() + (small ? ".small" : "");
  return {name.c_str(), {}};
}

}  // namespace

MainWindow::MainWindow(const std::optional<EngineCommand>& engine)
    : settings_(settingsFile()),
      session_(sessionFile({})),
      actions_(settings_),
      workflow_(document_, engine_, jobs_),
      other_(engine_, jobs_),
      lab_(document_, workflow_.work()),
      recent_(settings_),
      recovery_(document_, Recovery::standardFolder()),
      files_(document_, workflow_, recent_, recovery_, this),
      dockFrame_(new QWidget),
      panels_(new Panels(document_, workflow_, other_, lab_, jobs_, recent_, this)),
      viewStates_(new ViewStates(session_, panels_->docks(), this)),
      menu_(new QMenu(this)),
      strip_(new FigureStrip),
      engineStatus_(new QLabel),
      message_(new QLabel),
      provenance_(new QLabel),
      desktop_(QDBusConnection::sessionBus(), this) {
  setObjectName(QStringLiteral("mainWindow"));
  setAcceptDrops(true);
  resize(1440, 900);
  addActions();
  fillMenu();
  bar_ =
      new TopBar(menu_, actions_.action(QStringLiteral("edit.undo")), actions_.action(QStringLiteral("plan.calibrate")),
                 actions_.action(QStringLiteral("plan.measure")), actions_.action(QStringLiteral("plan.export")));
  strip_->setObjectName(QStringLiteral("figures"));
  auto* head = new QWidget;
  auto* column = new QVBoxLayout(head);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(0);
  column->addWidget(bar_);
  column->addWidget(strip_);
  head->setBackgroundRole(QPalette::Base);
  head->setAutoFillBackground(true);
  setMenuWidget(head);
  auto* margin = new QVBoxLayout(dockFrame_);
  margin->setContentsMargins(8, 8, 8, 8);
  margin->addWidget(panels_->problemBar());
  startDockArea();
  dockArea_->show();
  setCentralWidget(dockFrame_);
  engineStatus_->setObjectName(QStringLiteral("engineStatus"));
  message_->setObjectName(QStringLiteral("message"));
  message_->setContentsMargins(12, 0, 0, 0);
  provenance_->setObjectName(QStringLiteral("provenance"));
  for (QLabel* label : {engineStatus_, message_, provenance_}) label->setForegroundRole(QPalette::PlaceholderText);
  setFocus();  // Otherwise the first button has it, and looks as if it were chosen.
  statusBar()->setSizeGripEnabled(false);
  statusBar()->setContentsMargins(13, 0, 13, 0);  // Its layout adds 3: what it says stands below the strip's figures.
  statusBar()->addWidget(engineStatus_);
  statusBar()->addWidget(message_, 1);
  statusBar()->addPermanentWidget(panels_->workLine());
  statusBar()->addPermanentWidget(provenance_);

  new FocusRing(this);
  connectParts();
  connectOther();
  Theme::instance().setMode(static_cast<Theme::Mode>(std::clamp(settings_.get(Key<int>{"look", 0}), 0, 2)));
  restoreGeometry(settings_.get(kGeometry));
  showState();
  engine_.start(engine ? *engine : engineOfSettings());
  recent_.refresh();
  files_.offerRecovery();
}

MainWindow::~MainWindow() { engine_.stop(); }

void MainWindow::connectParts() {
  for (const auto signal :
       {&Document::projectChanged, &Document::modelChanged, &Document::statisticsChanged, &Document::planChanged,
        &Document::spectraChanged, &Document::resultsChanged, &Document::tableChanged})
    connect(&document_, signal, this, &MainWindow::showState);
  connect(&document_, &Document::modifiedChanged, this, &MainWindow::showState);
  connect(&document_, &Document::gestureChanged, this, [this] { actions_.refresh(); });
  connect(&document_, &Document::allocationFailed, this, [this](const Error& error) { showProblem({}, error); });
  const auto show = [this](const QString& about, const Error& error) { showProblem(about, error); };
  connect(&workflow_, &Workflow::failed, this, show);
  connect(&files_, &ProjectFiles::failed, this, show);
  connect(&workflow_, &Workflow::notOpened, this, [this](const QString& path, const Error& error) {
    showProblem(path, error, tr("Cannot open %1").arg(QFileInfo(path).fileName()));
  });
  connect(&recovery_, &Recovery::failed, this, [this](const Error& error) { showProblem({}, error); });
  for (Store* store : {&settings_, &session_})
    connect(store, &Store::problemFound, this, [this](const Error& error) { showProblem({}, error); });
  for (const Error& error : settings_.problems()) showProblem({}, error);
  connect(&files_, &ProjectFiles::saved, this, [this](const QString& file) {
    session_.switchTo(sessionFile(file.toStdString()));
    viewStates_->keep();
    session_.set(kLayout, layout_);
    keepLayout();
    message_->setText(tr("Saved %1").arg(QFileInfo(file).fileName()));
  });
  connect(&workflow_, &Workflow::opened, this, [this] {
    panels_->clearProblems();
    keepLayout();  // Of the project that was open until now.
    session_.switchTo(sessionFile(document_.file()));
    viewStates_->restore();
    showLayout(session_.get(kLayout));
  });
  // A project's statistics are opened after its model: only then there is something to lay out.
  connect(&document_, &Document::statisticsChanged, this, [this] {
    if (hasPlan() && !arranged_ && !layout_.isEmpty()) chooseLayout(layout_);
  });
  connect(&workflow_, &Workflow::calibrated, this, [this] {
    workflow_.propose({.method = "coded", .target = {Target::Kind::share, 0.125}}, tr("Plan: coded, 8 times smaller"));
    if (layout_ != QStringLiteral("edit")) chooseLayout(QStringLiteral("edit"));
  });
  connect(&workflow_, &Workflow::exported, this, [this](const ExportRecord& record) {
    message_->setText(tr("Exported to %1").arg(QString::fromStdString(record.target)));
  });
  connect(&workflow_, &Workflow::reported, this,
          [this](const QString& file) { message_->setText(tr("Report: %1").arg(file)); });
  connect(panels_, &Panels::message, message_, &QLabel::setText);
  connect(panels_, &Panels::openRequested, &files_, &ProjectFiles::open);
  connect(panels_, &Panels::recentRequested, &files_, &ProjectFiles::openRecent);
  connect(panels_, &Panels::tableRequested, this,
          [this](const PlainTable& table) { saveTable(tr("Heads"), QStringLiteral("heads"), table); });
  connect(panels_, &Panels::helpRequested, this, &MainWindow::showHelp);
  connect(panels_, &Panels::actionRequested, this, [this](const QString& id) {
    if (QAction* action = actions_.action(id)) action->trigger();
  });
  connect(panels_, &Panels::locateRequested, &files_, &ProjectFiles::locateRecent);
  connect(&engine_, &EngineClient::stateChanged, this, &MainWindow::showEngine);
  connect(&engine_, &EngineClient::latencyChanged, this, &MainWindow::showEngine);
  connect(&engine_, &EngineClient::stateChanged, this, &MainWindow::tellOfEngine);
  connect(&Theme::instance(), &Theme::changed, this, &MainWindow::showEngine);
  connect(&engine_, &EngineClient::restarted, this,
          [this] { message_->setText(tr("The engine was started again; nothing that you did is lost.")); });
  connect(&engine_, &EngineClient::stateChanged, this, [this](EngineClient::State state) {
    if (state != EngineClient::State::ready) return;
    engine_.ask<Catalogue>("list", nlohmann::json::object(), read<Catalogue>, this,
                           [this](Result<Catalogue> catalogue) {
                             if (!catalogue) return showProblem({}, catalogue.error());
                             document_.setCatalogue(*std::move(catalogue));
                             addMeasures();
                             panels_->showCatalogue();
                           });
  });
  connect(&desktop_, &DesktopLook::changed, this, [this] { Theme::instance().setDesktopDark(desktop_.isDark()); });
  connect(bar_, &TopBar::layoutChosen, this, &MainWindow::chooseLayout);
  connect(strip_, &FigureStrip::targetEntered, this, [this](const Target& target) {
    if (const auto set = document_.setTarget(target); !set) showProblem({}, set.error());
  });
}

bool MainWindow::hasPlan() const { return document_.hasModel() && document_.statistics().has_value(); }

void MainWindow::showState() {
  const QString name = document_.file().empty()
                           ? QFileInfo(QString::fromStdString(document_.modelPath().string())).fileName()
                           : QFileInfo(QString::fromStdString(document_.file().string())).completeBaseName();
  bar_->setDocument(document_.isOpen() ? name : tr("no model open"), document_.isModified());
  setWindowTitle(document_.isOpen() ? QStringLiteral("%1[*] · KVista").arg(name) : QStringLiteral("KVista"));
  setWindowModified(document_.isModified());
  const QString undoText = document_.undoStack().undoText(), redoText = document_.undoStack().redoText();
  actions_.action(QStringLiteral("edit.undo"))->setText(undoText.isEmpty() ? tr("&Undo") : tr("Undo %1").arg(undoText));
  actions_.action(QStringLiteral("edit.redo"))->setText(redoText.isEmpty() ? tr("&Redo") : tr("Redo %1").arg(redoText));
  actions_.refresh();
  panels_->showProgress();
  const bool shows = hasPlan();
  panels_->guide()->setVisible(!shows);
  bar_->setLayoutsEnabled(shows);
  provenance_->setText(document_.statistics()
                           ? tr("statistics %1 · %L2 tokens")
                                 .arg(QString::fromStdString(document_.statistics()->tokensHash).left(7))
                                 .arg(document_.statistics()->tokens)
                           : QString());
  showFigures();
}

void MainWindow::showFigures() {
  FigureStripRecord record;
  if (document_.hasModel()) {
    record = figuresOf(document_.planned(), document_.planningContext());
    record.stale = hasPlan() && document_.isPredictionStale();
    const std::string of = document_.planFingerprint();
    if (const MeasuredResult* measured = document_.result(of)) {
      record.perplexity = measured->perplexityAfter;
      record.originalPerplexity = measured->perplexityBefore;
      record.perplexityIsEstimate = false;
    }
    record.plansTried = static_cast<int>(document_.tried().size());
    record.plansOnFront = panels_->plansOnFront();
  }
  strip_->setRecord(std::move(record));
}

void MainWindow::showProblem(const QString& about, const Error& error, const QString& title) {
  if (error.code == ErrorCode::cancelled) return;
  panels_->addProblem(about, error, title);
}

void MainWindow::showEngine() {
  const auto [mark, text] = [&]() -> std::pair<QColor, QString> {
    switch (engine_.state()) {
      case EngineClient::State::ready:
        return {colours().valueText, engineInWords()};
      case EngineClient::State::starting:
        return {colours().soft, tr("engine starting")};
      case EngineClient::State::lost:
        return {colours().warning, tr("engine lost, starting it again")};
      case EngineClient::State::failed:
        return {colours().warning, tr("no engine")};
      case EngineClient::State::stopped:
        break;
    }
    return {colours().soft, tr("engine stopped")};
  }();
  engineStatus_->setText(
      QStringLiteral("<span style='color:%1'>●</span>&nbsp; %2").arg(mark.name(), text.toHtmlEscaped()));
  const auto latency = engine_.latencyMilliseconds();
  engineStatus_->setToolTip(engine_.command().text() +
                            (latency ? tr(" · %1 ms there and back").arg(*latency, 0, 'f', 1) : QString()));
}

/// What computes; on another machine also which, and how far away that is.
QString MainWindow::engineInWords() const {
  QStringList parts = {QString::fromStdString(engine_.hello().device)};
  if (const auto host = engine_.command().host()) {
    parts.prepend(*host);
    if (const auto latency = engine_.latencyMilliseconds())
      parts << tr("%1 ms").arg(*latency, 0, 'f', *latency < 10 ? 1 : 0);
  }
  return parts.join(QStringLiteral(" · "));
}

void MainWindow::tellOfEngine(EngineClient::State state) {
  actions_.refresh();
  if (state == EngineClient::State::failed) return panels_->setEngineProblem(engine_.problem());
  if (state == EngineClient::State::ready) return panels_->setEngineProblem({});
  if (state != EngineClient::State::lost) return;
  message_->setText(QString::fromStdString(engine_.problem().message));
  // What it was working on says so itself, and offers to go on.
  if (!jobs_.isBusy()) panels_->addWarning(engine_.problem());
}

void MainWindow::open(const QString& path) { files_.open(path); }

void MainWindow::openDemo() { files_.openDemo(); }

void MainWindow::chooseLayout(const QString& name) {
  const QPointer<QWidget> focused = focusWidget();
  keepLayout();
  showLayout(name);
  // Hiding the panels gave the keyboard to the first button, which then looks as if it were chosen.
  if (focused && focused != focusWidget()) (focused->isVisible() ? focused.data() : this)->setFocus();
}

void MainWindow::showLayout(const QString& name) {
  layout_ = layoutNames().contains(name) ? name : QStringLiteral("edit");
  small_ = isSmall(size());
  bar_->setLayoutName(layout_);
  session_.set(kLayout, layout_);
  arranged_ = hasPlan();
  if (std::ranges::any_of(panels_->docks(), [this](QDockWidget* dock) {
        return dockArea_->dockWidgetArea(dock) != Qt::NoDockWidgetArea;
      }))
    startDockArea();
  if (!arranged_) return dockArea_->show();
  dockArea_->hide();
  std::string key;
  const QByteArray kept = session_.get(arrangementOf(layout_, small_, key));
  const bool restored = !kept.isEmpty() && dockArea_->restoreState(unsealed(kept));
  if (!kept.isEmpty() && !restored) session_.reject(key, tr("the panels could not be put as they were"));
  if (!restored) arrange(*dockArea_, panels_->docks(), layout_, small_);
  dockArea_->show();
}

void MainWindow::keepLayout() {
  if (!arranged_) return;
  std::string key;
  session_.set(arrangementOf(layout_, small_, key), sealed(dockArea_->saveState()));
}

/// A main window that has shown a dock remembers its place for ever, and mixes the arrangements of several layouts; so
/// each layout begins with a new one.
void MainWindow::startDockArea() {
  auto* area = new QMainWindow;
  area->setWindowFlags(Qt::Widget);
  area->setDockNestingEnabled(true);
  area->setTabPosition(Qt::AllDockWidgetAreas, QTabWidget::North);
  if (dockArea_) dockArea_->takeCentralWidget();
  area->setCentralWidget(panels_->guide());
  for (QDockWidget* dock : panels_->docks()) {
    dock->hide();
    dock->setParent(area);
  }
  delete dockArea_;
  dockArea_ = area;
  dockFrame_->layout()->addWidget(area);
  // Sizes are shared out of the size it will have.
  area->resize(dockFrame_->contentsRect().size());
  area->hide();  // Until its docks are in: each of them would lay out all others.
  panels_->guide()->setVisible(!hasPlan());
}

void MainWindow::resetLayout() {
  startDockArea();
  arrange(*dockArea_, panels_->docks(), layout_, small_);
  dockArea_->show();
}

void MainWindow::goToPanel(int step) {
  QList<QWidget*> parts = {bar_};
  if (panels_->guide()->isVisible()) parts += panels_->guide();
  for (QDockWidget* dock : panelsInOrder(*dockArea_)) parts += dock;
  const auto count = static_cast<int>(parts.size());
  int at = 0;
  for (int i = 0; i < count; ++i)
    if (parts[i]->isAncestorOf(QApplication::focusWidget())) at = i;
  for (int i = 1; i <= count; ++i) {
    QWidget* part = parts[((at + i * step) % count + count) % count];
    part->raise();  // It may be behind another.
    const auto* dock = qobject_cast<QDockWidget*>(part);
    if ((dock && focusInto(*dock->widget())) || focusInto(*part)) return;
  }
}

bool MainWindow::event(QEvent* event) {
  if (event->type() == QEvent::ThemeChange) Theme::instance().lookAtDesktop();
  return QMainWindow::event(event);
}

void MainWindow::resizeEvent(QResizeEvent*) {
  // Not at once: the panels are being laid out.
  if (arranged_ && isSmall(size()) != small_)
    QMetaObject::invokeMethod(
        this,
        [this] {
          if (isSmall(size()) != small_) chooseLayout(layout_);
        },
        Qt::QueuedConnection);
}

void MainWindow::closeEvent(QCloseEvent* event) {
  if (leaving_ || !document_.isModified()) {
    keepLayout();
    settings_.set(kGeometry, saveGeometry());
    return event->accept();
  }
  event->ignore();
  files_.leave([this] {
    leaving_ = true;
    close();
  });
}

void MainWindow::dragEnterEvent(QDragEnterEvent* event) {
  if (event->mimeData()->hasUrls() && event->mimeData()->urls().size() == 1 &&
      event->mimeData()->urls().front().isLocalFile())
    event->acceptProposedAction();
}

void MainWindow::dropEvent(QDropEvent* event) { open(event->mimeData()->urls().front().toLocalFile()); }

}  // namespace kvista
