// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/plan/predictor_kind.h"
#include "core/protocol/records.h"

/// What the evaluation lab answers, in the way of records.h.
namespace kvista {

/// One measure of a file of questions.
struct TaskMeasureRecord {
  std::string name;  ///< "acc", "acc_norm" or "exact_match".
  std::int64_t asked = 0;
  std::int64_t rightBefore = 0, rightAfter = 0;
  double errorBefore = 0, errorAfter = 0;  ///< Standard errors of the shares.
  std::int64_t same = 0;                   ///< Items that both answer alike, right or wrong.
  bool operator==(const TaskMeasureRecord&) const = default;
};

/// What both answered to one question.
struct TaskAnswerRecord {
  std::int64_t line = 0;
  std::string question;  ///< Its end.
  std::string wanted;    ///< The right answer, or all that are right.
  std::string before, after;
  bool rightBefore = false, rightAfter = false;
  /// Of a choice: log-likelihood of the right one less that of the likeliest other, nats.
  std::optional<double> marginBefore = {}, marginAfter = {};
  bool operator==(const TaskAnswerRecord&) const = default;
};

struct TaskFileRecord {
  std::string file;
  std::int64_t shortened = 0;  ///< Contexts that lost their beginning, as the model has too few positions.
  std::vector<TaskMeasureRecord> measures;
  std::vector<TaskAnswerRecord> answers;
  bool operator==(const TaskFileRecord&) const = default;
};

struct TasksRecord {
  std::string planFingerprint;
  std::vector<TaskFileRecord> files;
  std::string policy = {};  ///< Under which `after` was asked, in a line; empty: none.
  bool overPlan = false;    ///< Whether it kept small what the plan stores, not what the model makes.
  bool operator==(const TasksRecord&) const = default;
};

/// A token whose predictions differ much.
struct ComparedTokenRecord {
  std::int64_t window = 0, position = 0;
  double divergence = 0;       ///< KL(original || plan), nats.
  std::string context, text;   ///< Some tokens before it, and what the text has there.
  std::string original, plan;  ///< What each holds likeliest.
  bool operator==(const ComparedTokenRecord&) const = default;
};

/// What both wrote behind one piece of the text.
struct WrittenRecord {
  std::string prompt;
  std::int64_t same = 0;       ///< Tokens before the first that differs; all where none does.
  std::string shared;          ///< Those.
  std::string original, plan;  ///< From the first that differs.
  bool operator==(const WrittenRecord&) const = default;
};

struct AgreementRecord {
  std::string planFingerprint;
  std::vector<std::string> texts;
  std::int64_t window = 0, predictions = 0;
  double sameLikeliest = 0;                                    ///< Part of the predictions.
  double mean = 0, median = 0, percentile99 = 0, largest = 0;  ///< KL a token, nats.
  std::vector<ComparedTokenRecord> worst;                      ///< Falling.
  std::int64_t promptTokens = 0, written = 0;                  ///< Tokens of each prompt, and behind it.
  double equalTokens = 0;                 ///< Part of the written ones that are the same at their place.
  double meanFirst = 0, medianFirst = 0;  ///< Tokens before the first difference.
  std::int64_t undiverged = 0;            ///< Texts without one.
  std::vector<WrittenRecord> pairs;
  std::string policy = {};  ///< As of TasksRecord; predictions are then those behind the first half of each window.
  bool overPlan = false;
  bool operator==(const AgreementRecord&) const = default;
};

/// Which part of the attention of the next queries goes to a quarter of the keys (core/policy/attention_predictor.h):
/// those that are foretold, that got most so far (H2O), that got most from the last queries (SnapKV), that will get
/// most.
struct RecallRecord {
  double predicted = 0, accumulated = 0, recent = 0, best = 0;
  bool operator==(const RecallRecord&) const = default;
};

/// A predictor of importance that was trained.
struct PredictorRecord {
  std::string file;
  PredictorKind kind = PredictorKind::fastKvzip;
  std::int64_t windows = 0, heldOutWindows = 0, window = 0;
  double correlation = 0;                   ///< With what is true, over the windows held out.
  std::optional<RecallRecord> recall = {};  ///< Of an attention predictor, likewise.
  bool operator==(const PredictorRecord&) const = default;
};

/// Normalised effective ranks of a model's cache on one text (KV-CoRE; methods.md section 7), and what truncation costs
/// there.
struct TextRanksRecord {
  std::string statistics;  ///< The file.
  std::int64_t tokens = 0;
  int directions = 0;           ///< Of a layer's keys or values, all heads together; the more of both.
  Matrix layers;                ///< [layers, 2]: of keys and of values, all heads together.
  Matrix keyHeads, valueHeads;  ///< [layers, heads]
  /// [layers, 2]: rise of the mean loss, nats a predicted token, where one layer's keys or values alone are truncated;
  /// empty: not measured.
  Matrix losses;
  bool operator==(const TextRanksRecord&) const = default;
};
struct RanksRecord {
  double kept = 0;  ///< Part of the directions that truncation keeps; 0: none was measured.
  std::vector<TextRanksRecord> texts;
  bool operator==(const RanksRecord&) const = default;
};

/// Of one way to choose directions at a plan's ranks: |error|^2 / |what there is|^2, means over layers and heads
/// (methods.md section 6).
struct KeyVariantRecord {
  std::string method;
  double keys = 0, values = 0, logits = 0, attentionOutputs = 0;
  bool operator==(const KeyVariantRecord&) const = default;
};
struct KeyVariantsRecord {
  std::string planFingerprint;
  std::vector<KeyVariantRecord> variants;
  bool operator==(const KeyVariantsRecord&) const = default;
};

/// Perplexities on the predictions behind the first `prompt` tokens of each window: under a policy, and without it.
struct PolicyEvaluationRecord {
  std::string text;
  std::string planFingerprint;   ///< Empty: there is no plan.
  std::string policy;            ///< In a line.
  bool overPlan = false;         ///< Whether it kept small what the plan stores, not what the model makes.
  std::int64_t prompt = 0;       ///< Tokens that were read before it acted.
  std::int64_t predictions = 0;  ///< Behind them, of all windows.
  double original = 0, underPolicy = 0;
  std::optional<double> plan = {};         ///< Without the policy, where there is a plan.
  double bytesAtEnd = 0, bytesAtMost = 0;  ///< Of a window's cache, mean over windows.
  std::int64_t fullBytes = 0;              ///< The same at 16 bits.
  double tokensKept = 0;                   ///< Of a head at the end, mean over heads, layers and windows.
  double seconds = 0;
  bool operator==(const PolicyEvaluationRecord&) const = default;
};

nlohmann::json toJson(const TaskMeasureRecord& record);
nlohmann::json toJson(const TaskAnswerRecord& record);
nlohmann::json toJson(const TaskFileRecord& record);
nlohmann::json toJson(const TasksRecord& record);
nlohmann::json toJson(const ComparedTokenRecord& record);
nlohmann::json toJson(const WrittenRecord& record);
nlohmann::json toJson(const AgreementRecord& record);
nlohmann::json toJson(const RecallRecord& record);
nlohmann::json toJson(const PredictorRecord& record);
nlohmann::json toJson(const TextRanksRecord& record);
nlohmann::json toJson(const RanksRecord& record);
nlohmann::json toJson(const KeyVariantRecord& record);
nlohmann::json toJson(const KeyVariantsRecord& record);
nlohmann::json toJson(const PolicyEvaluationRecord& record);

template <>
Result<TaskMeasureRecord> read(const nlohmann::json& json);
template <>
Result<TaskAnswerRecord> read(const nlohmann::json& json);
template <>
Result<TaskFileRecord> read(const nlohmann::json& json);
template <>
Result<TasksRecord> read(const nlohmann::json& json);
template <>
Result<ComparedTokenRecord> read(const nlohmann::json& json);
template <>
Result<WrittenRecord> read(const nlohmann::json& json);
template <>
Result<AgreementRecord> read(const nlohmann::json& json);
template <>
Result<RecallRecord> read(const nlohmann::json& json);
template <>
Result<PredictorRecord> read(const nlohmann::json& json);
template <>
Result<TextRanksRecord> read(const nlohmann::json& json);
template <>
Result<RanksRecord> read(const nlohmann::json& json);
template <>
Result<KeyVariantRecord> read(const nlohmann::json& json);
template <>
Result<KeyVariantsRecord> read(const nlohmann::json& json);
template <>
Result<PolicyEvaluationRecord> read(const nlohmann::json& json);

}  // namespace kvista
