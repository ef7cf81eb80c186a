// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// evaluate, evaluatePolicy, tokenLosses, generate: a plan, or a policy, beside the original on real text.
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/amount.h"
#include "core/engine/chat_template.h"
#include "core/engine/methods/inputs.h"
#include "core/evaluate/generate.h"
#include "core/evaluate/measure_policy.h"
#include "core/evaluate/perplexity.h"
#include "core/policy/named_policies.h"
#include "core/protocol/lab_records.h"
#include "core/text/model_tokenizer.h"

namespace kvista {
namespace {

constexpr std::int64_t kLongestText = 1 << 16;

/// Tokens that are predicted from those before them in their row; the rows' tokens one after another are the text.
struct Rows {
  std::vector<std::uint32_t> tokens;
  std::vector<std::int64_t> lengths;  ///< Of each row, none of them 0.
};

Rows inRows(std::vector<std::uint32_t> tokens, std::int64_t window, std::int64_t most) {
  if (static_cast<std::int64_t>(tokens.size()) > most) tokens.resize(static_cast<std::size_t>(most));
  Rows rows{std::move(tokens), {}};
  for (auto left = static_cast<std::int64_t>(rows.tokens.size()); left > 0; left -= rows.lengths.back())
    rows.lengths.push_back(std::min(left, window));
  return rows;
}

/// The first `most` tokens of a text that was typed, of a selection's windows or, where it asks for no windows in
/// particular, of its whole text.
Result<Rows> rowsOf(Call& call, Fields& fields, WorkModel& model, std::int64_t most) {
  KVISTA_ASSIGN(const auto tokenizer, call.workspace.tokenizer(model));
  const nlohmann::json* text = fields.find("text");
  if (!text) return tl::unexpected(*fields.error());
  Rows rows;
  std::vector<std::string> paths;
  if (text->is_string()) {
    KVISTA_ASSIGN(std::vector<std::uint32_t> tokens, tokenizer->encode(text->get_ref<const std::string&>(), true));
    rows = inRows(std::move(tokens), most, most);
  } else {
    KVISTA_ASSIGN(TextSelection selection, read<TextSelection>(*text));
    paths = selection.paths;
    const std::int64_t window = recipeOf(selection, model.description).window;
    if (selection.windows == 0 && selection.skipWindows == 0 && !selection.seed && !selection.beginWithBos) {
      KVISTA_CHECK(checkStandardInput(call, selection));
      KVISTA_ASSIGN(std::vector<std::uint32_t> tokens, readTokens(*tokenizer, selection.paths, most, call.task));
      rows = inRows(std::move(tokens), window, most);
    } else {
      const std::int64_t enough = (most + window - 1) / window;
      selection.windows = selection.windows == 0 ? enough : std::min(selection.windows, enough);
      KVISTA_ASSIGN(const TokenWindows windows, readSelection(call, model, selection));
      const at::Tensor ids = windows.ids.contiguous();
      const std::int64_t* begin = ids.const_data_ptr<std::int64_t>();
      rows = inRows({begin, begin + ids.numel()}, window, most);
    }
  }
  if (rows.tokens.size() < 2)
    return fail(ErrorCode::invalidArgument,
                fmt::format("{} {}; losses need at least 2.", textsHave(paths), amount(rows.tokens.size(), "token")),
                "Give a longer text.");
  return rows;
}

/// Of rows of one length, float32 [b, length - 1]. A policy acts first behind half of a whole row, so that a short last
/// one is read before it.
Result<at::Tensor> rowLosses(const Decoder& decoder, const at::Tensor& ids, std::int64_t whole, const CacheUse& cache,
                             const Task& task) {
  if (cache.policy == nullptr) return decoder.tokenLosses(ids, cache.transform, task);
  KVISTA_ASSIGN(const PolicySchedule schedule, scheduleOf(cache.policy->request, whole));
  KVISTA_ASSIGN(PolicyReading reading,
                PolicyReading::begin(decoder, *cache.policy, schedule.prompt, whole, ids.size(1)));
  KVISTA_ASSIGN(const at::Tensor hidden, reading.read(ids, ids.size(1), task));
  return decoder.lossesBehind(hidden, ids, task);
}

/// Of each row NaN, then one number a predicted token, nats. Rows of one length go through the model together.
Result<std::vector<float>> lossesOf(const Decoder& decoder, const Rows& rows, const CacheUse& cache, const char* stage,
                                    const Task& task) {
  const std::vector<std::int64_t> ids(rows.tokens.begin(), rows.tokens.end());
  const at::Tensor all = at::tensor(ids, at::kLong);
  const std::int64_t tokensPerBatch = decoder.tokensPerStep();
  std::vector<float> values;
  values.reserve(ids.size());
  for (std::size_t row = 0; row < rows.lengths.size();) {
    const std::int64_t length = rows.lengths[row];
    std::int64_t batch = 1;
    while (row + static_cast<std::size_t>(batch) < rows.lengths.size() &&
           rows.lengths[row + static_cast<std::size_t>(batch)] == length && (batch + 1) * length <= tokensPerBatch)
      ++batch;
    at::Tensor losses;
    const auto begin = static_cast<std::int64_t>(values.size());
    task.progress(stage, values.size(), ids.size(), "tokens");
    if (length > 1) {
      KVISTA_ASSIGN(losses, rowLosses(decoder, all.narrow(0, begin, batch * length).view({batch, length}),
                                      rows.lengths.front(), cache, task));
      losses = losses.to(at::kFloat).cpu().contiguous();
    }
    for (std::int64_t i = 0; i < batch; ++i) {
      values.push_back(std::numeric_limits<float>::quiet_NaN());
      if (length > 1)
        values.insert(values.end(), losses.const_data_ptr<float>() + i * (length - 1),
                      losses.const_data_ptr<float>() + (i + 1) * (length - 1));
    }
    row += static_cast<std::size_t>(batch);
  }
  return values;
}

/// What each token adds to the text; a character of several tokens goes to its last.
Result<std::vector<std::string>> piecesOf(const Tokenizer& tokenizer, const std::vector<std::uint32_t>& tokens,
                                          const Task& task) {
  std::vector<std::string> pieces;
  // Each is decoded behind some tokens before it: a decoder looks back (spaces, bytes of one character), but not far.
  constexpr std::size_t kBefore = 8;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    KVISTA_CHECK(task.checkStop());
    const auto begin = tokens.begin() + static_cast<std::ptrdiff_t>(i - std::min(i, kBefore));
    const auto here = tokens.begin() + static_cast<std::ptrdiff_t>(i);
    KVISTA_ASSIGN(const std::string before, tokenizer.decode({begin, here}, false));
    KVISTA_ASSIGN(const std::string with, tokenizer.decode({begin, here + 1}, false));
    const auto whole = [](std::string text) {
      while (text.ends_with("\xef\xbf\xbd")) text.resize(text.size() - 3);
      return text;
    };
    const std::string known = whole(before), grown = whole(with);
    pieces.push_back(grown.starts_with(known) ? grown.substr(known.size()) : grown);
  }
  return pieces;
}

/// Earlier turns of a conversation: {role, content} each, as transformers has them.
Result<std::vector<ChatTurn>> turnsOf(const nlohmann::json& list) {
  if (!list.is_array()) return fail(ErrorCode::invalidArgument, "The turns of the conversation are not a list.");
  std::vector<ChatTurn> turns;
  for (const nlohmann::json& each : list) {
    Fields fields(each, "a turn of the conversation");
    ChatTurn turn{fields.text("role"), fields.text("content")};
    if (fields.error()) return tl::unexpected(*fields.error());
    turns.push_back(std::move(turn));
  }
  return turns;
}

/// What a model is given to go on from. `special`: whether the tokenizer puts its own first token before it.
Result<std::vector<std::uint32_t>> promptTokens(const Tokenizer& tokenizer, const Checkpoint& checkpoint,
                                                const std::string& prompt, bool special) {
  KVISTA_ASSIGN(std::vector<std::uint32_t> tokens, tokenizer.encode(prompt, special));
  if (tokens.empty())
    if (const auto bos = bosTokenOf(checkpoint)) tokens.push_back(*bos);
  if (tokens.empty()) return fail(ErrorCode::invalidArgument, "The prompt is empty.", "Give some text to go on from.");
  if (static_cast<std::int64_t>(tokens.size()) > kLongestText)
    return fail(ErrorCode::invalidArgument,
                fmt::format("The prompt has {} tokens, at most {} are allowed.", tokens.size(), kLongestText));
  return tokens;
}

/// One of the texts that are written.
struct Writing {
  Generation generation;
  const CompressionPlan* plan;  ///< How its cache is stored; null: 16 bits.
  GeneratedPiece whole;         ///< What it has written.
  std::string pending = {};     ///< What was not sent yet.
  bool ended = false;
};

}  // namespace

