// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// tasks, agreement, trainPredictor, ranks, keyVariants: questions with answers, how far a plan says what the original
// says, what foretells importance, how many directions a cache needs, and which of them serve best.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <limits>

#include "core/engine/analysis.h"
#include "core/engine/data_folder.h"
#include "core/engine/methods/inputs.h"
#include "core/evaluate/agreement.h"
#include "core/evaluate/key_variants.h"
#include "core/evaluate/tasks.h"
#include "core/io/atomic_file.h"
#include "core/policy/named_policies.h"
#include "core/policy/train_predictor.h"
#include "core/protocol/lab_records.h"

namespace kvista {
namespace {

/// The last bytes of a text, from the beginning of a character on.
std::string endOf(const std::string& text) {
  constexpr std::size_t kBytes = 400;
  if (text.size() <= kBytes) return text;
  std::size_t begin = text.size() - kBytes;
  while (begin < text.size() && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) ++begin;
  return text.substr(begin);
}

/// By how much the right answer is likelier than the likeliest other one, nats.
double marginOf(const ChoiceItem& item, const ChoiceScore& score) {
  double other = std::numeric_limits<double>::lowest();
  for (std::size_t i = 0; i < score.logLikelihoods.size(); ++i)
    if (i != item.gold) other = std::max(other, score.logLikelihoods[i]);
  return score.logLikelihoods[item.gold] - other;
}

TaskFileRecord recordOf(const std::string& file, const TaskItems& items, const TaskScores& before,
                        const TaskScores& after) {
  TaskFileRecord record{file, before.shortened, {}, {}};
  for (const TaskMeasure& measure : taskMeasuresOf(items, {before, after})) {
    const Accuracy &one = measure.sides.front(), &other = measure.sides.back();
    record.measures.push_back({std::string(measure.name), one.asked, one.right, other.right, one.standardError(),
                               other.standardError(), measure.same});
  }
  for (std::size_t i = 0; i < items.choices.size(); ++i) {
    const ChoiceItem& item = items.choices[i];
    const std::size_t one = before.choices[i].likeliest, other = after.choices[i].likeliest;
    record.answers.push_back({item.line, endOf(item.context), item.continuations[item.gold], item.continuations[one],
                              item.continuations[other], one == item.gold, other == item.gold,
                              marginOf(item, before.choices[i]), marginOf(item, after.choices[i])});
  }
  for (std::size_t i = 0; i < items.writings.size(); ++i) {
    const WritingItem& item = items.writings[i];
    const WritingScore &one = before.writings[i], &other = after.writings[i];
    record.answers.push_back({item.line, endOf(item.context), fmt::format("{}", fmt::join(item.targets, ", ")),
                              one.written, other.written, one.isRight, other.isRight});
  }
  std::ranges::stable_sort(record.answers, {}, &TaskAnswerRecord::line);
  return record;
}

Result<std::vector<WrittenRecord>> wordsOf(const std::vector<WrittenPair>& pairs,
                                           const std::vector<std::int64_t>& partings, const at::Tensor& prompts,
                                           const Tokenizer& tokenizer) {
  std::vector<WrittenRecord> records;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const auto& [original, plan] = pairs[i];
    const at::Tensor prompt = prompts[static_cast<std::int64_t>(i)].contiguous();
    const auto* ids = prompt.const_data_ptr<std::int64_t>();
    WrittenRecord record;
    record.same = partings[i];
    const auto parting = static_cast<std::ptrdiff_t>(record.same);
    KVISTA_ASSIGN(record.prompt, tokenizer.decode({ids, ids + prompt.numel()}, false));
    KVISTA_ASSIGN(record.shared, tokenizer.decode({original.begin(), original.begin() + parting}, false));
    KVISTA_ASSIGN(record.original, tokenizer.decode({original.begin() + parting, original.end()}, false));
    KVISTA_ASSIGN(record.plan, tokenizer.decode({plan.begin() + parting, plan.end()}, false));
    records.push_back(std::move(record));
  }
  return records;
}

template <class Record>
void notePolicy(Record& record, const std::optional<PolicyUse>& policy) {
  if (!policy) return;
  record.policy = toText(policy->request);
  record.overPlan = policy->plan != nullptr;
}

std::string fingerprintOf(const Inputs& inputs) { return inputs.plan ? fingerprint(*inputs.plan) : std::string(); }

}  // namespace

