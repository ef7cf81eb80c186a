// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/calibration/summing_pass.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/amount.h"
#include "core/model/device.h"
#include "core/model/non_finite.h"

namespace kvista {
namespace {

/// The record without its first `windows`.
LayerRecord withoutFirst(const LayerRecord& record, std::int64_t windows) {
  LayerRecord rest = record;
  rest.firstWindow += windows;
  for (at::Tensor* tensor :
       {&rest.attentionInput, &rest.keys, &rest.values, &rest.rotatedKeys, &rest.rotatedQueries, &rest.attentionOutput,
        &rest.gradientKeys, &rest.gradientValues, &rest.gradientRotatedKeys})
    if (tensor->defined()) *tensor = tensor->narrow(0, windows, tensor->size(0) - windows);
  return rest;
}

}  // namespace

SummingPass::SummingPass(const Decoder& decoder, const at::Tensor& ids, bool gradients, std::int64_t tokensPerStep,
                         std::vector<LayerAccumulator>& layers)
    : decoder_(decoder),
      ids_(ids),
      gradients_(gradients),
      tokensPerStep_(tokensPerStep),
      windowsAtATime_(decoder.withTokensPerStep(tokensPerStep).windowsPerPass(ids.size(1), gradients)),
      layers_(layers) {}

// Between passes what they have had is kept for the next, since pinning memory takes long.
SummingPass::~SummingPass() { giveBackUnused(decoder_.options().device); }

Result<void> SummingPass::addRecord(LayerRecord record, std::int64_t first) {
  std::int64_t& next = next_[static_cast<std::size_t>(record.layer)];
  const std::int64_t begin = first + record.firstWindow, end = begin + record.keys.size(0);
  if (end <= next) return {};
  if (begin < next) record = withoutFirst(record, next - begin);
  const AttentionDescription& attention =
      decoder_.description().layers[static_cast<std::size_t>(record.layer)].attention;
  layers_[static_cast<std::size_t>(record.layer)].add(
      record, decoder_.keyBias(record.layer), decoder_.valueBias(record.layer), attention, first + record.firstWindow);
  next = end;
  return {};
}

Result<double> SummingPass::tryToAdd(const Decoder& decoder, std::int64_t first, std::int64_t count, const Task& task) {
  const at::Tensor ids = ids_.narrow(0, first, count);
  const LayerVisitor visitor = [&](const LayerRecord& record) { return addRecord(record, first); };
  double loss = 0;
  bool isFinite = true;
  if (gradients_) {
    KVISTA_ASSIGN(loss, decoder.forwardBackward(ids, visitor, task));
    isFinite = std::isfinite(loss);
  } else {
    KVISTA_ASSIGN(const ForwardResult result, decoder.forward(ids, nullptr, visitor, false, task));
    isFinite = result.hiddenLast.isfinite().all().item<bool>();
  }
  if (!isFinite) return tl::unexpected(nonFiniteError(decoder, ids, nullptr, first, task));
  return loss;
}

Result<double> SummingPass::add(std::int64_t first, std::int64_t count, const Task& task) {
  const std::int64_t window = ids_.size(1);
  next_.assign(layers_.size(), first);
  double loss = 0;
  for (std::int64_t done = 0; done < count;) {
    const std::int64_t batch = std::min(windowsAtATime_, count - done);
    const auto added = tryToAdd(decoder_.withTokensPerStep(tokensPerStep_), first + done, batch, task);
    if (added) {
      loss += *added;
      done += batch;
      continue;
    }
    const std::int64_t together = std::min(batch, std::max<std::int64_t>(1, tokensPerStep_ / window));
    if (added.error().code != ErrorCode::outOfMemory || together == 1) return added;
    tokensPerStep_ = together / 2 * window;
    if (!decoder_.options().streamLayers) windowsAtATime_ = together / 2;
    giveBackUnused(decoder_.options().device);
    task.progress(fmt::format("memory ran out with {} at a time; {} at a time from here", amount(together, "window"),
                              together / 2),
                  static_cast<std::uint64_t>(first + done), static_cast<std::uint64_t>(ids_.size(0)), "windows");
  }
  return loss;
}

}  // namespace kvista
