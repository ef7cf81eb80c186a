// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "app/cli/engine_methods.h"
#include "app/cli/option_checks.h"
#include "app/cli/verb.h"
#include "core/base/amount.h"
#include "core/io/json_file.h"
#include "core/protocol/work_records.h"

namespace kvista {
namespace {

struct Options {
  std::string subject;
  std::string prompt;
  std::int64_t tokens = 128;
  double temperature = 0;
  std::int64_t seed = 0;
  bool chat = false;
  std::string turns;
  std::string policy;
  ComputeSettings compute;
};

void add(Output& output, const char* side, const GeneratedPiece& piece) {
  output.json[side] = {{"text", piece.text}, {"tokens", piece.tokens}, {"cacheBytes", piece.cacheBytes}};
  output.text += fmt::format("{} ({}, {} of cache)\n{}\n", side, amount(piece.tokens, "token"),
                             formatBytes(static_cast<double>(piece.cacheBytes)), piece.text);
}

Result<Output> run(const Options& options, const Task& task) {
  Workspace workspace(engineSettings(options.compute));
  KVISTA_ASSIGN(nlohmann::json params, subjectParams(workspace, options.subject));
  params.update({{"prompt", options.prompt},
                 {"maxTokens", options.tokens},
                 {"temperature", options.temperature},
                 {"seed", options.seed},
                 {"chat", options.chat}});
  if (!options.turns.empty()) {
    KVISTA_ASSIGN(params["turns"], readJsonFile(options.turns));
  }
  KVISTA_CHECK(takePolicy(workspace, options.policy, params));
  KVISTA_ASSIGN(const nlohmann::json answer, askEngine(workspace, "generate", params, task));
  Output output;
  if (const std::string form = answer.value("chatTemplate", ""); !form.empty()) {
    output.json = {{"chatTemplate", form}, {"prompt", answer.at("prompt")}};
    output.text = fmt::format("chat template {}\n", form);
  }
  KVISTA_ASSIGN(const auto original, read<GeneratedPiece>(answer.at("original")));
  add(output, "original", original);
  if (answer.contains("plan")) {
    KVISTA_ASSIGN(const auto plan, read<GeneratedPiece>(answer.at("plan")));
    output.text += "\n";
    add(output, "plan", plan);
  }
  if (answer.contains("policy")) {
    KVISTA_ASSIGN(const auto policy, read<GeneratedPiece>(answer.at("policy")));
    output.text += fmt::format("\n{} under ", policy.compressed ? "plan" : "original");
    add(output, "policy", policy);
    output.json["policy"]["overPlan"] = policy.compressed;
  }
  return output;
}

}  // namespace

void addGenerate(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      addVerb(app, invocation,
              {"generate", "Let a model, and a plan beside it, go on from a text; with the sizes of both caches",
               "kvista generate demo.kvista --prompt 'It is a truth' --tokens 32"},
              options, run);
  verb->add_option("subject", options->subject, "Checkpoint, project (.kvista) or exported checkpoint")->required();
  verb->add_option("--prompt", options->prompt, "Text to go on from")->required();
  verb->add_option("--tokens", options->tokens, "At most this many are written")
      ->check(wholeNumber(1, 65536))
      ->capture_default_str();
  verb->add_option("--temperature", options->temperature,
                   "0 takes the likeliest token each time; higher draws more freely")
      ->check(numberAtLeast(0))
      ->capture_default_str();
  verb->add_option("--seed", options->seed, "The same seed draws the same tokens, for both sides")
      ->check(wholeNumber(0))
      ->capture_default_str();
  verb->add_flag("--chat", options->chat, "Put the prompt into the marks of the model's chat template");
  verb->add_option(
      "--turns", options->turns,
      "JSON file with the conversation so far: [{\"role\": \"user\", \"content\": \"...\"}, ...]; with --chat");
  verb->add_option("--policy", options->policy,
                   "Write once more with a run-time policy that keeps the cache small: 'snapkv share=.25 interval=64'; "
                   "`kvista list policies` (default: what an export records; none: without that)")
      ->check(someText("the name of a policy"));
  addComputeOptions(verb, options->compute);
}

}  // namespace kvista