Result<nlohmann::json> tasks(Call& call) {
  Fields fields(call.params, "the parameters of tasks");
  const std::int64_t most = fields.has("items") ? fields.integer("items") : 0;
  const bool beginWithBos = fields.has("beginWithBos") && fields.boolean("beginWithBos");
  KVISTA_ASSIGN(const std::optional<PolicyRequest> policy, policyOf(fields));
  KVISTA_ASSIGN(Inputs inputs, openInputs(call, fields));
  const std::vector<std::string> files = fields.texts("files");
  if (fields.error()) return tl::unexpected(*fields.error());
  if (files.empty())
    return fail(ErrorCode::invalidArgument, "No file of questions is named.", "Name at least one JSONL file.");
  std::vector<TaskItems> items;
  for (const std::string& file : files) {
    KVISTA_ASSIGN(items.emplace_back(), readTaskItems(file, most > 0 ? std::optional(most) : std::nullopt));
  }
  WorkModel& model = *inputs.model;
  KVISTA_ASSIGN(const auto tokenizer, call.workspace.tokenizer(model));
  KVISTA_ASSIGN(const auto decoder, call.workspace.decoder(model, call.task));
  KVISTA_ASSIGN(const auto transform, transformOf(call, inputs));
  KVISTA_ASSIGN(const auto use, policyUseOf(policy, inputs, transform.get()));
  const TaskTokens tokens = taskTokensOf(model.checkpoint, beginWithBos);
  TasksRecord record{.planFingerprint = fingerprintOf(inputs), .files = {}};
  for (std::size_t i = 0; i < files.size(); ++i) {
    const std::string name = std::filesystem::path(files[i]).filename().string();
    std::optional<TaskScores> after;
    if (use) {  // first, as it may refuse
      KVISTA_ASSIGN(after, scoreTasks(*decoder, *tokenizer, CacheUse::under(*use), items[i], tokens,
                                      name + ": ask under the policy", call.task));
    }
    KVISTA_ASSIGN(const TaskScores before, scoreTasks(*decoder, *tokenizer, model.ownTransform.get(), items[i], tokens,
                                                      name + ": ask the model", call.task));
    if (!use && transform) {
      KVISTA_ASSIGN(after, scoreTasks(*decoder, *tokenizer, transform.get(), items[i], tokens, name + ": ask the plan",
                                      call.task));
    }
    record.files.push_back(recordOf(files[i], items[i], before, after.value_or(before)));
  }
  notePolicy(record, use);
  return toJson(record);
}

Result<nlohmann::json> agreement(Call& call) {
  Fields fields(call.params, "the parameters of agreement");
  const auto text = fields.record<TextSelection>("text");
  TextSelection beginnings = text;
  beginnings.windows = fields.has("prompts") ? fields.integer("prompts", 1, 65536) : 8;
  beginnings.window = fields.has("promptTokens") ? fields.integer("promptTokens", 2, 1 << 20) : 64;
  const std::int64_t tokens = fields.has("write") ? fields.integer("write", 1, 65536) : 64;
  const std::int64_t worst = fields.has("worst") ? fields.integer("worst", 0, 10000) : 10;
  KVISTA_ASSIGN(const std::optional<PolicyRequest> policy, policyOf(fields));
  KVISTA_ASSIGN(Inputs inputs, openInputs(call, fields));
  if (!policy) KVISTA_CHECK(planOf(inputs));
  WorkModel& model = *inputs.model;
  KVISTA_ASSIGN(const TokenWindows windows, readSelection(call, model, text));
  KVISTA_ASSIGN(const TokenWindows prompts, readSelection(call, model, beginnings));
  KVISTA_ASSIGN(const auto tokenizer, call.workspace.tokenizer(model));
  KVISTA_ASSIGN(const auto decoder, call.workspace.decoder(model, call.task));
  KVISTA_ASSIGN(const auto transform, transformOf(call, inputs));
  KVISTA_ASSIGN(const auto use, policyUseOf(policy, inputs, transform.get()));
  const AgreementSide original{*decoder, model.ownTransform.get()};
  const AgreementSide plan{*decoder, use ? CacheUse::under(*use) : CacheUse(transform.get())};
  KVISTA_ASSIGN(const TextAgreement read,
                compareOnText(original, plan, windows.ids, static_cast<std::size_t>(worst), call.task));
  KVISTA_ASSIGN(const auto words, inWords(read.worst, windows.ids, *tokenizer));
  KVISTA_ASSIGN(const auto pairs, writeBoth(original, plan, *tokenizer, prompts.ids, tokens, call.task));
  const WritingAgreement written = agreementOf(pairs);
  AgreementRecord record{fingerprintOf(inputs),
                         text.paths,
                         windows.ids.size(1),
                         read.predictions,
                         read.sameLikeliest,
                         read.mean,
                         read.median,
                         read.percentile99,
                         read.largest,
                         {},
                         prompts.ids.size(1),
                         tokens,
                         written.equalTokens,
                         written.meanDivergence,
                         written.medianDivergence,
                         written.undiverged,
                         {}};
  for (const ComparedWords& each : words)
    record.worst.push_back(
        {each.window, each.position, each.divergence, each.context, each.text, each.original, each.plan});
  KVISTA_ASSIGN(record.pairs, wordsOf(pairs, written.firstDivergences, prompts.ids, *tokenizer));
  notePolicy(record, use);
  return toJson(record);
}

