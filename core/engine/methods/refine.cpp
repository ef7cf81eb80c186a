// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// refine: a plan's factors trained, kept in a file, and measured on text that they were and were not trained on.
#include "core/refine/refine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/compress/factor_file.h"
#include "core/engine/data_folder.h"
#include "core/engine/memory_forecast.h"
#include "core/engine/methods/inputs.h"
#include "core/evaluate/perplexity.h"
#include "core/model/device.h"

namespace kvista {
namespace {

struct RefineWish {
  RefineRequest request;
  TextSelection text;
  std::optional<TextSelection> other;  ///< To measure on; absent: the windows held out of `text`.
  std::int64_t measuredWindows = 32;
  std::string output;
};

RefineWish wishOf(Fields& fields) {
  RefineWish wish;
  wish.text = fields.record<TextSelection>("text");
  wish.output = fields.text("output");
  if (fields.has("steps")) wish.request.steps = fields.count("steps", 1, 1'000'000);
  if (fields.has("minutes")) wish.request.minutes = fields.number("minutes", 1e-3, 1e5);
  if (fields.has("windowsPerStep")) wish.request.windowsPerStep = fields.count("windowsPerStep", 1, 4096);
  if (fields.has("rate")) wish.request.rate = fields.number("rate", 1e-12, 1);
  if (fields.has("seed")) wish.request.seed = static_cast<std::uint64_t>(fields.integer("seed"));
  if (fields.has("nested")) wish.request.nested = fields.boolean("nested");
  if (fields.has("evaluateOn")) wish.other = fields.record<TextSelection>("evaluateOn");
  if (fields.has("evaluateWindows")) wish.measuredWindows = fields.integer("evaluateWindows", 1);
  if (wish.other && wish.other->windows == 0) wish.other->windows = wish.measuredWindows;
  return wish;
}

std::vector<LossPoint> curveOf(const RefineResult& result, const std::optional<RefinePoint>& last) {
  std::vector<LossPoint> curve;
  for (const RefinePoint& point : result.curve) curve.push_back({point.step, point.training, point.heldOut});
  // What the held-out windows say at the end belongs to the step that was last.
  if (last && !curve.empty() && curve.back().step == last->step) curve.back().heldOut = last->heldOut;
  for (LossPoint& point : curve)
    if (point.heldOut && !std::isfinite(*point.heldOut)) point.heldOut.reset();
  return curve;
}

/// What all measurements of one refining have in common.
struct Measured {
  Call& call;
  WorkModel& model;
  const Decoder& decoder;
  PlanTransform planned, refined;

  Result<RefinedPerplexity> on(const TokenWindows& windows, std::string text) const {
    KVISTA_ASSIGN(const Perplexity original,
                  call.workspace.originalPerplexity(model, windows.ids, windows.hash, call.task));
    KVISTA_ASSIGN(const Perplexity before,
                  measurePerplexity(decoder, windows.ids, &planned, "measure the plan", call.task));
    KVISTA_ASSIGN(const Perplexity after,
                  measurePerplexity(decoder, windows.ids, &refined, "measure the refined plan", call.task));
    return RefinedPerplexity{std::move(text),       windows.hash,        after.predictions,
                             original.perplexity(), before.perplexity(), after.perplexity()};
  }
};

}  // namespace

Result<nlohmann::json> refinePlan(Call& call) {
  Fields fields(call.params, "the parameters of refine");
  RefineWish wish = wishOf(fields);
  KVISTA_ASSIGN(const Inputs inputs, openInputs(call, fields));
  KVISTA_ASSIGN(const CompressionPlan plan, planOf(inputs));
  if (!inputs.factorsPath.empty())
    return fail(ErrorCode::invalidArgument, "Refining starts from the plan's own factors; others were given.",
                "Leave 'factors' out.");
  WorkModel& model = *inputs.model;
  KVISTA_ASSIGN(const TokenWindows text, readSelection(call, model, wish.text));
  const std::int64_t heldOut = heldOutWindows(text.ids.size(0), text.ids.size(1));
  const std::int64_t used = text.ids.size(0) - heldOut;
  TokenWindows other = windowsOf(text, used, heldOut);
  if (wish.other) {
    KVISTA_ASSIGN(other, readSelection(call, model, *wish.other));
  }
  KVISTA_ASSIGN(const c10::Device device, openDevice(call.workspace.settings().device));
  const ModelShape& shape = model.description.shape;
  KVISTA_CHECK(checkMemory(refiningBytes(plan, shape, wish.request.windowsPerStep * text.ids.size(1), device), device,
                           "Refining"));
  KVISTA_ASSIGN(const auto decoder, call.workspace.decoder(model, call.task));
  KVISTA_ASSIGN(const PlanFactors factors,
                factorsOfPlan(*decoder, inputs.statistics.get(), plan, {}, model.hash, call.task));

  RefineRequest& request = wish.request;
  request.keepsBestWhenStopped = true;
  KVISTA_CHECK(makeDataFolderFor(wish.output));
  request.partialFile = wish.output + ".partial";
  request.key = fmt::format("{} {} {} {} {} {} {} {} {} {}", model.hash, fingerprint(plan), text.hash, request.seed,
                            request.steps, request.minutes.value_or(0), request.windowsPerStep, request.rate,
                            request.nested, c10::toString(decoder->options().dtype));
  std::vector<LossPoint> untold;  // Points that came too soon after the last report.
  std::optional<RefinePoint> last;
  const Task telling{call.task.stop, [&](const ProgressReport& each) {
                       if (call.report({each.stage,
                                        static_cast<std::int64_t>(each.done),
                                        static_cast<std::int64_t>(each.total),
                                        each.unit,
                                        {},
                                        {},
                                        untold}))
                         untold.clear();
                     }};
  const auto watch = [&](const RefinePoint& point) {
    last = point;
    const bool isKnown = point.heldOut && std::isfinite(*point.heldOut);
    untold.push_back({point.step, point.training, isKnown ? point.heldOut : std::nullopt});
  };
  KVISTA_ASSIGN(const RefineResult result, refine(*decoder, plan, factors, text.ids.narrow(0, 0, used),
                                                  text.ids.narrow(0, used, heldOut), request, watch, telling));
  const bool isBetter = result.bestStep > 0;
  // Kept whole, whoever stops meanwhile.
  if (isBetter) KVISTA_CHECK(saveFactors(wish.output, plan, result.factors, model.hash, Task{}));
  RefineRecord record{isBetter ? wish.output : std::string(),
                      fingerprint(plan),
                      wish.text.paths,
                      result.steps,
                      result.bestStep,
                      result.ended,
                      result.heldOutBefore,
                      result.heldOutAfter,
                      used,
                      heldOut,
                      result.seconds,
                      curveOf(result, last),
                      {}};
  const Measured measured{call, model, *decoder,
                          PlanTransform(plan, factors, decoder->shape(), decoder->options().device),
                          PlanTransform(plan, result.factors, decoder->shape(), decoder->options().device)};
  auto seen = measured.on(windowsOf(text, 0, std::min(used, wish.measuredWindows)), textInWords(wish.text));
  if (seen) {
    record.seen = *std::move(seen);
    auto unseen = measured.on(other, textInWords(wish.other.value_or(wish.text)));
    if (unseen)
      record.unseen = *std::move(unseen);
    else if (unseen.error().code != ErrorCode::cancelled)
      return tl::unexpected(std::move(unseen).error());
  } else if (seen.error().code != ErrorCode::cancelled) {
    return tl::unexpected(std::move(seen).error());
  }
  return toJson(record);
}

}  // namespace kvista
