// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/evaluate/plan_errors.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "core/compress/basis.h"
#include "core/compress/chain.h"
#include "core/compress/common_layers.h"
#include "core/compress/planner.h"
#include "core/model/attention.h"
#include "core/model/torch_guard.h"

namespace kvista {
namespace {

Matrix unknown(int rows, int columns) {
  return {rows, columns,
          std::vector<float>(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns),
                             std::numeric_limits<float>::quiet_NaN())};
}

float& at(Matrix& matrix, int row, int column) {
  return matrix.values[static_cast<std::size_t>(row) * static_cast<std::size_t>(matrix.columns) +
                       static_cast<std::size_t>(column)];
}

double ratio(double error, double whole) { return whole > 0 ? error / whole : 0; }

/// Expected second moment of a group's errors, [n, n]. Codes: B diag(lambda D) B^T. Of 16-bit directions what is
/// dropped of `covariance`, whatever the directions were chosen from: (1 - B_r A_r) C (1 - B_r A_r)^T.
at::Tensor errorMoments(const GroupBasis& basis, const Group& group, const CompressionPlan& plan,
                        const at::Tensor& covariance) {
  std::vector<double> parts(group.widths.size());
  if (plan.storage == Storage::lowRank16) {
    for (std::size_t i = 0; i < parts.size(); ++i) parts[i] = group.widths[i] == 0 ? 0.0 : 1.0;
    const at::Tensor kept = at::tensor(parts, covariance.options());
    const at::Tensor lost = at::eye(covariance.size(0), covariance.options()) - at::matmul(basis.up * kept, basis.down);
    return at::matmul(at::matmul(lost, covariance), lost.t());
  }
  for (std::size_t i = 0; i < parts.size(); ++i)
    parts[i] = std::max(0.0, basis.spectrum.eigenvalues[i]) *
               (group.widths[i] == 0 ? 1.0 : basis.spectrum.distortionAt(i, group.widths[i]));
  return at::matmul(basis.up * at::tensor(parts, covariance.options()), basis.up.t());
}

constexpr std::int64_t kWindows = 4, kTokens = 256;

/// Sums of squares by head while the windows pass.
struct Sums {
  at::Tensor error, whole;  // float64 [heads]
  void add(const at::Tensor& changed, const at::Tensor& original, at::IntArrayRef dimensions) {
    const at::Tensor wide = original.to(at::kDouble);
    const at::Tensor difference = (changed.to(at::kDouble) - wide).square().sum(dimensions);
    const at::Tensor squares = wide.square().sum(dimensions);
    error = error.defined() ? error + difference : difference;
    whole = whole.defined() ? whole + squares : squares;
  }
  void write(Matrix& matrix, int row) const {
    const at::Tensor errors = error.cpu().contiguous(), squares = whole.cpu().contiguous();
    for (int head = 0; head < matrix.columns; ++head)
      at(matrix, row, head) =
          static_cast<float>(ratio(errors.const_data_ptr<double>()[head], squares.const_data_ptr<double>()[head]));
  }
};

/// [b, n, heads * d] to [b, heads, n, d].
at::Tensor byHead(const at::Tensor& outputs, std::int64_t heads) {
  return outputs.unflatten(-1, {heads, -1}).transpose(1, 2);
}

/// Scores of the pairs that attention looks at, others 0, [b, queryHeads, n, n].
at::Tensor scores(const at::Tensor& queries, const at::Tensor& keys, const std::optional<std::int64_t>& slidingWindow) {
  const std::int64_t repeats = queries.size(1) / keys.size(1);
  const at::Tensor all = at::matmul(queries, keys.repeat_interleave(repeats, 1).transpose(2, 3)).tril();
  return slidingWindow ? all.triu(1 - *slidingWindow) : all;
}

at::Tensor withBias(const at::Tensor& outputs, const at::Tensor& bias, double sign) {
  return bias.defined() ? outputs + bias * sign : outputs;
}

}  // namespace

