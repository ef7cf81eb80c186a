// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/evaluate/agreement.h"

#include <fmt/format.h>

#include "app/cli/model.h"
#include "app/cli/option_checks.h"
#include "app/cli/verb.h"
#include "core/base/amount.h"
#include "core/policy/named_policies.h"
#include "core/text/model_tokenizer.h"

namespace kvista {
namespace {

struct Options {
  std::string subject, original, policy;
  std::int64_t prompts = 8, promptTokens = 64, written = 64, worst = 10;
  TextSettings text;
  ComputeSettings compute;
};

nlohmann::ordered_json worstOf(const std::vector<ComparedWords>& words) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const ComparedWords& each : words)
    list.push_back({{"window", each.window},
                    {"position", each.position},
                    {"divergence", each.divergence},
                    {"context", each.context},
                    {"text", each.text},
                    {"original", each.original},
                    {"plan", each.plan}});
  return list;
}

std::string quoted(const nlohmann::ordered_json& json, const char* field) {
  return json[field].dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

Result<Output> run(const Options& options, const Task& task) {
  KVISTA_CHECK(checkTexts(options.text.recipe.paths));
  KVISTA_CHECK(requestOf(options.policy));  // before anything is loaded
  KVISTA_ASSIGN(const Subject subject, openSubject(options.subject, options.compute, task));
  KVISTA_ASSIGN(const std::optional<PolicyUse> policy, policyOf(subject, options.policy));
  std::optional<Subject> other;
  if (!options.original.empty()) {
    KVISTA_ASSIGN(other, openSubject(options.original, options.compute, task));
  } else if (!subject.project && !policy) {
    return fail(ErrorCode::invalidArgument,
                fmt::format("{} is no project, so it says not what to compare it with.", options.subject),
                "Name the original with --original, or a run-time policy with --policy.");
  }
  const AgreementSide plan{*subject.model.decoder,
                           policy ? CacheUse::under(*policy) : CacheUse(subject.transform.get())};
  const AgreementSide original = other ? AgreementSide{*other->model.decoder, other->transform.get()}
                                       : AgreementSide{*subject.model.decoder, sidesOf(subject).front().cache};
  KVISTA_ASSIGN(const Tokenizer tokenizer, tokenizerOf(subject.model.checkpoint));
  KVISTA_ASSIGN(const TokenWindows windows, readText(subject.model, options.text, task));
  if (other) {
    KVISTA_ASSIGN(const TokenWindows otherWindows, readText(other->model, options.text, task));
    if (otherWindows.hash != windows.hash)
      return fail(ErrorCode::invalidArgument,
                  fmt::format("{} and {} cut the text into different tokens.", options.subject, options.original),
                  "Compare models with the same tokenizer.");
  }
  TextSettings prompts = options.text;
  prompts.recipe.window = options.promptTokens;
  prompts.windows = options.prompts;
  prompts.tokens = 0;
  KVISTA_ASSIGN(const TokenWindows starts, readText(subject.model, prompts, task));
  KVISTA_ASSIGN(const TextAgreement read,
                compareOnText(original, plan, windows.ids, static_cast<std::size_t>(options.worst), task));
  KVISTA_ASSIGN(const auto pairs, writeBoth(original, plan, tokenizer, starts.ids, options.written, task));
  const WritingAgreement written = agreementOf(pairs);
  KVISTA_ASSIGN(const std::vector<ComparedWords> words, inWords(read.worst, windows.ids, tokenizer));
  nlohmann::ordered_json worst = worstOf(words);
  Output output;
  if (policy)
    output.text =
        fmt::format("{}, behind the first {} of each window\n", titleOf(*policy), amount(read.prompt, "token"));
  output.text += fmt::format(
      "reading {}: {:.2f} % have the same likeliest token; KL(original || plan) mean {:.5f}, median {:.5f}, 99th "
      "percentile {:.5f}, largest {:.4f} nats\n"
      "writing {} behind {} of {}: {:.2f} % are the same; the first that differs comes after {:.1f} on average, {:.1f} "
      "in the median; {} never {}\n",
      amount(read.predictions, "token"), 100 * read.sameLikeliest, read.mean, read.median, read.percentile99,
      read.largest, amount(options.written, "token"), amount(pairs.size(), "prompt"), options.promptTokens,
      100 * written.equalTokens, written.meanDivergence, written.medianDivergence, amount(written.undiverged, "text"),
      written.undiverged == 1 ? "differs" : "differ");
  if (!worst.empty()) output.text += "where they differ most\n    nats  likeliest by original, by plan; the text\n";
  for (const auto& each : worst)
    output.text +=
        fmt::format("{:>8.4f}  {}, {}; {} behind {}\n", each["divergence"].get<double>(), quoted(each, "original"),
                    quoted(each, "plan"), quoted(each, "text"), quoted(each, "context"));
  output.json = {{"reading",
                  {{"predictions", read.predictions},
                   {"window", windows.ids.size(1)},
                   {"sameLikeliest", read.sameLikeliest},
                   {"divergence",
                    {{"mean", read.mean},
                     {"median", read.median},
                     {"percentile99", read.percentile99},
                     {"largest", read.largest}}},
                   {"worst", std::move(worst)},
                   {"divergences", read.divergences}}},
                 {"writing",
                  {{"prompts", pairs.size()},
                   {"promptTokens", options.promptTokens},
                   {"tokens", options.written},
                   {"equalTokens", written.equalTokens},
                   {"meanFirstDivergence", written.meanDivergence},
                   {"medianFirstDivergence", written.medianDivergence},
                   {"firstDivergences", written.firstDivergences},
                   {"undiverged", written.undiverged}}}};
  if (policy)
    output.json["policy"] = {
        {"line", toText(policy->request)}, {"overPlan", policy->plan != nullptr}, {"prompt", read.prompt}};
  return output;
}

}  // namespace

void addAgreement(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      addVerb(app, invocation,
              {"agreement",
               "How far a plan says what the original says: predictions along a text, and what both write behind its "
               "beginnings",
               "kvista agreement demo.kvista --text resources/demo/text/evaluation.txt --window 256 --windows 16"},
              options, run);
  verb->add_option("subject", options->subject,
                   "Project (.kvista); or a checkpoint or an export with --original or --policy")
      ->required();
  verb->add_option("--original", options->original, "What to compare with (default: the project's model as it is)");
  addTextOptions(verb, options->text);
  verb->add_option("--prompts", options->prompts, "Pieces of the text that both write on from")
      ->check(wholeNumber(1, 65536))
      ->capture_default_str();
  verb->add_option("--prompt-tokens", options->promptTokens, "Tokens of each")
      ->check(wholeNumber(2, 1 << 20))
      ->capture_default_str();
  verb->add_option("--write", options->written, "Tokens that both write behind each")
      ->check(wholeNumber(1, 65536))
      ->capture_default_str();
  verb->add_option("--worst", options->worst, "Tokens to show whose predictions differ most")
      ->check(wholeNumber(0, 10000))
      ->capture_default_str();
  addPolicyOption(verb, options->policy);
  addComputeOptions(verb, options->compute);
}

}  // namespace kvista
