// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <memory>
#include <utility>

#include "core/checkpoint/decoder_json.h"
#include "core/checkpoint/forms/forms.h"
#include "core/checkpoint/llama_like.h"
#include "core/checkpoint/tensor_source.h"

namespace kvista {

namespace {

/// Numbers that engines' kernels read at once.
constexpr int kWidthStep = 8;

/// The architecture has biases on queries, keys and values together, none on the output.
bool hasBiases(const DecoderDescription& description) {
  return std::ranges::any_of(description.layers, [](const LayerDescription& layer) {
    const AttentionDescription& attention = layer.attention;
    return std::ranges::any_of(std::initializer_list<const LinearDescription*>{&attention.query, &attention.key,
                                                                               &attention.value, &attention.output},
                               [](const LinearDescription* linear) { return !linear->bias.empty(); });
  });
}
/// What biases of values and of the output add is the same for every token: one number of a value that is always 1
/// carries it.
bool hasCarriedBias(const DecoderDescription& description) {
  return std::ranges::any_of(description.layers, [](const LayerDescription& layer) {
    return !layer.attention.value.bias.empty() || !layer.attention.output.bias.empty();
  });
}

/// What every value head takes in the cache.
int commonWidth(const CompressionPlan& plan, const DecoderDescription& description) {
  int largest = 1;
  for (const Group& group : plan.groups)
    if (group.slots.front().side == Side::value) largest = std::max(largest, group.rank());
  return (largest + (hasCarriedBias(description) ? 1 : 0) + kWidthStep - 1) / kWidthStep * kWidthStep;
}

Result<void> check(const CompressionPlan& plan, const DecoderDescription& description, const Checkpoint&) {
  KVISTA_CHECK(checkPerLayerFactors(plan, "vOnly"));
  KVISTA_CHECK(checkIsLlamaLike(description, "vOnly"));
  if (description.ropes[static_cast<std::size_t>(*description.layers.front().attention.rope)].isInterleaved)
    return fail(ErrorCode::invalidArgument,
                fmt::format("Models of the family {} have no form vOnly: they rotate neighbouring numbers, which that "
                            "architecture does not.",
                            description.shape.family),
                "Export the form latent.");
  const auto refuse = [](const std::string& reason, std::string_view hint) {
    return fail(ErrorCode::invalidArgument, reason, std::string(hint));
  };
  constexpr std::string_view kHint = "Plan with the method values, or export the form latent.";
  if (plan.storage == Storage::coded)
    return refuse("The form vOnly holds numbers of 16 bits, as stock caches do; this plan's are codes.", kHint);
  if (isDraft(plan)) {
    if (plan.grouping == "values" || plan.grouping == "manual") return {};
    return refuse(
        fmt::format("The form vOnly keeps keys as they are; the grouping {} of the method {} compresses them.",
                    plan.grouping, plan.method),
        kHint);
  }
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    const Group& group = plan.groups[i];
    const bool hasKeys = std::ranges::any_of(group.slots, [](const Slot& slot) { return slot.side == Side::key; });
    if (hasKeys && !group.isUncompressed())
      return refuse(fmt::format("The form vOnly keeps keys as they are; group {} of layer {} compresses some.", i,
                                group.slots.front().layer),
                    kHint);
    if (!hasKeys && group.slots.size() > 1)
      return refuse(fmt::format("Group {} shares one latent between {} value heads; the form vOnly has one for each.",
                                i, group.slots.size()),
                    kHint);
    if (hasKeys && group.slots.back().side == Side::value)
      return refuse(
          fmt::format("Group {} keeps values whole together with keys; the form vOnly makes every value head narrower.",
                      i),
          kHint);
  }
  const int width = commonWidth(plan, description), full = description.shape.valueHeadDim;
  if (width < full) return {};
  const int most = (full - 1) / kWidthStep * kWidthStep - (hasCarriedBias(description) ? 1 : 0);
  return refuse(fmt::format("A value head of the form vOnly would have {} of {} numbers, so that nothing would be "
                            "saved: it has the plan's largest rank{}, in steps of {}.",
                            width, full, hasCarriedBias(description) ? " and one number for biases" : "", kWidthStep),
                most > 0
                    ? fmt::format("Plan with the method values and --max-rank {}, or export the form latent.", most)
                    : "Export the form latent.");
}

/// Tensors that the form computes, of those that carriedLlama knows.
bool isChanged(const std::string& name) {
  return name.ends_with(".v_proj.bias") || name.ends_with(".o_proj.weight") || name.ends_with(".o_proj.bias");
}

Result<std::vector<TensorToWrite>> carried(const Checkpoint& checkpoint, const DecoderDescription& description,
                                           DataType dtype) {
  KVISTA_ASSIGN(std::vector<TensorToWrite> tensors, carriedLlama(checkpoint, description, dtype, isChanged));
  KVISTA_ASSIGN(const auto store, withViews(checkpoint.tensors, description.views));
  for (int layer = 0; layer < description.shape.layers; ++layer) {
    const std::string& keys = description.layers[static_cast<std::size_t>(layer)].attention.key.weight;
    tensors.push_back(carriedOver(store, store->tensors().at(keys), attentionPrefix(layer) + "k_proj.weight", dtype));
  }
  std::ranges::stable_sort(tensors, {}, &TensorToWrite::name);
  return tensors;
}

/// One layer's values in narrower heads: rows of v_proj are down W, columns of o_proj W_o up.
class NarrowLayer {
 public:
  NarrowLayer(const ExportSource& source, std::shared_ptr<const TensorStore> store,
              std::shared_ptr<ProjectionRows> rows, int layer, std::int64_t width)
      : store_(std::move(store)),
        rows_(std::move(rows)),
        attention_(source.description.layers[static_cast<std::size_t>(layer)].attention),
        shape_(source.description.shape),
        layer_(layer),
        width_(width),
        carriesBias_(hasCarriedBias(source.description)),
        factors_(static_cast<std::size_t>(shape_.kvHeads)) {
    for (std::size_t i = 0; i < source.plan.groups.size(); ++i) {
      const Slot& slot = source.plan.groups[i].slots.front();
      if (slot.layer == layer && slot.side == Side::value)
        factors_[static_cast<std::size_t>(slot.head)] = source.factors[i];
    }
  }

