// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>

#include "app/cli/model.h"
#include "app/cli/named_texts.h"
#include "app/cli/option_checks.h"
#include "app/cli/verb.h"
#include "core/base/amount.h"
#include "core/evaluate/measure_policy.h"
#include "core/evaluate/perplexity.h"
#include "core/policy/named_policies.h"

namespace kvista {
namespace {

struct Options {
  std::string subject;
  TextSettings text;
  ComputeSettings compute;
  std::string policy;  ///< See askedPolicy.
  std::optional<double> share;
  std::optional<std::int64_t> interval;
  std::int64_t prompt = 0;
  std::vector<std::string> policyOptions;  ///< "name=value" each.
};

/// What a line and the options that belong to --policy ask for together; absent for no line.
Result<std::optional<PolicyRequest>> requestOf(const Options& options, std::string line) {
  if (line.empty() || line == kNoPolicy) {
    if (!options.share && !options.interval && options.prompt == 0 && options.policyOptions.empty())
      return std::nullopt;
    return fail(ErrorCode::invalidArgument, "--policy none is measured without a policy, but more is said of one.",
                "Leave that out, or name the policy.");
  }
  // Behind the line, so that what stands in it and is an option besides is said twice.
  if (options.share) line += fmt::format(" share={}", *options.share);
  if (options.interval) line += fmt::format(" interval={}", *options.interval);
  KVISTA_ASSIGN(PolicyRequest request, policyFromText(line));
  request.prompt = options.prompt;
  for (const std::string& option : options.policyOptions) {
    const std::size_t equals = option.find('=');
    if (equals == std::string::npos || equals == 0)
      return fail(ErrorCode::invalidArgument, fmt::format("--policy-option is \"{}\".", option),
                  "It has the form name=value; `kvista list policies` says the names.");
    KVISTA_CHECK(addOption(request, option.substr(0, equals), option.substr(equals + 1)));
  }
  return request;
}

/// Refuses, before the factors of a project are made, a way to hold tokens that cannot hold what its plan stores.
Result<void> checkGoesWithProject(const std::string& subject, const std::optional<PolicyRequest>& request) {
  if (!request || !looksLikeProject(subject)) return {};
  KVISTA_ASSIGN(const NamedPolicies named, policiesNamed(request->policy));
  if (named.holder == nullptr || named.holder->needsPlan) return {};
  KVISTA_ASSIGN(const Project project, loadProject(subject));
  if (!named.holder->takesPlan) return checkHoldsLatents(*named.holder, project.plan);
  KVISTA_ASSIGN(const NamedSettings settings, settingsOf(named, *request));
  KVISTA_ASSIGN(const Checkpoint checkpoint, openCheckpoint(project.model));
  KVISTA_ASSIGN(const DecoderDescription description, describe(checkpoint));
  return checkMergesLayers(settings.holder.count("layers"), &project.plan, description.shape);
}

/// That of `--policy`, or what the subject's export records.
Result<std::optional<PolicyRequest>> policyOf(const Options& options, const Subject& subject) {
  KVISTA_ASSIGN(auto request, requestOf(options, askedPolicy(options.policy, subject.recordedPolicy)));
  // An export's own weights are not those that its gate was made for.
  if (request && (subject.project || !subject.plan)) {
    KVISTA_ASSIGN(request->model, contentHash(subject.model.checkpoint));
  }
  return request;
}

/// Under a policy, and without it on the very same predictions: those behind the prompt.
Result<Output> runPolicy(const Subject& subject, const TokenWindows& windows, const PolicyRequest& request,
                         const Task& task, const ProcessGroup& processes) {
  KVISTA_ASSIGN(const PolicyMeasurement result,
                measurePolicy(*subject.model.decoder, windows.ids, subject.transform.get(), request, task, processes));
  nlohmann::ordered_json without;
  std::string beside;
  for (const SubjectSide& side : sidesOf(subject)) {
    KVISTA_ASSIGN(const Perplexity whole,
                  measurePerplexity(*subject.model.decoder, windows.ids, side.cache.transform,
                                    fmt::format("{} without the policy", side.name), task, processes, result.prompt));
    without[side.name] = {{"perplexityBehindPrompt", whole.perplexity()},
                          {"meanNllBehindPrompt", whole.meanLoss},
                          {"perWindowMeanNll", whole.windowLosses}};
    beside += fmt::format("{}{} {:.4f}", beside.empty() ? "" : ", ", side.name, whole.perplexity());
  }
  Output output;
  output.json = {{"policy", request.policy},
                 {"perplexity", result.all.perplexity()},
                 {"perplexityBehindPrompt", result.behindPrompt.perplexity()},
                 {"meanNll", result.all.meanLoss},
                 {"meanNllBehindPrompt", result.behindPrompt.meanLoss},
                 {"predictions", result.all.predictions},
                 {"predictionsBehindPrompt", result.behindPrompt.predictions},
                 {"windows", windows.ids.size(0)},
                 {"window", windows.ids.size(1)},
                 {"prompt", result.prompt},
                 {"interval", request.interval},
                 {"share", result.shareAtEnd()},
                 {"bytesAtEnd", result.bytesAtEnd},
                 {"bytesAtMost", result.bytesAtMost},
                 {"fullBytes", result.fullBytes},
                 {"tokensKept", result.tokensKept},
                 {"perWindowMeanNll", result.behindPrompt.windowLosses},
                 {"withoutPolicy", std::move(without)},
                 {"seconds", result.all.seconds}};
  output.text = fmt::format(
      "{}: perplexity {:.4f} behind the prompt of {} ({:.4f} over all; {} of {})\n"
      "without it on the same predictions: {}\n"
      "{} of cache at the end, {:.4f} of the 16-bit cache's ({} at most); a head keeps {:.1f} tokens; {:.1f} s\n",
      request.policy, result.behindPrompt.perplexity(), amount(result.prompt, "token"), result.all.perplexity(),
      amount(windows.ids.size(0), "window"), windows.ids.size(1), beside, formatBytes(result.bytesAtEnd),
      result.shareAtEnd(), formatBytes(result.bytesAtMost), result.tokensKept, result.all.seconds);
  return output;
}

/// Each text in a row of its own, and all of them together; under a policy the predictions behind the prompt, without
/// it too.
Result<Output> measureEach(const Options& options, const std::vector<NamedText>& texts, const Task& task) {
  if (!options.text.recipe.weights.empty())
    return fail(ErrorCode::invalidArgument, "Texts with names are measured one by one, so --weights has no meaning.",
                "Leave out --weights, or the names.");
  for (const NamedText& text : texts) KVISTA_CHECK(checkTexts(text.paths));
  KVISTA_ASSIGN(const ProcessGroup processes, joinProcesses(options.compute));
  KVISTA_ASSIGN(const Subject subject, openSubject(options.subject, options.compute, task, processes));
  KVISTA_ASSIGN(const std::optional<PolicyRequest> policy, policyOf(options, subject));
  std::vector<TokenWindows> windows;
  for (const NamedText& text : texts) {
    TextSettings settings = options.text;
    settings.recipe.paths = text.paths;
    KVISTA_ASSIGN(windows.emplace_back(), readText(subject.model, settings, task, processes));
  }
  const std::vector<SubjectSide> sides = sidesOf(subject);
  std::vector<const char*> columns;
  for (const SubjectSide& side : sides) columns.push_back(side.name);
  if (policy) columns.push_back("policy");
  std::vector<std::vector<Perplexity>> measured(columns.size());
  Output output;
  if (policy) output.text = fmt::format("behind the prompt of each window, policy: {}\n", toText(*policy));
  output.text += fmt::format("{:<20} {:>12}", "text", "predictions");
  for (const char* column : columns) output.text += fmt::format(" {:>12}", column);
  output.text += columns.size() > 1 ? "  change, nats\n" : "\n";
  const auto addRow = [&](const std::string& name, nlohmann::ordered_json& json, const auto& perplexityOf) {
    json["predictions"] = perplexityOf(0).predictions;
    output.text += fmt::format("{:<20} {:>12}", name, perplexityOf(0).predictions);
    for (std::size_t column = 0; column < columns.size(); ++column) {
      const Perplexity& each = perplexityOf(column);
      json[columns[column]] = {{"perplexity", each.perplexity()}, {"meanNll", each.meanLoss}};
      output.text += fmt::format(" {:>12.4f}", each.perplexity());
    }
    output.text +=
        columns.size() > 1
            ? fmt::format(" {:>+13.5f}\n", perplexityOf(columns.size() - 1).meanLoss - perplexityOf(0).meanLoss)
            : "\n";
  };
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    std::int64_t prompt = 0;
    if (policy) {  // first, as it may refuse
      KVISTA_ASSIGN(PolicyMeasurement under, measurePolicy(*subject.model.decoder, windows[i].ids,
                                                           subject.transform.get(), *policy, task, processes));
      prompt = under.prompt;
      measured.back().push_back(std::move(under.behindPrompt));
    }
    for (std::size_t side = 0; side < sides.size(); ++side) {
      const std::string stage = fmt::format("{} on {}", sides[side].name, texts[i].name);
      KVISTA_ASSIGN(measured[side].emplace_back(),
                    measurePerplexity(*subject.model.decoder, windows[i].ids, sides[side].cache.transform, stage, task,
                                      processes, prompt));
    }
    nlohmann::ordered_json row = {{"name", texts[i].name},
                                  {"paths", texts[i].paths},
                                  {"windows", windows[i].ids.size(0)},
                                  {"window", windows[i].ids.size(1)}};
    addRow(texts[i].name, row, [&](std::size_t side) -> const Perplexity& { return measured[side].back(); });
    rows.push_back(std::move(row));
  }
  std::vector<Perplexity> together;
  for (const auto& side : measured) together.push_back(togetherOf(side));
  nlohmann::ordered_json total;
  addRow("all", total, [&](std::size_t side) -> const Perplexity& { return together[side]; });
  output.json = {{"texts", std::move(rows)},
                 {"total", std::move(total)},
                 {"bytesPerToken",
                  subject.plan ? bytesPerToken(*subject.plan) : subject.model.decoder->shape().cacheBytesPerToken()}};
  if (policy) output.json["policy"] = toText(*policy);
  return output;
}

Result<Output> run(const Options& options, const Task& task) {
  KVISTA_ASSIGN(const std::vector<NamedText> texts, namedTexts(options.text.recipe.paths));
  KVISTA_ASSIGN(const std::optional<PolicyRequest> asked, requestOf(options, options.policy));
  KVISTA_CHECK(checkGoesWithProject(options.subject, asked));  // before anything is loaded
  if (!texts.empty()) return measureEach(options, texts, task);
  KVISTA_CHECK(checkTexts(options.text.recipe.paths));
  KVISTA_ASSIGN(const ProcessGroup processes, joinProcesses(options.compute));
  KVISTA_ASSIGN(const Subject subject, openSubject(options.subject, options.compute, task, processes));
  KVISTA_ASSIGN(const TokenWindows windows, readText(subject.model, options.text, task, processes));
  KVISTA_ASSIGN(const std::optional<PolicyRequest> policy, policyOf(options, subject));
  if (policy) return runPolicy(subject, windows, *policy, task, processes);
  KVISTA_ASSIGN(const Perplexity result, measurePerplexity(*subject.model.decoder, windows.ids, subject.transform.get(),
                                                           "evaluate", task, processes));
  const std::int64_t bytes =
      subject.plan ? bytesPerToken(*subject.plan) : subject.model.decoder->shape().cacheBytesPerToken();
  Output output;
  output.json = {{"perplexity", result.perplexity()},
                 {"meanNll", result.meanLoss},
                 {"predictions", result.predictions},
                 {"windows", windows.ids.size(0)},
                 {"window", windows.ids.size(1)},
                 {"tokensInText", windows.tokensInText},
                 {"bytesPerToken", bytes},
                 {"perWindowMeanNll", result.windowLosses},
                 {"seconds", result.seconds}};
  output.text =
      fmt::format("perplexity {:.4f} over {} ({} of {}), {} of cache a token, {:.1f} s\n", result.perplexity(),
                  amount(result.predictions, "predicted token"), amount(windows.ids.size(0), "window"),
                  windows.ids.size(1), formatBytes(static_cast<double>(bytes)), result.seconds);
  return output;
}

struct CompareOptions {
  std::string first, second;
  TextSettings text;
  ComputeSettings compute;
};

Result<Output> compare(const CompareOptions& options, const Task& task) {
  KVISTA_CHECK(checkTexts(options.text.recipe.paths));
  KVISTA_ASSIGN(const ProcessGroup processes, joinProcesses(options.compute));
  KVISTA_ASSIGN(const Subject first, openSubject(options.first, options.compute, task, processes));
  KVISTA_ASSIGN(const Subject second, openSubject(options.second, options.compute, task, processes));
  for (const Subject* each : {&first, &second})
    if (!each->recordedPolicy.empty())
      spdlog::warn("The policy '{}' that an export records is not compared; `kvista evaluate` applies it.",
                   each->recordedPolicy);
  KVISTA_ASSIGN(const TokenWindows firstText, readText(first.model, options.text, task, processes));
  KVISTA_ASSIGN(const TokenWindows secondText, readText(second.model, options.text, task, processes));
  if (firstText.hash != secondText.hash)
    return fail(ErrorCode::invalidArgument,
                fmt::format("{} and {} cut the text into different tokens, so their losses say different things.",
                            options.first, options.second),
                "Compare models with the same tokenizer.");
  KVISTA_ASSIGN(const Perplexity a, measurePerplexity(*first.model.decoder, firstText.ids, first.transform.get(),
                                                      options.first, task, processes));
  KVISTA_ASSIGN(const Perplexity b, measurePerplexity(*second.model.decoder, firstText.ids, second.transform.get(),
                                                      options.second, task, processes));
  const auto bytes = [](const Subject& subject) {
    return subject.plan ? bytesPerToken(*subject.plan) : subject.model.decoder->shape().cacheBytesPerToken();
  };
  const double difference = b.meanLoss - a.meanLoss;
  const std::optional<double> standardError = standardErrorOfDifference(a.windowLosses, b.windowLosses);
  Output output;
  output.json = {{"a",
                  {{"path", options.first},
                   {"perplexity", a.perplexity()},
                   {"meanNll", a.meanLoss},
                   {"bytesPerToken", bytes(first)}}},
                 {"b",
                  {{"path", options.second},
                   {"perplexity", b.perplexity()},
                   {"meanNll", b.meanLoss},
                   {"bytesPerToken", bytes(second)}}},
                 {"meanNllDifference", difference},
                 {"standardError", standardError ? nlohmann::ordered_json(*standardError) : nullptr},
                 {"predictions", a.predictions}};
  output.text = fmt::format(
      "                 perplexity   bytes a token\n  A  {:>20.4f} {:>15}   {}\n  B  {:>20.4f} {:>15}   {}\n"
      "B loses {:+.5f}{} nats a token against A ({:+.2f} % perplexity)\n",
      a.perplexity(), bytes(first), options.first, b.perplexity(), bytes(second), options.second, difference,
      standardError ? fmt::format(" +- {:.5f}", *standardError) : "", (std::exp(difference) - 1) * 100);
  return output;
}

}  // namespace

