// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <set>

#include "core/checkpoint/forms/forms.h"
#include "core/checkpoint/stock_config.h"
#include "core/checkpoint/tensor_source.h"
#include "core/compress/common_heads.h"
#include "core/compress/method.h"

namespace kvista {

namespace {

/// Key-value heads of one layer that become one: places in the plan of its keys and of its values.
struct MergedHead {
  std::size_t keys = 0, values = 0;
};

std::vector<MergedHead> mergedHeads(const CompressionPlan& plan, int layer) {
  std::vector<MergedHead> heads;
  const auto headsOf = [](const Group& group) {
    std::vector<int> list;
    for (const Slot& slot : group.slots) list.push_back(slot.head);
    return list;
  };
  for (std::size_t keys = 0; keys < plan.groups.size(); ++keys) {
    const Slot& first = plan.groups[keys].slots.front();
    if (first.layer != layer || first.side != Side::key) continue;
    for (std::size_t values = 0; values < plan.groups.size(); ++values) {
      const Slot& other = plan.groups[values].slots.front();
      if (other.layer == layer && other.side == Side::value &&
          headsOf(plan.groups[values]) == headsOf(plan.groups[keys]))
        heads.push_back({keys, values});
    }
  }
  return heads;
}

Result<void> checkModel(const DecoderDescription& description) {
  const auto refuse = [&](std::string_view what) {
    return fail(ErrorCode::invalidArgument,
                fmt::format("Models of the family {} have no form gqa: {}.", description.shape.family, what),
                "Export the form latent.");
  };
  for (const LayerDescription& layer : description.layers) {
    const AttentionDescription& attention = layer.attention;
    if (attention.latent) return refuse("their cache is one latent already");
    if (attention.keyNorm || attention.queryNorm)
      return refuse("a norm stands between projections and keys, which a common head cannot be brought through");
    if (!attention.key.bias.empty() || !attention.value.bias.empty())
      return refuse("each key-value head has a bias of its own, which a common head cannot have");
    if (attention.clip > 0) return refuse("keys and values are clamped, which a common head would be at other places");
    if (!attention.sinks.empty()) return refuse("every query head has a sink of its own by its number");
    if (attention.linearBiases) return refuse("every query head has its own linear bias by its number");
    for (const LinearDescription* linear : {&attention.query, &attention.key, &attention.value, &attention.output})
      if (description.views.contains(linear->weight))
        return refuse("their files hold several projections in one tensor");
  }
  if (description.shape.headDim != description.shape.valueHeadDim)
    return refuse("keys and values are of different widths");
  return {};
}

Result<void> check(const CompressionPlan& plan, const DecoderDescription& description, const Checkpoint&) {
  KVISTA_CHECK(checkPerLayerFactors(plan, "gqa"));
  KVISTA_CHECK(checkModel(description));
  const auto refuse = [](const std::string& reason) {
    return fail(ErrorCode::invalidArgument, reason,
                "Plan with `--method gqa` (and --group-size), or export the form latent.");
  };
  const auto method = findMethod(plan.method);
  if (!method || !(*method)->sharesHeads || plan.storage != Storage::lowRank16 ||
      plan.keyPosition != KeyPosition::beforeRope)
    return refuse(fmt::format("The form gqa writes heads that stand for several; a plan of the method {} has none.",
                              plan.method));
  if (isDraft(plan)) return {};
  const ModelShape& shape = description.shape;
  std::set<std::size_t> sizes;
  for (int layer = 0; layer < shape.layers; ++layer) {
    std::size_t merged = 0;
    for (const MergedHead& head : mergedHeads(plan, layer)) {
      const Group &keys = plan.groups[head.keys], &values = plan.groups[head.values];
      if (keys.rank() != shape.headDim || values.rank() != shape.headDim)
        return refuse(
            fmt::format("In layer {} a group keeps {} directions of its keys and {} of its values; the form gqa needs "
                        "the {} of one head.",
                        layer, keys.rank(), values.rank(), shape.headDim));
      merged += keys.slots.size();
      sizes.insert(keys.slots.size());
    }
    if (merged != static_cast<std::size_t>(shape.kvHeads))
      return refuse(fmt::format(
          "In layer {} keys and values are not in groups of the same heads, as the form gqa needs them.", layer));
  }
  if (sizes.size() != 1 || *sizes.begin() < 2)
    return refuse("The form gqa needs groups of at least two heads, all of one size.");
  return {};
}

/// Tensors that the form computes.
std::set<std::string, std::less<>> changedTensors(const DecoderDescription& description) {
  std::set<std::string, std::less<>> names;
  for (const LayerDescription& layer : description.layers)
    for (const std::string& name :
         {layer.attention.query.weight, layer.attention.query.bias, layer.attention.key.weight,
          layer.attention.value.weight, layer.attention.output.weight})
      if (!name.empty()) names.insert(name);
  return names;
}

Result<std::vector<TensorToWrite>> carried(const Checkpoint& checkpoint, const DecoderDescription& description,
                                           DataType dtype) {
  const auto changed = changedTensors(description);
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, tensor] : checkpoint.tensors->tensors())
    if (!changed.contains(name)) tensors.push_back(carriedOver(checkpoint.tensors, tensor, name, dtype));
  return tensors;
}

