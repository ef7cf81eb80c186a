// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "core/checkpoint/decoder_json.h"
#include "core/checkpoint/forms/forms.h"
#include "core/checkpoint/llama_like.h"
#include "core/checkpoint/tensor_source.h"
#include "core/compress/common_heads.h"
#include "core/compress/method.h"

namespace kvista {

namespace {

/// The latent's width comes in steps that engines' kernels read at once.
constexpr int kLatentStep = 8;
/// Engines want keys beside the rotated one; where a model has none, these are zeros that nobody caches.
constexpr std::int64_t kEmptyKeyWidth = 16;
/// The latent's norm has this epsilon in transformers, whatever the configuration says, and the configuration's in
/// engines.
constexpr double kEpsilon = 1e-6;
/// Mean square of the norm's input against epsilon: the norm is the identity to half of it.
constexpr double kNormShare = 1e-6;

HeadRotation rotationOf(const DecoderDescription& description) {
  const RopeDescription& rope = description.ropes[static_cast<std::size_t>(*description.layers.front().attention.rope)];
  return {rope.rotaryDim, rope.isInterleaved};
}

/// Places in the plan of a layer's keys and of its values, each of all heads in one group; nothing where they are not.
struct LayerGroups {
  std::size_t keys = 0, values = 0;
};
std::optional<LayerGroups> groupsOf(const CompressionPlan& plan, const ModelShape& shape, int layer) {
  std::optional<std::size_t> keys, values;
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    const auto& slots = plan.groups[i].slots;
    if (slots.front().layer != layer || static_cast<int>(slots.size()) != shape.kvHeads ||
        slots.front().side != slots.back().side)
      continue;
    (slots.front().side == Side::key ? keys : values) = i;
  }
  if (!keys || !values) return std::nullopt;
  return LayerGroups{*keys, *values};
}

/// Numbers of the latent: keys that do not rotate, then the largest rank of values, in whole steps.
std::int64_t latentWidth(const CompressionPlan& plan, const DecoderDescription& description) {
  int largest = 1;
  for (const Group& group : plan.groups)
    if (group.slots.front().side == Side::value) largest = std::max(largest, group.rank());
  const std::int64_t width = description.shape.headDim - rotationOf(description).rotaryDim + largest;
  return (width + kLatentStep - 1) / kLatentStep * kLatentStep;
}

Result<void> checkModel(const DecoderDescription& description) {
  const auto refuse = [&](std::string_view what) {
    return fail(ErrorCode::invalidArgument,
                fmt::format("Models of the family {} have no form mla: {}.", description.shape.family, what),
                "Export the form latent.");
  };
  KVISTA_CHECK(checkIsLlamaLike(description, "mla"));
  for (const LayerDescription& layer : description.layers) {
    const AttentionDescription& attention = layer.attention;
    for (const LinearDescription* linear : {&attention.query, &attention.key, &attention.value, &attention.output})
      if (!linear->bias.empty()) return refuse("their attention has biases, for which that architecture has no place");
  }
  const ModelShape& shape = description.shape;
  if (shape.hiddenSize % shape.queryHeads != 0)
    return refuse(fmt::format("the architecture wants a hidden size that its {} heads divide, and {} is none",
                              shape.queryHeads, shape.hiddenSize));
  return {};
}

Result<void> check(const CompressionPlan& plan, const DecoderDescription& description, const Checkpoint&) {
  KVISTA_CHECK(checkPerLayerFactors(plan, "mla"));
  KVISTA_CHECK(checkModel(description));
  const auto refuse = [](const std::string& reason) {
    return fail(ErrorCode::invalidArgument, reason, "Plan with the method mla, or export the form latent.");
  };
  if (plan.storage == Storage::coded)
    return refuse("The form mla holds latents of 16-bit numbers, as stock caches do; this plan's are codes.");
  if (plan.keyPosition == KeyPosition::afterRope)
    return refuse("The form mla turns one key for all heads; this plan compresses keys that are turned already.");
  if (isDraft(plan)) {
    const auto method = findMethod(plan.method);
    if (method && (*method)->sharesHeads && plan.grouping == "common-key") return {};
    return refuse(fmt::format("The form mla writes one key for all heads of a layer; a plan of the method {} has none.",
                              plan.method));
  }
  const ModelShape& shape = description.shape;
  for (int layer = 0; layer < shape.layers; ++layer) {
    const auto groups = groupsOf(plan, shape, layer);
    if (!groups)
      return refuse(fmt::format(
          "In layer {} the heads' keys are not in one group and their values in another, as the form mla needs them.",
          layer));
    if (const int rank = plan.groups[groups->keys].rank(); rank != shape.headDim)
      return refuse(fmt::format("In layer {} keys keep {} directions; the form mla needs the {} of one head.", layer,
                                rank, shape.headDim));
  }
  return {};
}

/// The residual stream times this, with the architecture's one epsilon, gives what its norms give with the model's.
double streamScale(const DecoderDescription& description) {
  return std::sqrt(kEpsilon / description.layers.front().attentionNorm->epsilon);
}

/// What adds to the residual stream.
bool isOnStream(const std::string& name) {
  return name == "model.embed_tokens.weight" || name.ends_with(".o_proj.weight") ||
         name.ends_with(".mlp.down_proj.weight");
}

Result<std::vector<TensorToWrite>> carried(const Checkpoint& checkpoint, const DecoderDescription& description,
                                           DataType dtype) {
  const bool isScaled = streamScale(description) != 1;
  return carriedLlama(checkpoint, description, dtype, [isScaled](const std::string& name) {
    return name.ends_with(".q_proj.weight") || (isScaled && isOnStream(name));
  });
}

/// One layer's projections as latent attention has them.
class LatentLayer {
 public:
  LatentLayer(const ExportSource& source, std::shared_ptr<const TensorStore> store,
              std::shared_ptr<ProjectionRows> rows, int layer, std::int64_t latent)
      : store_(std::move(store)),
        rows_(std::move(rows)),
        description_(source.description.layers[static_cast<std::size_t>(layer)]),
        shape_(source.description.shape),
        rotation_(rotationOf(source.description)),
        layer_(layer),
        latent_(latent),
        place_(*groupsOf(source.plan, shape_, layer)),
        keyGroup_(source.plan.groups[place_.keys]),
        valueGroup_(source.plan.groups[place_.values]),
        keys_(source.factors[place_.keys]),
        values_(source.factors[place_.values]) {}

