// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "core/checkpoint/decoder_json.h"
#include "core/checkpoint/forms/forms.h"
#include "core/checkpoint/latent_layout.h"
#include "core/checkpoint/model_code.h"
#include "core/checkpoint/serving_model.h"
#include "core/checkpoint/tensor_source.h"

namespace kvista {

namespace {

/// Numbers that engines' kernels read at once.
constexpr int kRankStep = 16;

/// What every head's key and value takes in the cache: the plan's largest rank, in whole steps.
int commonRank(const CompressionPlan& plan) {
  int largest = 1;
  for (const Group& group : plan.groups) largest = std::max(largest, group.rank());
  return (largest + kRankStep - 1) / kRankStep * kRankStep;
}

Result<void> checkModel(const DecoderDescription& description) {
  const auto refuse = [&](std::string_view reason) {
    return fail(ErrorCode::invalidArgument,
                fmt::format("Models of the family {} have no form serve: {}.", description.shape.family, reason),
                "Export the form latent.");
  };
  const ModelShape& shape = description.shape;
  std::set<std::int64_t> windows;
  for (const LayerDescription& layer : description.layers) {
    const AttentionDescription& attention = layer.attention;
    if (attention.latent) return refuse("their cache is one latent already");
    if (attention.linearBiases) return refuse("linear biases are added to their scores, which stock kernels do not do");
    if (attention.scoreCap > 0) return refuse("their scores are capped, which not every stock kernel does");
    if (!attention.sinks.empty())
      return refuse("scores of sinks take part in their attention, which engines read elsewhere");
    if (attention.queryGrowth) return refuse("their queries grow with their place, which this form has no place for");
    if (attention.clip > 0) return refuse("their values are clamped, which has to be done before they are projected");
    if (attention.slidingWindow) windows.insert(*attention.slidingWindow);
  }
  if (windows.size() > 1)
    return refuse("their layers have sliding windows of several lengths, for which engines have no setting");
  for (const RopeDescription& rope : description.ropes)
    if (rope.type == RopeType::dynamic || rope.type == RopeType::longrope)
      return refuse(
          "the frequencies of their rotary embedding change with the text's length, while engines compute with fixed "
          "ones");
  if (description.head.projection)
    return refuse("a projection stands before their head, which engines have no place for");
  if (shape.headDim != shape.valueHeadDim) return refuse("keys and values are of different widths");
  if (shape.headDim <= kRankStep)
    return refuse(fmt::format("their heads have {} numbers, and stock kernels want {} or a multiple of it",
                              shape.headDim, kRankStep));
  return {};
}

Result<void> check(const CompressionPlan& plan, const DecoderDescription& description, const Checkpoint&) {
  KVISTA_CHECK(checkPerLayerFactors(plan, "serve"));
  KVISTA_CHECK(checkModel(description));
  const auto refuse = [](const std::string& reason, const std::string& method) {
    return fail(ErrorCode::invalidArgument, reason, fmt::format("Export the form latent, or plan with {}.", method));
  };
  if (plan.storage == Storage::coded)
    return refuse("The form serve holds latents of 16-bit numbers, as stock caches do; this plan's are codes.",
                  "the method kqsvd");
  if (plan.keyPosition != KeyPosition::afterRope)
    return refuse(
        "The form serve needs keys that are compressed after RoPE, so that queries can be brought to them; this plan "
        "does it before.",
        "the method kqsvd");
  if (isDraft(plan)) return {};
  for (std::size_t i = 0; i < plan.groups.size(); ++i)
    if (plan.groups[i].slots.size() > 1)
      return refuse(fmt::format("Group {} shares one latent between {} heads; the form serve has one for each.", i,
                                plan.groups[i].slots.size()),
                    "--grouping head");
  const int rank = commonRank(plan), width = description.shape.headDim;
  if (rank < width) return {};
  const auto largest = std::ranges::max_element(plan.groups, {}, &Group::rank);
  const Slot& slot = largest->slots.front();
  const int most = (width - 1) / kRankStep * kRankStep;
  return refuse(
      fmt::format("In layer {} {} head {} keeps {} of {} directions; the form serve gives all heads the largest rank, "
                  "in steps of {}, so that nothing would be saved.",
                  slot.layer, slot.side == Side::key ? "key" : "value", slot.head, largest->rank(), width, kRankStep),
      fmt::format("--allocator uniform and --max-rank {}", most));
}

/// Tensors that the form computes, by the names of the model code.
std::set<std::string, std::less<>> changedRoles(const DecoderDescription& description) {
  std::set<std::string, std::less<>> names;
  for (int layer = 0; layer < description.shape.layers; ++layer)
    for (const char* tensor : {"v_proj.bias", "o_proj.weight", "o_proj.bias"})
      names.insert(attentionPrefix(layer) + tensor);
  return names;
}

Result<std::vector<TensorToWrite>> carried(const Checkpoint& checkpoint, const DecoderDescription& description,
                                           DataType dtype) {
  KVISTA_ASSIGN(const auto store, withViews(checkpoint.tensors, description.views));
  const auto changed = changedRoles(description);
  std::vector<TensorToWrite> tensors;
  for (const TensorRole& role : tensorRoles(description))
    if (!changed.contains(role.name)) tensors.push_back(carriedRole(store, role, dtype));
  for (int layer = 0; layer < description.shape.layers; ++layer) {
    const AttentionDescription& attention = description.layers[static_cast<std::size_t>(layer)].attention;
    tensors.push_back(
        carriedOver(store, store->tensors().at(attention.key.weight), attentionPrefix(layer) + "k_proj.weight", dtype));
  }
  std::ranges::stable_sort(tensors, {}, &TensorToWrite::name);
  return tensors;
}

/// One layer's factors of each key-value head, padded to the common rank.
class ServedLayer {
 public:
  ServedLayer(const ExportSource& source, std::shared_ptr<const TensorStore> store,
              std::shared_ptr<ProjectionRows> rows, int layer, int rank)
      : store_(std::move(store)),
        rows_(std::move(rows)),
        attention_(source.description.layers[static_cast<std::size_t>(layer)].attention),
        shape_(source.description.shape),
        layer_(layer),
        rank_(rank),
        keys_(static_cast<std::size_t>(shape_.kvHeads)),
        values_(keys_) {
    for (std::size_t i = 0; i < source.plan.groups.size(); ++i) {
      const Slot& slot = source.plan.groups[i].slots.front();
      if (slot.layer == layer)
        (slot.side == Side::key ? keys_ : values_)[static_cast<std::size_t>(slot.head)] = source.factors[i];
    }
  }