/// One layer's projections for its common heads.
class MergedLayer {
 public:
  MergedLayer(const ExportSource& source, int layer)
      : shape_(source.description.shape),
        heads_(mergedHeads(source.plan, layer)),
        plan_(source.plan),
        factors_(source.factors) {
    const AttentionDescription& attention = source.description.layers[static_cast<std::size_t>(layer)].attention;
    if (!attention.rope) return;
    const RopeDescription& rope = source.description.ropes[static_cast<std::size_t>(*attention.rope)];
    rotation_ = {rope.rotaryDim, rope.isInterleaved};
  }

  [[nodiscard]] Result<void> check(int layer) const {
    for (const MergedHead& head : heads_)
      for (std::size_t place = 0; place < plan_.groups[head.keys].slots.size(); ++place)
        if (!commutesWithRotation(upOf(head.keys, place), rotation_))
          return fail(ErrorCode::invalidArgument,
                      fmt::format("The factors of group {} (keys of layer {}) mix numbers that rotate differently, as "
                                  "training leaves them; a common head cannot.",
                                  head.keys, layer),
                      "Export the form latent, or plan with `--method gqa` and do not refine.");
    return {};
  }

  /// Common keys or values from those of all heads: [H' d, in] of [H d, in].
  [[nodiscard]] at::Tensor merged(const at::Tensor& rows, Side side) const {
    std::vector<at::Tensor> parts;
    for (const MergedHead& head : heads_) {
      const std::size_t group = side == Side::key ? head.keys : head.values;
      const at::Tensor columns = columnsOf(plan_.groups[group], shape_) - (side == Side::key ? 0 : shape_.keyWidth());
      parts.push_back(at::matmul(factors_[group].down.cpu().to(at::kDouble), rows.index_select(0, columns)));
    }
    return at::cat(parts);
  }

  /// Queries (rows: weight [H_q d, in] or bias [H_q d, 1]) in the places of their common heads: q' = U^T q for keys U
  /// c.
  [[nodiscard]] at::Tensor queries(const at::Tensor& rows) const {
    return perQuery(rows, [](const MergedHead& head) { return head.keys; });
  }
  /// Columns of the output projection likewise, transposed: o' = o U for values U c.
  [[nodiscard]] at::Tensor outputs(const at::Tensor& columns) const {
    return perQuery(columns, [](const MergedHead& head) { return head.values; });
  }

 private:
  [[nodiscard]] at::Tensor upOf(std::size_t group, std::size_t place) const {
    return factors_[group]
        .up.cpu()
        .to(at::kDouble)
        .narrow(0, static_cast<std::int64_t>(place) * shape_.headDim, shape_.headDim);
  }

  template <class GroupOf>
  [[nodiscard]] at::Tensor perQuery(const at::Tensor& rows, GroupOf groupOf) const {
    const std::int64_t width = shape_.headDim, perHead = shape_.queryHeads / shape_.kvHeads;
    std::vector<at::Tensor> parts;
    for (const MergedHead& head : heads_) {
      const std::size_t group = groupOf(head);
      const auto& slots = plan_.groups[group].slots;
      for (std::size_t place = 0; place < slots.size(); ++place) {
        const at::Tensor transposed = upOf(group, place).t();
        const std::int64_t first = slots[place].head * perHead;
        for (std::int64_t query = first; query < first + perHead; ++query)
          parts.push_back(at::matmul(transposed, rows.narrow(0, query * width, width)));
      }
    }
    return at::cat(parts);
  }