  [[nodiscard]] std::int64_t keyWidth() const { return resting() > 0 ? resting() : kEmptyKeyWidth; }

  [[nodiscard]] Result<void> check() const {
    for (std::size_t place = 0; place < keyGroup_.slots.size(); ++place)
      if (!commutesWithRotation(keyUp(static_cast<std::int64_t>(place)), rotation_))
        return fail(ErrorCode::invalidArgument,
                    fmt::format("The factors of group {} (keys of layer {}) mix numbers that rotate differently, as "
                                "training leaves them; a common key cannot.",
                                place_.keys, layer_),
                    "Export the form latent, or plan with the method mla and do not refine.");
    return {};
  }

  /// [latent + rotary, hidden size]: the latent so small that its norm is the identity, then the one key that rotates,
  /// as neighbours.
  [[nodiscard]] Result<at::Tensor> compression() const {
    KVISTA_ASSIGN(const at::Tensor latent, latentRows());
    KVISTA_ASSIGN(const double scale, latentScale(latent));
    KVISTA_ASSIGN(const at::Tensor keys, commonKeys());
    return at::cat({latent * scale, keys.index_select(0, turningPlaces())});
  }
  /// [latent].
  [[nodiscard]] Result<at::Tensor> norm() const {
    KVISTA_ASSIGN(const at::Tensor latent, latentRows());
    KVISTA_ASSIGN(const double scale, latentScale(latent));
    return at::full({latent_}, std::sqrt(kEpsilon) / scale, at::TensorOptions(at::kDouble));
  }

