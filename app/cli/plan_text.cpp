// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/cli/plan_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "app/cli/option_checks.h"
#include "core/compress/layouts.h"
#include "core/compress/measures/measures.h"
#include "core/compress/method.h"
#include "core/io/sharing_map.h"
#include "core/plan/allocate.h"
#include "core/plan/cost.h"
#include "core/plan/device_profiles.h"
#include "core/plan/plan_names.h"

namespace kvista {
namespace {

/// "2%" or "0.02" as a fraction.
Result<double> parseLoss(const std::string& text) {
  std::size_t used = 0;
  double value = 0;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  const bool percent = used + 1 == text.size() && text.back() == '%';
  if (used == 0 || (used != text.size() && !percent))
    return fail(ErrorCode::invalidArgument, fmt::format("\"{}\" is not an allowed loss.", text),
                "Give a rise of perplexity such as 2%.");
  return percent ? value / 100 : value;
}

std::string slotsInWords(const Group& group) {
  std::vector<std::string> names;
  for (const Slot& slot : group.slots)
    names.push_back(fmt::format("{}{}", slot.side == Side::key ? 'K' : 'V', slot.head));
  if (names.size() > 6) return fmt::format("{} .. {}", names.front(), names.back());
  return fmt::format("{}", fmt::join(names, " "));
}

std::string widthsInWords(const Group& group) {
  std::map<int, int, std::greater<>> counts;
  for (const int width : group.widths)
    if (width > 0) ++counts[width];
  std::vector<std::string> parts;
  for (const auto& [width, count] : counts) parts.push_back(fmt::format("{}x{}", count, width));
  return fmt::format("{}", fmt::join(parts, " "));
}

nlohmann::ordered_json orNull(const std::optional<double>& value) {
  return value ? nlohmann::ordered_json(*value) : nullptr;
}

std::string_view whyNotPredicted(const CompressionPlan& plan) {
  if (!plan.sharedFrom.empty()) return "as the statistics do not say what reading another layer's cache costs";
  if (plan.storage == Storage::plainQuantised) return "as quantisation without a basis has no spectra";
  return "without statistics that have gradients";
}

constexpr int kLargestRank = 1 << 20;  // beyond any model

}  // namespace

void addPlanOptions(CLI::App* verb, PlanSettings& settings) {
  std::vector<std::string> groupings;
  for (const auto& [name, summary] : layoutNames()) groupings.emplace_back(name);
  verb->add_option("--method", settings.method, "See `kvista list methods`")
      ->check(oneOf(namesOf(methods())))
      ->capture_default_str();
  const auto target = [&](const char* name, auto& value, const char* description) {
    return verb->add_option(name, value, description)
        ->group("How small the cache shall be (one of these; default: 8 times smaller)");
  };
  target("--times-smaller", settings.timesSmaller, "Times smaller than the 16-bit cache")->check(numberAtLeast(1));
  target("--share", settings.share, "Share of the 16-bit cache's bytes, above 0 and at most 1")
      ->check(positiveNumber(1));
  target("--bytes-per-token", settings.bytesPerToken, "Bytes a token over all layers")->check(numberAtLeast(1));
  target("--max-loss", settings.maxLoss, "Largest predicted rise of perplexity, such as 2%");
  target("--keep", settings.keep, "Kept fraction of numbers, for 16-bit methods")->check(positiveNumber(1));
  target("--eps", settings.eps,
         "With --allocator head-mean: heads of a layer lose at most this, squared, of their energy in the mean, such "
         "as 0.1")
      ->check(CLI::Range(1e-6, 0.999999));
  verb->add_option("--grouping", settings.grouping, "Instead of the method's; see `kvista list groupings`")
      ->check(oneOf(groupings));
  verb->add_option("--measure", settings.measure, "Similarity that groupings look at; see `kvista list measures`")
      ->check(oneOf(namesOf(measures())));
  verb->add_option("--group-size", settings.groupSize, "Heads a group")->check(wholeNumber(1, 65536));
  verb->add_option("--allocator", settings.allocator, "Instead of the method's; see `kvista list allocators`")
      ->check(oneOf(namesOf(allocators())));
  verb->add_option("--metric", settings.metric, "Instead of the method's")->check(oneOf(namesOf(kMetrics)));
  verb->add_option("--damping", settings.damping,
                   "Add this part of each head's mean weight to its metric, such as 0.03")
      ->check(numberAtLeast(0));
  verb->add_flag("--sink-free", settings.sinkFree,
                 "Take bases from the tokens beyond the first 4 of each window, as methods do that keep those exact");
  verb->add_flag("--centred", settings.centred,
                 "Take bases around the mean over tokens, which is put back when the cache is read");
  verb->add_flag("--compensate", settings.compensate,
                 "Fit each layer to what the compressed layers before it hand on, if that helps on held-out text");
  verb->add_flag("--no-whitening", settings.unwhitened,
                 "Decompose the weights alone, as if the text's inputs were all alike");
  verb->add_flag("--no-calibration", settings.uncalibrated,
                 "Leave out the offline calibration of values of methods that have one (recalkv)");
  verb->add_option("--chain", settings.chain,
                   "So many adjacent layers are coded as what the decoded layer before does not predict; 1: none")
      ->check(wholeNumber(1, kMaxChain));
  // Not bound to the optional: CLI11 would say no for who says nothing.
  verb->add_flag_function(
      "--trellis,!--no-trellis", [&settings](std::int64_t given) { settings.trellis = given > 0; },
      "Codes of up to 4 bits go through a trellis: less loss for the same bytes, more work for each new token");
  verb->add_flag_function(
      "--token-numbers,!--no-token-numbers", [&settings](std::int64_t given) { settings.tokenNumbers = given > 0; },
      "The first layer stores the numbers of tokens, 4 bytes each, and predicts layers that no other predicts");
  verb->add_option("--sharing", settings.sharing,
                   "File that says which layer's cache each layer reads, from `kvista sharing`");
  verb->add_option("--rank-step", settings.rankStep, "Ranks come in multiples of this")->check(wholeNumber(1, 1024));
  verb->add_option("--min-rank", settings.minimumRank, "Directions that every group keeps at least")
      ->check(wholeNumber(1, kLargestRank));
  verb->add_option("--max-rank", settings.maximumRank, "Directions that every group keeps at most")
      ->check(wholeNumber(1, kLargestRank));
  verb->add_option("--profile", settings.profile, "Device that decoding shall be affordable on")
      ->check(oneOf(namesOf(deviceProfiles())))
      ->capture_default_str();
  verb->add_option("--context", settings.context, "Tokens in the cache while decoding, for its cost")
      ->check(wholeNumber(1, std::int64_t{1} << 30))
      ->capture_default_str();
  verb->add_option("--batch", settings.batch, "Sequences decoded together, for its cost")
      ->check(wholeNumber(1, 1 << 20))
      ->capture_default_str();
}

Result<PlanRequest> requestOf(const PlanSettings& settings, const Target& usual) {
  std::vector<std::string_view> targets;
  if (settings.timesSmaller > 0) targets.emplace_back("--times-smaller");
  if (settings.share > 0) targets.emplace_back("--share");
  if (settings.bytesPerToken > 0) targets.emplace_back("--bytes-per-token");
  if (!settings.maxLoss.empty()) targets.emplace_back("--max-loss");
  if (settings.keep > 0) targets.emplace_back("--keep");
  if (settings.eps > 0) targets.emplace_back("--eps");
  if (targets.size() > 1)
    return fail(ErrorCode::invalidArgument,
                fmt::format("{} were given, but a plan has one target.", fmt::join(targets, " and ")),
                "Leave out all but one.");
  PlanRequest request;
  request.method = settings.method;
  request.target = usual;
  if (settings.eps > 0) {
    request.eps = settings.eps;
    request.target = {Target::Kind::share, 1};
  }
  if (settings.share > 0) request.target = {Target::Kind::share, settings.share};
  if (settings.timesSmaller > 0) request.target = {Target::Kind::share, 1 / settings.timesSmaller};
  if (settings.bytesPerToken > 0) request.target = {Target::Kind::bytesPerToken, settings.bytesPerToken};
  if (settings.keep > 0) request.target = {Target::Kind::keptFraction, settings.keep};
  if (!settings.maxLoss.empty()) {
    KVISTA_ASSIGN(const double loss, parseLoss(settings.maxLoss));
    request.target = {Target::Kind::maxLoss, loss};
  }
  if (!settings.grouping.empty()) request.grouping = settings.grouping;
  if (!settings.measure.empty()) request.measure = settings.measure;
  if (!settings.allocator.empty()) request.allocator = settings.allocator;
  for (const auto& named : kMetrics)
    if (named.name == settings.metric) request.metric = named.value;
  request.damping = settings.damping;
  request.sinkFree = settings.sinkFree;
  request.centred = settings.centred;
  request.compensate = settings.compensate;
  request.unwhitened = settings.unwhitened;
  request.uncalibrated = settings.uncalibrated;
  if (!settings.sharing.empty()) {
    KVISTA_ASSIGN(const SharingMap map, readSharingMap(settings.sharing));
    request.sharedFrom = map.sharedFrom;
  }
  if (settings.chain > 0) request.chain = settings.chain;
  request.trellis = settings.trellis;
  request.tokenNumbers = settings.tokenNumbers;
  if (settings.groupSize > 0) request.groupSize = settings.groupSize;
  if (settings.rankStep > 0) request.rankStep = settings.rankStep;
  if (settings.minimumRank > 0) request.minimumRank = settings.minimumRank;
  if (settings.maximumRank > 0) request.maximumRank = settings.maximumRank;
  request.device = settings.profile;
  request.context = settings.context;
  request.batch = static_cast<int>(settings.batch);
  return request;
}

Output describePlan(const PlannedPlan& planned, const ModelShape& shape, double baseLoss, const std::string& device) {
  const auto profile = findDeviceProfile(device);
  const CompressionPlan& plan = planned.plan;
  const std::optional<double> loss = planned.correctedLoss ? planned.correctedLoss : planned.predictedLoss;
  const auto perplexity = [&](const std::optional<double>& rise) -> std::optional<double> {
    if (!rise || baseLoss <= 0) return std::nullopt;
    return std::exp(baseLoss + *rise);
  };
  nlohmann::ordered_json groups = nlohmann::ordered_json::array();
  nlohmann::ordered_json ranks = nlohmann::ordered_json::array();
  nlohmann::ordered_json widths = nlohmann::ordered_json::array();
  std::string table;
  for (const Group& group : plan.groups) {
    const int layer = group.slots.front().layer;
    const bool isNumbered = storesTokenNumbers(plan, layer), isReader = readsAnotherLayer(plan, layer);
    const std::int64_t bytes = bytesPerToken(plan, group) + (isNumbered ? kTokenNumberBytes : 0);
    ranks.push_back(group.rank());
    widths.push_back(group.widths);
    groups.push_back({{"layer", layer},
                      {"slots", slotsInWords(group)},
                      {"size", group.widths.size()},
                      {"rank", group.rank()},
                      {"bytesPerToken", bytes},
                      {"locked", group.locked}});
    table += fmt::format("  {:>5}  {:<24} {:>5} of {:<5} {:>7} B  {}\n", layer, slotsInWords(group), group.rank(),
                         group.widths.size(), bytes,
                         isNumbered ? "numbers of tokens"
                         : isReader ? fmt::format("reads layer {}", plan.sharedFrom[static_cast<std::size_t>(layer)])
                                    : widthsInWords(group));
  }
  if (plan.tokenNumbers) table += "  the numbers of tokens in layer 0 predict layers that no other predicts\n";
  if (plan.chain > 1)
    table += fmt::format("  chains of {} layers: each is coded as what the decoded one before does not predict\n",
                         plan.chain);
  if (plan.trellis) table += "  codes of up to 4 bits go through a trellis\n";
  const std::int64_t full = shape.cacheBytesPerToken();
  const double achieved = share(plan, shape);
  Output output;
  output.json = {{"method", plan.method},
                 {"compensated", plan.compensated},
                 {"share", achieved},
                 {"keptFraction", keptFraction(plan, shape)},
                 {"timesSmaller", 1 / achieved},
                 {"bytesPerToken", planned.achievedBytes},
                 {"requestedBytesPerToken", planned.requestedBytes},
                 {"fullBytesPerToken", full},
                 {"predictedLoss", orNull(loss)},
                 {"predictedLossRaw", orNull(planned.predictedLoss)},
                 {"basePerplexity", baseLoss > 0 ? nlohmann::ordered_json(std::exp(baseLoss)) : nullptr},
                 {"predictedPerplexity", orNull(perplexity(loss))},
                 {"predictedPerplexityRaw", orNull(perplexity(planned.predictedLoss))},
                 {"cost",
                  {{"extraParameters", planned.cost.extraParameters},
                   {"multiplyAddsPerCachedToken", planned.cost.multiplyAddsPerCachedToken},
                   {"secondsPerToken", planned.cost.secondsPerToken},
                   {"fullSecondsPerToken", planned.cost.fullSecondsPerToken},
                   {"profile", device},
                   {"profileIsMeasured", profile && isMeasured(**profile)}}},
                 {"waterline", planned.waterline},
                 {"note", planned.note},
                 {"fingerprint", fingerprint(plan)},
                 {"ranks", std::move(ranks)},
                 {"widths", std::move(widths)},
                 {"sharedFrom", plan.sharedFrom},
                 {"chain", plan.chain},
                 {"trellis", plan.trellis},
                 {"tokenNumbers", plan.tokenNumbers},
                 {"groups", std::move(groups)}};
  output.text = fmt::format("  layer  slots                     rank          bytes    directions x bits\n{}\n", table);
  output.text += fmt::format("method {}{}: {} of {} bytes a token ({:.2f} times smaller; {} requested)\n", plan.method,
                             plan.compensated ? ", compensated" : "", planned.achievedBytes, full, 1 / achieved,
                             planned.requestedBytes);
  if (const auto after = perplexity(loss))
    output.text += fmt::format(
        "predicted perplexity ~{:.2f} where the model has {:.2f} ({:+.2f} %; second order alone: ~{:.2f})\n", *after,
        std::exp(baseLoss), (std::exp(*loss) - 1) * 100, *perplexity(planned.predictedLoss));
  else if (loss)
    output.text += fmt::format("predicted rise of the loss ~{:.4f} nats a token\n", *loss);
  else
    output.text +=
        fmt::format("no perplexity is predicted, {}; `kvista evaluate` measures it\n", whyNotPredicted(plan));
  if (profile && planned.cost.fullSecondsPerToken > 0)
    output.text +=
        fmt::format("decoding takes ~{:.2f} of the uncompressed time ({})\n",
                    planned.cost.secondsPerToken / planned.cost.fullSecondsPerToken, profileInWords(**profile));
  if (!planned.note.empty()) output.text += planned.note + "\n";
  return output;
}

}  // namespace kvista
