// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/experiment_presenter.h"

#include <QDesktopServices>
#include <QFileInfo>
#include <QUrl>
#include <algorithm>
#include <cmath>
#include <limits>

#include "views/experiment_view.h"
#include "views/number_text.h"

namespace kvista {
namespace {

QString valueText(const Target& target) {
  const double times = 1 / target.value;
  switch (target.kind) {
    case Target::Kind::share:
      return times > 1.5 && std::abs(times - std::round(times)) < 1e-6
                 ? ExperimentPresenter::tr("1/%1 of the bytes").arg(countText(std::llround(times)))
                 : ExperimentPresenter::tr("%1 of the bytes").arg(percentText(target.value));
    case Target::Kind::keptFraction:
      return ExperimentPresenter::tr("%1 kept").arg(percentText(target.value));
    case Target::Kind::bytesPerToken:
      return ExperimentPresenter::tr("%1 bytes a token").arg(countText(std::llround(target.value)));
    case Target::Kind::maxLoss:
      return ExperimentPresenter::tr("at most %1").arg(changeText(target.value));
  }
  return {};
}

ExperimentCell cellOf(const ExperimentRow& row) {
  if (!row.figures) return {0, 0, 0, QString::fromStdString(row.problem)};
  ExperimentCell cell{.perplexity = std::exp(row.figures->loss),
                      .share = row.figures->share,
                      .rise = std::expm1(row.figures->rise()),
                      .note = QString::fromStdString(row.figures->note),
                      .isAbove = !row.keepsToTarget()};
  // Of perplexity's ratio, whose logarithm is the rise of the loss.
  if (row.figures->riseError) cell.riseError = *row.figures->riseError * (1 + cell.rise);
  return cell;
}

void markBest(ExperimentTable& table) {
  for (std::size_t column = 0; column < static_cast<std::size_t>(table.values.size()); ++column) {
    const auto isInTheRunning = [](const std::optional<ExperimentCell>& cell) {
      return cell && cell->problem.isEmpty() && !cell->isAbove;
    };
    double best = std::numeric_limits<double>::infinity();
    for (const auto& line : table.cells)
      if (isInTheRunning(line[column])) best = std::min(best, line[column]->perplexity);
    for (auto& line : table.cells)
      if (isInTheRunning(line[column])) line[column]->isBest = line[column]->perplexity == best;
  }
}

}  // namespace

std::vector<ExperimentTable> experimentTablesOf(const std::vector<ExperimentRow>& rows) {
  std::vector<ExperimentTable> tables;
  for (const ExperimentRow& row : rows) {
    if (row.sweep.empty()) continue;
    const QString title =
        QStringLiteral("%1 · %2").arg(QString::fromStdString(row.sweep), QString::fromStdString(row.text));
    auto table = std::ranges::find(tables, title, &ExperimentTable::title);
    if (table == tables.end()) table = tables.insert(table, {title});
    if (row.figures) table->original = std::exp(row.figures->originalLoss);
    const QString system = QString::fromStdString(row.system), value = valueText(row.target);
    if (!table->systems.contains(system)) {
      table->systems << system;
      table->cells.emplace_back();
    }
    if (!table->values.contains(value)) table->values << value;
    for (auto& line : table->cells) line.resize(static_cast<std::size_t>(table->values.size()));
    table->cells[static_cast<std::size_t>(table->systems.indexOf(system))]
                [static_cast<std::size_t>(table->values.indexOf(value))] = cellOf(row);
  }
  for (ExperimentTable& table : tables) markBest(table);
  return tables;
}

ExperimentPresenter::ExperimentPresenter(Document& document, Workflow& workflow, JobList& jobs, ExperimentView& view)
    : document_(document), workflow_(workflow), jobs_(jobs), view_(view) {
  connect(&workflow_, &Workflow::experimentRows, this, [this](const std::vector<ExperimentRow>& rows) {
    rows_ = rows;
    model_ = document_.model().hash;
    show();
  });
  connect(&jobs_, &JobList::changed, this, &ExperimentPresenter::show);
  for (const auto signal : {&Document::modelChanged, &Document::statisticsChanged})
    connect(&document_, signal, this, &ExperimentPresenter::show);
  connect(&view_, &ExperimentView::stopRequested, &workflow_,
          [this] { workflow_.work().cancel(workflow_.experimenting()); });
  connect(&view_, &ExperimentView::reportRequested, this, &ExperimentPresenter::openReport);
  show();
}

void ExperimentPresenter::openReport() { QDesktopServices::openUrl(QUrl::fromLocalFile(reportFile())); }

QString ExperimentPresenter::reportFile() const {
  return workflow_.experimentFolder() + QStringLiteral("/results.html");
}

void ExperimentPresenter::show() {
  const auto found = std::ranges::find(jobs_.jobs(), workflow_.experimenting(), &Job::id);
  const Job* job = found == jobs_.jobs().end() || workflow_.experimenting() == 0 ? nullptr : &*found;
  ExperimentRecord record;
  if (document_.hasModel() && model_ == document_.model().hash) record.tables = experimentTablesOf(rows_);
  record.running = job && job->state == Job::State::running;
  record.unavailable = !document_.hasModel()     ? tr("Open a model first.")
                       : !document_.statistics() ? tr("Calibrate the model first: plans are made from its statistics.")
                                                 : QString();
  if (job && record.running)
    record.status = QString::fromStdString(job->progress.stage);
  else if (job && job->state == Job::State::cancelled)
    record.status = tr("Stopped; the same folder goes on with it.");
  else if (job && job->state == Job::State::failed)
    record.status = QString::fromStdString(job->error.message);
  else if (job)
    record.status = tr("Results in %1").arg(workflow_.experimentFolder());
  // What was stopped has a report of what there is, if that is anything.
  const bool hasEnded = job && (job->state == Job::State::succeeded || job->state == Job::State::cancelled);
  record.hasReport = hasEnded && !workflow_.host() && QFileInfo::exists(reportFile());
  view_.setRecord(std::move(record));
}

}  // namespace kvista