  /// [query heads * (key width + value width), latent].
  [[nodiscard]] at::Tensor expansion() const {
    const auto options = at::TensorOptions(at::kDouble);
    const std::int64_t width = shape_.valueHeadDim,
                       rank = values_.isIdentity() ? shape_.valueWidth() : values_.up.size(1);
    const at::Tensor up =
        values_.isIdentity() ? at::eye(shape_.valueWidth(), options) : values_.up.cpu().to(at::kDouble);
    std::vector<at::Tensor> parts;
    for (int query = 0; query < shape_.queryHeads; ++query) {
      at::Tensor head = at::zeros({keyWidth() + width, latent_}, options);
      if (resting() > 0) {
        const std::int64_t first = rotation_.rotaryDim;
        head.narrow(0, 0, resting())
            .narrow(1, 0, resting())
            .copy_(keyUp(placeOf(keyGroup_, query)).narrow(0, first, resting()).narrow(1, first, resting()));
      }
      head.narrow(0, keyWidth(), width)
          .narrow(1, resting(), rank)
          .copy_(up.narrow(0, placeOf(valueGroup_, query) * width, width));
      parts.push_back(head);
    }
    return at::cat(parts);
  }

  /// [query heads * (key width + rotary), hidden size]: in the coordinates of the common key, and for scores that are
  /// divided by that architecture's root.
  [[nodiscard]] Result<at::Tensor> queries() const {
    KVISTA_ASSIGN(const at::Tensor weight, readWeight(*store_, description_.attention.query.weight));
    const at::Tensor all = weight.to(at::kDouble) * (description_.attention.scale *
                                                     std::sqrt(static_cast<double>(keyWidth() + rotation_.rotaryDim)));
    std::vector<at::Tensor> parts;
    for (int query = 0; query < shape_.queryHeads; ++query) {
      const at::Tensor own = all.narrow(0, std::int64_t{query} * shape_.headDim, shape_.headDim);
      parts.push_back(resting() > 0 ? own.narrow(0, rotation_.rotaryDim, resting())
                                    : at::zeros({kEmptyKeyWidth, all.size(1)}, all.options()));
      parts.push_back(at::matmul(keyUp(placeOf(keyGroup_, query)).t(), own).index_select(0, turningPlaces()));
    }
    return at::cat(parts);
  }

 private:
  [[nodiscard]] std::int64_t resting() const { return shape_.headDim - rotation_.rotaryDim; }
  [[nodiscard]] at::Tensor turningPlaces() const { return rotaryPairs(rotation_).flatten(); }

