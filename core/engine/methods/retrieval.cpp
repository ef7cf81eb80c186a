// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// retrieval: does what stands far back still come out?
#include "core/evaluate/retrieval.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/engine/methods/inputs.h"

namespace kvista {
namespace {

constexpr int kLongest = 1 << 20;
constexpr std::size_t kMostCells = 1024;

/// What a table has that was asked for no lengths: each half of the next, up to a usual window.
std::vector<int> usualLengths(const DecoderDescription& description) {
  std::vector<int> lengths;
  for (auto length = static_cast<int>(usualWindow(description.maximumPositions)); length >= 64 && lengths.size() < 4;
       length /= 2)
    lengths.insert(lengths.begin(), length);
  return lengths;
}

Result<std::vector<std::uint32_t>> fillerOf(Call& call, Fields& fields, const Inputs& inputs,
                                            const Tokenizer& tokenizer, std::vector<std::string>& paths) {
  if (fields.has("text")) {
    const auto text = fields.record<TextSelection>("text");
    if (fields.error()) return tl::unexpected(*fields.error());
    KVISTA_CHECK(checkStandardInput(call, text));
    paths = text.paths;
  } else if (inputs.statistics) {
    paths = inputs.statistics->recipe.paths;
  } else {
    return fail(ErrorCode::invalidArgument, "The field 'text' of the parameters is missing.",
                "Name a text that sentences are planted in.");
  }
  // Enough for many places of the longest length, and not all of a library.
  return readTokens(tokenizer, paths, std::int64_t{1} << 21, call.task);
}

/// Rows and columns of one table are all different.
Result<void> checkEachOnce(const char* what, std::vector<int> numbers) {
  std::ranges::sort(numbers);
  const auto twice = std::ranges::adjacent_find(numbers);
  if (twice == numbers.end()) return {};
  return fail(ErrorCode::invalidArgument, fmt::format("The {} {} is asked for twice.", what, *twice),
              "Ask for each once.");
}

}  // namespace

Result<nlohmann::json> retrieval(Call& call) {
  Fields fields(call.params, "the parameters of retrieval");
  RetrievalRecord record;
  if (fields.has("lengths")) record.lengths = fields.counts("lengths", 1, kLongest);
  record.depths = fields.has("depths") ? fields.counts("depths", 0, 100) : std::vector<int>{0, 25, 50, 75, 100};
  record.trials = fields.has("trials") ? fields.integer("trials", 1, 1000) : 4;
  if (fields.has("kind")) record.kind = fields.choice("kind", kRetrievalKinds);
  record.planted = fields.has("planted") ? fields.integer("planted", 1, kMostPlanted) : usualPlanted(record.kind);
  if (fields.has("seed")) record.seed = static_cast<std::uint64_t>(fields.integer("seed"));
  KVISTA_ASSIGN(const std::optional<PolicyRequest> policy, policyOf(fields));
  KVISTA_ASSIGN(Inputs inputs, openInputs(call, fields));
  WorkModel& model = *inputs.model;
  if (record.lengths.empty()) record.lengths = usualLengths(model.description);
  if (record.lengths.empty() || record.depths.empty() || record.lengths.size() * record.depths.size() > kMostCells)
    return fail(
        ErrorCode::invalidArgument,
        fmt::format("A table of {} lengths and {} depths is asked for.", record.lengths.size(), record.depths.size()),
        fmt::format("Ask for at least one of each, and for at most {} pairs.", kMostCells));
  KVISTA_CHECK(checkEachOnce("length", record.lengths));
  KVISTA_CHECK(checkEachOnce("depth", record.depths));
  const std::int64_t positions = model.description.maximumPositions;
  const int longest = *std::ranges::max_element(record.lengths);
  if (positions > 0 && longest > positions)
    return fail(ErrorCode::invalidArgument,
                fmt::format("A length of {} tokens is asked for; the model has {} positions.", longest, positions),
                "Ask for shorter lengths.");
  KVISTA_ASSIGN(const auto tokenizer, call.workspace.tokenizer(model));
  RetrievalRequest request;
  KVISTA_ASSIGN(request.filler, fillerOf(call, fields, inputs, *tokenizer, record.texts));
  request.texts = record.texts;
  request.lengths.assign(record.lengths.begin(), record.lengths.end());
  for (const int percent : record.depths) request.depths.push_back(percent / 100.0);
  request.trials = record.trials;
  request.seed = record.seed;
  request.kind = record.kind;
  request.planted = record.planted;
  KVISTA_CHECK(retrievalTrial(
      *tokenizer, request, static_cast<std::size_t>(std::ranges::max_element(record.lengths) - record.lengths.begin()),
      0, 0));
  KVISTA_ASSIGN(const auto decoder, call.workspace.decoder(model, call.task));
  KVISTA_ASSIGN(const auto transform, transformOf(call, inputs));
  KVISTA_ASSIGN(const auto use, policyUseOf(policy, inputs, transform.get()));
  std::optional<RetrievalScores> after;
  if (use) {  // first, as it may refuse
    KVISTA_ASSIGN(after, measureRetrieval(*decoder, *tokenizer, CacheUse::under(*use), request, "ask under the policy",
                                          call.task));
  }
  KVISTA_ASSIGN(RetrievalScores before,
                measureRetrieval(*decoder, *tokenizer, model.ownTransform.get(), request, "ask the model", call.task));
  if (!use && transform) {
    KVISTA_ASSIGN(after, measureRetrieval(*decoder, *tokenizer, transform.get(), request, "ask the plan", call.task));
  }
  if (!after) after = before;
  record.lossBefore = std::move(before.loss);
  record.foundBefore = std::move(before.found);
  record.lossAfter = std::move(after->loss);
  record.foundAfter = std::move(after->found);
  nlohmann::json answer = toJson(record);
  notePolicy(answer, use);
  return answer;
}

}  // namespace kvista
