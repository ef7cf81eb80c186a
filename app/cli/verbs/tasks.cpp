// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/evaluate/tasks.h"

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
  std::string subject;
  std::vector<std::string> files;
  std::int64_t items = 0;
  bool beginWithBos = false;
  std::string policy;
  ComputeSettings compute;
};

/// Every item of one side, by its line.
nlohmann::ordered_json itemsOf(const TaskItems& items, const TaskScores& scores) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < items.choices.size(); ++i)
    list.push_back({{"line", items.choices[i].line},
                    {"gold", items.choices[i].gold},
                    {"logLikelihoods", scores.choices[i].logLikelihoods},
                    {"likeliest", scores.choices[i].likeliest},
                    {"likeliestByBytes", scores.choices[i].likeliestByBytes}});
  for (std::size_t i = 0; i < items.writings.size(); ++i)
    list.push_back({{"line", items.writings[i].line},
                    {"written", scores.writings[i].written},
                    {"right", scores.writings[i].isRight}});
  return list;
}

Result<Output> run(const Options& options, const Task& task) {
  KVISTA_CHECK(requestOf(options.policy));  // before anything is loaded
  std::vector<TaskItems> files;
  for (const std::string& file : options.files) {
    KVISTA_ASSIGN(files.emplace_back(),
                  readTaskItems(file, options.items > 0 ? std::optional(options.items) : std::nullopt));
  }
  KVISTA_ASSIGN(const Subject subject, openSubject(options.subject, options.compute, task));
  KVISTA_ASSIGN(const Tokenizer tokenizer, tokenizerOf(subject.model.checkpoint));
  const TaskTokens tokens = taskTokensOf(subject.model.checkpoint, options.beginWithBos);
  KVISTA_ASSIGN(const std::optional<PolicyUse> policy, policyOf(subject, options.policy));
  const std::vector<SubjectSide> sides = sidesOf(subject, policy);
  Output output;
  if (policy) output.text = fmt::format("policy: {}\n", titleOf(*policy));
  output.json = nlohmann::ordered_json::object();
  for (std::size_t i = 0; i < files.size(); ++i) {
    std::vector<TaskScores> scores(sides.size());
    for (std::size_t asked = sides.size(); asked-- > 0;) {  // a policy, which may refuse, first
      const SubjectSide& side = sides[asked];
      const std::string stage = fmt::format("{}: {}", options.files[i], side.name);
      KVISTA_ASSIGN(scores[asked],
                    scoreTasks(*subject.model.decoder, tokenizer, side.cache, files[i], tokens, stage, task));
    }
    const std::size_t count = files[i].choices.size() + files[i].writings.size();
    nlohmann::ordered_json json = {
        {"file", options.files[i]}, {"items", count}, {"shortened", scores.front().shortened}};
    output.text += fmt::format("{}, {}\n  {:<12}", options.files[i], amount(count, "item"), "");
    for (const SubjectSide& side : sides) output.text += fmt::format(" {:>18}", side.name);
    output.text += sides.size() > 1 ? "   same answer\n" : "\n";
    for (const TaskMeasure& row : taskMeasuresOf(files[i], scores)) {
      output.text += fmt::format("  {:<12}", row.name);
      for (std::size_t side = 0; side < sides.size(); ++side) {
        const Accuracy& accuracy = row.sides[side];
        json[sides[side].name][std::string(row.name)] = {{"value", accuracy.share()},
                                                         {"standardError", accuracy.standardError()},
                                                         {"right", accuracy.right},
                                                         {"asked", accuracy.asked}};
        output.text +=
            fmt::format(" {:>18}", fmt::format("{:.4f} +- {:.4f}", accuracy.share(), accuracy.standardError()));
      }
      const double same = static_cast<double>(row.same) / static_cast<double>(row.sides.front().asked);
      if (sides.size() > 1) json["sameAnswer"][std::string(row.name)] = same;
      output.text += sides.size() > 1 ? fmt::format(" {:>12.1f} %\n", 100 * same) : "\n";
    }
    if (policy) json["policy"].update({{"line", toText(policy->request)}, {"overPlan", policy->plan != nullptr}});
    for (std::size_t side = 0; side < sides.size(); ++side)
      json[sides[side].name]["perItem"] = itemsOf(files[i], scores[side]);
    if (scores.front().shortened > 0)
      output.text += fmt::format(
          "  {} answers had to be asked without the beginning of their context: the model has {} positions\n",
          scores.front().shortened, subject.model.decoder->description().maximumPositions);
    output.json["files"].push_back(std::move(json));
  }
  return output;
}

}  // namespace

void addTasks(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = addVerb(
      app, invocation,
      {"tasks", "Questions with answers to choose from or to write, from JSONL as lm-evaluation-harness has them",
       "kvista tasks demo.kvista --file resources/demo/questions.jsonl"},
      options, run);
  verb->add_option("subject", options->subject, "Checkpoint, project (.kvista) or exported checkpoint")->required();
  verb->add_option("--file", options->files,
                   "JSONL: {\"query\", \"choices\", \"gold\"} or {\"prompt\", \"target\", \"until\"} a line, or what "
                   "lm_eval --log_samples wrote")
      ->required();
  verb->add_option("--items", options->items, "At most this many of each file (default: all)")->check(wholeNumber(1));
  verb->add_flag("--bos", options->beginWithBos, "Begin each question with the BOS token");
  addPolicyOption(verb, options->policy);
  addComputeOptions(verb, options->compute);
}

}  // namespace kvista