  /// Where a query head's key or value head is in its group.
  [[nodiscard]] std::int64_t placeOf(const Group& group, int query) const {
    const int head = query / (shape_.queryHeads / shape_.kvHeads);
    return std::ranges::find(group.slots, head, &Slot::head) - group.slots.begin();
  }
  /// [d, d]: a head's key from the common one.
  [[nodiscard]] at::Tensor keyUp(std::int64_t place) const {
    if (keys_.isIdentity()) return at::eye(shape_.headDim, at::TensorOptions(at::kDouble));
    return keys_.up.cpu().to(at::kDouble).narrow(0, place * shape_.headDim, shape_.headDim);
  }
  /// [d, hidden size]: the common key.
  [[nodiscard]] Result<at::Tensor> commonKeys() const { return compressed(keyGroup_, keys_); }
  [[nodiscard]] Result<at::Tensor> compressed(const Group& group, const GroupFactors& factors) const {
    KVISTA_ASSIGN(const at::Tensor all, rows_->layer(layer_));
    const at::Tensor own = all.index_select(0, columnsOf(group, shape_).to(all.device())).cpu();
    return factors.isIdentity() ? own : at::matmul(factors.down.cpu().to(at::kDouble), own);
  }
  /// [latent, hidden size]: numbers of the common key that do not rotate, then latents of values, then zeros.
  [[nodiscard]] Result<at::Tensor> latentRows() const {
    KVISTA_ASSIGN(const at::Tensor keys, commonKeys());
    KVISTA_ASSIGN(const at::Tensor values, compressed(valueGroup_, values_));
    return at::cat({keys.narrow(0, rotation_.rotaryDim, resting()), values,
                    at::zeros({latent_ - resting() - values.size(0), values.size(1)}, values.options())});
  }
  /// The largest 2^k for which no input of the layer makes the norm's input larger than kNormShare allows: inputs are
  /// normed, so that |x|^2 <= D with x = diag(w) u and mean((s A x)^2) <= s^2 |A diag(w)|^2 D / latent.
  [[nodiscard]] Result<double> latentScale(const at::Tensor& rows) const {
    KVISTA_ASSIGN(const at::Tensor weight, readWeight(*store_, description_.attentionNorm->weight));
    const double largest = (rows * weight.to(at::kDouble)).square().sum().item<double>() *
                           static_cast<double>(rows.size(1)) / static_cast<double>(latent_);
    return largest > 0 ? std::exp2(std::floor(std::log2(std::sqrt(kNormShare * kEpsilon / largest)))) : 1.0;
  }