Result<nlohmann::json> evaluate(Call& call) {
  Fields fields(call.params, "the parameters of evaluate");
  const auto text = fields.record<TextSelection>("text");
  KVISTA_ASSIGN(Inputs inputs, openInputs(call, fields));
  KVISTA_ASSIGN(const TokenWindows windows, readSelection(call, *inputs.model, text));
  KVISTA_ASSIGN(const auto decoder, call.workspace.decoder(*inputs.model, call.task));
  KVISTA_ASSIGN(const auto transform, transformOf(call, inputs));
  KVISTA_ASSIGN(const Perplexity before,
                call.workspace.originalPerplexity(*inputs.model, windows.ids, windows.hash, call.task));
  Perplexity after = before;
  if (transform) {
    KVISTA_ASSIGN(after, measurePerplexity(*decoder, windows.ids, transform.get(), "measure the plan", call.task));
  }
  return toJson(EvaluationRecord{textInWords(text), windows.hash,
                                 inputs.plan ? fingerprint(*inputs.plan) : std::string(), after.predictions,
                                 before.perplexity(), after.perplexity(), after.seconds});
}

Result<nlohmann::json> evaluatePolicy(Call& call) {
  Fields fields(call.params, "the parameters of evaluatePolicy");
  const auto text = fields.record<TextSelection>("text");
  fields.find("policy");  // must be given
  const std::int64_t prompt = fields.has("prompt") ? fields.integer("prompt", 1, 1 << 20) : 0;
  KVISTA_ASSIGN(std::optional<PolicyRequest> policy, policyOf(fields));
  KVISTA_ASSIGN(Inputs inputs, openInputs(call, fields));
  WorkModel& model = *inputs.model;
  KVISTA_ASSIGN(const TokenWindows windows, readSelection(call, model, text));
  KVISTA_ASSIGN(const auto decoder, call.workspace.decoder(model, call.task));
  KVISTA_ASSIGN(const auto transform, transformOf(call, inputs));
  policy->prompt = prompt;
  KVISTA_ASSIGN(const auto asked, policyUseOf(policy, inputs, transform.get()));
  const PolicyUse& use = asked.value();
  // First, as it may refuse.
  KVISTA_ASSIGN(const PolicyMeasurement under, measurePolicy(*decoder, windows.ids, use.plan, use.request, call.task));
  const auto without = [&](const CacheTransform* cache, const char* stage) {
    return measurePerplexity(*decoder, windows.ids, cache, stage, call.task, {}, under.prompt);
  };
  KVISTA_ASSIGN(const Perplexity original, without(model.ownTransform.get(), "measure the model"));
  PolicyEvaluationRecord record{.text = textInWords(text),
                                .planFingerprint = inputs.plan ? fingerprint(*inputs.plan) : std::string(),
                                .policy = toText(use.request),
                                .overPlan = use.plan != nullptr,
                                .prompt = under.prompt,
                                .predictions = under.behindPrompt.predictions,
                                .original = original.perplexity(),
                                .underPolicy = under.behindPrompt.perplexity(),
                                .bytesAtEnd = under.bytesAtEnd,
                                .bytesAtMost = under.bytesAtMost,
                                .fullBytes = under.fullBytes,
                                .tokensKept = under.tokensKept,
                                .seconds = under.all.seconds};
  if (transform) {
    KVISTA_ASSIGN(const Perplexity plan, without(transform.get(), "measure the plan"));
    record.plan = plan.perplexity();
  }
  return toJson(record);
}