  ModelShape shape_;
  std::vector<MergedHead> heads_;
  CompressionPlan plan_;
  PlanFactors factors_;
  HeadRotation rotation_;
};

Result<nlohmann::json> configOf(const ExportSource& source, std::int64_t kvHeads) {
  nlohmann::json config = stockConfig(source.checkpoint);
  nlohmann::json& part =
      config.contains("text_config") && config["text_config"].is_object() ? config["text_config"] : config;
  part["num_key_value_heads"] = kvHeads;
  const ModelShape& shape = source.description.shape;
  if (shape.headDim * shape.queryHeads != shape.hiddenSize) part["head_dim"] = shape.headDim;
  const auto described = describeConfig(config, "The changed configuration");
  if (described && described->shape.kvHeads == kvHeads && described->shape.queryHeads == shape.queryHeads &&
      described->shape.headDim == shape.headDim)
    return config;
  return fail(ErrorCode::invalidArgument,
              fmt::format("The architecture {} has no setting for {} key-value heads.", shape.family, kvHeads),
              "Export the form latent.");
}

Result<ExportContent> make(const ExportSource& source) {
  const DecoderDescription& description = source.description;
  const ModelShape& shape = description.shape;
  const DataType dtype = source.dtype.value_or(DataType::f32);
  const auto merged = static_cast<std::int64_t>(mergedHeads(source.plan, 0).size());
  ExportContent content;
  KVISTA_ASSIGN(content.config, configOf(source, merged));
  content.plan = source.plan;
  content.plan.exactTokens = 0;
  content.factors = source.factors;
  content.cacheBytesPerToken = shape.cacheBytesPerToken() / shape.kvHeads * merged;
  const auto& store = source.checkpoint.tensors;
  for (int layer = 0; layer < shape.layers; ++layer) {
    const AttentionDescription& attention = description.layers[static_cast<std::size_t>(layer)].attention;
    const auto own = std::make_shared<const MergedLayer>(source, layer);
    if (!source.factors.empty() && source.factors.front().up.defined()) KVISTA_CHECK(own->check(layer));
    const auto add = [&](const std::string& name, std::vector<std::int64_t> tensorShape,
                         std::function<at::Tensor(const at::Tensor&)> change) {
      content.tensors.push_back(
          computed(name, std::move(tensorShape), dtype, [store, name, change]() -> Result<at::Tensor> {
            KVISTA_ASSIGN(const at::Tensor original, readWeight(*store, name));
            return change(original.to(at::kDouble));
          }));
    };
    add(attention.query.weight, {attention.query.out, attention.query.in},
        [own](const at::Tensor& weight) { return own->queries(weight); });
    if (!attention.query.bias.empty())
      add(attention.query.bias, {attention.query.out},
          [own](const at::Tensor& bias) { return own->queries(bias.unsqueeze(1)).squeeze(1); });
    for (const auto& [linear, side] : {std::pair(&attention.key, Side::key), std::pair(&attention.value, Side::value)})
      add(linear->weight, {merged * shape.headDim, linear->in},
          [own, side = side](const at::Tensor& weight) { return own->merged(weight, side); });
    add(attention.output.weight, {attention.output.out, attention.output.in},
        [own](const at::Tensor& weight) { return own->outputs(weight.t()).t(); });
  }
  content.notes.push_back(fmt::format(
      "{} key-value heads become {}: what the heads of a group do not have in common is lost.", shape.kvHeads, merged));
  return content;
}

}  // namespace

ExportForm gqaForm() {
  return {.name = "gqa",
          .summary =
              "The original architecture with fewer key-value heads: the cache is smaller everywhere, at more loss "
              "than latents",
          .runsIn = "whatever runs the original model",
          .howToLoad = kLoadAsOriginal,
          .isStock = true,
          .check = check,
          .carried = carried,
          .make = make};
}

}  // namespace kvista
