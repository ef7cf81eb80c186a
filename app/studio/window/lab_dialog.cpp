// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/lab_dialog.h"

#include <QCheckBox>
#include <QComboBox>
#include <QFileDialog>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QJsonArray>
#include <QLabel>
#include <QLineEdit>
#include <QLocale>
#include <QPushButton>
#include <QSpinBox>
#include <algorithm>

#include "app/studio/window/file_list.h"
#include "app/studio/window/start_buttons.h"
#include "app/studio/window/tab_order.h"
#include "app/studio/window/window_size.h"
#include "views/theme.h"
#include "views/words.h"

namespace kvista {
namespace {

constexpr int kUsualWindow = 2048, kMost = 1'000'000;

struct DialogWords {
  const char* object;
  QString title, about, files, start;
};
DialogWords wordsOf(LabDialog::Purpose purpose) {
  switch (purpose) {
    case LabDialog::Purpose::questions:
      return {"questionsDialog", LabDialog::tr("Ask questions"),
              LabDialog::tr("JSONL as lm-evaluation-harness has it: questions with answers to choose from, or to "
                            "write. The original and the plan, or what a policy makes of it, are asked the same."),
              LabDialog::tr("Questions"), LabDialog::tr("Ask")};
    case LabDialog::Purpose::agreement:
      return {"agreementDialog", LabDialog::tr("Measure agreement"),
              LabDialog::tr("Both read the text, token by token; then both write on from its beginnings. Take text "
                            "that calibration did not see."),
              LabDialog::tr("Text"), LabDialog::tr("Measure")};
    case LabDialog::Purpose::ranks:
      return {"ranksDialog", LabDialog::tr("Measure ranks"),
              LabDialog::tr("Of each calibration of this model, the normalised effective rank of the keys and values "
                            "by layer and head; and what it costs on its text to keep only the largest directions of "
                            "one layer's keys or values at a time. Calibrate on several texts to compare them; what "
                            "was measured of other models stays beside it."),
              LabDialog::tr("Statistics"), LabDialog::tr("Measure")};
    case LabDialog::Purpose::predictor:
      break;
  }
  return {"predictorDialog", LabDialog::tr("Train a predictor"),
          LabDialog::tr("It learns from this text which tokens of a cache will matter; the last eighth of the windows "
                        "is held out to say how well. A policy of its name reads the file."),
          LabDialog::tr("Text"), LabDialog::tr("Train")};
}

QString nameOf(PredictorKind kind) {
  switch (kind) {
    case PredictorKind::fastKvzip:
      return LabDialog::tr("fast-kvzip: a gate on what the cache holds");
    case PredictorKind::attentionPredictor:
      return LabDialog::tr("attention-predictor: a network on past attention");
  }
  return {};
}

}  // namespace

LabDialog::LabDialog(Purpose purpose, const ModelRecord& model, const TextSelection& text, const QString& output,
                     QWidget* parent)
    : QDialog(parent), purpose_(purpose), files_(new FileList(this)), forecast_(softLabel({}, this)) {
  const DialogWords words = wordsOf(purpose);
  setObjectName(QLatin1String(words.object));
  setWindowTitle(words.title);
  QStringList paths;
  for (const std::string& path : text.paths) paths << QString::fromStdString(path);
  files_->setPaths(paths);
  auto* about = softLabel(words.about, this);
  about->setWordWrap(true);
  auto* form = new QFormLayout(this);
  form->setContentsMargins(20, 20, 20, 16);
  form->setVerticalSpacing(8);
  form->addRow(about);
  if (purpose == Purpose::predictor) {
    kind_ = new QComboBox(this);
    kind_->setObjectName(QStringLiteral("predictorKind"));
    for (const auto& each : kPredictorKinds) kind_->addItem(nameOf(each.value), static_cast<int>(each.value));
    form->addRow(tr("Predictor"), kind_);
  }
  form->addRow(words.files, files_);
  switch (purpose) {
    case Purpose::questions:
      files_->leaveFoldersOut();
      items_ = addNumber(*form, "items", tr("Of each file"), 0, kMost, 0, tr("all"));
      bos_ = new QCheckBox(tr("begin each question with the BOS token"), this);
      bos_->setObjectName(QStringLiteral("beginWithBos"));
      form->addRow(QString(), bos_);
      addPolicy(*form);
      break;
    case Purpose::agreement:
      addText(*form, model, text, 16);
      prompts_ = addNumber(*form, "prompts", tr("Beginnings"), 1, 65536, AgreementWish{}.prompts);
      promptTokens_ =
          addNumber(*form, "promptTokens", tr("Tokens of each"), 2, window_->maximum(), AgreementWish{}.promptTokens);
      written_ = addNumber(*form, "written", tr("Tokens to write"), 1, 65536, AgreementWish{}.written);
      addPolicy(*form);
      break;
    case Purpose::ranks:
      files_->leaveFoldersOut();
      files_->setKind(tr("Statistics of this model"), tr("Statistics (*.kvstats);;All files (*)"));
      kept_ = addNumber(*form, "kept", tr("Directions kept"), 0, 99, 50, tr("measure no truncation"));
      kept_->setSuffix(tr(" %"));
      windows_ = addNumber(*form, "windows", tr("Windows to read"), 1, 65536, RanksWish{}.windows);
      for (QSpinBox* box : {kept_, windows_}) connect(box, &QSpinBox::valueChanged, this, &LabDialog::check);
      layers_ = model.shape.layers;
      break;
    case Purpose::predictor: {
      addText(*form, model, text, 32);
      output_ = new QLineEdit(output, this);
      output_->setObjectName(QStringLiteral("predictorFile"));
      browse_ = new QPushButton(tr("Choose…"), this);
      auto* where = new QHBoxLayout;
      where->setSpacing(8);
      where->addWidget(output_, 1);
      where->addWidget(browse_);
      form->addRow(tr("File to write"), where);
      connect(output_, &QLineEdit::textChanged, this, &LabDialog::check);
      connect(browse_, &QPushButton::clicked, this, [this] {
        const QString chosen = QFileDialog::getSaveFileName(this, windowTitle(), output_->text(),
                                                            tr("Predictors (*.gate);;All files (*)"));
        if (!chosen.isEmpty()) output_->setText(chosen);
      });
      break;
    }
  }
  forecast_->setWordWrap(true);
  form->addRow(QString(), forecast_);
  const auto [buttons, start] = startButtons(*this, words.start);
  start_ = start;
  form->addRow(buttons);
  tabAsSeen(*form);
  connect(files_, &FileList::changed, this, &LabDialog::check);
  check();  // Before the size is asked for: what it says takes lines.
  resizeToScreen(*this, {560, sizeHint().height()});
}

void LabDialog::addText(QFormLayout& form, const ModelRecord& model, const TextSelection& text, int windows) {
  const auto context = static_cast<int>(
      std::min<std::int64_t>(model.maximumPositions > 0 ? model.maximumPositions : kUsualWindow, 1 << 20));
  window_ = addNumber(form, "window", tr("Tokens a window"), 0, std::max(context, 2), static_cast<int>(text.window),
                      tr("%1 (usual)").arg(QLocale().toString(std::min(context, kUsualWindow))));
  windows_ = addNumber(form, "windows", tr("Windows"), 0, kMost, windows, tr("all"));
  for (QSpinBox* box : {window_, windows_}) connect(box, &QSpinBox::valueChanged, this, &LabDialog::check);
}

void LabDialog::addPolicy(QFormLayout& form) {
  policy_ = new PolicyChoice(this);
  policy_->setObjectName(QStringLiteral("labPolicy"));
  form.addRow(tr("Policy"), policy_);
  connect(policy_, &PolicyChoice::problemChanged, this, &LabDialog::check);
}

void LabDialog::setPolicies(const std::vector<PolicyChoice::Line>& lines) {
  if (policy_) policy_->setPolicies(lines);
}

QSpinBox* LabDialog::addNumber(QFormLayout& form, const char* name, const QString& label, int least, int most,
                               int value, const QString& zero) {
  auto* box = new QSpinBox(this);
  box->setObjectName(QLatin1String(name));
  box->setRange(least, most);
  box->setValue(value);
  box->setGroupSeparatorShown(true);
  box->setSpecialValueText(zero);
  box->setMinimumWidth(130);
  form.addRow(label, box);
  return box;
}

void LabDialog::check() {
  const QString ofPolicy = policy_ ? policy_->problem() : QString();
  const bool there =
      ofPolicy.isEmpty() && !files_->paths().isEmpty() && (!output_ || !output_->text().trimmed().isEmpty());
  start_->setEnabled(there && (purpose_ != Purpose::predictor || windows_->value() != 1));
  if (kept_) {
    windows_->setEnabled(kept_->value() > 0);
    forecast_->setText(kept_->value() > 0
                           ? tr("Of each text the model reads these windows %L1 times.").arg(2 * layers_ + 1)
                           : tr("The model reads nothing: ranks follow from the statistics."));
  }
  forecast_->setVisible(window_ || kept_ || !ofPolicy.isEmpty());
  forecast_->setForegroundRole(ofPolicy.isEmpty() ? QPalette::PlaceholderText : QPalette::WindowText);
  if (!ofPolicy.isEmpty()) return forecast_->setText(ofPolicy);
  if (!window_) return;
  const int window = window_->value() > 0 ? window_->value() : std::min(window_->maximum(), kUsualWindow);
  forecast_->setText(
      purpose_ == Purpose::predictor && windows_->value() == 1 ? tr("One window is to be held out: take at least two.")
      : windows_->value() > 0 ? tr("At most %L1 tokens are read.").arg(qint64{window} * windows_->value())
                              : tr("The whole text is read, in windows of %L1 tokens.").arg(window));
}

TextSelection LabDialog::text() const {
  TextSelection selection;
  for (const QString& path : files_->paths()) selection.paths.push_back(path.toStdString());
  selection.window = window_->value();
  selection.windows = windows_->value();
  return selection;
}

TasksWish LabDialog::questions() const {
  return {files_->paths(), items_->value(), bos_->isChecked(), policy_->policy()};
}

AgreementWish LabDialog::agreement() const {
  return {text(), prompts_->value(), promptTokens_->value(), written_->value(), policy_->policy()};
}

RanksWish LabDialog::ranks() const { return {files_->paths(), kept_->value() / 100.0, windows_->value()}; }

PredictorWish LabDialog::predictor() const {
  return {static_cast<PredictorKind>(kind_->currentData().toInt()), text(), output_->text().trimmed()};
}

QJsonObject LabDialog::state() const {
  QJsonObject state{{QStringLiteral("files"), QJsonArray::fromStringList(files_->paths())}};
  for (const QSpinBox* box : findChildren<QSpinBox*>()) state[box->objectName()] = box->value();
  if (bos_) state[bos_->objectName()] = bos_->isChecked();
  if (kind_) state[kind_->objectName()] = kind_->currentData().toInt();
  if (output_) state[output_->objectName()] = output_->text();
  if (policy_) state[policy_->objectName()] = policy_->policy();
  return state;
}

void LabDialog::setState(const QJsonObject& state) {
  QStringList files;
  for (const QJsonValue& file : state[QStringLiteral("files")].toArray()) files << file.toString();
  if (!files.isEmpty()) files_->setPaths(files);
  for (QSpinBox* box : findChildren<QSpinBox*>()) box->setValue(state[box->objectName()].toInt(box->value()));
  if (bos_) bos_->setChecked(state[bos_->objectName()].toBool(bos_->isChecked()));
  if (const int kind = kind_ ? kind_->findData(state[kind_->objectName()].toInt(-1)) : -1; kind >= 0)
    kind_->setCurrentIndex(kind);
  if (output_) output_->setText(state[output_->objectName()].toString(output_->text()));
  if (policy_) policy_->setEditText(state[policy_->objectName()].toString());
}

void LabDialog::setElsewhere(bool elsewhere) {
  if (browse_) browse_->setHidden(elsewhere);
}

}  // namespace kvista
