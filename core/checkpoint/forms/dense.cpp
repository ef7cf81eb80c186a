// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "core/checkpoint/forms/forms.h"
#include "core/checkpoint/stock_config.h"
#include "core/checkpoint/tensor_source.h"

namespace kvista {

namespace {

bool isRotatedKey(const CompressionPlan& plan, const Group& group) {
  return plan.keyPosition == KeyPosition::afterRope && group.slots.front().side == Side::key;
}

Result<void> check(const CompressionPlan& plan, const DecoderDescription&) {
  KVISTA_CHECK(checkPerLayerFactors(plan, "dense"));
  for (const Group& group : plan.groups) {
    const int rank = group.rank();
    if (isRotatedKey(plan, group) && rank < static_cast<int>(group.widths.size())) {
      return fail(ErrorCode::invalidArgument,
                  fmt::format("The plan compresses keys after RoPE (layer {}, head {}, and maybe others); weights of the original "
                              "architecture cannot say that, since their keys are rotated after the projection.",
                              group.slots.front().layer, group.slots.front().head),
                  "Export the form latent, or make a plan that compresses keys before RoPE.");
    }
  }
  return {};
}

/// One layer's [key; value] projections with every group's rows replaced by up * down * rows.
Result<at::Tensor> compressedRows(ProjectionRows& rows, int layer, const ModelShape& shape,
                                  const std::vector<std::pair<Group, GroupFactors>>& groups) {
  KVISTA_ASSIGN(const at::Tensor original, rows.layer(layer));
  at::Tensor changed = original.clone();
  for (const auto& [group, factors] : groups) {
    const at::Device device = original.device();
    const at::Tensor columns = columnsOf(group, shape).to(device);
    const at::Tensor latent = at::matmul(factors.down.to(device, at::kDouble), original.index_select(0, columns));
    changed.index_copy_(0, columns, at::matmul(factors.up.to(device, at::kDouble), latent));
  }
  return changed;
}

/// The plan and its factors without codes and exact tokens.
void leaveOutCoding(ExportContent& content) {
  CompressionPlan& plan = content.plan;
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    GroupFactors& factors = content.factors[i];
    if (isRotatedKey(plan, plan.groups[i])) factors = {};  // all directions are kept
    for (std::uint8_t& width : plan.groups[i].widths) width = width == 0 && !factors.isIdentity() ? 0 : 16;
    std::ranges::fill(factors.widths, std::uint8_t{16});
    if (!factors.isIdentity()) factors.steps = at::zeros_like(factors.steps);
  }
  if (plan.storage == Storage::coded)
    content.notes.push_back(
        "The codes are not part of this form: every direction that the plan keeps is written at full precision, so the "
        "quality is at least the plan's.");
  if (plan.exactTokens > 0)
    content.notes.push_back(fmt::format(
        "The first {} tokens are compressed like all others: weights cannot treat them apart.", plan.exactTokens));
  content.notes.push_back("The cache of this form is as large as the original's.");
  plan.storage = Storage::lowRank16;
  plan.keyPosition = KeyPosition::beforeRope;
  plan.exactTokens = 0;
}

Result<ExportContent> make(const ExportSource& source) {
  const DecoderDescription& description = source.description;
  const ModelShape shape = description.shape;
  const DataType dtype = source.dtype.value_or(DataType::f32);
  ExportContent content;
  content.config = stockConfig(source.checkpoint);
  content.cacheBytesPerToken = shape.cacheBytesPerToken();
  content.plan = source.plan;
  content.factors = source.factors;
  leaveOutCoding(content);

  using Compressed = std::vector<std::pair<Group, GroupFactors>>;
  std::vector<Compressed> compressed(static_cast<std::size_t>(shape.layers));
  for (std::size_t i = 0; i < content.factors.size(); ++i) {
    const Group& group = content.plan.groups[i];
    if (!content.factors[i].isIdentity())
      compressed[static_cast<std::size_t>(group.slots.front().layer)].emplace_back(group, content.factors[i]);
  }
  struct Replacement {
    int layer;
    std::int64_t begin, rows;
  };
  std::map<std::string, Replacement> replaced;
  for (int layer = 0; layer < shape.layers; ++layer) {
    const AttentionDescription& attention = description.layers[static_cast<std::size_t>(layer)].attention;
    if (compressed[static_cast<std::size_t>(layer)].empty()) continue;
    replaced[attention.key.weight] = {layer, 0, shape.keyWidth()};
    replaced[attention.value.weight] = {layer, shape.keyWidth(), shape.valueWidth()};
  }

  const auto rows = std::make_shared<ProjectionRows>(source.checkpoint.tensors, description, source.device);
  for (const auto& [name, tensor] : source.checkpoint.tensors->tensors()) {
    const auto found = replaced.find(name);
    if (found == replaced.end()) {
      content.tensors.push_back(carriedOver(source.checkpoint.tensors, tensor, name, dtype));
      continue;
    }
    const Replacement place = found->second;
    content.tensors.push_back(computed(
        name, tensor.shape, dtype,
        [rows, place, shape, groups = compressed[static_cast<std::size_t>(place.layer)]]() -> Result<at::Tensor> {
          KVISTA_ASSIGN(const at::Tensor changed, compressedRows(*rows, place.layer, shape, groups));
          return changed.narrow(0, place.begin, place.rows);
        }));
  }
  return content;
}

}  // namespace

ExportForm denseForm() {
  return {.name = "dense",
          .summary = "The original architecture with low-rank weights: runs everywhere, for evaluation; the cache is not smaller",
          .runsIn = "whatever runs the original model",
          .check = check,
          .make = make};
}

}  // namespace kvista