Result<nlohmann::json> tokenLosses(Call& call) {
  Fields fields(call.params, "the parameters of tokenLosses");
  const std::int64_t most = fields.has("maxTokens") ? fields.integer("maxTokens", 2, kLongestText) : 512;
  KVISTA_ASSIGN(const std::optional<PolicyRequest> policy, policyOf(fields));
  KVISTA_ASSIGN(Inputs inputs, openInputs(call, fields));
  WorkModel& model = *inputs.model;
  KVISTA_ASSIGN(const Rows rows, rowsOf(call, fields, model, most));
  KVISTA_ASSIGN(const auto tokenizer, call.workspace.tokenizer(model));
  TokenLossRecord record;
  KVISTA_ASSIGN(record.pieces, piecesOf(*tokenizer, rows.tokens, call.task));
  KVISTA_ASSIGN(const auto decoder, call.workspace.decoder(model, call.task));
  KVISTA_ASSIGN(const auto transform, transformOf(call, inputs));
  KVISTA_ASSIGN(const auto use, policyUseOf(policy, inputs, transform.get()));
  if (use) {  // first, as it may refuse
    KVISTA_ASSIGN(record.after, lossesOf(*decoder, rows, CacheUse::under(*use), "measure under the policy", call.task));
  }
  KVISTA_ASSIGN(record.before, lossesOf(*decoder, rows, model.ownTransform.get(), "measure the model", call.task));
  if (!use && transform) {
    KVISTA_ASSIGN(record.after, lossesOf(*decoder, rows, transform.get(), "measure the plan", call.task));
  }
  if (record.after.empty()) record.after = record.before;
  nlohmann::json answer = toJson(record);
  notePolicy(answer, use);
  return answer;
}

