// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/project_files.h"

#include <QDir>
#include <QFileDialog>
#include <QFileInfo>
#include <QMessageBox>
#include <QPushButton>
#include <algorithm>

#include "app/studio/places.h"
#include "app/studio/window/path_dialog.h"
#include "app/studio/window/recover_dialog.h"

namespace kvista {
namespace {

const char* const kModelFiles = "Models and projects (*.kvista *.safetensors *.bin *.gguf *.json);;All files (*)";

/// A box that asks without stopping the window: what follows is done when it is answered.
QMessageBox* ask(QWidget* window, const QString& text, const QString& more) {
  auto* box = new QMessageBox(QMessageBox::Question, QStringLiteral("KVista"), text, QMessageBox::NoButton, window);
  box->setObjectName(QStringLiteral("question"));
  box->setInformativeText(more);
  box->setAttribute(Qt::WA_DeleteOnClose);
  return box;
}

/// By its name: what is not there any more cannot be asked. Folders of models often have a dot in their names.
bool isFile(const QString& path) {
  static const QStringList kEndings = {QStringLiteral("kvista"), QStringLiteral("safetensors"), QStringLiteral("gguf"),
                                       QStringLiteral("bin"), QStringLiteral("json")};
  return kEndings.contains(QFileInfo(path).suffix());
}

}  // namespace

ProjectFiles::ProjectFiles(Document& document, Workflow& workflow, RecentFiles& recent, Recovery& recovery,
                           QWidget* window)
    : QObject(window), document_(document), workflow_(workflow), recent_(recent), recovery_(recovery), window_(window) {
  connect(&workflow_, &Workflow::opened, this, [this] {
    if (!document_.file().empty()) return recent_.add(QString::fromStdString(document_.file().string()));
    recent_.add(QString::fromStdString(document_.modelPath().string()), workflow_.host().value_or(QString()));
  });
  connect(&workflow_, &Workflow::modelMissing, this, &ProjectFiles::askForMovedModel);
}

void ProjectFiles::askForModelFolder() {
  if (workflow_.host())
    return choosePath(window_, workflow_, tr("Open a model"), [this](const QString& path) { open(path); });
  const QString folder = QFileDialog::getExistingDirectory(window_, tr("Folder of a model"));
  if (!folder.isEmpty()) open(folder);
}

void ProjectFiles::askForFile() {
  // Projects are this machine's whatever the engine's is; models are opened by their folders there.
  const QString kinds = workflow_.host() ? tr("KVista projects (*.kvista);;All files (*)") : tr(kModelFiles);
  const QString file = QFileDialog::getOpenFileName(window_, tr("Open a model or a project"), {}, kinds);
  if (!file.isEmpty()) open(file);
}

void ProjectFiles::open(const QString& path) {
  leave([this, path] { workflow_.open(path); });
}

void ProjectFiles::openRecent(const QString& path) {
  const auto file = std::ranges::find(recent_.files(), path, &RecentFile::path);
  const QString host = workflow_.host().value_or(QString());
  const auto nameOfMachine = [](const QString& name) { return name.isEmpty() ? tr("this machine") : name; };
  // Projects are read here, wherever the engine runs.
  const bool isProject = QFileInfo(path).suffix() == QLatin1String("kvista");
  if (file == recent_.files().end() || isProject || file->host == host) return open(path);
  Q_EMIT failed(
      path,
      Error{ErrorCode::invalidArgument,
            tr("%1 is a model on %2, but the engine runs on %3.")
                .arg(path, nameOfMachine(file->host), nameOfMachine(host))
                .toStdString(),
            {},
            tr("Choose the engine on %1 first: Ctrl+Shift+P, Engine.").arg(nameOfMachine(file->host)).toStdString()});
}

void ProjectFiles::openDemo() {
  const QString folder = demoFolder();
  if (folder.isEmpty())
    return Q_EMIT failed({}, Error{ErrorCode::io,
                                   "The demo model is not installed beside the program.",
                                   {},
                                   "Run packaging/demo in the source folder."});
  open(folder + QStringLiteral("/model"));
}

void ProjectFiles::leave(std::function<void()> then) {
  if (!document_.isModified()) return then();
  QMessageBox* box = ask(window_, tr("Save the changes first?"), tr("They are lost otherwise."));
  auto* save = box->addButton(tr("Save"), QMessageBox::AcceptRole);
  auto* discard = box->addButton(tr("Discard"), QMessageBox::DestructiveRole);
  box->addButton(tr("Cancel"), QMessageBox::RejectRole);
  box->setDefaultButton(save);
  connect(box, &QMessageBox::buttonClicked, this,
          [this, save, discard, then = std::move(then)](QAbstractButton* clicked) {
            if (clicked == discard) then();
            if (clicked != save) return;
            const QString file =
                document_.file().empty() ? suggestedFile() : QString::fromStdString(document_.file().string());
            if (!file.isEmpty()) saveTo(file, then);
          });
  box->open();
}

QString ProjectFiles::suggestedFile() const {
  const QFileInfo model(QString::fromStdString(document_.modelPath().string()));
  // Beside the model where one may write, else in the home folder: the demo's is often part of an installation.
  const QString folder = QFileInfo(model.absolutePath()).isWritable() && demoFolder() != model.absolutePath()
                             ? model.absolutePath()
                             : QDir::homePath();
  return QFileDialog::getSaveFileName(window_, tr("Save the project"),
                                      QStringLiteral("%1/%2.kvista").arg(folder, model.completeBaseName()),
                                      tr("KVista projects (*.kvista)"));
}

void ProjectFiles::save() {
  if (document_.file().empty()) return saveAs();
  saveTo(QString::fromStdString(document_.file().string()), [] {});
}

void ProjectFiles::saveAs() {
  const QString file = suggestedFile();
  if (!file.isEmpty()) saveTo(file, [] {});
}

void ProjectFiles::saveTo(const QString& file, std::function<void()> then) {
  document_.save(file.toStdString(), [this, file, then = std::move(then)](const Result<void>& done) {
    if (!done) return Q_EMIT failed(file, done.error());
    recent_.add(file);
    Q_EMIT saved(file);
    then();
  });
}

void ProjectFiles::askForMovedModel(const QString& path, const Error& error) {
  QMessageBox* box = ask(window_, tr("The project's model cannot be opened."),
                         QString::fromStdString(error.message + " " + error.hint));
  auto* locate = box->addButton(tr("Locate the model…"), QMessageBox::AcceptRole);
  box->addButton(tr("Leave it"), QMessageBox::RejectRole);
  connect(box, &QMessageBox::buttonClicked, this, [this, locate, path, error](QAbstractButton* clicked) {
    if (clicked != locate) return Q_EMIT failed(path, error);
    if (workflow_.host())
      return choosePath(window_, workflow_, tr("Where the model is now"),
                        [this](const QString& place) { workflow_.openMovedModel(place); });
    const QString folder = QFileDialog::getExistingDirectory(window_, tr("Where the model is now"));
    if (!folder.isEmpty()) workflow_.openMovedModel(folder);
  });
  box->open();
}

void ProjectFiles::locateRecent(const QString& missing) {
  const QString title = tr("Where %1 is now").arg(QFileInfo(missing).fileName());
  const QString path = isFile(missing) ? QFileDialog::getOpenFileName(window_, title, {}, tr(kModelFiles))
                                       : QFileDialog::getExistingDirectory(window_, title);
  if (path.isEmpty()) return;
  recent_.locate(missing, path);
  open(path);
}

void ProjectFiles::offerRecovery() {
  recovery_.findAbandoned(this, [this](std::vector<RecoveredProject> found) {
    if (found.empty()) return;
    auto* dialog = new RecoverDialog(std::move(found), window_);
    connect(dialog, &RecoverDialog::discardRequested, this,
            [this](const RecoveredProject& project) { recovery_.discard(project.journal); });
    connect(dialog, &RecoverDialog::recoverRequested, this, [this](const RecoveredProject& project) {
      recovery_.recover(project);
      workflow_.openModelOfProject();
    });
    dialog->open();
  });
}

}  // namespace kvista
