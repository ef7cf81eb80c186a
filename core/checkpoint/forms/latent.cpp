// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/ops/matmul.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "core/checkpoint/decoder_json.h"
#include "core/checkpoint/forms/forms.h"
#include "core/checkpoint/latent_layout.h"
#include "core/checkpoint/latent_policy.h"
#include "core/checkpoint/model_code.h"
#include "core/checkpoint/tensor_source.h"

namespace kvista {

namespace {

constexpr std::string_view kPredictionNote =
    "Layers that others predict are read behind those, by torch's own operators also where kernels are built, which "
    "know no prediction.";

Result<void> check(const CompressionPlan& plan, const DecoderDescription& description, const Checkpoint&) {
  KVISTA_CHECK(checkPerLayerFactors(plan, "latent"));
  if (plan.exactTokens == 0 || !readsInputs(plan, description.shape)) return {};
  return fail(ErrorCode::invalidArgument,
              fmt::format("The plan keeps {} first tokens exact, but makes latents of {} inputs, from which the form "
                          "latent makes no whole keys and values.",
                          plan.exactTokens, description.shape.hiddenSize),
              "Measure the plan with `kvista evaluate`, or make one whose first tokens are stored like the others.");
}

nlohmann::json configOf(const ExportSource& source, const LatentLayout& layout) {
  const ModelShape& shape = source.description.shape;
  nlohmann::json config = configForModelCode(source.checkpoint.config, source.description);
  config["model_type"] = "kvista";
  config["architectures"] = {"KVistaForCausalLM"};
  config["auto_map"] = {{"AutoConfig", "configuration_kvista.KVistaConfig"},
                        {"AutoModel", "modeling_kvista.KVistaModel"},
                        {"AutoModelForCausalLM", "modeling_kvista.KVistaForCausalLM"}};
  nlohmann::json& own = config["kvista"];
  own["format"] = kLatentFormat;
  nlohmann::json described = describePlan(source.plan, layout, shape);
  for (std::size_t layer = 0; layer < own["layers"].size(); ++layer)
    own["layers"][layer].update(described["layers"][layer]);
  described.erase("layers");
  own.update(described);
  // What is usual is left out, as elsewhere.
  for (nlohmann::json& layer : own["layers"])
    if (layer["reads"].is_null()) layer.erase("reads");
  if (!source.plan.tokenNumbers) own.erase("token_numbers");
  if (shape.valueHeadDim != shape.headDim) own["value_head_dim"] = shape.valueHeadDim;
  return config;
}

/// up, down, steps and prediction of one group.
void addGroup(const LatentGroup& group, const GroupFactors& factors, const std::shared_ptr<ProjectionRows>& rows,
              const ModelShape& shape, DataType dtype, std::vector<TensorToWrite>& tensors) {
  const auto rank = static_cast<std::int64_t>(group.widths.size());
  const auto width = static_cast<std::int64_t>(group.group.widths.size());
  if (group.fromHidden) {
    tensors.push_back(computed(group.name("down.weight"), {rank, shape.hiddenSize}, dtype,
                               [rows, layer = group.layer, columns = columnsOf(group.group, shape), down = factors.down,
                                isWhole = factors.readsInput()]() -> Result<at::Tensor> {
                                 if (isWhole) return down.cpu();
                                 KVISTA_ASSIGN(const at::Tensor all, rows->layer(layer));
                                 const at::Tensor own = all.index_select(0, columns.to(all.device()));
                                 return down.defined() ? at::matmul(down.to(all.device(), at::kDouble), own) : own;
                               }));
  } else if (!group.isIdentity) {
    tensors.push_back(computed(group.name("down.weight"), {rank, width}, dtype,
                               [down = factors.down] { return Result<at::Tensor>(down.cpu()); }));
  }
  if (group.isIdentity) return;
  if (group.isCentred) {
    tensors.push_back(computed(group.name("down.bias"), {rank}, dtype,
                               [shift = factors.shift] { return Result<at::Tensor>(shift.cpu()); }));
    tensors.push_back(computed(group.name("up.bias"), {width}, dtype,
                               [offset = factors.offset] { return Result<at::Tensor>(offset.cpu()); }));
  }
  if (group.predictedFrom)
    tensors.push_back(computed(group.name("prediction.weight"), {width, width}, dtype,
                               [prediction = factors.prediction] { return Result<at::Tensor>(prediction.cpu()); }));
  tensors.push_back(computed(group.name("up.weight"), {width, rank}, dtype,
                             [up = factors.up] { return Result<at::Tensor>(up.cpu()); }));
  if (group.codedDirections() > 0) {
    tensors.push_back(computed(group.name("steps"), {group.codedDirections()}, DataType::f32,
                               [steps = factors.steps, begin = rank - group.codedDirections(), rank] {
                                 return Result<at::Tensor>(steps.cpu().narrow(0, begin, rank - begin));
                               }));
  }
}

Result<std::vector<TensorToWrite>> carried(const Checkpoint& checkpoint, const DecoderDescription& description,
                                           DataType dtype) {
  KVISTA_ASSIGN(const auto store, withViews(checkpoint.tensors, description.views));
  std::vector<TensorToWrite> tensors;
  for (const TensorRole& role : tensorRoles(description)) tensors.push_back(carriedRole(store, role, dtype));
  std::ranges::stable_sort(tensors, {}, &TensorToWrite::name);
  return tensors;
}

Result<ExportContent> make(const ExportSource& source) {
  const DecoderDescription& description = source.description;
  const DataType dtype = source.dtype.value_or(DataType::f32);
  std::vector<bool> identity;
  for (const GroupFactors& factors : source.factors) identity.push_back(factors.isIdentity());
  const LatentLayout layout = latentLayout(source.plan, identity, description.shape,
                                           source.policy != nullptr && readsExactHeads(*source.policy));

  ExportContent content;
  content.files = modelCode();
  content.files.erase("serving_kvista.py");  // of the form serve
  content.cacheBytesPerToken = bytesPerToken(source.plan);
  content.plan = source.plan;
  content.factors = source.factors;
  content.config = configOf(source, layout);
  if (source.policy != nullptr) content.config["kvista"]["policy"] = latentPolicy(*source.policy, source.plan);
  if (predictsLayers(source.plan)) content.notes.emplace_back(kPredictionNote);

  KVISTA_ASSIGN(const auto store, withViews(source.checkpoint.tensors, description.views));
  const auto carry = [&](const std::string& name, const std::string& from) {
    content.tensors.push_back(carriedOver(store, store->tensors().at(from), name, dtype));
  };
  for (int layer = 0; layer < description.shape.layers; ++layer) {
    const AttentionDescription& attention = description.layers[static_cast<std::size_t>(layer)].attention;
    if (layout.keepsKeys[static_cast<std::size_t>(layer)])
      carry(attentionPrefix(layer) + "k_proj.weight", attention.key.weight);
    if (layout.keepsValues[static_cast<std::size_t>(layer)])
      carry(attentionPrefix(layer) + "v_proj.weight", attention.value.weight);
  }
  const auto rows = std::make_shared<ProjectionRows>(store, description, source.device);
  for (const LatentGroup& group : layout.groups)
    addGroup(group, source.factors[group.index], rows, description.shape, dtype, content.tensors);
  std::ranges::stable_sort(content.tensors, {}, &TensorToWrite::name);
  return content;
}

}  // namespace

ExportForm latentForm() {
  return {
      .name = "latent",
      .summary = "Factored weights with Python model code for Hugging Face transformers: the cache is really smaller",
      .runsIn = "Hugging Face transformers 4.44 or later, with trust_remote_code",
      .howToLoad =
          "```python\n"
          "from transformers import AutoModelForCausalLM, AutoTokenizer\n"
          "model = AutoModelForCausalLM.from_pretrained(\"FOLDER\", trust_remote_code=True)\n"
          "tokenizer = AutoTokenizer.from_pretrained(\"FOLDER\")\n"
          "```\n"
          "`trust_remote_code` lets transformers run the Python files of this folder, which are KVista's. On a GPU "
          "with a CUDA toolkit, `python FOLDER/build_kernels.py` builds kernels that make decoding faster.",
      .recordsPolicies = true,
      .check = check,
      .carried = carried,
      .make = make};
}

}  // namespace kvista