  /// [heads, width, rank]: columns of `up`, or rows of `down`, of the keys.
  [[nodiscard]] at::Tensor basis(at::Tensor GroupFactors::*factor) const {
    std::vector<at::Tensor> heads;
    for (const GroupFactors& own : keys_) {
      const at::Tensor columns = factor == &GroupFactors::up ? own.up.cpu() : own.down.cpu().t();
      heads.push_back(at::cat({columns, at::zeros({shape_.headDim, rank_ - columns.size(1)})}, 1));
    }
    return at::stack(heads);
  }

  /// [heads * rank, hidden size].
  [[nodiscard]] Result<at::Tensor> values() const {
    KVISTA_ASSIGN(const at::Tensor all, rows_->layer(layer_));
    std::vector<at::Tensor> parts;
    for (std::int64_t head = 0; head < shape_.kvHeads; ++head) {
      const at::Tensor down = values_[static_cast<std::size_t>(head)].down.to(all.device(), at::kDouble);
      parts.push_back(
          at::matmul(down, all.narrow(0, shape_.keyWidth() + head * shape_.valueHeadDim, shape_.valueHeadDim)));
      parts.push_back(at::zeros({rank_ - down.size(0), all.size(1)}, all.options()));
    }
    return at::cat(parts);
  }

  /// [hidden size, query heads * rank]: the output projection of rebuilt values.
  [[nodiscard]] Result<at::Tensor> output() const {
    KVISTA_ASSIGN(const at::Tensor all, outputOfHeads());
    std::vector<at::Tensor> parts;
    for (std::int64_t query = 0; query < shape_.queryHeads; ++query) {
      const at::Tensor up = values_[static_cast<std::size_t>(keyHeadOf(query))].up.cpu().to(at::kDouble);
      parts.push_back(at::matmul(all.select(1, query), up));
      parts.push_back(at::zeros({all.size(0), rank_ - up.size(1)}, all.options()));
    }
    return at::cat(parts, 1);
  }