Result<nlohmann::json> trainPredictorFor(Call& call) {
  Fields fields(call.params, "the parameters of trainPredictor");
  const auto text = fields.record<TextSelection>("text");
  const auto kind = fields.has("kind") ? fields.choice("kind", kPredictorKinds) : PredictorKind::fastKvzip;
  const double ridge = fields.has("ridge") ? fields.number("ridge", 0) : kUsualRidge;
  const std::string output = fields.text("output");
  KVISTA_ASSIGN(const Inputs inputs, openInputs(call, fields));
  WorkModel& model = *inputs.model;
  if (model.plan)
    return fail(
        ErrorCode::invalidArgument,
        fmt::format("{} is an export; a predictor is trained for an original model.", model.checkpoint.path.string()),
        "Give the original model.");
  for (const std::string& path : text.paths)
    if (std::error_code error; std::filesystem::equivalent(path, output, error))
      return fail(ErrorCode::invalidArgument, fmt::format("{} is a text to train on and would be replaced.", output),
                  "Give the file another name.");
  KVISTA_CHECK(makeDataFolderFor(output));
  KVISTA_CHECK(checkWritable(output));
  KVISTA_ASSIGN(const TokenWindows windows, readSelection(call, model, text));
  KVISTA_ASSIGN(const auto decoder, call.workspace.decoder(model, call.task));
  KVISTA_ASSIGN(const TrainedPredictor trained,
                trainPredictor(kind, *decoder, windows.ids, ridge, output, model.hash, call.task));
  PredictorRecord record{
      output, kind, trained.windows, trained.heldOutWindows, windows.ids.size(1), trained.correlation};
  if (const auto& recall = trained.recall)
    record.recall = {recall->predicted, recall->accumulated, recall->recent, recall->best};
  return toJson(record);
}

Result<nlohmann::json> ranks(Call& call) {
  Fields fields(call.params, "the parameters of ranks");
  RanksRecord record;
  record.kept = fields.has("kept") ? fields.number("kept", 0, 1) : 0;
  const std::int64_t windows = fields.has("windows") ? fields.integer("windows", 1, 65536) : 4;
  KVISTA_ASSIGN(const Inputs inputs, openInputs(call, fields));
  const std::vector<std::string> files = fields.texts("texts");
  if (fields.error()) return tl::unexpected(*fields.error());
  if (files.empty())
    return fail(ErrorCode::invalidArgument, "No statistics are named.",
                "Name at least one file that calibrating has written.");
  std::vector<std::shared_ptr<const Statistics>> texts;
  for (const std::string& file : files) {
    KVISTA_ASSIGN(texts.emplace_back(), call.workspace.statistics(file, *inputs.model));
  }
  KVISTA_ASSIGN(const auto decoder, call.workspace.decoder(*inputs.model, call.task));
  for (std::size_t i = 0; i < files.size(); ++i) {
    KVISTA_ASSIGN(record.texts.emplace_back(), textRanksOf(*decoder, *texts[i], record.kept, windows, call.task));
    record.texts.back().statistics = files[i];
  }
  return toJson(record);
}

Result<nlohmann::json> keyVariants(Call& call) {
  Fields fields(call.params, "the parameters of keyVariants");
  KVISTA_ASSIGN(const Inputs inputs, openInputsWithStatistics(call, fields));
  KVISTA_ASSIGN(const CompressionPlan plan, planOf(inputs));
  KVISTA_ASSIGN(const auto decoder, call.workspace.decoder(*inputs.model, call.task));
  KVISTA_ASSIGN(const auto variants, compareKeyVariants(*decoder, *inputs.statistics, plan, call.task));
  KeyVariantsRecord record{fingerprint(plan), {}};
  for (const VariantErrors& each : variants)
    record.variants.push_back({each.name, each.keys, each.values, each.logits, each.attentionOutputs});
  return toJson(record);
}

}  // namespace kvista
