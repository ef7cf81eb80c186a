// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include <QDialogButtonBox>
#include <QDir>
#include <QDockWidget>
#include <QFileDialog>
#include <QFileInfo>
#include <QInputDialog>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>

#include "app/studio/places.h"
#include "app/studio/window/command_palette.h"
#include "app/studio/window/experiment_dialog.h"
#include "app/studio/window/export_dialog.h"
#include "app/studio/window/figure_file.h"
#include "app/studio/window/file_list.h"
#include "app/studio/window/help_window.h"
#include "app/studio/window/main_window.h"
#include "app/studio/window/panels.h"
#include "app/studio/window/path_dialog.h"
#include "app/studio/window/plan_dialog.h"
#include "app/studio/window/policy_lines.h"
#include "app/studio/window/quality_presenter.h"
#include "app/studio/window/refine_dialog.h"
#include "app/studio/window/shortcuts_dialog.h"
#include "app/studio/window/table_file.h"
#include "app/studio/window/text_dialog.h"
#include "views/theme.h"

namespace kvista {
namespace {

const Key<QString> kEngineText{"engine", {}}, kOther{"compared", {}}, kOtherStatistics{"comparedStatistics", {}};
const Key<QJsonObject> kExperiment{"experiment", {}};

/// The demo's own texts, when its model is open: nobody has others at hand in the first five minutes.
TextSelection usualText(const Document& document, const char* demoFile) {
  TextSelection selection;
  const QString demo = demoFolder();
  if (!demo.isEmpty() && QString::fromStdString(document.modelPath().string()) == demo + QStringLiteral("/model"))
    selection.paths.push_back((demo + QStringLiteral("/text/") + QLatin1String(demoFile)).toStdString());
  return selection;
}

PlanDialog* planDialog(const Document& document, Workflow& workflow, QWidget* parent) {
  auto* dialog = new PlanDialog(document.catalogue(), document.plan(), parent);
  dialog->setAttribute(Qt::WA_DeleteOnClose);
  if (document.statistics())
    dialog->setSharing([&workflow](const SharingQuestion& question, QObject* context,
                                   std::function<void(Result<SharingRecord>)> done) {
      workflow.shareLayers(question, context, std::move(done));
    });
  return dialog;
}

}  // namespace

void MainWindow::calibrate() {
  TextSelection before = usualText(document_, "calibration.txt");
  if (const auto& statistics = document_.statistics()) {
    before.paths = statistics->texts;
    before.weights = statistics->weights;
  }
  auto* dialog = new TextDialog(TextDialog::Purpose::calibrate, document_.model(), before, this);
  askElsewhere(dialog);
  dialog->setAttribute(Qt::WA_DeleteOnClose);
  connect(dialog, &QDialog::accepted, this,
          [this, dialog] { workflow_.calibrate(dialog->selection(), dialog->gradients()); });
  forecastIn(dialog, QStringLiteral("calibrate"));
  dialog->open();
}

/// Texts are read where the engine runs: on another machine their paths are typed.
void MainWindow::askElsewhere(QDialog* dialog) {
  if (!workflow_.host()) return;
  for (FileList* list : dialog->findChildren<FileList*>())
    list->setAsking([this, list](std::function<void(const QString&)> chosen) {
      choosePath(list, workflow_, tr("Text to read"), std::move(chosen));
    });
}

void MainWindow::forecastIn(TextDialog* dialog, const QString& method) {
  const auto ask = [this, dialog, method] {
    workflow_.forecastMemory(
        {method, dialog->selection(), dialog->gradients()}, dialog,
        [dialog](const Result<std::vector<MemoryForecast>>& forecast) { dialog->showMemory(forecast); });
  };
  connect(dialog, &TextDialog::memoryWanted, this, ask);
  ask();
}

void MainWindow::makePlan() {
  PlanDialog* dialog = planDialog(document_, workflow_, this);
  connect(dialog, &QDialog::accepted, this, [this, dialog] {
    PlanWish wish = dialog->wish();
    const QString name = tr("Plan anew: %1").arg(QString::fromStdString(wish.method));
    workflow_.propose(std::move(wish), name);
  });
  workflow_.forecastMemory({"makePlan"}, dialog,
                           [dialog](const Result<std::vector<MemoryForecast>>& memory) { dialog->showMemory(memory); });
  dialog->open();
}

void MainWindow::measure() {
  auto* dialog =
      new TextDialog(TextDialog::Purpose::measure, document_.model(), usualText(document_, "evaluation.txt"), this);
  askElsewhere(dialog);
  dialog->setAttribute(Qt::WA_DeleteOnClose);
  dialog->setPolicies(policyLines(document_.catalogue()));
  checkWhileTyped(*dialog->policyChoice(), workflow_);
  connect(dialog, &QDialog::accepted, this, [this, dialog] {
    if (dialog->policy().isEmpty()) return workflow_.measure(dialog->selection());
    lab_.measureUnder({dialog->selection(), dialog->policy(), dialog->prompt()});
    showTexts(TextMeasures::Page::perplexity);  // Nowhere else has such figures.
  });
  forecastIn(dialog, QStringLiteral("evaluate"));
  dialog->open();
}

void MainWindow::compareMethods() {
  const QString folder = QFileInfo(QString::fromStdString(document_.statistics()->path)).absolutePath();
  const QString model = QFileInfo(QString::fromStdString(document_.modelPath().string())).completeBaseName();
  TextSelection text = usualText(document_, "evaluation.txt");
  text.window = document_.statistics()->window;
  text.beginWithBos = document_.statistics()->beginWithBos;
  text.windows = 32;
  auto* dialog = new ExperimentDialog(document_.catalogue(), document_.model(), text,
                                      QStringLiteral("%1/%2-experiment").arg(folder, model), this);
  askElsewhere(dialog);
  dialog->setElsewhere(workflow_.host().has_value());
  dialog->setChecking([this](const QString& line, QObject* context, std::function<void(const QString&)> done) {
    workflow_.checkPolicy(line, context, std::move(done));
  });
  dialog->setAskingForVariants([this, dialog](std::function<void(const PlanWish&)> chosen) {
    PlanDialog* asked = planDialog(document_, workflow_, dialog);
    asked->askForVariant();
    connect(asked, &QDialog::accepted, dialog, [asked, chosen = std::move(chosen)] { chosen(asked->wish()); });
    asked->open();
  });
  dialog->setAttribute(Qt::WA_DeleteOnClose);
  dialog->setState(session_.get(kExperiment));
  connect(dialog, &QDialog::accepted, this, [this, dialog] {
    session_.set(kExperiment, dialog->state());
    workflow_.compareMethods(dialog->wish());
    panels_->show(QStringLiteral("experiment"));
  });
  dialog->open();
}

void MainWindow::refine() {
  TextSelection text = usualText(document_, "calibration.txt");
  if (const auto& statistics = document_.statistics()) text.paths = statistics->texts;
  auto* dialog = new RefineDialog(document_.model(), QString::fromStdString(engine_.hello().device), text,
                                  usualText(document_, "evaluation.txt"), this);
  askElsewhere(dialog);
  dialog->setAttribute(Qt::WA_DeleteOnClose);
  connect(dialog, &QDialog::accepted, this, [this, dialog] {
    workflow_.refine(dialog->wish());
    panels_->show(QStringLiteral("refining"));
  });
  const auto forecast = [this, dialog] {
    const RefineWish wish = dialog->wish();
    workflow_.forecastMemory(
        {"refine", wish.text, true, wish.windowsPerStep}, dialog,
        [dialog](const Result<std::vector<MemoryForecast>>& memory) { dialog->showMemory(memory); });
  };
  connect(dialog, &RefineDialog::memoryWanted, this, forecast);
  forecast();
  dialog->open();
}

void MainWindow::exportPlan() {
  const QFileInfo model(QString::fromStdString(document_.modelPath().string()));
  const QString beside = workflow_.host() ? model.absolutePath()
                         : document_.file().empty()
                             ? QDir::homePath()
                             : QFileInfo(QString::fromStdString(document_.file().string())).absolutePath();
  auto* dialog = new ExportDialog(document_.catalogue().forms,
                                  QStringLiteral("%1/%2-smaller").arg(beside, model.completeBaseName()), this);
  dialog->setElsewhere(workflow_.host().has_value());
  dialog->setPolicies(policyLines(document_.catalogue()));
  dialog->setAttribute(Qt::WA_DeleteOnClose);
  exportDialog_ = dialog;
  const auto wish = [dialog] {
    return ExportWish{dialog->form(),      dialog->container(),   dialog->dtype(),      dialog->target(),
                      dialog->overwrite(), dialog->weightDtype(), dialog->shardBytes(), dialog->policy()};
  };
  connect(dialog, &ExportDialog::previewWanted, this, [this, dialog, wish] {
    workflow_.forecastMemory({"export"}, dialog, [dialog](const Result<std::vector<MemoryForecast>>& memory) {
      dialog->showMemory(memory);
    });
    workflow_.previewExport(wish(), dialog,
                            [dialog](const Result<ExportPreview>& preview) { dialog->showPreview(preview); });
  });
  connect(dialog, &QDialog::accepted, this, [this, wish] { workflow_.exportPlan(wish()); });
  dialog->open();
}

void MainWindow::keepPlan() {
  bool given = false;
  const QString usual = QualityPresenter::usualName(document_.plan(), document_.model().shape);
  const QString name = QInputDialog::getText(this, tr("Keep this plan"), tr("Name"), QLineEdit::Normal, usual, &given);
  if (given && !name.trimmed().isEmpty()) document_.keepPlan(name.trimmed().toStdString());
}

void MainWindow::compareWithOther() {
  const QString title = tr("Compare with another model or project");
  const auto compare = [this](const QString& path) {
    other_.open(path);
    chooseLayout(QStringLiteral("compare"));
    panels_->show(QStringLiteral("comparison"));
  };
  if (workflow_.host()) return choosePath(this, workflow_, title, compare);
  const QString path = QFileDialog::getOpenFileName(
      this, title, {}, tr("Models and projects (*.kvista *.safetensors *.bin *.gguf *.json);;All files (*)"));
  if (!path.isEmpty()) compare(path);
}

/// The session of each project knows what it is compared with.
void MainWindow::connectOther() {
  const auto keep = [this] {
    const ComparedModel* model = other_.model();
    if (!model || document_.file().empty()) return;
    session_.set(kOther, model->path);
    session_.set(kOtherStatistics, QString::fromStdString(model->statistics.path));
  };
  connect(&other_, &OtherModel::opened, this, keep);
  connect(&other_, &OtherModel::changed, this, [this] { actions_.refresh(); });
  connect(&files_, &ProjectFiles::saved, this, keep);  // Perhaps to a file, and so a session, of its own.
  connect(&workflow_, &Workflow::opened, this, [this] {
    other_.close();
    if (document_.file().empty()) return;
    if (const QString path = session_.get(kOther); !path.isEmpty()) other_.open(path, session_.get(kOtherStatistics));
  });
  connect(&other_, &OtherModel::failed, this, [this](const QString& path, const Error& error) {
    showProblem(path, error, tr("Cannot compare with %1").arg(QFileInfo(path).fileName()));
  });
  const auto askForStatistics = [this](const QString& path, const QString& name) {
    const QString statistics = QFileDialog::getOpenFileName(this, tr("Statistics of %1").arg(name), {},
                                                            tr("Statistics (*.kvstats);;All files (*)"));
    if (!statistics.isEmpty()) other_.open(path, statistics);
  };
  // Not within the engine's answer: the dialog runs events of its own.
  connect(&other_, &OtherModel::statisticsWanted, this, askForStatistics, Qt::QueuedConnection);
}

void MainWindow::compareNoMore() {
  other_.close();
  session_.remove(kOther.name);
  session_.remove(kOtherStatistics.name);
}

void MainWindow::writeReport() {
  // Beside the project; one that has no file yet, or lies on another machine, has nothing beside it here.
  const QFileInfo project(QString::fromStdString(document_.file().string()));
  const QFileInfo model(QString::fromStdString(document_.modelPath().string()));
  const QString suggested = document_.file().empty()
                                ? QDir::homePath() + QLatin1Char('/') + model.completeBaseName()
                                : project.absolutePath() + QLatin1Char('/') + project.completeBaseName();
  const QString file = QFileDialog::getSaveFileName(this, tr("Write a report"), suggested + QStringLiteral(".html"),
                                                    tr("HTML (*.html)"));
  if (!file.isEmpty()) workflow_.writeReport(file);
}

QString MainWindow::panelInUse(const QStringList& names) const {
  QString name;
  for (const QString& id : names) {
    const QDockWidget* dock = panels_->docks().value(id);
    // Of docks behind each other only the one in front has something to see.
    if (dock->visibleRegion().isEmpty()) continue;
    if (name.isEmpty() || dock->isAncestorOf(focusWidget())) name = id;
  }
  return name;
}

void MainWindow::saveFigure() {
  const QString name = panelInUse(panels_->figureNames());
  if (name.isEmpty())
    return showProblem({}, {ErrorCode::invalidArgument,
                            "No panel that can be a figure is in sight.",
                            {},
                            "Show the heatmap, the waterline or a chart."});
  const QString file = QFileDialog::getSaveFileName(this, tr("Save the figure"), name + QStringLiteral(".svg"),
                                                    tr("Figures (*.svg *.pdf *.png)"));
  if (file.isEmpty()) return;
  if (const auto written = writeFigure(file, panels_->docks().value(name)->widget()->size(), panels_->figure(name));
      !written)
    return showProblem(file, written.error());
  message_->setText(tr("Figure: %1").arg(file));
}

void MainWindow::saveTable() {
  const QString name = panelInUse(panels_->tableNames());
  const PlainTable table = name.isEmpty() ? PlainTable() : panels_->table(name)();
  if (table.rows.empty())
    return showProblem(
        {}, {ErrorCode::invalidArgument,
             "No panel in sight shows a table.",
             {},
             "Show the budget, a heatmap, a comparison, perplexities or the provenance, and click into it."});
  saveTable(panels_->docks().value(name)->windowTitle(), name, table);
}

void MainWindow::saveTable(const QString& title, const QString& name, const PlainTable& table) {
  const QString file = QFileDialog::getSaveFileName(this, tr("Export the table: %1").arg(title),
                                                    name + QStringLiteral(".csv"), tr("Tables (*.csv *.tsv)"));
  if (file.isEmpty()) return;
  if (const auto written = writeTable(file, table); !written) return showProblem(file, written.error());
  message_->setText(tr("Table: %1, %Ln row(s)", nullptr, static_cast<int>(table.rows.size())).arg(file));
}

void MainWindow::showPalette() {
  auto* palette = new CommandPalette(actions_.actions(), this);
  palette->setAttribute(Qt::WA_DeleteOnClose);
  palette->show();
}

void MainWindow::showShortcuts() {
  auto* dialog = new ShortcutsDialog(actions_, this);
  dialog->setAttribute(Qt::WA_DeleteOnClose);
  dialog->show();
}

void MainWindow::showHelp(const QString& page) {
  if (!help_) {
    help_ = new HelpWindow(this);
    help_->setAttribute(Qt::WA_DeleteOnClose);
  }
  help_->showPage(page);
  help_->show();
  help_->raise();
}

EngineCommand MainWindow::engineOfSettings() {
  const auto command = EngineCommand::chosen(settings_.get(kEngineText));
  if (command) return *command;
  showProblem({}, command.error());
  return EngineCommand::local();
}

void MainWindow::chooseEngine() {
  auto* dialog = new QInputDialog(this);
  dialog->setObjectName(QStringLiteral("engineDialog"));
  dialog->setAttribute(Qt::WA_DeleteOnClose);
  dialog->setWindowTitle(tr("Engine"));
  dialog->setLabelText(
      tr("The command that starts the engine. Empty: on this machine.\nOn another one, for example: ssh gpu-server "
         "kvista engine"));
  dialog->setTextValue(settings_.get(kEngineText));
  dialog->resize(520, 150);
  dialog->setOkButtonText(tr("Use this engine"));
  markPrimary(dialog->findChild<QDialogButtonBox*>()->button(QDialogButtonBox::Ok));
  connect(dialog, &QInputDialog::textValueSelected, this, [this](const QString& text) {
    const auto command = EngineCommand::chosen(text);
    if (!command) return showProblem(text, command.error());
    settings_.set(kEngineText, text.trimmed());
    engine_.start(*command);
  });
  dialog->open();
}

}  // namespace kvista
