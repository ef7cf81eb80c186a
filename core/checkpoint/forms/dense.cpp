// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>

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

using Compressed = std::vector<std::pair<Group, GroupFactors>>;  // of one layer

/// One layer's [key; value] projections with every group's rows replaced by up * down * rows; the last layer asked for stays.
class CompressedRows {
 public:
  CompressedRows(const ExportSource& source, std::vector<Compressed> compressed)
      : rows_(source.checkpoint.tensors, source.description, source.device), shape_(source.description.shape), compressed_(std::move(compressed)) {}

  Result<at::Tensor> layer(int layer) {
    if (layer == held_) return changed_;
    KVISTA_ASSIGN(const at::Tensor original, rows_.layer(layer));
    const at::Device device = original.device();
    held_ = -1;
    changed_ = original.clone();
    for (const auto& [group, factors] : compressed_[static_cast<std::size_t>(layer)]) {
      const at::Tensor columns = columnsOf(group, shape_).to(device);
      const at::Tensor latent = at::matmul(factors.down.to(device).to(at::kDouble), original.index_select(0, columns));
      changed_.index_copy_(0, columns, at::matmul(factors.up.to(device).to(at::kDouble), latent));
    }
    held_ = layer;
    return changed_;
  }

 private:
  ProjectionRows rows_;
  ModelShape shape_;
  std::vector<Compressed> compressed_;
  int held_ = -1;
  at::Tensor changed_;
};

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

/// All but the projections of keys and values.
std::vector<TensorToWrite> carried(const Checkpoint& checkpoint, const DecoderDescription& description, DataType dtype) {
  std::set<std::string_view> projections;
  for (const LayerDescription& layer : description.layers) projections.insert({layer.attention.key.weight, layer.attention.value.weight});
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, tensor] : checkpoint.tensors->tensors())
    if (!projections.contains(name)) tensors.push_back(carriedOver(checkpoint.tensors, tensor, name, dtype));
  return tensors;
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

  std::vector<Compressed> compressed(static_cast<std::size_t>(shape.layers));
  for (std::size_t i = 0; i < content.factors.size(); ++i) {
    const Group& group = content.plan.groups[i];
    if (!content.factors[i].isIdentity())
      compressed[static_cast<std::size_t>(group.slots.front().layer)].emplace_back(group, content.factors[i]);
  }
  std::vector<bool> isCompressed;
  for (const Compressed& groups : compressed) isCompressed.push_back(!groups.empty());
  const auto rows = std::make_shared<CompressedRows>(source, std::move(compressed));
  const auto& store = source.checkpoint.tensors;
  for (int layer = 0; layer < shape.layers; ++layer) {
    const AttentionDescription& attention = description.layers[static_cast<std::size_t>(layer)].attention;
    const auto add = [&](const std::string& name, std::int64_t begin, std::int64_t count) {
      const TensorInfo& tensor = store->tensors().at(name);
      if (!isCompressed[static_cast<std::size_t>(layer)]) return content.tensors.push_back(carriedOver(store, tensor, name, dtype));
      content.tensors.push_back(computed(name, tensor.shape, dtype, [rows, layer, begin, count] {
        return rows->layer(layer).map([&](const at::Tensor& all) { return all.narrow(0, begin, count); });
      }));
    };
    add(attention.key.weight, 0, shape.keyWidth());
    add(attention.value.weight, shape.keyWidth(), shape.valueWidth());
  }
  return content;
}

}  // namespace

ExportForm denseForm() {
  return {.name = "dense",
          .summary = "The original architecture with low-rank weights: runs everywhere, for evaluation; the cache is not smaller",
          .runsIn = "whatever runs the original model",
          .check = check,
          .carried = carried,
          .make = make};
}

}  // namespace kvista