Result<PlanErrors> errorsAtMoments(const Decoder& decoder, const Statistics& statistics, const CompressionPlan& plan,
                                   const Task& task) {
  if (plan.storage == Storage::plainQuantised) return PlanErrors{};
  return guardTorch("Working out the plan's errors", [&]() -> Result<PlanErrors> {
    const ModelShape& shape = decoder.shape();
    KVISTA_ASSIGN(const Method* method, findMethod(plan.method));
    PlanErrors errors{unknown(shape.layers, shape.kvHeads), unknown(shape.layers, shape.kvHeads), {}, {}};
    if (statistics.gradients) errors.keyLoss = errors.valueLoss = unknown(shape.layers, shape.kvHeads);
    BasisRequest seenRequest;  // what the text shows, whatever bases are made from
    seenRequest.metric = statistics.gradients ? Metric::fisher : Metric::identity;
    seenRequest.keyPosition = plan.keyPosition;
    seenRequest.withoutSinks = plan.exactTokens >= kSinkTokens;
    seenRequest.centred = plan.centred;
    std::vector<GroupBasis> chained;
    if (predictsLayers(plan)) {
      KVISTA_ASSIGN(chained, chainedBases(decoder, statistics, plan, task));
    }
    std::vector<at::Tensor> ofInputs;
    if (readsInputs(plan, shape)) {
      KVISTA_ASSIGN(const PlanFactors factors, factorsOfStatistics(decoder, &statistics, plan, task));
      KVISTA_ASSIGN(ofInputs, errorsOfInputs(decoder, statistics, plan, factors, task));
    }
    for (int layer = 0; layer < shape.layers; ++layer) {
      KVISTA_CHECK(task.checkStop());
      task.progress("errors", static_cast<std::uint64_t>(layer), static_cast<std::uint64_t>(shape.layers), "layers");
      KVISTA_ASSIGN(const LayerMoments moments,
                    LayerMoments::of(decoder, &statistics, layer, basisRequestOf(plan, *method)));
      KVISTA_ASSIGN(const LayerMoments seen, LayerMoments::of(decoder, &statistics, layer, seenRequest));
      for (std::size_t i = 0; i < plan.groups.size(); ++i) {
        const Group& group = plan.groups[i];
        // No moments say how alike two layers are.
        if (group.slots.front().layer != layer || readsAnotherLayer(plan, layer)) continue;
        KVISTA_CHECK(task.checkStop());
        at::Tensor covariance = seen.covarianceOf(group.slots), error;  // [n, n]
        if (!group.isUncompressed() && !ofInputs.empty()) {
          error = ofInputs[i];
        } else if (!group.isUncompressed() && !storesTokenNumbers(plan, layer)) {
          KVISTA_ASSIGN(const GroupBasis basis, chained.empty() ? moments.decompose(group.slots) : chained[i]);
          error = errorMoments(basis, group, plan, covariance);
        } else {
          error = covariance * 0;
        }
        if (plan.centred) covariance = covariance + at::outer(seen.meanOf(group.slots), seen.meanOf(group.slots));
        std::int64_t begin = 0;
        for (const Slot& slot : group.slots) {
          const std::int64_t width = slotWidth(slot, shape);
          const at::Tensor own = error.narrow(0, begin, width).narrow(1, begin, width);
          const at::Tensor whole = covariance.narrow(0, begin, width).narrow(1, begin, width);
          const bool isKey = slot.side == Side::key;
          at(isKey ? errors.keys : errors.values, layer, slot.head) =
              static_cast<float>(ratio(own.trace().item<double>(), whole.trace().item<double>()));
          if (statistics.gradients)
            at(isKey ? errors.keyLoss : errors.valueLoss, layer, slot.head) =
                static_cast<float>(0.5 * (seen.metricOf(slot) * own).sum().item<double>());
          begin += width;
        }
      }
    }
    return errors;
  });
}

Result<MeasuredErrors> measureErrors(const Decoder& decoder, const Statistics& statistics,
                                     const CacheTransform& transform, const Task& task) {
  return guardTorch("Measuring the plan's errors", [&]() -> Result<MeasuredErrors> {
    const ModelShape& shape = decoder.shape();
    const DecoderDescription& description = decoder.description();
    const at::Tensor& all = statistics.tokenIds;
    const at::Tensor ids =
        all.narrow(0, 0, std::min(kWindows, all.size(0))).narrow(1, 0, std::min(kTokens, all.size(1))).to(at::kLong);
    const std::int64_t tokens = ids.size(1);
    MeasuredErrors measured{unknown(shape.layers, shape.kvHeads), unknown(shape.layers, shape.kvHeads),
                            unknown(shape.layers, shape.queryHeads), unknown(shape.layers, shape.queryHeads)};
    const at::Tensor positions =
        at::arange(tokens, at::TensorOptions(at::kLong).device(decoder.options().device)).repeat({ids.size(0)});
    transform.beginPass();
    const LayerVisitor visitor = [&](const LayerRecord& record) -> Result<void> {
      const int layer = record.layer;
      KVISTA_CHECK(task.checkStop());
      task.progress("measure errors", static_cast<std::uint64_t>(layer), static_cast<std::uint64_t>(shape.layers),
                    "layers");
      const at::Tensor keyBias = decoder.keyBias(layer), valueBias = decoder.valueBias(layer);
      const KeyValues raw{withBias(record.keys, keyBias, -1), withBias(record.values, valueBias, -1),
                          record.attentionInput};
      const KeyValues changed = transform.beforeRope(layer, raw);
      const at::Tensor rotated =
          decoder.rotateKeys(layer, withBias(changed.keys, keyBias, 1).flatten(0, 1), positions, tokens);
      const at::Tensor keys = transform.afterRope(layer, rotated.unflatten(0, {ids.size(0), tokens}).transpose(1, 2));
      const AttentionDescription& attention = description.layers[static_cast<std::size_t>(layer)].attention;
      const KeyValues heads = decoder.attendedHeads(layer, keys, withBias(changed.values, valueBias, 1));
      const at::Tensor output =
          causalAttention(attention, record.rotatedQueries, heads.keys, heads.values, decoder.attentionSinks(layer));
      const at::Tensor exactKeys = decoder.attendedHeads(layer, record.rotatedKeys, record.values).keys;
      Sums keySums, valueSums, logitSums, outputSums;
      keySums.add(keys, record.rotatedKeys, {0, 2, 3});
      valueSums.add(byHead(changed.values, shape.kvHeads), byHead(raw.values, shape.kvHeads), {0, 2, 3});
      logitSums.add(scores(record.rotatedQueries, heads.keys, attention.slidingWindow),
                    scores(record.rotatedQueries, exactKeys, attention.slidingWindow), {0, 2, 3});
      outputSums.add(byHead(output, shape.queryHeads), byHead(record.attentionOutput, shape.queryHeads), {0, 2, 3});
      keySums.write(measured.keys, layer);
      valueSums.write(measured.values, layer);
      logitSums.write(measured.logits, layer);
      outputSums.write(measured.attentionOutputs, layer);
      return {};
    };
    // A record a layer.
    KVISTA_CHECK(decoder.withTokensPerStep(ids.numel()).forward(ids, nullptr, visitor, false, task));
    return measured;
  });
}

}  // namespace kvista
