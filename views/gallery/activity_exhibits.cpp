// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include <QUndoCommand>
#include <QUndoStack>

#include "views/gallery/gallery.h"
#include "views/history_view.h"
#include "views/jobs_view.h"
#include "views/problems_view.h"

namespace kvista {
namespace {

JobRecord jobOf(const char* id, const char* name, JobRecord::State state, double elapsed) {
  JobRecord job;
  job.id = QString::fromLatin1(id);
  job.name = QString::fromLatin1(name);
  job.state = state;
  job.elapsedSeconds = elapsed;
  return job;
}

View* makeJobs() {
  using State = JobRecord::State;
  auto* view = new JobsView;
  std::vector<JobRecord> jobs = {
      jobOf("1", "Calibrate austen-mha-30m", State::done, 187), jobOf("2", "Export dense-16", State::cancelled, 4.2),
      jobOf("3", "Measure perplexity", State::failed, 12), jobOf("4", "Open Meta-Llama-3.1-8B", State::running, 1.4),
      jobOf("5", "Calibrate austen-mha-30m", State::running, 83)};
  jobs[2].sentence = QStringLiteral("The text persuasion.txt has 812 tokens; a window needs 2,048.");
  jobs[2].hint = QStringLiteral("Choose a longer file or a shorter window.");
  jobs[2].details = QStringLiteral("evaluate: window 2048, stride 2048\ntokens 812\nengine 1.0.0, CPU, 2 cores");
  jobs[3].stage = QStringLiteral("reading the index");
  jobs[4].stage = QStringLiteral("second moments · layer 3 of 8");
  jobs[4].memory = QStringLiteral("about 2.1 GB of 12.4 GB free on CPU, 2 cores");
  jobs[4].share = 0.42;
  jobs[4].remainingSeconds = 115;
  view->setRecord(jobs);
  return view;
}

View* makeNoJobs() { return new JobsView; }

View* makeProblems() {
  using Severity = ProblemRecord::Severity;
  auto* view = new ProblemsView;
  view->setRecord(
      {{QStringLiteral("a"),
        Severity::note,
        QStringLiteral("The model was calibrated on 12,288 tokens; spectra of small eigenvalues are uncertain."),
        QStringLiteral("Calibrate on 65,536 tokens or more."),
        {}},
       {QStringLiteral("b"), Severity::error,
        QStringLiteral("Tensor model.layers.7.self_attn.k_proj.weight ends at byte 5,104,992,256, but the file has "
                       "4,976,698,672 bytes."),
        QStringLiteral("The file is cut off: download it again."),
        QStringLiteral("/models/llama-3.1-8b/model-00001-of-00004.safetensors")},
       {QStringLiteral("c"),
        Severity::warning,
        QStringLiteral("Layer 3 group 1 is locked and takes 40 % of the budget."),
        QStringLiteral("Unlock it to reach 8.0 times smaller."),
        {}}});
  return view;
}

View* makeNoProblems() { return new ProblemsView; }

View* makeHistory() {
  auto* view = new HistoryView;
  auto* stack = new QUndoStack(view);
  for (const char* name : {"Set target to 8 times smaller", "Join keys and values of layer 3", "Move K9 to group 2",
                           "Lock layer 3 group 1", "Set rank of layer 7 K group 2 to 96", "Regroup 7 layers"})
    stack->push(new QUndoCommand(QString::fromLatin1(name)));
  stack->setIndex(3);
  stack->setClean();
  stack->setIndex(5);
  view->setStack(stack);
  return view;
}

}  // namespace

Exhibit jobsExhibit() { return {"jobs", makeJobs}; }
Exhibit noJobsExhibit() { return {"jobs-none", makeNoJobs}; }
Exhibit problemsExhibit() { return {"problems", makeProblems}; }
Exhibit noProblemsExhibit() { return {"problems-none", makeNoProblems}; }
Exhibit historyExhibit() { return {"history", makeHistory}; }

}  // namespace kvista