  std::shared_ptr<const TensorStore> store_;
  std::shared_ptr<ProjectionRows> rows_;
  LayerDescription description_;
  ModelShape shape_;
  HeadRotation rotation_;
  int layer_;
  std::int64_t latent_;
  LayerGroups place_;
  Group keyGroup_, valueGroup_;
  GroupFactors keys_, values_;
};

nlohmann::json configOf(const ExportSource& source, std::int64_t latent, std::int64_t keyWidth) {
  const ModelShape& shape = source.description.shape;
  nlohmann::json config = llamaConfig(source.checkpoint, source.description);
  config.update({{"model_type", "deepseek_v2"},
                 {"architectures", {"DeepseekV2ForCausalLM"}},
                 {"num_key_value_heads", shape.queryHeads},
                 {"rms_norm_eps", kEpsilon},
                 {"kv_lora_rank", latent},
                 {"q_lora_rank", nullptr},
                 {"qk_rope_head_dim", rotationOf(source.description).rotaryDim},
                 {"qk_nope_head_dim", keyWidth},
                 {"v_head_dim", shape.valueHeadDim},
                 {"attention_bias", false},
                 // No layer has experts, whose measures readers want all the same.
                 {"first_k_dense_replace", shape.layers},
                 {"moe_layer_freq", 1},
                 {"n_routed_experts", 1},
                 {"n_shared_experts", 1},
                 {"num_experts_per_tok", 1},
                 {"moe_intermediate_size", config["intermediate_size"]},
                 {"topk_method", "greedy"},
                 {"norm_topk_prob", false},
                 {"routed_scaling_factor", 1.0}});
  for (const char* key : {"dtype", "torch_dtype"})
    if (config.contains(key) && config[key] == "float16") config[key] = "bfloat16";
  return config;
}

Result<ExportContent> make(const ExportSource& source) {
  const DecoderDescription& description = source.description;
  const ModelShape& shape = description.shape;
  const DataType dtype = source.dtype.value_or(DataType::f32);
  if (dtype == DataType::f16)
    return fail(ErrorCode::invalidArgument,
                "The form mla makes the norm of its latents the identity by numbers smaller than float16 holds.",
                "Write float32 or bfloat16.");
  const std::int64_t latent = latentWidth(source.plan, description);
  const std::int64_t rotary = rotationOf(description).rotaryDim;
  ExportContent content;
  content.plan = source.plan;
  content.plan.exactTokens = 0;
  content.factors = source.factors;
  constexpr std::int64_t kBytes = 2;
  content.cacheBytesPerToken = kBytes * shape.layers * (latent + rotary);

  KVISTA_ASSIGN(const auto store, withViews(source.checkpoint.tensors, description.views));
  const auto rows = std::make_shared<ProjectionRows>(store, description, source.device);
  const double scale = streamScale(description);
  const auto addScaled = [&](const std::string& name, const std::string& from) {
    const auto& sizes = store->tensors().at(from).shape;
    content.tensors.push_back(
        computed(name, {sizes.begin(), sizes.end()}, dtype, [store, from, scale]() -> Result<at::Tensor> {
          KVISTA_ASSIGN(const at::Tensor weight, readWeight(*store, from));
          return weight.to(at::kDouble) * scale;
        }));
  };
  if (scale != 1)
    for (const TensorRole& role : tensorRoles(description))
      if (isOnStream(role.name)) addScaled(role.name, role.source);
  std::int64_t keyWidth = 0;
  for (int layer = 0; layer < shape.layers; ++layer) {
    const auto own = std::make_shared<const LatentLayer>(source, store, rows, layer, latent);
    KVISTA_CHECK(own->check());
    keyWidth = own->keyWidth();
    const std::string prefix = attentionPrefix(layer);
    const auto add = [&](const char* name, std::vector<std::int64_t> sizes,
                         std::function<Result<at::Tensor>()> compute) {
      content.tensors.push_back(computed(prefix + name, std::move(sizes), dtype, std::move(compute)));
    };
    add("q_proj.weight", {shape.queryHeads * (keyWidth + rotary), shape.hiddenSize}, [own] { return own->queries(); });
    add("kv_a_proj_with_mqa.weight", {latent + rotary, shape.hiddenSize}, [own] { return own->compression(); });
    add("kv_a_layernorm.weight", {latent}, [own] { return own->norm(); });
    add("kv_b_proj.weight", {shape.queryHeads * (keyWidth + shape.valueHeadDim), latent},
        [own] { return Result<at::Tensor>(own->expansion()); });
  }
  content.config = configOf(source, latent, keyWidth);
  std::ranges::stable_sort(content.tensors, {}, &TensorToWrite::name);
  content.notes.push_back(
      fmt::format("The keys of {} heads become one that all queries of a layer share: what the heads do not have in "
                  "common is lost.",
                  shape.kvHeads));
  if (const std::int64_t planned = bytesPerToken(content.plan); planned < content.cacheBytesPerToken)
    content.notes.push_back(
        fmt::format("All layers have one width of latents, a multiple of {}: {}, so that a token takes {} bytes "
                    "instead of the plan's {}.",
                    kLatentStep, latent, content.cacheBytesPerToken, planned));
  if (scale != 1)
    content.notes.push_back(
        fmt::format("The residual stream is scaled by {:.6g}, so that an epsilon of 1e-6, which readers of this "
                    "architecture take for granted, is the model's.",
                    scale));
  return content;
}

}  // namespace

ExportForm mlaForm() {
  return {
      .name = "mla",
      .summary =
          "Latent attention as DeepSeek-V2 has it: one rotating key and one latent a token for all heads, in engines' "
          "own kernels",
      .runsIn = "Hugging Face transformers 5.23 (DeepseekV2), and engines that know that architecture",
      .howToLoad =
          "```python\n"
          "from transformers import AutoModelForCausalLM, AutoTokenizer\n"
          "model = AutoModelForCausalLM.from_pretrained(\"FOLDER\")\n"
          "tokenizer = AutoTokenizer.from_pretrained(\"FOLDER\")\n"
          "```\n"
          "in bfloat16 or float32; float16 does not hold the numbers that make the norm of its latents the identity.",
      .isStock = true,
      .check = check,
      .carried = carried,
      .make = make};
}

}  // namespace kvista