  /// [heads * width, hidden size].
  [[nodiscard]] Result<at::Tensor> values() const {
    KVISTA_ASSIGN(const at::Tensor all, rows_->layer(layer_));
    std::vector<at::Tensor> parts;
    for (std::int64_t head = 0; head < shape_.kvHeads; ++head) {
      const at::Tensor down = factors_[static_cast<std::size_t>(head)].down.to(all.device(), at::kDouble);
      parts.push_back(
          at::matmul(down, all.narrow(0, shape_.keyWidth() + head * shape_.valueHeadDim, shape_.valueHeadDim)));
      parts.push_back(at::zeros({width_ - down.size(0), all.size(1)}, all.options()));
    }
    return at::cat(parts);
  }

  /// [heads * width]: nothing but the number that is always 1, the last of the first head.
  [[nodiscard]] at::Tensor valueBias() const {
    at::Tensor bias = at::zeros({shape_.kvHeads * width_}, at::TensorOptions(at::kDouble));
    if (carriesBias_) bias[width_ - 1] = 1;
    return bias;
  }

  /// [hidden size, query heads * width].
  [[nodiscard]] Result<at::Tensor> output() const {
    KVISTA_ASSIGN(const at::Tensor weight, readWeight(*store_, attention_.output.weight));
    const at::Tensor all = weight.to(at::kDouble).view({weight.size(0), shape_.queryHeads, shape_.valueHeadDim});
    std::vector<at::Tensor> parts;
    for (std::int64_t query = 0; query < shape_.queryHeads; ++query) {
      const at::Tensor up = factors_[static_cast<std::size_t>(keyHeadOf(query))].up.cpu().to(at::kDouble);
      parts.push_back(at::cat(
          {at::matmul(all.select(1, query), up), at::zeros({all.size(0), width_ - up.size(1)}, all.options())}, 1));
    }
    if (carriesBias_) {
      KVISTA_ASSIGN(const at::Tensor carried, carriedBias(all));
      parts.front().select(1, width_ - 1).copy_(carried);
    }
    return at::cat(parts, 1);
  }

 private:
  [[nodiscard]] std::int64_t keyHeadOf(std::int64_t query) const {
    return query / (shape_.queryHeads / shape_.kvHeads);
  }

  /// [hidden size]: weights of attention sum to one, so that biases of values are one of the output.
  [[nodiscard]] Result<at::Tensor> carriedBias(const at::Tensor& output) const {
    at::Tensor total = at::zeros({output.size(0)}, output.options());
    if (!attention_.output.bias.empty()) {
      KVISTA_ASSIGN(const at::Tensor own, readWeight(*store_, attention_.output.bias));
      total = total + own.to(at::kDouble);
    }
    if (attention_.value.bias.empty()) return total;
    KVISTA_ASSIGN(const at::Tensor values, readWeight(*store_, attention_.value.bias));
    const at::Tensor heads = values.to(at::kDouble).view({shape_.kvHeads, shape_.valueHeadDim});
    for (std::int64_t query = 0; query < shape_.queryHeads; ++query)
      total = total + at::matmul(output.select(1, query), heads[keyHeadOf(query)]);
    return total;
  }

