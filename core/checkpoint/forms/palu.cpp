// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/matmul.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <numeric>
#include <optional>
#include <set>

#include "core/checkpoint/decoder_json.h"
#include "core/checkpoint/forms/forms.h"
#include "core/checkpoint/model_card.h"
#include "core/checkpoint/palu_model.h"
#include "core/checkpoint/stock_config.h"
#include "core/checkpoint/tensor_source.h"

namespace kvista {

namespace {

constexpr std::array kSides = {Side::key, Side::value};

std::string_view nameOf(Side side) { return side == Side::key ? "keys" : "values"; }

const LinearDescription& projectionOf(const DecoderDescription& description, int layer, Side side) {
  const AttentionDescription& attention = description.layers[static_cast<std::size_t>(layer)].attention;
  return side == Side::key ? attention.key : attention.value;
}

std::string projectionName(int layer, Side side) {
  return attentionPrefix(layer) + (side == Side::key ? "k_proj" : "v_proj");
}

/// Places in the plan of a layer's groups of one side.
std::vector<std::size_t> groupsOf(const CompressionPlan& plan, int layer, Side side) {
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < plan.groups.size(); ++i)
    if (plan.groups[i].slots.front().layer == layer && plan.groups[i].slots.front().side == side) places.push_back(i);
  return places;
}

/// Their rotary embedding is transformers' own of 2024: one base, perhaps stretched linearly or dynamically.
Result<void> checkModel(const DecoderDescription& description, const Checkpoint& checkpoint) {
  const auto refuse = [](const std::string& reason) {
    return fail(ErrorCode::invalidArgument, reason, "Export the form latent.");
  };
  const ModelShape& shape = description.shape;
  if (paluModelType(shape.family).empty())
    return refuse(fmt::format(
        "The scripts of Palu and ReCalKV know Llama and Mistral models; this one is of the family {}.", shape.family));
  if (checkpoint.config.contains("text_config") ||
      projectionOf(description, 0, Side::key).weight != projectionName(0, Side::key) + ".weight")
    return refuse("The scripts of Palu and ReCalKV know language models alone; this one is a part of a larger model.");
  if (shape.headDim != shape.valueHeadDim || shape.headDim * shape.queryHeads != shape.hiddenSize)
    return refuse(fmt::format("The scripts of Palu and ReCalKV take a head's width to be {} / {}; here it is {}.",
                              shape.hiddenSize, shape.queryHeads, shape.headDim));
  for (const RopeDescription& rope : description.ropes)
    if (rope.type != RopeType::standard && rope.type != RopeType::linear && rope.type != RopeType::dynamic)
      return refuse(
          "The configuration of Palu and ReCalKV refuses rotary embeddings that are stretched other than linearly or "
          "dynamically, as this model's are.");
  return {};
}

Result<void> check(const CompressionPlan& plan, const DecoderDescription& description, const Checkpoint& checkpoint) {
  KVISTA_CHECK(checkPerLayerFactors(plan, "palu"));
  KVISTA_CHECK(checkModel(description, checkpoint));
  const auto refuse = [](const std::string& reason, std::string_view hint) {
    return fail(ErrorCode::invalidArgument, reason, std::string(hint));
  };
  if (plan.storage == Storage::coded)
    return refuse("The form palu holds latents of 16-bit numbers; this plan's are codes.",
                  "Export the form latent, or plan with the method grouped or separate.");
  if (plan.keyPosition == KeyPosition::afterRope)
    return refuse("The form palu compresses keys before RoPE; this plan does it after.",
                  "Export the form latent, or plan with the method grouped or separate.");
  if (isDraft(plan)) return {};
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    const Group& group = plan.groups[i];
    if (std::ranges::any_of(group.slots, [&](const Slot& slot) { return slot.side != group.slots.front().side; }))
      return refuse(
          fmt::format("Group {} shares one latent between keys and values; the form palu keeps them apart.", i),
          "Export the form latent, or plan with the method grouped or separate.");
    if (group.rank() == 0)
      return refuse(fmt::format("Group {} keeps nothing; the form palu needs a direction at least.", i),
                    "Export the form latent, or plan with --min-rank 8.");
  }
  for (int layer = 0; layer < description.shape.layers; ++layer) {
    for (const Side side : kSides) {
      const std::vector<std::size_t> groups = groupsOf(plan, layer, side);
      for (const std::size_t group : groups) {
        const std::size_t first = plan.groups[groups.front()].slots.size(), own = plan.groups[group].slots.size();
        if (own != first)
          return refuse(
              fmt::format(
                  "The {} of layer {} are in groups of {} and of {} heads; the form palu needs as many in each.",
                  nameOf(side), layer, first, own),
              "Export the form latent, or plan with the method separate.");
      }
    }
  }
  return {};
}