  /// [hidden size]: weights of attention sum to one, so that the bias of values is one of the output.
  [[nodiscard]] Result<at::Tensor> bias() const {
    at::Tensor total = at::zeros({shape_.hiddenSize}, at::TensorOptions(at::kDouble));
    if (!attention_.output.bias.empty()) {
      KVISTA_ASSIGN(const at::Tensor own, readWeight(*store_, attention_.output.bias));
      total = total + own.to(at::kDouble);
    }
    if (attention_.value.bias.empty()) return total;
    KVISTA_ASSIGN(const at::Tensor values, readWeight(*store_, attention_.value.bias));
    KVISTA_ASSIGN(const at::Tensor all, outputOfHeads());
    const at::Tensor heads = values.to(at::kDouble).view({shape_.kvHeads, shape_.valueHeadDim});
    for (std::int64_t query = 0; query < shape_.queryHeads; ++query)
      total = total + at::matmul(all.select(1, query), heads[keyHeadOf(query)]);
    return total;
  }

 private:
  [[nodiscard]] std::int64_t keyHeadOf(std::int64_t query) const {
    return query / (shape_.queryHeads / shape_.kvHeads);
  }

  /// [hidden size, query heads, width], float64.
  [[nodiscard]] Result<at::Tensor> outputOfHeads() const {
    KVISTA_ASSIGN(const at::Tensor weight, readWeight(*store_, attention_.output.weight));
    return weight.to(at::kDouble).view({weight.size(0), shape_.queryHeads, shape_.valueHeadDim});
  }

