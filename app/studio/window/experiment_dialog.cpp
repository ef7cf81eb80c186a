// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/experiment_dialog.h"

#include <QComboBox>
#include <QDir>
#include <QFileDialog>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QMessageBox>
#include <QPushButton>
#include <QSignalBlocker>
#include <QSpinBox>

#include "app/studio/places.h"
#include "app/studio/window/file_list.h"
#include "app/studio/window/start_buttons.h"
#include "app/studio/window/window_size.h"
#include "core/io/json_file.h"
#include "views/theme.h"

namespace kvista {
namespace {

QString textAt(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? QString::fromStdString(found->get<std::string>()) : QString();
}

/// Rows that it has on one text; what is not sound the engine says.
std::size_t rowsOf(const nlohmann::json& experiment) {
  std::size_t rows = 0;
  if (const auto sweeps = experiment.find("sweeps"); sweeps != experiment.end() && sweeps->is_array())
    for (const nlohmann::json& sweep : *sweeps)
      if (sweep.is_object() && sweep.contains("systems") && sweep.contains("values")) rows += sweep["systems"].size() * sweep["values"].size();
  return rows;
}

}  // namespace

ExperimentDialog::ExperimentDialog(const ModelRecord& model, const TextSelection& text, const QString& folder, QWidget* parent)
    : QDialog(parent),
      which_(new QComboBox(this)),
      about_(new QLabel(this)),
      files_(new FileList(this)),
      windows_(new QSpinBox(this)),
      folder_(new QLineEdit(folder, this)),
      browse_(new QPushButton(tr("Choose…"), this)),
      window_(text.window),
      beginWithBos_(text.beginWithBos) {
  setObjectName(QStringLiteral("experimentDialog"));
  setWindowTitle(tr("Compare methods on %1").arg(QDir(QString::fromStdString(model.path)).dirName()));
  which_->setObjectName(QStringLiteral("experimentFile"));
  which_->setAccessibleName(tr("Experiment"));
  about_->setWordWrap(true);
  about_->setForegroundRole(QPalette::PlaceholderText);
  about_->setObjectName(QStringLiteral("experimentAbout"));
  windows_->setObjectName(QStringLiteral("experimentWindows"));
  windows_->setRange(0, 1'000'000);
  windows_->setValue(static_cast<int>(text.windows));
  windows_->setSpecialValueText(tr("all"));
  folder_->setObjectName(QStringLiteral("experimentFolder"));
  QStringList paths;
  for (const std::string& path : text.paths) paths << QString::fromStdString(path);
  files_->setPaths(paths);

  auto* where = new QHBoxLayout;
  where->setSpacing(8);
  where->addWidget(folder_, 1);
  where->addWidget(browse_);
  auto* form = new QFormLayout(this);
  form->setContentsMargins(20, 20, 20, 16);
  form->setVerticalSpacing(8);
  form->addRow(tr("Experiment"), which_);
  form->addRow(QString(), about_);
  form->addRow(tr("Measure on"), files_);
  form->addRow(tr("Windows of each"), windows_);
  form->addRow(tr("Results in"), where);
  auto* note = new QLabel(tr("A folder with results goes on with them: only what is missing is measured."), this);
  note->setForegroundRole(QPalette::PlaceholderText);
  note->setWordWrap(true);
  form->addRow(QString(), note);
  const auto [buttons, start] = startButtons(*this, tr("Compare"));
  start_ = start;
  form->addRow(buttons);

  const QDir along(experimentsFolder());
  if (!experimentsFolder().isEmpty())
    for (const QString& name : along.entryList({QStringLiteral("*.json")}, QDir::Files, QDir::Name)) add(along.filePath(name));
  which_->addItem(tr("Another file…"));
  connect(which_, &QComboBox::activated, this, &ExperimentDialog::choose);
  connect(files_, &FileList::changed, this, &ExperimentDialog::check);
  connect(folder_, &QLineEdit::textChanged, this, &ExperimentDialog::check);
  connect(browse_, &QPushButton::clicked, this, [this] {
    const QString chosen = QFileDialog::getExistingDirectory(this, tr("Folder for results"));
    if (!chosen.isEmpty()) folder_->setText(chosen);
  });
  check();  // Before the size is asked for: what it says takes lines.
  resizeToScreen(*this, {600, sizeHint().height()});
}

/// Behind those that are there; one that cannot be read is told of and left out.
void ExperimentDialog::add(const QString& file) {
  Result<nlohmann::json> json = readJsonFile(file.toStdString());
  if (json && !json->is_object()) json = fail(ErrorCode::corruptFile, file.toStdString() + " holds no object.", "Choose a file that describes an experiment.");
  if (!json) {
    QMessageBox::warning(this, windowTitle(), QString::fromStdString(json.error().message));
    return;
  }
  const QString name = textAt(*json, "name");
  which_->insertItem(static_cast<int>(experiments_.size()), name.isEmpty() ? file : name, file);
  which_->setItemData(static_cast<int>(experiments_.size()), file, Qt::ToolTipRole);
  experiments_.push_back(*std::move(json));
}

void ExperimentDialog::choose(int index) {
  const auto other = static_cast<int>(experiments_.size());
  if (index == other) {
    const QString file = QFileDialog::getOpenFileName(this, tr("Experiment"), {}, tr("Experiments (*.json);;All files (*)"));
    if (!file.isEmpty()) add(file);
    const QSignalBlocker quiet(which_);
    which_->setCurrentIndex(static_cast<int>(experiments_.size()) > other ? other : shown_);
  }
  check();
}

void ExperimentDialog::check() {
  shown_ = which_->currentIndex();
  const bool isChosen = shown_ >= 0 && shown_ < static_cast<int>(experiments_.size());
  if (isChosen) {
    const nlohmann::json& experiment = experiments_[static_cast<std::size_t>(shown_)];
    const auto rows = static_cast<int>(rowsOf(experiment));
    about_->setText(QStringLiteral("%1 %2").arg(textAt(experiment, "about"), tr("%Ln plan(s).", nullptr, rows)).trimmed());
  } else {
    about_->clear();
  }
  start_->setEnabled(isChosen && !files_->paths().isEmpty() && !folder_->text().trimmed().isEmpty());
}

void ExperimentDialog::setElsewhere(bool elsewhere) { browse_->setHidden(elsewhere); }

ExperimentWish ExperimentDialog::wish() const {
  ExperimentWish wish{experiments_[static_cast<std::size_t>(shown_)], {}, folder_->text().trimmed()};
  for (const QString& path : files_->paths()) {
    TextSelection text;
    text.paths = {path.toStdString()};
    text.window = window_;
    text.windows = windows_->value();
    text.beginWithBos = beginWithBos_;
    wish.texts.push_back(std::move(text));
  }
  return wish;
}

}  // namespace kvista