std::set<std::string, std::less<>> projectionTensors(const DecoderDescription& description) {
  std::set<std::string, std::less<>> names;
  for (int layer = 0; layer < description.shape.layers; ++layer)
    for (const Side side : kSides)
      for (const std::string& name :
           {projectionOf(description, layer, side).weight, projectionOf(description, layer, side).bias})
        if (!name.empty()) names.insert(name);
  return names;
}

/// All but projections of keys and values and their biases.
Result<std::vector<TensorToWrite>> carried(const Checkpoint& checkpoint, const DecoderDescription& description,
                                           DataType dtype) {
  const auto projections = projectionTensors(description);
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, tensor] : checkpoint.tensors->tensors())
    if (!projections.contains(name)) tensors.push_back(carriedOver(checkpoint.tensors, tensor, name, dtype));
  return tensors;
}

/// One side of a layer in its groups: VT stacks what makes their latents from the layer's input, U.g rebuilds group g.
class FactoredProjection {
 public:
  FactoredProjection(const ExportSource& source, std::shared_ptr<ProjectionRows> rows, int layer, Side side)
      : source_(source),
        rows_(std::move(rows)),
        layer_(layer),
        side_(side),
        groups_(groupsOf(source.plan, layer, side)) {
    for (const std::size_t group : groups_) {
      const GroupFactors& factors = source.factors[group];
      ranks_.push_back(factors.isIdentity() ? static_cast<std::int64_t>(source.plan.groups[group].widths.size())
                                            : factors.down.size(0));
    }
  }

  [[nodiscard]] bool isWhole() const {
    return std::ranges::all_of(groups_, [&](std::size_t group) { return source_.factors[group].isIdentity(); });
  }
  [[nodiscard]] const std::vector<std::int64_t>& ranks() const { return ranks_; }

  /// {"head": its place among the groups}; null where they lie in order, which scripts without permutations read too.
  [[nodiscard]] nlohmann::json permutation() const {
    nlohmann::json places = nlohmann::json::object();
    int place = 0;
    bool isInOrder = true;
    for (const std::size_t group : groups_)
      for (const Slot& slot : source_.plan.groups[group].slots) {
        isInOrder = isInOrder && slot.head == place;
        places[fmt::format("{}", slot.head)] = place++;
      }
    return isInOrder ? nlohmann::json() : places;
  }

  [[nodiscard]] std::vector<TensorToWrite> tensors() const {
    const DataType dtype = source_.dtype.value_or(DataType::f32);
    const ModelShape& shape = source_.description.shape;
    const std::string name = projectionName(layer_, side_);
    std::vector<TensorToWrite> written;
    std::vector<std::pair<at::Tensor, at::Tensor>> downs;  // columns, factor
    for (const std::size_t group : groups_)
      downs.emplace_back(columnsOf(source_.plan.groups[group], shape), source_.factors[group].down);
    const std::int64_t total = std::accumulate(ranks_.begin(), ranks_.end(), std::int64_t{0});
    written.push_back(computed(name + ".VT.weight", {total, shape.hiddenSize}, dtype,
                               [rows = rows_, layer = layer_, downs]() -> Result<at::Tensor> {
                                 KVISTA_ASSIGN(const at::Tensor all, rows->layer(layer));
                                 std::vector<at::Tensor> parts;
                                 for (const auto& [columns, down] : downs) {
                                   const at::Tensor own = all.index_select(0, columns.to(all.device()));
                                   parts.push_back(down.defined() ? at::matmul(down.to(all.device(), at::kDouble), own)
                                                                  : own);
                                 }
                                 return at::cat(parts);
                               }));
    const std::string& bias = projectionOf(source_.description, layer_, side_).bias;
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      const Group& group = source_.plan.groups[groups_[i]];
      const auto width = static_cast<std::int64_t>(group.widths.size());
      const std::string own = fmt::format("{}.U.{}.", name, i);
      written.push_back(
          computed(own + "weight", {width, ranks_[i]}, dtype, [up = source_.factors[groups_[i]].up, width] {
            return Result<at::Tensor>(up.defined() ? up.cpu() : at::eye(width));
          }));
      if (bias.empty()) continue;
      const at::Tensor columns = columnsOf(group, shape) - (side_ == Side::value ? shape.keyWidth() : 0);
      written.push_back(computed(own + "bias", {width}, dtype,
                                 [store = source_.checkpoint.tensors, bias, columns]() -> Result<at::Tensor> {
                                   KVISTA_ASSIGN(const at::Tensor all, readWeight(*store, bias));
                                   return all.index_select(0, columns);
                                 }));
    }
    return written;
  }

 private:
  const ExportSource& source_;
  std::shared_ptr<ProjectionRows> rows_;
  int layer_;
  Side side_;
  std::vector<std::size_t> groups_;
  std::vector<std::int64_t> ranks_;
};

