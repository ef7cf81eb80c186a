// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>
#include <QStringList>
#include <vector>

#include "app/studio/document.h"
#include "app/studio/engine_jobs.h"
#include "core/protocol/lab_records.h"

namespace kvista {

/// Questions with answers, from JSONL files.
struct TasksWish {
  QStringList files;
  int items = 0;  ///< At most this many of each file; 0: all.
  bool beginWithBos = false;
  QString policy = {};  ///< In a line; empty: none.
};
/// Predictions along a text, and what both write behind its beginnings.
struct AgreementWish {
  TextSelection text;
  int prompts = 8, promptTokens = 64, written = 64;
  QString policy = {};  ///< As of TasksWish.
};
/// How many directions the cache needs on texts that the model was calibrated on.
struct RanksWish {
  QStringList statistics;  ///< Files.
  double kept = 0;         ///< Part of the directions that truncation keeps; 0: it is not measured.
  int windows = 4;         ///< To measure that on.
};
/// Sentences planted in a text and asked for at its end.
struct RetrievalWish {
  QStringList texts = {};  ///< None: the calibration's.
  RetrievalKind kind = RetrievalKind::needle;
  int planted = 0;                                 ///< Sentences; 0: the kind's usual number.
  std::vector<int> lengths = {};                   ///< Tokens; none: up to a usual window, and the halves.
  std::vector<int> depths = {0, 25, 50, 75, 100};  ///< Percent of the text before the sentence that is asked for.
  int trials = 4, seed = 0;
  QString policy = {};  ///< As of TasksWish.
};
/// Perplexity under a policy.
struct PolicyWish {
  TextSelection text;
  QString policy;
  int prompt = 0;  ///< Tokens of each window that are read before it acts; 0: half of them.
};
struct PredictorWish {
  PredictorKind kind = PredictorKind::fastKvzip;
  TextSelection text;
  QString output;  ///< Where the engine runs.
};

/// Asks the engine what the evaluation lab measures, of the document's plan beside the original, and lets it train
/// predictors. Nothing of it becomes the document's.
class Lab final : public QObject {
  Q_OBJECT

 public:
  Lab(const Document& document, EngineJobs& jobs) : document_(document), jobs_(jobs) {}

  void askQuestions(const TasksWish& wish);
  void measureAgreement(const AgreementWish& wish);
  void measureRanks(const RanksWish& wish);
  /// Of a plan that hasKeyVariants.
  void compareKeyVariants();
  void testRetrieval(const RetrievalWish& wish);
  void measureUnder(const PolicyWish& wish);
  void trainPredictor(const PredictorWish& wish);
  void cancel(std::int64_t job) { jobs_.cancel(job); }
  /// The last job of each; 0: there was none.
  [[nodiscard]] std::int64_t asking() const { return asking_; }
  [[nodiscard]] std::int64_t agreeing() const { return agreeing_; }
  [[nodiscard]] std::int64_t ranking() const { return ranking_; }
  [[nodiscard]] std::int64_t comparing() const { return comparing_; }
  [[nodiscard]] std::int64_t training() const { return training_; }

 Q_SIGNALS:
  void answered(const kvista::TasksRecord& record);
  void agreed(const kvista::AgreementRecord& record);
  void ranked(const kvista::RanksRecord& record);
  void compared(const kvista::KeyVariantsRecord& record);
  /// `under`: what was asked beside the original where that was not the plan alone: "Plan under snapkv share=0.25".
  void retrieved(const kvista::RetrievalRecord& record, const QString& under);
  void measuredUnder(const kvista::PolicyEvaluationRecord& record);
  void trained(const kvista::PredictorRecord& record);

 private:
  const Document& document_;
  EngineJobs& jobs_;
  std::int64_t asking_ = 0, agreeing_ = 0, ranking_ = 0, comparing_ = 0, training_ = 0;
};

}  // namespace kvista
