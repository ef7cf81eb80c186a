// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include <QFileInfo>

#include "app/studio/places.h"
#include "app/studio/window/lab_dialog.h"
#include "app/studio/window/main_window.h"
#include "app/studio/window/panels.h"
#include "app/studio/window/policy_lines.h"
#include "app/studio/window/retrieval_dialog.h"

namespace kvista {

/// A dialog of the lab as it was filled in last, and its page of the panel once it is answered.
void MainWindow::openLab(LabDialog* dialog, const char* kept, LabView::Page page, std::function<void()> begin) {
  const std::string name = std::string("lab.") + kept;
  askElsewhere(dialog);
  dialog->setElsewhere(workflow_.host().has_value());
  dialog->setPolicies(policyLines(document_.catalogue()));
  dialog->setState(session_.get(Key<QJsonObject>{name.c_str(), {}}));
  if (dialog->policyChoice()) checkWhileTyped(*dialog->policyChoice(), workflow_);
  dialog->setAttribute(Qt::WA_DeleteOnClose);
  connect(dialog, &QDialog::accepted, this, [this, dialog, name, page, begin = std::move(begin)] {
    session_.set(Key<QJsonObject>{name.c_str(), {}}, dialog->state());
    begin();
    showLab(page);
  });
  dialog->open();
}

void MainWindow::showTexts(TextMeasures::Page page) {
  if (hasPlan() && layout_ != QStringLiteral("try")) chooseLayout(QStringLiteral("try"));
  panels_->showTexts(page);
}

void MainWindow::testRetrieval() {
  const Key<QJsonObject> kept{"lab.retrieval", {}};
  auto* dialog = new RetrievalDialog(document_.model(), this);
  askElsewhere(dialog);
  dialog->setPolicies(policyLines(document_.catalogue()));
  dialog->setState(session_.get(kept));
  if (const QString policy = panels_->policyToTry(); !policy.isEmpty()) dialog->setPolicy(policy);
  checkWhileTyped(*dialog->policyChoice(), workflow_);
  dialog->setAttribute(Qt::WA_DeleteOnClose);
  connect(dialog, &QDialog::accepted, this, [this, dialog, kept] {
    session_.set(kept, dialog->state());
    lab_.testRetrieval(dialog->wish());
    showTexts(TextMeasures::Page::retrieval);
  });
  dialog->open();
}

void MainWindow::showLab(LabView::Page page) {
  // The others have no room for its tables.
  if (hasPlan() && layout_ != QStringLiteral("try")) chooseLayout(QStringLiteral("try"));
  panels_->showLab(page);
}

void MainWindow::askQuestions() {
  TextSelection files;
  if (const QString file =
          demoFileOf(QString::fromStdString(document_.modelPath().string()), QStringLiteral("questions.jsonl"));
      !file.isEmpty())
    files.paths = {file.toStdString()};
  auto* dialog = new LabDialog(LabDialog::Purpose::questions, document_.model(), files, {}, this);
  openLab(dialog, "questions", LabView::Page::questions, [this, dialog] { lab_.askQuestions(dialog->questions()); });
}

void MainWindow::measureAgreement() {
  TextSelection text;
  if (const QString file =
          demoFileOf(QString::fromStdString(document_.modelPath().string()), QStringLiteral("text/evaluation.txt"));
      !file.isEmpty())
    text.paths = {file.toStdString()};
  if (document_.statistics()) text.window = document_.statistics()->window;
  auto* dialog = new LabDialog(LabDialog::Purpose::agreement, document_.model(), text, {}, this);
  openLab(dialog, "agreement", LabView::Page::agreement,
          [this, dialog] { lab_.measureAgreement(dialog->agreement()); });
}

void MainWindow::measureRanks() {
  TextSelection statistics;
  statistics.paths = {document_.statistics()->path};
  auto* dialog = new LabDialog(LabDialog::Purpose::ranks, document_.model(), statistics, {}, this);
  // Those of the last time may be another model's.
  const std::string key = "ranks." + document_.modelHash();
  openLab(dialog, key.c_str(), LabView::Page::ranks, [this, dialog] { lab_.measureRanks(dialog->ranks()); });
}

void MainWindow::compareKeyVariants() {
  lab_.compareKeyVariants();
  showLab(LabView::Page::variants);
}

void MainWindow::trainPredictor() {
  const QFileInfo model(QString::fromStdString(document_.modelPath().string()));
  TextSelection text;
  if (document_.statistics())
    text.paths = document_.statistics()->texts;
  else if (const QString file = demoFileOf(model.filePath(), QStringLiteral("text/calibration.txt")); !file.isEmpty())
    text.paths = {file.toStdString()};
  if (document_.statistics()) text.window = document_.statistics()->window;
  // Beside the calibration: next to a checkpoint there may be no room.
  const QString beside = document_.statistics()
                             ? QFileInfo(QString::fromStdString(document_.statistics()->path)).absolutePath()
                             : model.absolutePath();
  auto* dialog = new LabDialog(LabDialog::Purpose::predictor, document_.model(), text,
                               QStringLiteral("%1/%2.gate").arg(beside, model.completeBaseName()), this);
  openLab(dialog, "predictor", LabView::Page::predictors, [this, dialog] { lab_.trainPredictor(dialog->predictor()); });
}

}  // namespace kvista