void addEvaluate(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      addVerb(app, invocation,
              {"evaluate",
               "Perplexity of a model, a plan or an exported checkpoint on a text; on several with names (--text "
               "NAME=FILE), original beside plan",
               "kvista evaluate demo.kvista --text resources/demo/text/evaluation.txt --window 256 --windows 16", true},
              options, run);
  verb->add_option("subject", options->subject, "Checkpoint, project (.kvista) or exported checkpoint")->required();
  addTextOptions(verb, options->text);
  auto* policy =
      verb->add_option("--policy", options->policy,
                       "Keep each window's cache small while it is read; `kvista list policies`. Two together: "
                       "snapkv+fp8. In a line: 'snapkv share=.25 interval=64 window=16' (default: what an export "
                       "records; none: without that)")
          ->check(someText("the name of a policy"));
  verb->add_option("--policy-share", options->share,
                   "Bytes of the cache over those of the 16-bit cache, whenever the policy has acted (default: 1). "
                   "Ways to hold tokens are fitted to it as of when they act last: without --interval, the prompt's "
                   "end")
      ->check(positiveNumber(1))
      ->needs(policy);
  verb->add_option("--prompt", options->prompt,
                   "Tokens that are read before the policy acts (default: half of the window)")
      ->check(wholeNumber(1))
      ->needs(policy);
  verb->add_option(
          "--interval", options->interval,
          "The policy acts again after each so many tokens (default: never, and what follows the prompt stays)")
      ->check(wholeNumber(1))
      ->needs(policy);
  verb->add_option("--policy-option", options->policyOptions, "One of the policy's options; may be given several times")
      ->needs(policy)
      ->type_name("NAME=VALUE")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);
  addComputeOptions(verb, options->compute);
}

void addCompare(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<CompareOptions>();
  CLI::App* verb =
      addVerb(app, invocation,
              {"compare", "Two models, plans or exports on the same text: perplexity, bytes, difference with its error",
               "kvista compare resources/demo/model demo-small --text resources/demo/text/evaluation.txt --window 256 "
               "--windows 16",
               true},
              options, compare);
  verb->add_option("a", options->first, "Checkpoint, project or export")->required();
  verb->add_option("b", options->second, "Checkpoint, project or export")->required();
  addTextOptions(verb, options->text);
  addComputeOptions(verb, options->compute);
}

}  // namespace kvista
