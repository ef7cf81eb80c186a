// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "app/cli/engine_methods.h"
#include "app/cli/verb.h"
#include "core/base/amount.h"
#include "core/calibration/token_source.h"

namespace kvista {
namespace {

struct Options {
  std::string subject;
  std::string words, policy;
  TextSettings text;
  ComputeSettings compute;
};

constexpr std::int64_t kMostTokens = 65536;
constexpr std::size_t kShown = 10;

/// Of all tokens that have a loss.
double meanOf(const std::vector<float>& losses) {
  double sum = 0, count = 0;
  for (const float loss : losses)
    if (std::isfinite(loss)) {
      sum += loss;
      ++count;
    }
  return count > 0 ? sum / count : 0;
}

std::string escapedPiece(const std::string& piece) {
  return nlohmann::json(piece).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// The tokens that a plan or a policy (`other`) costs most; without one, null, those that cost most.
std::string dearest(const TokenLossRecord& record, const char* other) {
  const bool hasPlan = other != nullptr;
  const auto cost = [&](std::size_t i) {
    const float value = hasPlan ? record.after[i] - record.before[i] : record.before[i];
    return std::isfinite(value) ? value : -INFINITY;
  };
  std::vector<std::size_t> order(record.pieces.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  order.resize(std::min(kShown, order.size()));
  std::vector<std::size_t> all(record.pieces.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  std::partial_sort_copy(all.begin(), all.end(), order.begin(), order.end(),
                         [&](std::size_t a, std::size_t b) { return cost(a) > cost(b); });
  std::string text = hasPlan ? fmt::format("   token   original {:>10}   change\n", other) : "   token   original\n";
  for (const std::size_t i : order) {
    if (!std::isfinite(cost(i))) continue;
    text += fmt::format("{:>8} {:>10.4f}", i, record.before[i]);
    if (hasPlan) text += fmt::format(" {:>10.4f} {:>+8.4f}", record.after[i], record.after[i] - record.before[i]);
    text += "  " + escapedPiece(record.pieces[i]) + "\n";
  }
  return text;
}

Result<Output> run(const Options& options, const Task& task) {
  if (options.words.empty() == options.text.recipe.paths.empty())
    return fail(ErrorCode::invalidArgument, "`losses` needs either --text or --words.",
                "Give a file with --text, or the text itself with --words.");
  KVISTA_CHECK(checkTexts(options.text.recipe.paths));
  Workspace workspace(engineSettings(options.compute));
  KVISTA_ASSIGN(nlohmann::json params, subjectParams(workspace, options.subject));
  params["text"] = options.words.empty() ? toJson(selectionOf(options.text)) : nlohmann::json(options.words);
  params["maxTokens"] =
      options.text.tokens > 0 ? std::clamp<std::int64_t>(options.text.tokens, 2, kMostTokens) : kMostTokens;
  KVISTA_CHECK(takePolicy(workspace, options.policy, params));
  KVISTA_ASSIGN(const nlohmann::json answer, askEngine(workspace, "tokenLosses", params, task));
  KVISTA_ASSIGN(const auto record, read<TokenLossRecord>(answer));
  const PolicyNote policy = policyIn(answer);
  const char* const other = !policy.line.empty() ? "policy" : params.contains("plan") ? "plan" : nullptr;
  const bool hasPlan = other != nullptr;
  const auto predictions = std::ranges::count_if(record.before, [](float loss) { return std::isfinite(loss); });
  const double before = meanOf(record.before), after = meanOf(record.after);
  Output output;
  output.json = {{"predictions", predictions}, {"meanBefore", before}};
  if (hasPlan) output.json["meanAfter"] = after;
  if (!policy.line.empty()) output.json["policy"] = policy.json();
  output.json["pieces"] = record.pieces;
  output.json["before"] = record.before;
  if (hasPlan) output.json["after"] = record.after;
  const std::string predicted = amount(predictions, "predicted token");
  output.text =
      hasPlan ? fmt::format("mean loss {:.4f}, {} {:.4f} ({:+.4f}) nats a token over {}\n", before,
                            policy.line.empty() ? "with the plan" : policy.title(), after, after - before, predicted)
              : fmt::format("mean loss {:.4f} nats a token over {}\n", before, predicted);
  output.text += dearest(record, other);
  return output;
}

}  // namespace

void addLosses(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = addVerb(app, invocation,
                           {"losses", "What each token of a text costs a model and a plan; --json has every token",
                            "kvista losses demo.kvista --text resources/demo/text/evaluation.txt --tokens 512"},
                           options, run);
  verb->add_option("subject", options->subject, "Checkpoint, project (.kvista) or exported checkpoint")->required();
  verb->add_option("--words", options->words, "The text itself, instead of --text");
  addTextOptions(verb, options->text, false);
  addPolicyOption(verb, options->policy);
  addComputeOptions(verb, options->compute);
}

}  // namespace kvista
