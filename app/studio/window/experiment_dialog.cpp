// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/experiment_dialog.h"

#include <QComboBox>
#include <QDir>
#include <QFileDialog>
#include <QFileInfo>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QJsonArray>
#include <QLabel>
#include <QLineEdit>
#include <QMessageBox>
#include <QPushButton>
#include <QSignalBlocker>
#include <QSpinBox>
#include <QVBoxLayout>
#include <algorithm>

#include "app/studio/places.h"
#include "app/studio/window/experiment_choice.h"
#include "app/studio/window/file_list.h"
#include "app/studio/window/start_buttons.h"
#include "app/studio/window/window_size.h"
#include "core/io/atomic_file.h"
#include "core/io/json_file.h"
#include "views/theme.h"
#include "views/words.h"

namespace kvista {
namespace {

const QString kWhich = QStringLiteral("experiment"), kFiles = QStringLiteral("files"), kModel = QStringLiteral("model");

QString textAt(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? QString::fromStdString(found->get<std::string>()) : QString();
}

/// Makes the labels of forms that stand below each other as wide as the widest of them.
void alignLabels(std::initializer_list<QFormLayout*> forms) {
  int widest = 0;
  std::vector<QWidget*> labels;
  for (const QFormLayout* form : forms)
    for (int row = 0; row < form->rowCount(); ++row)
      if (const QLayoutItem* label = form->itemAt(row, QFormLayout::LabelRole); label && label->widget())
        labels.push_back(label->widget());
  for (const QWidget* label : labels) widest = std::max(widest, label->sizeHint().width());
  for (QWidget* label : labels) label->setMinimumWidth(widest);
}

QString kindsOfFiles() { return ExperimentDialog::tr("Experiments (*.json);;All files (*)"); }

}  // namespace

ExperimentDialog::ExperimentDialog(const Catalogue& catalogue, const ModelRecord& model, const TextSelection& text,
                                   const QString& folder, QWidget* parent)
    : QDialog(parent),
      model_(model.hash),
      form_(scrolledForm(*this)),
      which_(new QComboBox(this)),
      choice_(new ExperimentChoice(catalogue, text.window, this)),
      about_(softLabel({}, this)),
      said_(softLabel({}, this)),
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
  which_->setToolTip(tr("Methods and policies that you tick or type, or an experiment that a file describes."));
  about_->setObjectName(QStringLiteral("experimentAbout"));
  said_->setObjectName(QStringLiteral("experimentSaid"));
  windows_->setObjectName(QStringLiteral("experimentWindows"));
  windows_->setRange(0, 1'000'000);
  windows_->setValue(static_cast<int>(text.windows));
  windows_->setSpecialValueText(tr("all"));
  windows_->setToolTip(tr("Each of %L1 tokens, as in calibration.").arg(window_));
  folder_->setObjectName(QStringLiteral("experimentFolder"));
  QStringList paths;
  for (const std::string& path : text.paths) paths << QString::fromStdString(path);
  files_->setPaths(paths);

  auto* where = new QHBoxLayout;
  where->setSpacing(8);
  where->addWidget(folder_, 1);
  where->addWidget(browse_);
  auto* note = softLabel(tr("A folder with results goes on with them: only what is missing is measured."), this);
  for (QLabel* label : {about_, said_, note}) label->setWordWrap(true);
  form_->addRow(tr("Experiment"), which_);
  form_->addRow(QString(), about_);
  form_->addRow(choice_);
  form_->addRow(tr("Measure on"), files_);
  form_->addRow(tr("Windows of each"), windows_);
  form_->addRow(tr("Results in"), where);
  form_->addRow(QString(), note);
  alignLabels({form_, static_cast<QFormLayout*>(choice_->layout())});
  const auto [buttons, start] = startButtons(*this, tr("Compare"));
  start_ = start;
  save_ = buttons->addButton(tr("Save as a file…"), QDialogButtonBox::ActionRole);
  save_->setObjectName(QStringLiteral("saveExperiment"));
  save_->setAutoDefault(false);
  save_->setToolTip(tr("What is ticked and typed, as a file that kvista experiment and this dialog take."));
  // What it comes to is in sight also where the form scrolls.
  auto* below = new QWidget(this);
  auto* column = new QVBoxLayout(below);
  column->setContentsMargins(0, 8, 0, 0);
  column->setSpacing(8);
  column->addWidget(said_);
  column->addWidget(buttons);

  which_->addItem(tr("Chosen here"));
  which_->addItem(tr("Another file…"));
  const QDir along(experimentsFolder());
  if (!experimentsFolder().isEmpty())
    for (const QString& name : along.entryList({QStringLiteral("*.json")}, QDir::Files, QDir::Name))
      add(along.filePath(name));
  connect(which_, &QComboBox::activated, this, &ExperimentDialog::choose);
  connect(choice_, &ExperimentChoice::changed, this, &ExperimentDialog::check);
  connect(files_, &FileList::changed, this, &ExperimentDialog::check);
  connect(folder_, &QLineEdit::textChanged, this, &ExperimentDialog::check);
  connect(save_, &QPushButton::clicked, this, &ExperimentDialog::save);
  connect(browse_, &QPushButton::clicked, this, [this] {
    const QString chosen = QFileDialog::getExistingDirectory(this, tr("Folder for results"));
    if (!chosen.isEmpty()) folder_->setText(chosen);
  });
  check();  // Before the size is asked for: what it says takes lines.
  finishScrolledForm(*this, *form_, *below, 720);
}