Result<nlohmann::json> generate(Call& call) {
  Fields fields(call.params, "the parameters of generate");
  std::string prompt = fields.text("prompt");
  GenerationRequest request;
  request.maximumTokens = fields.has("maxTokens") ? fields.integer("maxTokens", 1, kLongestText) : 128;
  std::vector<ChatTurn> turns;
  if (fields.has("turns")) turns = fields.take("turns", turnsOf(*fields.find("turns")));
  std::vector<ChatTurn> planTurns = turns;
  if (fields.has("planTurns")) planTurns = fields.take("planTurns", turnsOf(*fields.find("planTurns")));
  const bool chat = !turns.empty() || !planTurns.empty() || (fields.has("chat") && fields.boolean("chat"));
  if (fields.has("temperature")) request.temperature = fields.number("temperature", 0, 100);
  if (fields.has("seed")) request.seed = static_cast<std::uint64_t>(fields.integer("seed"));
  KVISTA_ASSIGN(const std::optional<PolicyRequest> policy, policyOf(fields));
  std::vector<ChatTurn> policyTurns = planTurns;
  if (fields.has("policyTurns")) policyTurns = fields.take("policyTurns", turnsOf(*fields.find("policyTurns")));
  KVISTA_ASSIGN(Inputs inputs, openInputs(call, fields));
  WorkModel& model = *inputs.model;
  KVISTA_ASSIGN(const auto tokenizer, call.workspace.tokenizer(model));
  const ChatTemplate form = chat ? chatTemplateOf(model.checkpoint) : ChatTemplate();
  std::string planPrompt = prompt, policyPrompt = prompt;
  if (chat) {
    // Each side goes on from what it has said itself.
    turns.push_back({"user", prompt});
    planTurns.push_back({"user", prompt});
    policyTurns.push_back({"user", prompt});
    KVISTA_ASSIGN(prompt, inChatTemplate(form, turns));
    KVISTA_ASSIGN(planPrompt, inChatTemplate(form, planTurns));
    KVISTA_ASSIGN(policyPrompt, inChatTemplate(form, policyTurns));
  }
  KVISTA_ASSIGN(request.prompt, promptTokens(*tokenizer, model.checkpoint, prompt, !chat));
  request.endTokens = endTokensOf(model.checkpoint);
  if (const std::string end = endOfTurn(form); !end.empty()) {
    KVISTA_ASSIGN(const auto tokens, tokenizer->encode(end, false));
    if (tokens.size() == 1) request.endTokens.push_back(tokens.front());
  }
  KVISTA_ASSIGN(const auto decoder, call.workspace.decoder(model, call.task));
  KVISTA_ASSIGN(const auto transform, transformOf(call, inputs));

  GenerationRequest planRequest = request;
  if (transform && planPrompt != prompt) {
    KVISTA_ASSIGN(planRequest.prompt, promptTokens(*tokenizer, model.checkpoint, planPrompt, !chat));
  }
  std::vector<Writing> sides;
  sides.push_back(
      {Generation(*decoder, *tokenizer, model.ownTransform.get(), request), model.plan ? &*model.plan : nullptr, {}});
  if (transform)
    sides.push_back({Generation(*decoder, *tokenizer, transform.get(), planRequest),
                     &*inputs.plan,
                     {.text = {}, .compressed = true}});
  if (policy) {
    GenerationRequest policyRequest = request;
    KVISTA_ASSIGN(policyRequest.prompt, promptTokens(*tokenizer, model.checkpoint, policyPrompt, !chat));
    KVISTA_ASSIGN(const auto use, policyUseOf(policy, inputs, transform.get()));
    KVISTA_ASSIGN(Generation generation, Generation::underPolicy(*decoder, *tokenizer, std::move(policyRequest), *use));
    sides.push_back(
        {std::move(generation), nullptr, {.text = {}, .compressed = use->plan != nullptr, .underPolicy = true}});
  }
  for (std::int64_t token = 0; std::ranges::any_of(sides, [](const Writing& side) { return !side.ended; }); ++token)
    for (Writing& side : sides) {
      if (side.ended) continue;
      KVISTA_ASSIGN(const bool goesOn, side.generation.step(call.task));
      side.ended = !goesOn;
      KVISTA_ASSIGN(const std::string piece, side.generation.takeText());
      side.pending += piece;
      side.whole.text += piece;
      side.whole.tokens = side.generation.cachedTokens();
      const auto stored = side.generation.storedBytes();
      side.whole.cacheBytes = stored      ? *stored
                              : side.plan ? cacheBytes(*side.plan, decoder->shape(), side.whole.tokens)
                                          : decoder->shape().cacheBytesPerToken() * side.whole.tokens;
      GeneratedPiece sent = side.whole;
      sent.text = side.pending;
      if (!side.pending.empty() &&
          call.report({"generate", token, request.maximumTokens, "tokens", {}, std::move(sent)}))
        side.pending.clear();
    }
  nlohmann::json answer = {{"original", toJson(sides.front().whole)}, {"prompt", prompt}, {"chatTemplate", form.name}};
  if (transform) answer["plan"] = toJson(sides[1].whole);
  if (transform && planPrompt != prompt) answer["planPrompt"] = planPrompt;
  if (policy) answer["policy"] = toJson(sides.back().whole);
  return answer;
}

}  // namespace kvista