  std::shared_ptr<const TensorStore> store_;
  std::shared_ptr<ProjectionRows> rows_;
  AttentionDescription attention_;
  ModelShape shape_;
  int layer_;
  int rank_;
  std::vector<GroupFactors> keys_, values_;
};

nlohmann::json configOf(const ExportSource& source, int rank) {
  const ModelShape& shape = source.description.shape;
  DecoderDescription described = source.description;
  std::vector<std::string> kinds;
  for (LayerDescription& layer : described.layers) {
    AttentionDescription& attention = layer.attention;
    if (attention.output.bias.empty()) attention.output.bias = attention.value.bias;  // what becomes of it
    attention.value.bias.clear();
    kinds.emplace_back(attention.slidingWindow ? "sliding_attention" : "full_attention");
  }
  nlohmann::json config = configForModelCode(source.checkpoint.config, described);
  config["kvista"]["format"] = kLatentFormat;
  config["model_type"] = kServedType;
  config["architectures"] = {"KVistaServingForCausalLM"};
  config["auto_map"] = {{"AutoConfig", "configuration_kvista.KVistaServingConfig"},
                        {"AutoModel", "serving_kvista.KVistaServingModel"},
                        {"AutoModelForCausalLM", "serving_kvista.KVistaServingForCausalLM"}};
  // What engines look for by these names.
  config["head_dim"] = rank;
  config["rope_head_dim"] = shape.headDim;
  config["layer_types"] = kinds;
  for (const LayerDescription& layer : described.layers)
    if (layer.attention.slidingWindow) config["sliding_window"] = *layer.attention.slidingWindow;
  if (described.head.multiplier != 1) config["logit_scale"] = described.head.multiplier;
  if (described.head.cap > 0) config["final_logit_softcapping"] = described.head.cap;
  return config;
}

Result<ExportContent> make(const ExportSource& source) {
  const DecoderDescription& description = source.description;
  const ModelShape& shape = description.shape;
  const DataType dtype = source.dtype.value_or(DataType::f32);
  const int rank = commonRank(source.plan);
  ExportContent content;
  content.plan = source.plan;
  content.plan.exactTokens = 0;
  content.factors = source.factors;
  content.config = configOf(source, rank);
  for (const char* name : {"configuration_kvista.py", "layer_fields_kvista.py", "policy_fields_kvista.py",
                           "serving_kvista.py", "decoder_kvista.py", "blocks_kvista.py", "rotation_kvista.py"})
    content.files[name] = modelCode().at(name);
  constexpr std::int64_t kBytes = 2, kSides = 2;
  content.cacheBytesPerToken = std::int64_t{shape.layers} * shape.kvHeads * rank * kSides * kBytes;

  KVISTA_ASSIGN(const auto store, withViews(source.checkpoint.tensors, description.views));
  const auto rows = std::make_shared<ProjectionRows>(store, description, source.device);
  for (int layer = 0; layer < shape.layers; ++layer) {
    const AttentionDescription& attention = description.layers[static_cast<std::size_t>(layer)].attention;
    const auto own = std::make_shared<const ServedLayer>(source, store, rows, layer, rank);
    const std::string prefix = attentionPrefix(layer);
    const std::vector<std::int64_t> basis = {shape.kvHeads, shape.headDim, rank};
    content.tensors.push_back(computed(prefix + "key_basis", basis, dtype,
                                       [own] { return Result<at::Tensor>(own->basis(&GroupFactors::down)); }));
    content.tensors.push_back(computed(prefix + "query_basis", basis, dtype,
                                       [own] { return Result<at::Tensor>(own->basis(&GroupFactors::up)); }));
    content.tensors.push_back(computed(prefix + "v_proj.weight", {shape.kvHeads * rank, attention.value.in}, dtype,
                                       [own] { return own->values(); }));
    content.tensors.push_back(computed(prefix + "o_proj.weight", {attention.output.out, shape.queryHeads * rank}, dtype,
                                       [own] { return own->output(); }));
    if (!attention.value.bias.empty() || !attention.output.bias.empty())
      content.tensors.push_back(
          computed(prefix + "o_proj.bias", {attention.output.out}, dtype, [own] { return own->bias(); }));
  }
  std::ranges::stable_sort(content.tensors, {}, &TensorToWrite::name);
  if (source.plan.exactTokens > 0)
    content.notes.push_back(
        fmt::format("The first {} tokens are compressed like all others: stock caches cannot treat them apart.",
                    source.plan.exactTokens));
  if (const std::int64_t planned = bytesPerToken(content.plan); planned < content.cacheBytesPerToken)
    content.notes.push_back(
        fmt::format("Stock caches want one rank for all heads, a multiple of {}: all have {}, which takes {} bytes a "
                    "token instead of the plan's {}.",
                    kRankStep, rank, content.cacheBytesPerToken, planned));
  return content;
}

}  // namespace

ExportForm serveForm() {
  return {.name = "serve",
          .summary =
              "Keys after RoPE and values in one rank, for stock caches and attention kernels: transformers, and "
              "engines through it",
          .runsIn =
              "Hugging Face transformers 4.44 or later, and engines that run its models through its attention "
              "interface, with trust_remote_code",
          .howToLoad =
              "```python\n"
              "from transformers import AutoModelForCausalLM, AutoTokenizer\n"
              "model = AutoModelForCausalLM.from_pretrained(\"FOLDER\", trust_remote_code=True)\n"
              "tokenizer = AutoTokenizer.from_pretrained(\"FOLDER\")\n"
              "```\n"
              "or `vllm serve FOLDER --model-impl transformers --trust-remote-code`. `trust_remote_code` lets "
              "transformers run the Python files of this folder, which are KVista's.",
          .check = check,
          .carried = carried,
          .make = make};
}

}  // namespace kvista
