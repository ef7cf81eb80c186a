// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/lab_presenter.h"

#include <QFileInfo>
#include <algorithm>

#include "core/plan/key_variants.h"
#include "views/number_text.h"

namespace kvista {
namespace {

using Page = LabView::Page;

const char* actionOf(Page page) {
  switch (page) {
    case Page::questions:
      return "plan.questions";
    case Page::agreement:
      return "plan.agreement";
    case Page::ranks:
      return "plan.ranks";
    case Page::variants:
      return "plan.variants";
    case Page::predictors:
      break;
  }
  return "plan.predictor";
}

QString statusOf(const Job& job) {
  const QString stage = QString::fromStdString(job.progress.stage);
  switch (job.state) {
    case Job::State::running:
      return job.progress.total > 0 ? LabPresenter::tr("%1 · %2 of %3")
                                          .arg(stage, countText(job.progress.done), countText(job.progress.total))
                                    : stage;
    case Job::State::cancelled:
      return LabPresenter::tr("Stopped.");
    case Job::State::failed:
      return QString::fromStdString(job.error.message);
    case Job::State::succeeded:
      break;
  }
  return job.result;
}

}  // namespace

LabPresenter::LabPresenter(Document& document, Lab& lab, JobList& jobs, LabView& view)
    : document_(document), lab_(lab), jobs_(jobs), view_(view) {
  connect(&lab_, &Lab::answered, this, [this](const TasksRecord& record) {
    questions_ = record;
    questionsModel_ = document_.modelHash();
    showFindings();
  });
  connect(&lab_, &Lab::agreed, this, [this](const AgreementRecord& record) {
    agreement_ = record;
    agreementModel_ = document_.modelHash();
    showFindings();
  });
  connect(&lab_, &Lab::ranked, this, [this](const RanksRecord& record) {
    const QString name = QFileInfo(QString::fromStdString(document_.modelPath().string())).fileName();
    std::erase_if(ranks_, [&](const ModelRanks& other) { return other.hash == document_.modelHash(); });
    ranks_.push_back({document_.modelHash(), name, record});
    showFindings();
  });
  connect(&lab_, &Lab::compared, this, [this](const KeyVariantsRecord& record) {
    variants_ = record;
    variantsModel_ = document_.modelHash();
    showFindings();
  });
  connect(&lab_, &Lab::trained, this, [this](const PredictorRecord& record) {
    if (predictorsModel_ != document_.modelHash()) predictors_.clear();
    predictorsModel_ = document_.modelHash();
    std::erase_if(predictors_, [&](const PredictorRecord& other) { return other.file == record.file; });
    predictors_.push_back(record);
    showFindings();
  });
  for (const auto signal : {&Document::modelChanged, &Document::projectChanged, &Document::planChanged})
    connect(&document_, signal, this, &LabPresenter::showFindings);
  for (const auto signal : {&Document::modelChanged, &Document::statisticsChanged, &Document::planChanged})
    connect(&document_, signal, this, &LabPresenter::showWork);
  connect(&jobs_, &JobList::changed, this, &LabPresenter::showWork);
  connect(&view_, &LabView::startRequested, this,
          [this](Page page) { Q_EMIT actionRequested(QLatin1String(actionOf(page))); });
  connect(&view_, &LabView::stopRequested, this, [this](Page page) { lab_.cancel(jobOf(page)); });
  showFindings();
  showWork();
}

std::int64_t LabPresenter::jobOf(Page page) const {
  switch (page) {
    case Page::questions:
      return lab_.asking();
    case Page::agreement:
      return lab_.agreeing();
    case Page::ranks:
      return lab_.ranking();
    case Page::variants:
      return lab_.comparing();
    case Page::predictors:
      break;
  }
  return lab_.training();
}

bool LabPresenter::isOpen(const std::string& model, const std::string& plan) const {
  return document_.hasModel() && model == document_.modelHash() && plan == document_.planFingerprint();
}

/// Another plan's numbers would only mislead; they come back where it does.
void LabPresenter::showFindings() {
  view_.setFindings(Page::questions, questions_ && isOpen(questionsModel_, questions_->planFingerprint)
                                         ? findingsOf(*questions_)
                                         : LabFindings());
  view_.setFindings(Page::agreement, agreement_ && isOpen(agreementModel_, agreement_->planFingerprint)
                                         ? findingsOf(*agreement_)
                                         : LabFindings());
  view_.setFindings(Page::ranks, ranks_.empty() ? LabFindings() : findingsOf(ranks_));
  view_.setFindings(Page::variants, variants_ && isOpen(variantsModel_, variants_->planFingerprint)
                                        ? findingsOf(*variants_)
                                        : LabFindings());
  const bool isTheirs = document_.hasModel() && predictorsModel_ == document_.modelHash();
  view_.setFindings(Page::predictors, isTheirs && !predictors_.empty() ? findingsOf(predictors_) : LabFindings());
}

QString LabPresenter::unavailable(Page page) const {
  if (!document_.hasModel()) return tr("Open a model first.");
  if (page == Page::predictors) return {};
  if (!document_.statistics())
    return page == Page::ranks ? tr("Calibrate the model first: ranks follow from its statistics.")
                               : tr("Calibrate the model first: a plan is made from its statistics.");
  if (page == Page::variants && !hasKeyVariants(document_.plan()))
    return tr(
        "Plan anew with keys after RoPE at 16 bits first, as the method kqsvd does: there the variants can be "
        "compared.");
  return {};
}

void LabPresenter::showWork() {
  for (const Page page : LabView::kPages) {
    LabWork work;
    work.unavailable = unavailable(page);
    const auto job = std::ranges::find(jobs_.jobs(), jobOf(page), &Job::id);
    if (jobOf(page) != 0 && job != jobs_.jobs().end()) {
      work.running = job->state == Job::State::running;
      work.status = statusOf(*job);
    }
    view_.setWork(page, std::move(work));
  }
}

}  // namespace kvista
