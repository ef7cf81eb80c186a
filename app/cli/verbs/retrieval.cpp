// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "app/cli/engine_methods.h"
#include "app/cli/option_checks.h"
#include "app/cli/verb.h"
#include "core/base/amount.h"
#include "core/calibration/token_source.h"

namespace kvista {
namespace {

struct Options {
  std::string subject;
  std::vector<std::string> texts;
  std::vector<int> lengths, depths;
  std::int64_t trials = 4, seed = 0, planted = 0;
  std::string kind{kRetrievalKinds.front().name};
  std::string policy;
  ComputeSettings compute;
};

std::string table(const std::string& side, const RetrievalRecord& record, const Matrix& loss, const Matrix& found) {
  std::string text =
      fmt::format("{}, {}: found, and nats a token of the answer\n  depth", side, nameIn(kRetrievalKinds, record.kind));
  for (const int length : record.lengths) text += fmt::format(" {:>15}", amount(length, "token"));
  text += "\n";
  for (int depth = 0; depth < loss.rows; ++depth) {
    text += fmt::format("{:>5} %", record.depths[static_cast<std::size_t>(depth)]);
    for (int length = 0; length < loss.columns; ++length)
      text +=
          fmt::format(" {:>15}", fmt::format("{:.0f} % {:.3f}", found.at(depth, length) * 100, loss.at(depth, length)));
    text += "\n";
  }
  return text;
}

Result<Output> run(const Options& options, const Task& task) {
  KVISTA_CHECK(checkTexts(options.texts));
  Workspace workspace(engineSettings(options.compute));
  KVISTA_ASSIGN(nlohmann::json params, subjectParams(workspace, options.subject));
  if (!options.texts.empty()) params["text"] = toJson(TextSelection{options.texts, 0, 0, 0, {}, false});
  if (!params.contains("text") && !params.contains("statistics"))
    return fail(ErrorCode::invalidArgument, "`retrieval` of a model needs --text.",
                "Name a text that sentences are planted in.");
  if (!options.lengths.empty()) params["lengths"] = options.lengths;
  if (!options.depths.empty()) params["depths"] = options.depths;
  params["kind"] = options.kind;
  if (options.planted > 0) params["planted"] = options.planted;
  params["trials"] = options.trials;
  params["seed"] = options.seed;
  KVISTA_CHECK(takePolicy(workspace, options.policy, params));
  KVISTA_ASSIGN(const nlohmann::json answer, askEngine(workspace, "retrieval", params, task));
  KVISTA_ASSIGN(const auto record, read<RetrievalRecord>(answer));
  Output output;
  output.json = {{"kind", options.kind},      {"planted", record.planted}, {"texts", record.texts},
                 {"lengths", record.lengths}, {"depths", record.depths},   {"trials", record.trials},
                 {"seed", record.seed}};
  const auto add = [&](const char* side, const std::string& title, const Matrix& loss, const Matrix& found) {
    output.json[side] = {{"loss", rowsOf(loss)}, {"found", rowsOf(found)}};
    output.text += table(title, record, loss, found);
  };
  add("original", "original", record.lossBefore, record.foundBefore);
  if (const PolicyNote policy = policyIn(answer); !policy.line.empty()) {
    add("policy", policy.title(), record.lossAfter, record.foundAfter);
    output.json["policy"].update(policy.json());
  } else if (params.contains("plan")) {
    add("plan", "plan", record.lossAfter, record.foundAfter);
  }
  return output;
}

}  // namespace

void addRetrieval(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      addVerb(app, invocation,
              {"retrieval",
               "Does what was planted far back in a text come out: a number, one of several, or a chain of variables; "
               "by depth and length",
               "kvista retrieval demo.kvista --kind multi-key --lengths 128 256 --depths 0 50 100 --trials 2"},
              options, run);
  verb->add_option("subject", options->subject, "Checkpoint, project (.kvista) or exported checkpoint")->required();
  verb->add_option("--kind", options->kind,
                   "One number; one of several that differ by a key; all variables that a chain gives a value (RULER)")
      ->check(oneOf(namesOf(kRetrievalKinds)))
      ->capture_default_str();
  verb->add_option("--planted", options->planted,
                   "Sentences: keys, or variables of the chain (default: 4 keys, 5 variables)")
      ->check(wholeNumber(1, kMostPlanted));
  verb->add_option("--text", options->texts, "Text that it is planted in (default: the calibration's)");
  verb->add_option("--lengths", options->lengths, "Tokens to read (default: up to 2048 and the halves)")
      ->check(wholeNumber(1, 1 << 20));
  verb->add_option("--depths", options->depths,
                   "Percent of the text before the sentence asked for (default: 0 25 50 75 100)")
      ->check(wholeNumber(0, 100));
  verb->add_option("--trials", options->trials, "Numbers asked for at each length and depth")
      ->check(wholeNumber(1, 1000))
      ->capture_default_str();
  verb->add_option("--seed", options->seed, "The same seed asks the same")
      ->check(wholeNumber(0))
      ->capture_default_str();
  addPolicyOption(verb, options->policy);
  addComputeOptions(verb, options->compute);
}

}  // namespace kvista