nlohmann::json configOf(const ExportSource& source) {
  const ModelShape& shape = source.description.shape;
  nlohmann::json config = stockConfig(source.checkpoint);
  const bool isLlama = shape.family == "llama";
  config["model_type"] = paluModelType(shape.family);
  config["architectures"] = {isLlama ? "PaluLlamaForCausalLM" : "PaluMistralForCausalLM"};
  config["original_model_name_or_path"] = nameOfOriginal(source.checkpoint);
  config["head_dim"] = shape.headDim;
  config["num_key_value_heads"] = shape.kvHeads;
  // Their configurations have no values of their own for what the layers of transformers ask for.
  for (const auto& [field, value] :
       {std::pair("attention_dropout", nlohmann::json(0.0)), std::pair("attention_bias", nlohmann::json(false)),
        std::pair("mlp_bias", nlohmann::json(false)), std::pair("hidden_act", nlohmann::json("silu"))})
    if (!config.contains(field) || config[field].is_null()) config[field] = value;
  for (const char* field : {"rope_parameters", "rope_scaling"}) config.erase(field);
  const RopeDescription& rope = source.description.ropes.front();
  config["rope_theta"] = rope.theta;
  if (rope.type != RopeType::standard)
    config["rope_scaling"] = {{"type", rope.type == RopeType::linear ? "linear" : "dynamic"}, {"factor", rope.factor}};
  config["head_wise_ranks"] = nlohmann::json::object();
  config["permutation_info"] = nlohmann::json::object();
  return config;
}

Result<ExportContent> make(const ExportSource& source) {
  const DecoderDescription& description = source.description;
  const ModelShape& shape = description.shape;
  ExportContent content;
  content.plan = source.plan;
  content.plan.exactTokens = 0;
  content.factors = source.factors;
  content.cacheBytesPerToken = shape.cacheBytesPerToken();
  content.config = configOf(source);
  const auto rows = std::make_shared<ProjectionRows>(source.checkpoint.tensors, description, source.device);
  bool isPermuted = false;
  for (int layer = 0; layer < shape.layers; ++layer) {
    for (const Side side : kSides) {
      const FactoredProjection projection(source, rows, layer, side);
      if (projection.isWhole()) {
        const LinearDescription& linear = projectionOf(description, layer, side);
        for (const std::string& name : {linear.weight, linear.bias})
          if (!name.empty())
            content.tensors.push_back(carriedOver(source.checkpoint.tensors,
                                                  source.checkpoint.tensors->tensors().at(name), name,
                                                  source.dtype.value_or(DataType::f32)));
        continue;
      }
      const std::string name = projectionName(layer, side);
      content.config["head_wise_ranks"][name] = projection.ranks();
      if (const nlohmann::json permutation = projection.permutation(); !permutation.is_null()) {
        content.config["permutation_info"][name] = permutation;
        isPermuted = true;
      }
      std::ranges::move(projection.tensors(), std::back_inserter(content.tensors));
    }
  }
  if (source.plan.exactTokens > 0)
    content.notes.push_back(
        fmt::format("The first {} tokens are compressed like all others: weights cannot treat them apart.",
                    source.plan.exactTokens));
  content.notes.push_back(
      fmt::format("The authors' scripts rebuild keys and values before they are cached, so that the cache of this form "
                  "is as large as the original's; its latents would take {} bytes a token.",
                  bytesPerToken(content.plan)));
  if (isPermuted)
    content.notes.push_back(
        "Heads are grouped in another order than they lie in: ReCalKV's code reads that (permutation_info), Palu's "
        "does not.");
  return content;
}

}  // namespace

ExportForm paluForm() {
  return {
      .name = "palu",
      .summary =
          "Latents of groups of heads as the scripts of Palu and ReCalKV read them, to measure a plan beside theirs",
      .runsIn = "the authors' scripts of Palu and ReCalKV (with transformers 4.44)",
      .howToLoad =
          "From a checkout of the authors' repository:\n"
          "```python\n"
          "from transformers import AutoTokenizer\n"
          "from palu.model import PaluLlamaForCausalLM  # or PaluMistralForCausalLM\n"
          "model = PaluLlamaForCausalLM.from_pretrained(\"FOLDER\")\n"
          "tokenizer = AutoTokenizer.from_pretrained(\"FOLDER\")\n"
          "```\n"
          "Where `permutation_info` in `config.json` names projections, ReCalKV's\n"
          "`palu.permutation_utils.configure_permutation(model, model.config)` must be called next.",
      .check = check,
      .carried = carried,
      .make = make};
}

}  // namespace kvista