/// In front of what asks for another file; one that cannot be read is told of and left out.
int ExperimentDialog::add(const QString& file) {
  if (const int known = which_->findData(file); known >= 0) return known;
  Result<nlohmann::json> json = readJsonFile(file.toStdString());
  if (json && !json->is_object())
    json = fail(ErrorCode::corruptFile, file.toStdString() + " holds no object.",
                "Choose a file that describes an experiment.");
  if (!json) {
    QMessageBox::warning(this, windowTitle(), QString::fromStdString(json.error().message));
    return -1;
  }
  const QString name = textAt(*json, "name");
  experiments_.push_back(*std::move(json));
  const auto index = static_cast<int>(experiments_.size());
  which_->insertItem(index, name.isEmpty() ? file : name, file);
  which_->setItemData(index, file, Qt::ToolTipRole);
  return index;
}

void ExperimentDialog::choose(int index) {
  if (index == which_->count() - 1) {
    const QString file = QFileDialog::getOpenFileName(this, tr("Experiment"), {}, kindsOfFiles());
    const int added = file.isEmpty() ? -1 : add(file);
    const QSignalBlocker quiet(which_);
    which_->setCurrentIndex(added >= 0 ? added : shown_);
  }
  check();
}

bool ExperimentDialog::isTicked() const { return shown_ <= 0; }

nlohmann::json ExperimentDialog::experiment() const {
  return isTicked() ? choice_->experiment() : experiments_[static_cast<std::size_t>(shown_ - 1)];
}

void ExperimentDialog::save() {
  QString file = QFileDialog::getSaveFileName(this, tr("Save the experiment"), tr("experiment.json"), kindsOfFiles());
  if (file.isEmpty()) return;
  if (QFileInfo(file).suffix().isEmpty()) file += QStringLiteral(".json");
  if (const auto written = writeFileAtomically(file.toStdString(), choice_->experiment().dump(2) + "\n"); !written)
    QMessageBox::warning(this, windowTitle(), QString::fromStdString(written.error().message));
  else
    said_->setText(tr("Saved as %1.").arg(QDir::toNativeSeparators(file)));
}

QString ExperimentDialog::problemOfTexts() const {
  if (files_->paths().isEmpty()) return tr("Add a text to measure on.");
  if (elsewhere_) return {};  // Were looked at when they were typed.
  for (const QString& path : files_->paths()) {
    const QFileInfo file(path);
    if (!file.exists()) return tr("The text %1 is not there.").arg(path);
    if (!file.isReadable()) return tr("The text %1 cannot be read.").arg(path);
    if (file.isFile() && file.size() == 0) return tr("The text %1 is empty.").arg(path);
  }
  return {};
}

void ExperimentDialog::check() {
  shown_ = which_->currentIndex();
  form_->setRowVisible(choice_, isTicked());
  form_->setRowVisible(about_, !isTicked());
  const nlohmann::json chosen = experiment();
  about_->setText(textAt(chosen, "about"));
  QString problem = isTicked() ? choice_->problem() : QString();
  save_->setVisible(isTicked());
  save_->setEnabled(problem.isEmpty());
  if (problem.isEmpty()) problem = problemOfTexts();
  if (problem.isEmpty() && folder_->text().trimmed().isEmpty()) problem = tr("Name a folder for the results.");
  const auto texts = static_cast<int>(files_->paths().size()), rows = texts * static_cast<int>(rowsOf(chosen));
  const QString amount = tr("%1 on %2, beside the model as it is.")
                             .arg(tr("%Ln row(s)", nullptr, rows), tr("%Ln text(s)", nullptr, texts));
  said_->setText(problem.isEmpty() ? amount : problem);
  said_->setForegroundRole(problem.isEmpty() ? QPalette::PlaceholderText : QPalette::WindowText);
  start_->setEnabled(problem.isEmpty());
}

void ExperimentDialog::setElsewhere(bool elsewhere) {
  elsewhere_ = elsewhere;
  browse_->setHidden(elsewhere);
  check();
}

void ExperimentDialog::setChecking(PolicyList::Checking checking) { choice_->setChecking(std::move(checking)); }

void ExperimentDialog::setAskingForVariants(VariantList::Asking asking) {
  choice_->setAskingForVariants(std::move(asking));
}

QJsonObject ExperimentDialog::state() const {
  return {{kWhich, which_->currentData().toString()},
          {QStringLiteral("chosen"), choice_->state()},
          {kFiles, QJsonArray::fromStringList(files_->paths())},
          {windows_->objectName(), windows_->value()},
          {kModel, QString::fromStdString(model_)},
          {folder_->objectName(), folder_->text()}};
}

void ExperimentDialog::setState(const QJsonObject& state) {
  choice_->setState(state[QStringLiteral("chosen")].toObject());
  QStringList files;
  for (const QJsonValue& file : state[kFiles].toArray()) files << file.toString();
  if (!files.isEmpty()) files_->setPaths(files);
  windows_->setValue(state[windows_->objectName()].toInt(windows_->value()));
  if (state[kModel].toString().toStdString() == model_)
    folder_->setText(state[folder_->objectName()].toString(folder_->text()));
  // A file that is gone since is nothing to complain of.
  if (const QString file = state[kWhich].toString(); !file.isEmpty() && QFileInfo::exists(file))
    if (const int known = add(file); known > 0) which_->setCurrentIndex(known);
  check();
}

ExperimentWish ExperimentDialog::wish() const {
  ExperimentWish wish{experiment(), {}, folder_->text().trimmed()};
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