  std::shared_ptr<const TensorStore> store_;
  std::shared_ptr<ProjectionRows> rows_;
  AttentionDescription attention_;
  ModelShape shape_;
  int layer_;
  std::int64_t width_;
  bool carriesBias_;
  PlanFactors factors_;
};

/// What transformers' class reads, then what the class's authors wrote into their files, which engines read.
nlohmann::json configOf(const ExportSource& source, int width) {
  const DecoderDescription& description = source.description;
  const ModelShape& shape = description.shape;
  const RopeDescription& rope = description.ropes[static_cast<std::size_t>(*description.layers.front().attention.rope)];
  double fraction = static_cast<double>(rope.rotaryDim) / shape.headDim;
  if (static_cast<int>(shape.headDim * fraction) < rope.rotaryDim) fraction = std::nextafter(fraction, 2.0);
  const auto layers = static_cast<std::size_t>(shape.layers);
  nlohmann::json config = llamaConfig(source.checkpoint, description);
  config.update({{"model_type", "mimo_v2_flash"},
                 {"architectures", {"MiMoV2FlashForCausalLM"}},
                 {"head_dim", shape.headDim},
                 {"v_head_dim", width},
                 {"attention_bias", hasBiases(description)},
                 {"attention_value_scale", 1.0},
                 {"layer_types", std::vector<std::string>(layers, "full_attention")},
                 {"mlp_layer_types", std::vector<std::string>(layers, "dense")},
                 {"rope_parameters",
                  {{"full_attention",
                    {{"rope_type", "default"}, {"rope_theta", rope.theta}, {"partial_rotary_factor", fraction}}}}},
                 {"partial_rotary_factor", fraction},
                 {"layernorm_epsilon", config["rms_norm_eps"]},
                 {"hybrid_layer_pattern", std::vector<int>(layers, 0)},
                 {"moe_layer_freq", std::vector<int>(layers, 0)}});
  return config;
}

Result<ExportContent> make(const ExportSource& source) {
  const DecoderDescription& description = source.description;
  const ModelShape& shape = description.shape;
  const DataType dtype = source.dtype.value_or(DataType::f32);
  const int width = commonWidth(source.plan, description);
  ExportContent content;
  content.plan = source.plan;
  content.plan.exactTokens = 0;
  content.factors = source.factors;
  content.config = configOf(source, width);
  constexpr std::int64_t kBytes = 2;
  content.cacheBytesPerToken = kBytes * shape.layers * shape.kvHeads * (shape.headDim + width);

  KVISTA_ASSIGN(const auto store, withViews(source.checkpoint.tensors, description.views));
  const auto rows = std::make_shared<ProjectionRows>(store, description, source.device);
  for (int layer = 0; layer < shape.layers; ++layer) {
    const AttentionDescription& attention = description.layers[static_cast<std::size_t>(layer)].attention;
    const auto own = std::make_shared<const NarrowLayer>(source, store, rows, layer, width);
    const std::string prefix = attentionPrefix(layer);
    content.tensors.push_back(computed(prefix + "v_proj.weight",
                                       {std::int64_t{shape.kvHeads} * width, attention.value.in}, dtype,
                                       [own] { return own->values(); }));
    content.tensors.push_back(computed(prefix + "o_proj.weight",
                                       {attention.output.out, std::int64_t{shape.queryHeads} * width}, dtype,
                                       [own] { return own->output(); }));
    if (!hasBiases(description)) continue;
    content.tensors.push_back(computed(prefix + "v_proj.bias", {std::int64_t{shape.kvHeads} * width}, dtype,
                                       [own] { return Result<at::Tensor>(own->valueBias()); }));
    for (const auto& [name, linear] :
         {std::pair("q_proj.bias", &attention.query), std::pair("k_proj.bias", &attention.key)})
      if (linear->bias.empty())
        content.tensors.push_back(computed(prefix + name, {linear->out}, dtype,
                                           [size = linear->out] { return Result<at::Tensor>(at::zeros({size})); }));
  }
  std::ranges::stable_sort(content.tensors, {}, &TensorToWrite::name);
  if (source.plan.exactTokens > 0)
    content.notes.push_back(
        fmt::format("The first {} tokens are compressed like all others: stock caches cannot treat them apart.",
                    source.plan.exactTokens));
  if (const std::int64_t planned = bytesPerToken(content.plan); planned < content.cacheBytesPerToken)
    content.notes.push_back(
        fmt::format("All value heads have one width, a multiple of {}{}: all have {}, so that a token takes {} bytes "
                    "instead of the plan's {}.",
                    kWidthStep, hasCarriedBias(description) ? ", with one number for biases" : "", width,
                    content.cacheBytesPerToken, planned));
  return content;
}

}  // namespace

ExportForm vOnlyForm() {
  return {.name = "vOnly",
          .summary =
              "Keys as they are, values in narrower heads, in an architecture that engines know: a stock cache that is "
              "smaller",
          .runsIn = "Hugging Face transformers 5.23 (MiMoV2Flash), and engines that know that architecture",
          .howToLoad =
              "```python\n"
              "from transformers import AutoModelForCausalLM, AutoTokenizer\n"
              "model = AutoModelForCausalLM.from_pretrained(\"FOLDER\")\n"
              "tokenizer = AutoTokenizer.from_pretrained(\"FOLDER\")\n"
              "```\n"
              "The architecture is that of MiMo-V2-Flash, whose value heads may be narrower than its key heads;\n"
              "transformers 5.23 has it, and no code comes with the checkpoint.",
          .check = check,
          .carried = carried,
          .make = make};
}

}  // namespace kvista
